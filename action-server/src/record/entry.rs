//! What is known of one record without reading it.

use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use action_proto::v1::{Job, run_event::Event};

use super::{
    Position, RunId, Summary,
    contents::{Contents, WrittenEvent},
    format::Mark,
    index_file,
    interned::Interned,
    summary::Finished,
};

/// One record on the disk, and what is known of its run.
#[derive(Debug)]
pub struct Entry {
    /// The run.
    pub id: RunId,
    /// When it was accepted, in milliseconds since 1970.
    pub time: u64,
    directory: Arc<Path>,
    known: OnceLock<Known>,
    /// Jobs and offsets of a run that is being recorded.
    live: Mutex<Option<Box<Contents>>>,
    /// How many readers the record has: it stays as long as there is one.
    readers: AtomicUsize,
    /// The space that it takes on the disk, in bytes; 0 for not known.
    size: AtomicU64,
}

/// What a record was found to be.
#[derive(Debug)]
pub enum Known {
    /// A run's record.
    Run(Summary),
    /// No more is known of the run than its id and when it was accepted.
    Fault(RecordFault),
}

/// Why no more is known of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// Its first event is not what was written.
    Damaged,
    /// A newer server wrote it.
    Newer,
    /// The file cannot be read, now and later.
    Unreadable,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordFault::Damaged => "record damaged",
            RecordFault::Newer => "record of a newer server",
            RecordFault::Unreadable => "record cannot be read",
        })
    }
}

impl Entry {
    /// The entry of a record of which nothing is known yet.
    pub(super) fn new(directory: Arc<Path>, id: RunId, time: u64) -> Entry {
        Entry {
            id,
            time,
            directory,
            known: OnceLock::new(),
            live: Mutex::default(),
            readers: AtomicUsize::new(0),
            size: AtomicU64::new(0),
        }
    }

    /// The entry of a run that will be recorded.
    pub(super) fn of_new_run(directory: Arc<Path>, id: RunId, time: u64) -> Entry {
        let entry = Entry::new(directory, id, time);
        *entry.live() = Some(Box::default());
        entry
    }

    /// The same record in another directory.
    pub(super) fn moved_to(&self, directory: Arc<Path>, fault: RecordFault) -> Entry {
        let entry = Entry::new(directory, self.id.clone(), self.time);
        entry
            .size
            .store(self.size.load(Ordering::Relaxed), Ordering::Relaxed);
        entry.learn(Known::Fault(fault));
        entry
    }

    /// The id and time that a record's file name says; `None` for other files.
    pub(super) fn name_of(name: &str) -> Option<(RunId, u64)> {
        let stem = name.strip_suffix(".run")?;
        let (time, id) = stem.split_once('-')?;
        let (id, time): (RunId, u64) = (id.parse().ok()?, time.parse().ok()?);
        // Its path is made of the two again.
        (stem == stem_of(&id, time)).then_some((id, time))
    }

    /// Where it stands among all.
    pub fn position(&self) -> Position {
        (self.time, self.id.clone())
    }

    /// The record.
    pub(super) fn path(&self) -> PathBuf {
        self.file("run")
    }

    /// The record before its first event is on the disk: of a run that no caller knows.
    pub(super) fn begun_path(&self) -> PathBuf {
        self.file("new")
    }

    /// Where a damaged end of the record is put aside.
    pub(super) fn tail_path(&self) -> PathBuf {
        self.file("run.tail")
    }

    /// Where the jobs and offsets of a long record are.
    pub(super) fn index_path(&self) -> PathBuf {
        self.file("idx")
    }

    fn file(&self, extension: &str) -> PathBuf {
        let stem = stem_of(&self.id, self.time);
        self.directory.join(format!("{stem}.{extension}"))
    }

    /// What the record was found to be; `None` where it could not be looked at yet.
    pub fn known(&self) -> Option<&Known> {
        self.known.get()
    }

    /// The run in brief.
    pub fn summary(&self) -> Option<&Summary> {
        match self.known()? {
            Known::Run(summary) => Some(summary),
            Known::Fault(_) => None,
        }
    }

    /// Takes note of what the record is. The first note stays.
    pub(super) fn learn(&self, known: Known) {
        _ = self.known.set(known);
    }

    /// Takes note of a new run's first event.
    pub(super) fn learn_first(&self, first: &WrittenEvent, interned: &Mutex<Interned>) {
        if let Some(Event::RunStarted(started)) = &first.event {
            let mut interned = interned.lock().unwrap_or_else(PoisonError::into_inner);
            let id = self.id.clone();
            let summary = Summary::of(id, started.clone(), first.time, &mut interned);
            self.learn(Known::Run(summary));
        }
    }

    /// True for a run whose end is recorded, and for a record without a readable run.
    pub(super) fn is_closed(&self) -> bool {
        match self.known() {
            Some(Known::Run(summary)) => summary.finished().is_some(),
            Some(Known::Fault(_)) => true,
            None => false,
        }
    }

    /// Keeps the record from being removed.
    pub(super) fn hold(self: Arc<Entry>) -> RecordHold {
        self.readers.fetch_add(1, Ordering::Relaxed);
        RecordHold(self)
    }

    /// True while somebody reads the record.
    pub(super) fn is_held(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// The space that it takes on the disk, in bytes, where that is known and stays so.
    pub(super) fn size(&self) -> Option<u64> {
        let size = self.size.load(Ordering::Relaxed);
        (size > 0 && self.is_closed()).then_some(size)
    }

    /// Takes note of the space that it takes on the disk, in bytes; 0 for not known.
    pub(super) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Takes note of events that readers are about to see; `end` is where the record ends with them.
    pub(super) fn observe(&self, events: Vec<WrittenEvent>, end: u64) {
        let mut live = self.live();
        for written in events {
            let (sequence, time) = (written.sequence, written.time);
            if let Some(Event::RunFinished(result)) = &written.event
                && let Some(summary) = self.summary()
            {
                // It has grown since.
                self.set_size(0);
                summary.finish(Finished {
                    result: result.clone(),
                    time,
                    sequence,
                    end,
                });
            }
            if let Some(contents) = live.as_deref_mut() {
                contents.observe(written);
            }
        }
    }

    /// Goes on with what was found in the record of a run without an end.
    pub(super) fn resume(&self, contents: Contents) {
        *self.live() = Some(Box::new(contents));
    }

    /// Has the jobs and offsets of a record that has its end in a file, where it is long, and no more
    /// in memory. `length` is that of the record. Blocks for the disk.
    pub(super) fn close(&self, mark: Mark, length: u64) {
        // Taken away only when the file is there: they are to be found in one of the two places.
        let written = match self.live().as_deref() {
            Some(contents) if index_file::is_wanted(length) => {
                index_file::write(&self.index_path(), mark, length, &contents.to_stored())
            }
            _ => Ok(()),
        };
        if let Err(error) = written {
            tracing::warn!(run_id = %self.id, %error, "cannot write the index of a record; it is made again when it is asked for");
        }
        *self.live() = None;
    }

    /// Each job of a run that is being recorded, as far as readers see it; `None` for others.
    pub fn live_jobs(&self) -> Option<Vec<Job>> {
        self.live().as_deref().map(Contents::jobs)
    }

    /// Where to begin to read the record of a run that is being recorded for the events after `after`.
    pub(super) fn live_offset(&self, after: u64) -> Option<u64> {
        let live = self.live();
        live.as_deref()
            .map(|contents| contents.offsets.before(after))
    }

    fn live(&self) -> MutexGuard<'_, Option<Box<Contents>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stem_of(id: &RunId, time: u64) -> String {
    format!("{time:013}-{id}")
}

/// A record that is being read: as long as this is there it is not removed.
#[derive(Debug)]
pub(super) struct RecordHold(Arc<Entry>);

impl Deref for RecordHold {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}

impl Drop for RecordHold {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_their_runs() {
        let entry = Entry::new(Path::new("/r").into(), RunId::random(), 1_795_539_045_326);
        let path = entry.path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Entry::name_of(name), Some((entry.id.clone(), entry.time)));
        for other in [
            "lock",
            "x.run",
            "1-short.run",
            "12-aaaa000000000000.run",
            "0000000000012-aaaa000000000000.run.tail",
            "0000000000012-aaaa000000000000.new",
            "0000000000012-aaaa000000000000.idx",
        ] {
            assert!(Entry::name_of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_record_is_held_by_its_readers_and_by_nothing_else() {
        let entry = Arc::new(Entry::new(Path::new("/r").into(), RunId::random(), 1));
        let listed = Arc::clone(&entry);
        assert!(!entry.is_held());
        let holds = [Arc::clone(&entry).hold(), listed.hold()];
        assert!(entry.is_held());
        drop(holds);
        assert!(!entry.is_held());
    }
}
