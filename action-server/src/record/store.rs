//! The directory of the records: one server at a time, one file a run.
//!
//! ```text
//! state_directory/
//!   lock                     held by the server that runs, with the machine that it runs on
//!   clock.json               what the system clock is judged by
//!   version                  of the directory's format
//!   reserve                  space set aside, so that runs can end on a full disk
//!   probe                    there for a moment, while it is tried whether the disk takes anything
//!   runs/<time>-<id>.run     one record; the time, in milliseconds since 1970, sorts them
//! ```

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use action_proto::v1::{Job, run_event::Event};
use tokio::sync::watch;

use super::{
    Entry, Holder, Reader, Retention, RunId, StoreError, Summary, Watermark, Writer,
    availability::Availability,
    directory::{check_owner, check_version, set_aside, take_lock},
    index::Index,
    retention::Kept,
    summary::{self, Jobs, whole_part},
};

/// So much of the reserve is given back at least.
const RESERVE_PART: u64 = 256 << 10;

/// The records of all runs.
#[derive(Debug)]
pub struct Store {
    pub(super) runs: PathBuf,
    index: Mutex<Index>,
    /// Space that is given back when a run could not end otherwise.
    pub(super) reserve: File,
    /// True while the reserve is given back: what is left of the disk is for the ends of runs.
    tight: AtomicBool,
    pub(super) availability: Availability,
    /// The latest time that is believed, in milliseconds since 1970: no record is older than this says.
    believed: AtomicU64,
    /// What all records took when they were last looked at.
    pub(super) size: AtomicU64,
    /// The lock is held as long as this is open.
    lock: File,
    /// The machine whose server held the lock last and did not stop, if it is another one.
    last_holder: Option<Holder>,
}

impl Store {
    /// Opens the store, making it where it is not there, and takes its lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(directory: &Path) -> Result<Store, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        let runs = directory.join("runs");
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
        let index = read_index(&runs).map_err(failed(&runs))?;
        let last_holder = Holder::read(&lock).map_err(failed(directory))?;
        Ok(Store {
            runs,
            index: Mutex::new(index),
            reserve: open("reserve")?,
            tight: AtomicBool::new(false),
            availability: Availability::default(),
            believed: AtomicU64::new(u64::MAX),
            size: AtomicU64::new(0),
            lock,
            last_holder: last_holder.filter(|holder| *holder != Holder::own()),
        })
    }

    /// The machine whose server held the state directory last and did not stop, if it is another one.
    pub fn last_holder(&self) -> Option<&Holder> {
        self.last_holder.as_ref()
    }

    /// Notes that this machine holds the state directory, once what the last holder left is recorded.
    /// Blocks for the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn hold(&self) -> io::Result<()> {
        Holder::own().write(&self.lock)
    }

    /// Notes that no script is left on this machine. Blocks for the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn leave(&self) -> io::Result<()> {
        Holder::clear(&self.lock)
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
    /// run is found by others once its entry is given to [`Store::add`].
    ///
    /// # Errors
    /// The disk's, or that the reserve cannot be set aside. Nothing is left of the record then.
    pub fn create(&self, first: Event) -> io::Result<(Entry, Writer)> {
        self.begin(first).inspect_err(|_| self.doubt())
    }

    fn begin(&self, first: Event) -> io::Result<(Entry, Writer)> {
        self.restore_reserve()?;
        // A clock that was set back must not put a new record before older ones.
        let time = now_millis().max(self.newest_time().map_or(0, |time| time.saturating_add(1)));
        let entry = Entry::new(&self.runs, RunId::random(), time);
        let file = File::options()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&entry.path)?;
        let written = Writer::begin(entry.id.clone(), file, first).and_then(|writer| {
            // The name is durable only when the directory is.
            File::open(&self.runs)?.sync_all()?;
            Ok(writer)
        });
        match written {
            Ok(writer) => Ok((entry, writer)),
            Err(error) => {
                self.discard(&entry);
                Err(error)
            }
        }
    }

    /// Removes the record of a run that is neither known to a caller nor started.
    pub fn discard(&self, entry: &Entry) {
        // Best effort: a record without an end is seen to at the next start.
        _ = fs::remove_file(&entry.path);
    }

    /// Lets a new run be found.
    pub fn add(&self, entry: impl Into<Arc<Entry>>) {
        self.index().insert(entry);
    }

    /// A reader of a new run's record from its beginning, before others can find it.
    ///
    /// # Errors
    /// The disk's, or that no descriptor is left.
    pub fn read_new(&self, entry: &Arc<Entry>, writer: &Writer) -> io::Result<Reader> {
        let file = File::open(&entry.path)?;
        Ok(Reader::new(Arc::clone(entry), file, writer.watermark(), 0))
    }

    /// Gives a part of the reserve back to the disk, so that what must be written can be. The rest
    /// is kept for others who must. False when nothing is left to give.
    pub fn release_reserve(&self) -> bool {
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

    /// A reader of a run's record. `watermark` is the writer's while the run lives; without one
    /// the record is read as far as it is whole.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn read(
        &self,
        id: &RunId,
        watermark: Option<watch::Receiver<Watermark>>,
        after: u64,
    ) -> io::Result<Reader> {
        let (entry, file) = self.open_record(id)?;
        let watermark = match watermark {
            Some(watermark) => watermark,
            None => watch::Sender::new(whole_part(&file)?).subscribe(),
        };
        Ok(Reader::new(entry, file, watermark, after))
    }

    /// What a run came to, in brief.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn summary(&self, id: &RunId) -> io::Result<Summary> {
        let (_, file) = self.open_record(id)?;
        Summary::read(id, &file)
    }

    /// Each job of a run, as far as its record goes now. Reads the whole record.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn jobs(&self, id: &RunId) -> io::Result<Vec<Job>> {
        let (_, file) = self.open_record(id)?;
        let mut jobs = Jobs::default();
        let mark = summary::scan(&file, |event, _| {
            event
                .event
                .into_iter()
                .for_each(|event| jobs.observe(event));
        })?;
        if summary::has_ended(&file)? && mark.end < whole_part(&file)?.end {
            let text = format!("the record is damaged behind event {}", mark.sequence);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(jobs.into_vec())
    }

    /// The runs whose id is, or begins with, `text`: at most `most`.
    pub fn matching(&self, text: &str, most: usize) -> Vec<Arc<Entry>> {
        self.index().matching(text, most)
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.index().count()
    }

    /// All records, the newest first.
    pub fn newest_first(&self) -> Vec<Arc<Entry>> {
        self.index().newest_first()
    }

    /// Removes the records that `retention` lets go and that neither `lives` nor a reader holds.
    ///
    /// # Errors
    /// The disk's, at the first that could not be removed.
    pub fn expire(
        &self,
        retention: &Retention,
        lives: impl Fn(&RunId) -> bool,
    ) -> io::Result<usize> {
        let entries = self.newest_first();
        let kept: Vec<Kept> = entries
            .iter()
            .map(|entry| Kept {
                time: entry.time,
                // What it takes on the disk, which for a short one is more than its length.
                size: fs::metadata(&entry.path).map_or(0, |metadata| metadata.blocks() * 512),
                // The index and this list hold one each; a third is a reader's.
                in_use: lives(&entry.id) || Arc::strong_count(entry) > 2,
            })
            .collect();
        // The system clock may jump after it was looked at.
        let now = now_millis().min(self.believed.load(Ordering::Relaxed));
        let expired = retention.expired(&kept, now);
        let all: u64 = kept.iter().map(|kept| kept.size).sum();
        let gone: u64 = expired.iter().map(|&at| kept[at].size).sum();
        self.size.store(all - gone, Ordering::Relaxed);
        for &at in &expired {
            self.remove(&entries[at])?;
        }
        Ok(expired.len())
    }

    pub(super) fn remove(&self, entry: &Entry) -> io::Result<()> {
        self.index().remove(&entry.id);
        // What was put aside of it goes with it, where there is such a thing.
        _ = fs::remove_file(entry.tail_path());
        fs::remove_file(&entry.path)
    }

    fn open_record(&self, id: &RunId) -> io::Result<(Arc<Entry>, File)> {
        let entry = self.index().get(id).ok_or(io::ErrorKind::NotFound)?;
        let file = File::open(&entry.path)?;
        summary::check_header(&file)?;
        Ok((entry, file))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn read_index(runs: &Path) -> io::Result<Index> {
    let mut index = Index::default();
    for entry in fs::read_dir(runs)? {
        if let Some(entry) = Entry::of_file(entry?.path()) {
            index.insert(entry);
        }
    }
    Ok(index)
}
