//! One record as it is kept in memory.

use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use action_proto::v1::{Job, run_event::Event};

use super::{
    RunId, RunPosition, RunSummary,
    contents::{RecordContents, WrittenEvent},
    format::RecordMark,
    index_file,
    interned::InternedTexts,
    summary::RunEnd,
};
use crate::locks::lock;

/// One record on the disk, with its run in brief.
#[derive(Debug)]
pub struct RecordEntry {
    /// The run.
    pub id: RunId,
    /// When it was accepted, in milliseconds since 1970.
    pub time: u64,
    directory: Arc<Path>,
    known: OnceLock<RecordState>,
    /// Jobs and offsets of a run that is being recorded.
    live: Mutex<Option<Box<RecordContents>>>,
    /// The number of readers; the record is not removed while there is one.
    readers: AtomicUsize,
    /// The space on the disk, in bytes; 0 for not known.
    size: AtomicU64,
}

/// The state of a record.
#[derive(Debug)]
pub enum RecordState {
    /// A run's record.
    Run(RunSummary),
    /// Only the id and start time of the run are known.
    Fault(RecordFault),
}

/// Why a record has no readable run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// Its first event is damaged.
    Damaged,
    /// A newer server wrote it.
    Newer,
    /// The file cannot be read.
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

impl RecordEntry {
    /// The entry of a record that was not read yet.
    pub(super) fn new(directory: Arc<Path>, id: RunId, time: u64) -> RecordEntry {
        RecordEntry {
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
    pub(super) fn of_new_run(directory: Arc<Path>, id: RunId, time: u64) -> RecordEntry {
        let entry = RecordEntry::new(directory, id, time);
        *entry.live() = Some(Box::default());
        entry
    }

    /// The same record in another directory.
    pub(super) fn moved_to(&self, directory: Arc<Path>, fault: RecordFault) -> RecordEntry {
        let entry = RecordEntry::new(directory, self.id.clone(), self.time);
        entry
            .size
            .store(self.size.load(Ordering::Relaxed), Ordering::Relaxed);
        entry.set_state(RecordState::Fault(fault));
        entry
    }

    /// The id and time in a record's file name; `None` for other files.
    pub(super) fn parse_name(name: &str) -> Option<(RunId, u64)> {
        let stem = name.strip_suffix(".run")?;
        let (time, id) = stem.split_once('-')?;
        let (id, time): (RunId, u64) = (id.parse().ok()?, time.parse().ok()?);
        // Its path is made of the two again.
        (stem == stem_of(&id, time)).then_some((id, time))
    }

    /// Its place in lists.
    pub fn position(&self) -> RunPosition {
        (self.time, self.id.clone())
    }

    /// The record.
    pub(super) fn path(&self) -> PathBuf {
        self.file("run")
    }

    /// The record before its first event is on the disk: no caller has heard of the run.
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

    /// The state; `None` while the record could not be read.
    pub fn known(&self) -> Option<&RecordState> {
        self.known.get()
    }

    /// The run in brief.
    pub fn summary(&self) -> Option<&RunSummary> {
        match self.known()? {
            RecordState::Run(summary) => Some(summary),
            RecordState::Fault(_) => None,
        }
    }

    /// Sets the state, once.
    pub(super) fn set_state(&self, known: RecordState) {
        _ = self.known.set(known);
    }

    /// Sets the state from a new run's first event.
    pub(super) fn set_first_event(&self, first: &WrittenEvent, interned: &Mutex<InternedTexts>) {
        if let Some(Event::RunStarted(started)) = &first.event {
            let mut interned = lock(interned);
            let id = self.id.clone();
            let summary = RunSummary::of(id, started.clone(), first.time, &mut interned);
            self.set_state(RecordState::Run(summary));
        }
    }

    /// True for a run whose end is recorded, and for a record without a readable run.
    pub(super) fn is_closed(&self) -> bool {
        match self.known() {
            Some(RecordState::Run(summary)) => summary.finished().is_some(),
            Some(RecordState::Fault(_)) => true,
            None => false,
        }
    }

    /// Keeps the record from being removed.
    pub(super) fn hold(self: Arc<RecordEntry>) -> RecordHold {
        self.readers.fetch_add(1, Ordering::Relaxed);
        RecordHold(self)
    }

    /// True while the record has readers.
    pub(super) fn is_held(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// The space of a closed record on the disk, in bytes, if known.
    pub(super) fn size(&self) -> Option<u64> {
        let size = self.size.load(Ordering::Relaxed);
        (size > 0 && self.is_closed()).then_some(size)
    }

    /// Sets the space on the disk, in bytes; 0 for not known.
    pub(super) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Adds events that readers are about to see; the record ends at `end` with them.
    pub(super) fn observe_events(&self, events: Vec<WrittenEvent>, end: u64) {
        let mut live = self.live();
        for written in events {
            let (sequence, time) = (written.sequence, written.time);
            if let Some(Event::RunFinished(result)) = &written.event
                && let Some(summary) = self.summary()
            {
                // It has grown since.
                self.set_size(0);
                summary.set_finished(RunEnd {
                    result: result.clone(),
                    time,
                    sequence,
                    end,
                });
            }
            if let Some(contents) = live.as_deref_mut() {
                contents.observe_event(written);
            }
        }
    }

    /// Continues with the contents of an unfinished record.
    pub(super) fn resume(&self, contents: RecordContents) {
        *self.live() = Some(Box::new(contents));
    }

    /// Moves jobs and offsets of a finished record from memory to the index file, if it is long.
    /// `length` is the record's. Blocks for the disk.
    pub(super) fn close(&self, mark: RecordMark, length: u64) {
        // In this order, so that they are always in one of the two.
        let written = match self.live().as_deref() {
            Some(contents) if index_file::is_wanted(length) => {
                index_file::write_index(&self.index_path(), mark, length, &contents.to_stored())
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
        self.live().as_deref().map(RecordContents::jobs)
    }

    /// The offset from which to read the events after `after` of a live run.
    pub(super) fn live_offset(&self, after: u64) -> Option<u64> {
        let live = self.live();
        live.as_deref()
            .map(|contents| contents.offsets.offset_before(after))
    }

    fn live(&self) -> MutexGuard<'_, Option<Box<RecordContents>>> {
        lock(&self.live)
    }
}

fn stem_of(id: &RunId, time: u64) -> String {
    format!("{time:013}-{id}")
}

/// A record that is being read, and not removed until this is dropped.
#[derive(Debug)]
pub(super) struct RecordHold(Arc<RecordEntry>);

impl Deref for RecordHold {
    type Target = RecordEntry;

    fn deref(&self) -> &RecordEntry {
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
        let entry = RecordEntry::new(Path::new("/r").into(), RunId::random(), 1_795_539_045_326);
        let path = entry.path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            RecordEntry::parse_name(name),
            Some((entry.id.clone(), entry.time))
        );
        for other in [
            "lock",
            "x.run",
            "1-short.run",
            "12-aaaa000000000000.run",
            "0000000000012-aaaa000000000000.run.tail",
            "0000000000012-aaaa000000000000.new",
            "0000000000012-aaaa000000000000.idx",
        ] {
            assert!(RecordEntry::parse_name(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_record_is_held_by_its_readers_and_by_nothing_else() {
        let entry = Arc::new(RecordEntry::new(Path::new("/r").into(), RunId::random(), 1));
        let listed = Arc::clone(&entry);
        assert!(!entry.is_held());
        let holds = [Arc::clone(&entry).hold(), listed.hold()];
        assert!(entry.is_held());
        drop(holds);
        assert!(!entry.is_held());
    }
}
