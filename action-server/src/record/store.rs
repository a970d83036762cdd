//! The directory of the records: one server at a time, one file a run.
//!
//! ```text
//! state_directory/
//!   lock                     held by the server that runs, with the machine that it runs on
//!   clock.json               the state by which the system clock is judged
//!   version                  of the directory's format
//!   reserve                  space set aside, so that runs can end on a full disk
//!   probe                    there for a moment, while it is tried whether the disk takes anything
//!   runs/<time>-<id>.run     one record; the time, in milliseconds since 1970, sorts them
//!   runs/<time>-<id>.new     one whose first event is not on the disk yet: of no run
//!   runs/<time>-<id>.idx     the jobs and offsets of a long record; made again where it is missing
//!   damaged/<time>-<id>.run  a record whose first event cannot be read
//! ```

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use action_proto::v1::run_event::Event;

use super::{
    HEADER_LEN, RecordEntry, RecordFault, RecordReader, RecordState, RecordWriter, RunId, RunIndex,
    RunPosition, StateHolder, StoreError, UnwrittenEvents,
    availability::StoreAvailability,
    directory::{check_owner, check_version, set_aside, take_lock},
    index::RecordIndex,
    interned::InternedTexts,
    load::{FirstLook, LoadedRecords, load_records, look_at},
};
use crate::{crash, locks::lock};

/// So much of the reserve is given back at least.
const RESERVE_PART: u64 = 256 << 10;

/// The records of all runs.
#[derive(Debug)]
pub struct RecordStore {
    pub(super) runs: Arc<Path>,
    /// Where damaged records are put aside.
    pub(super) damaged: Arc<Path>,
    index: Mutex<RecordIndex>,
    interned: Mutex<InternedTexts>,
    /// Records of the last server, to be handled at the start.
    pub(super) unfinished: Mutex<Vec<Arc<RecordEntry>>>,
    pub(super) newly_damaged: Mutex<Vec<Arc<RecordEntry>>>,
    /// Space that is given back when a run could not end otherwise.
    pub(super) reserve: File,
    /// True while the reserve is given back: what is left of the disk is for the ends of runs.
    tight: AtomicBool,
    pub(super) availability: StoreAvailability,
    /// The latest time that is believed, in milliseconds since 1970: no record is older than this says.
    pub(super) believed: AtomicU64,
    /// The size of all records at the last look, in bytes.
    pub(super) size: AtomicU64,
    /// The lock is held as long as this is open.
    lock: File,
    /// The machine of the last server, if that did not stop and it is another one.
    last_holder: Option<StateHolder>,
}

impl RecordStore {
    /// Opens the store, making it where it is not there, and takes its lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(directory: &Path) -> Result<RecordStore, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        let runs: Arc<Path> = directory.join("runs").into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&runs)
            .map_err(failed(&runs))?;
        check_owner(
            directory,
            &fs::metadata(directory).map_err(failed(directory))?,
        )?;
        let open = |name: &str| {
            let path = directory.join(name);
            let mut options = File::options();
            let options = options.create(true).truncate(false).read(true).write(true);
            options.mode(0o600).open(&path).map_err(failed(&path))
        };
        let lock = open("lock")?;
        take_lock(&lock).map_err(|()| StoreError::InUse(directory.to_owned()))?;
        check_version(directory).map_err(failed(directory))??;
        let damaged: Arc<Path> = directory.join("damaged").into();
        let loaded = load_records(&runs, &damaged)?;
        let LoadedRecords {
            index, interned, ..
        } = loaded;
        let last_holder = StateHolder::read(&lock).map_err(failed(directory))?;
        Ok(RecordStore {
            runs,
            damaged,
            index: Mutex::new(index),
            interned: Mutex::new(interned),
            unfinished: Mutex::new(loaded.unfinished),
            newly_damaged: Mutex::new(loaded.damaged),
            reserve: open("reserve")?,
            tight: AtomicBool::new(false),
            availability: StoreAvailability::default(),
            believed: AtomicU64::new(u64::MAX),
            size: AtomicU64::new(0),
            lock,
            last_holder: last_holder.filter(|holder| *holder != StateHolder::this_machine()),
        })
    }

    /// The machine of the last server, if that did not stop and it is another one.
    pub fn last_holder(&self) -> Option<&StateHolder> {
        self.last_holder.as_ref()
    }

    /// Notes that this machine holds the state directory, once what the last holder left is recorded.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn hold(&self) -> io::Result<()> {
        StateHolder::this_machine().write(&self.lock)
    }

    /// Notes that no script is left on this machine. Blocks for the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn leave(&self) -> io::Result<()> {
        StateHolder::clear(&self.lock)
    }

    /// Judges ages by this time at most, in milliseconds since 1970. By 0 no record is too old.
    pub fn believe(&self, time: u64) {
        self.believed.store(time, Ordering::Relaxed);
    }

    /// When the newest run was accepted, in milliseconds since 1970.
    pub(super) fn newest_time(&self) -> Option<u64> {
        self.index().newest_time()
    }

    /// Begins the record of a new run, with its first event on the disk. Blocks for the disk. The
    /// run is found by others once its entry is given to [`RecordStore::add`].
    ///
    /// # Errors
    /// The disk's, or that the reserve cannot be set aside. Nothing is left of the record then.
    pub fn create(&self, first: Event) -> io::Result<(Arc<RecordEntry>, RecordWriter)> {
        self.begin_record(first)
            .inspect_err(|_| self.mark_unwritable())
    }

    fn begin_record(&self, first: Event) -> io::Result<(Arc<RecordEntry>, RecordWriter)> {
        self.restore_reserve()?;
        // A clock that was set back must not put a new record before older ones.
        let time = now_millis().max(self.newest_time().map_or(0, |time| time.saturating_add(1)));
        let entry = RecordEntry::of_new_run(Arc::clone(&self.runs), RunId::random(), time);
        let entry = Arc::new(entry);
        // Under another name until its first event is on the disk: one of these that a server leaves
        // behind is of a run that no caller knows, and all others are evidence.
        let begun = entry.begun_path();
        let file = File::options()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&begun)?;
        crash::point("before-intent");
        let writer = RecordWriter::begin(Arc::clone(&entry), file, first, &self.interned);
        let written = writer.and_then(|writer| {
            fs::rename(&begun, entry.path())?;
            // The name is durable only when the directory is.
            File::open(&self.runs)?.sync_all()?;
            Ok(writer)
        });
        crash::point("after-intent");
        match written {
            Ok(writer) => Ok((entry, writer)),
            Err(error) => {
                self.discard_record(&entry);
                Err(error)
            }
        }
    }

    /// Removes the record of a run that was not started and of which no caller has heard.
    pub fn discard_record(&self, entry: &RecordEntry) {
        // Best effort: the next start handles a record without an end.
        _ = fs::remove_file(entry.begun_path());
        _ = fs::remove_file(entry.path());
    }

    /// Lets a new run be found.
    pub fn add(&self, entry: Arc<RecordEntry>) {
        self.index().insert(entry);
    }

    /// A reader of a new run's record from its beginning, before others can find it.
    ///
    /// # Errors
    /// The disk's, or that no descriptor is left.
    pub fn read_new(
        &self,
        entry: &Arc<RecordEntry>,
        writer: &RecordWriter,
    ) -> io::Result<RecordReader> {
        let hold = Arc::clone(entry).hold();
        let file = File::open(entry.path())?;
        let begin = HEADER_LEN as u64;
        Ok(RecordReader::new(hold, file, writer.watermark(), 0, begin))
    }

    /// Writes the end of a run; on a full disk with a part of the reserve. Blocks for the disk.
    ///
    /// # Errors
    /// The write's, with the events.
    pub fn finish_record(
        &self,
        writer: &mut RecordWriter,
        mut events: Vec<Event>,
    ) -> Result<(), UnwrittenEvents> {
        loop {
            let Err(unwritten) = writer.finish(events) else {
                return Ok(());
            };
            let is_full = unwritten.error.kind() == io::ErrorKind::StorageFull;
            if !is_full || !self.release_reserve() {
                return Err(unwritten);
            }
            tracing::warn!(run_id = %writer.id(), "the disk is full: the reserve is used for the end of the run");
            events = unwritten.events;
        }
    }

    /// Gives a part of the reserve back to the disk, so that what must be written can be. The rest
    /// is kept for others who must. False when nothing is left to give.
    fn release_reserve(&self) -> bool {
        self.tight.store(true, Ordering::Relaxed);
        let length = self.reserve.metadata().map_or(0, |metadata| metadata.len());
        let rest = length.saturating_sub(RESERVE_PART);
        length > 0
            && self
                .reserve
                .set_len(rest)
                .inspect_err(|error| tracing::error!(%error, "cannot release the reserve"))
                .is_ok()
    }

    /// Sets the reserve aside, as far as it was given back.
    pub(super) fn restore_reserve(&self) -> io::Result<()> {
        set_aside(&self.reserve)?;
        self.tight.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// True while the reserve is given back: nothing but the ends of runs may be written then. It
    /// is over once the reserve can be set aside again.
    pub fn is_tight(&self) -> bool {
        self.tight.load(Ordering::Relaxed)
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.index().count()
    }

    /// The record of a run.
    pub(super) fn get(&self, id: &RunId) -> Option<Arc<RecordEntry>> {
        self.index().get(id)
    }

    /// Removes a record that no longer exists from the index.
    pub(super) fn forget_entry(&self, id: &RunId) {
        self.index().remove(id);
    }

    fn index(&self) -> MutexGuard<'_, RecordIndex> {
        lock(&self.index)
    }

    pub(super) fn interned(&self) -> MutexGuard<'_, InternedTexts> {
        lock(&self.interned)
    }
}

pub(super) fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl RunIndex for RecordStore {
    fn find(&self, prefix: &str, after: Option<RunId>, most: usize) -> Vec<Arc<RecordEntry>> {
        self.index().find(prefix, after, most)
    }

    fn list(&self, before: Option<RunPosition>, most: usize) -> Vec<Arc<RecordEntry>> {
        self.index().list(before, most)
    }

    fn lead(&self) -> u64 {
        self.index().lead
    }

    fn summary<'a>(&self, entry: &'a RecordEntry) -> io::Result<&'a RecordState> {
        if entry.known().is_none() {
            let looked = look_at(entry, &self.interned, &mut Vec::new());
            if matches!(&looked, Err(error) if error.kind() == io::ErrorKind::NotFound) {
                self.forget_entry(&entry.id);
            }
            if let FirstLook::NoFile = looked? {
                entry.set_state(RecordState::Fault(RecordFault::Unreadable));
            }
        }
        entry.known().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
