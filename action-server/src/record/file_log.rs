//! The log of runs' events in files: brings each call to the disk by the lane of its kind, so that no
//! task of the runtime ever waits for it.

use std::{
    collections::HashMap,
    io,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use action_proto::v1::{RunEvent, run_event::Event};
use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::watch, time::sleep};

use super::{
    EventLog, EventReader, EventWriter, NewRun, RecordEntry, RecordReader, RecordStore,
    RecordWriter, RunId, UnwrittenEvents, Watermark,
};
use crate::{disk_lane::LANES, locks::lock};

/// A disk that does not answer for so long may hang.
const SLOW: Duration = Duration::from_secs(1);

/// The runs that are written now, with how far each is.
type LiveRuns = Arc<Mutex<HashMap<RunId, watch::Receiver<Watermark>>>>;

/// Keeps the events of each run in a file of the store.
pub struct FileLog {
    store: Arc<RecordStore>,
    live: LiveRuns,
}

impl FileLog {
    /// A log in this store.
    pub fn new(store: Arc<RecordStore>) -> FileLog {
        FileLog {
            store,
            live: Arc::default(),
        }
    }
}

impl EventLog for FileLog {
    fn begin(&self, first: Event) -> BoxFuture<'static, io::Result<NewRun>> {
        let (store, live) = (Arc::clone(&self.store), Arc::clone(&self.live));
        Box::pin(async move {
            let own = Arc::clone(&store);
            let begun = LANES.starts.run(move || {
                let (entry, writer) = own.create(first)?;
                let writer = FileWriter::new(Arc::clone(&own), live, Arc::clone(&entry), writer);
                // Opened now: a run that is started must not fail for want of a descriptor to show it.
                let reader = writer.read_own()?;
                Ok(NewRun {
                    entry,
                    writer: Box::new(writer),
                    reader: Box::new(reader),
                })
            });
            watch_disk(&store, begun).await?
        })
    }

    fn read(
        &self,
        run_id: &RunId,
        after: u64,
    ) -> BoxFuture<'static, io::Result<Box<dyn EventReader>>> {
        let (store, run_id) = (Arc::clone(&self.store), run_id.clone());
        let watermark = lock(&self.live).get(&run_id).cloned();
        Box::pin(async move {
            let opened = LANES.callers.run(move || {
                let reader = store.read(&run_id, watermark, after)?;
                Ok(Box::new(reader) as Box<dyn EventReader>)
            });
            opened.await?
        })
    }

    fn live_sequence(&self, run_id: &RunId) -> Option<u64> {
        let live = lock(&self.live);
        let watermark = *live.get(run_id)?.borrow();
        (!watermark.ended).then_some(watermark.sequence)
    }
}

impl EventReader for RecordReader {
    fn last_sequence(&self) -> Option<u64> {
        self.last_sequence()
    }

    fn next(&mut self) -> BoxFuture<'_, io::Result<Vec<RunEvent>>> {
        Box::pin(self.next())
    }
}

/// The writer of one run.
struct FileWriter {
    store: Arc<RecordStore>,
    live: LiveRuns,
    entry: Arc<RecordEntry>,
    is_released: bool,
    /// `None` while it is on a thread that writes.
    writer: Option<RecordWriter>,
}

impl FileWriter {
    fn new(
        store: Arc<RecordStore>,
        live: LiveRuns,
        entry: Arc<RecordEntry>,
        writer: RecordWriter,
    ) -> FileWriter {
        FileWriter {
            store,
            live,
            entry,
            is_released: false,
            writer: Some(writer),
        }
    }

    /// Reads the record from its beginning. Blocks for the disk.
    fn read_own(&self) -> io::Result<RecordReader> {
        let writer = self.writer.as_ref().ok_or_else(lost_writer)?;
        self.store.read_new(&self.entry, writer)
    }

    /// Has `work` done to the writer by `run`, a lane's, and takes it back.
    async fn write_events(
        &mut self,
        is_end: bool,
        events: Vec<Event>,
        work: fn(&RecordStore, &mut RecordWriter, Vec<Event>) -> Result<(), UnwrittenEvents>,
    ) -> Result<(), UnwrittenEvents> {
        let unwritten = |error| UnwrittenEvents {
            error,
            events: Vec::new(),
        };
        let Some(mut writer) = self.writer.take() else {
            return Err(unwritten(lost_writer()));
        };
        let lane = if is_end { &LANES.ends } else { &LANES.appends };
        let store = Arc::clone(&self.store);
        let written = lane.run(move || {
            let written = work(&store, &mut writer, events);
            (writer, written)
        });
        let (writer, written) = watch_disk(&self.store, written)
            .await
            .map_err(|error| unwritten(error.into()))?;
        self.writer = Some(writer);
        written
    }
}

impl EventWriter for FileWriter {
    fn run_id(&self) -> &RunId {
        &self.entry.id
    }

    fn release(&mut self) {
        self.is_released = true;
        if let Some(writer) = &self.writer {
            lock(&self.live).insert(self.entry.id.clone(), writer.watermark());
        }
        self.store.add(Arc::clone(&self.entry));
    }

    fn append(&mut self, events: Vec<Event>) -> BoxFuture<'_, Result<(), UnwrittenEvents>> {
        Box::pin(self.write_events(false, events, |store, writer, events| {
            let written = writer
                .append(events)
                .inspect_err(|_| store.mark_unwritable());
            writer.sync_when_due();
            written
        }))
    }

    fn finish(&mut self, events: Vec<Event>) -> BoxFuture<'_, Result<(), UnwrittenEvents>> {
        Box::pin(self.write_events(true, events, RecordStore::finish_record))
    }

    fn takes_output(&self) -> bool {
        !self.store.is_tight()
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.is_released {
            lock(&self.live).remove(&self.entry.id);
            return;
        }
        // Without a runtime the next start removes it.
        if let Ok(runtime) = Handle::try_current() {
            let (store, entry) = (Arc::clone(&self.store), Arc::clone(&self.entry));
            runtime.spawn(LANES.tidying.run(move || store.discard_record(&entry)));
        }
    }
}

fn lost_writer() -> io::Error {
    io::Error::other("the record was left in the middle of a write")
}

/// Waits for the disk. One that does not answer soon is looked at: see [`RecordStore::check_writable`].
async fn watch_disk<T>(store: &RecordStore, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = sleep(SLOW) => store.mark_suspect(),
    }
    work.await
}
