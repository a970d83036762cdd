//! The state directory: its owner, its lock, its format, and the reserve of space in it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use action_proto::input::shown_name;
use rustix::{
    fs::{FallocateFlags, FlockOperation, OFlags},
    io::Errno,
};
use thiserror::Error;

/// The format of the directory that is written, and the newest that is used.
const VERSION: u32 = 1;
/// How long a lock that another holds is tried for.
const LOCK_LIMIT: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Enough for the ends of some ten thousand jobs.
pub(super) const RESERVE: u64 = 4 << 20;

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another server has it.
    #[error("another server uses the state directory {}", crate::shown::file(.0))]
    InUse(PathBuf),
    /// The directory cannot be made or used.
    #[error(
        "cannot use the state directory {}: {source}",
        crate::shown::file(path)
    )]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read or write in it: records may hold secrets.
    #[error("the state directory {shown} is open to others; run: chmod 700 {shown}", shown = crate::shown::file(.0))]
    Open(PathBuf),
    /// Another user owns it.
    #[error("the state directory {shown} belongs to user {1}, not to the server's user", shown = crate::shown::file(.0))]
    Owner(PathBuf, u32),
    /// A newer server wrote it.
    #[error(
        "the state directory {shown} has format version {1}, newer than {VERSION}: use a newer server", shown = crate::shown::file(.0)
    )]
    Newer(PathBuf, String),
}

/// Records may hold secrets: they are for the server's user alone.
pub(super) fn check_owner(directory: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(StoreError::Owner(directory.to_owned(), metadata.uid()));
    }
    match metadata.mode() & 0o077 {
        0 => Ok(()),
        _ => Err(StoreError::Open(directory.to_owned())),
    }
}

/// Takes the lock. A server that was just killed may hold it a moment longer, by a script that it
/// was about to start.
pub(super) fn take_lock(lock: &File) -> Result<(), ()> {
    let started = Instant::now();
    while rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        if started.elapsed() > LOCK_LIMIT {
            return Err(());
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(())
}

/// Whether a server has the lock of a state directory now.
///
/// # Errors
/// The lock cannot be looked at.
pub fn is_served(directory: &Path) -> io::Result<bool> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let lock = File::options()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(directory.join("lock"));
    let lock = match lock {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    // Held for this moment only: a server that starts tries for longer.
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The names of the files in a directory that are UTF-8, as all of ours are.
pub(super) fn file_names(directory: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(directory)?.map(|file| Ok(file?.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// The same; none of a directory that does not exist.
pub(super) fn optional_file_names(directory: &Path) -> io::Result<Vec<String>> {
    match file_names(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}

/// A directory without a version gets this server's.
pub(super) fn check_version(directory: &Path) -> io::Result<Result<(), StoreError>> {
    let path = directory.join("version");
    match fs::read_to_string(&path) {
        // A server that died here before it had written it wrote nothing else either.
        Ok(text) if text.trim().is_empty() => fs::write(&path, format!("{VERSION}\n")).map(Ok),
        Ok(text)
            if text
                .trim()
                .parse()
                .is_ok_and(|version: u32| version <= VERSION) =>
        {
            Ok(Ok(()))
        }
        Ok(text) => Ok(Err(StoreError::Newer(
            directory.to_owned(),
            shown_name(text.trim()),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(&path, format!("{VERSION}\n")).map(Ok)
        }
        Err(error) => Err(error),
    }
}

/// Reserves space on the disk.
pub(super) fn set_aside(reserve: &File) -> io::Result<()> {
    if reserve.metadata()?.blocks() * 512 >= RESERVE {
        return Ok(());
    }
    match rustix::fs::fallocate(reserve, FallocateFlags::empty(), 0, RESERVE) {
        // A file system that cannot set space aside: the end of a run takes its chance there.
        Err(Errno::OPNOTSUPP) => Ok(()),
        done => done.map_err(io::Error::from),
    }
}
