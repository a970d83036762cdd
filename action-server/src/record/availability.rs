//! Whether new runs can be recorded, and how much space there is.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::fstatvfs;
use tokio::sync::watch;

use super::{RecordStore, directory::RESERVE};
use crate::locks::lock;

/// Space that a new record needs at least, with its directory's, in bytes.
const LEAST: u64 = 64 << 10;

/// The space on the disk of the records, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct DiskSpace {
    /// What is left to the server.
    pub free: u64,
    /// All of it.
    pub size: u64,
    /// What is set aside for the ends of runs.
    pub reserve: u64,
}

/// The state of the disk of the records.
#[derive(Debug)]
pub(super) struct StoreAvailability {
    /// Whether a new run could be recorded.
    works: watch::Sender<bool>,
    /// True when something waited for the disk for long: whether it works is to be tried.
    suspect: AtomicBool,
    /// The space at the last look.
    space: Mutex<Option<DiskSpace>>,
}

impl Default for StoreAvailability {
    fn default() -> StoreAvailability {
        StoreAvailability {
            works: watch::Sender::new(true),
            suspect: AtomicBool::new(false),
            space: Mutex::default(),
        }
    }
}

impl RecordStore {
    /// Whether a new run could be recorded, as it was last known.
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.availability.works.subscribe()
    }

    /// Notes a failed write.
    pub fn mark_unwritable(&self) {
        self.availability
            .works
            .send_if_modified(|works| std::mem::replace(works, false));
    }

    /// Notes a slow disk. The next check writes to it.
    pub(super) fn mark_suspect(&self) {
        self.availability.suspect.store(true, Ordering::Relaxed);
    }

    /// Checks whether a new run could be recorded. Blocks for the disk. Writes only in doubt, so that an idle
    /// server leaves the disk idle.
    pub fn check_writable(&self) {
        let StoreAvailability {
            works,
            suspect,
            space,
        } = &self.availability;
        let is_sure = !suspect.swap(false, Ordering::Relaxed) && *works.borrow();
        let found = self.check_space().and_then(|()| {
            if is_sure {
                Ok(())
            } else {
                probe_disk(&self.runs)
            }
        });
        if found.is_ok() && self.is_tight() && self.restore_reserve().is_ok() {
            tracing::info!(
                "there is space again: the reserve is restored, and output is recorded again"
            );
        }
        if let Ok(now) = self.measure_space() {
            *lock(space) = Some(now);
        }
        if works.send_replace(found.is_ok()) != found.is_ok() {
            match found {
                Ok(()) => tracing::info!("new runs can be recorded again"),
                Err(error) => tracing::error!(%error, "new runs cannot be recorded"),
            }
        }
    }

    /// The space on the disk at the last look, where there was one that succeeded.
    pub fn space(&self) -> Option<DiskSpace> {
        *lock(&self.availability.space)
    }

    fn measure_space(&self) -> io::Result<DiskSpace> {
        let disk = fstatvfs(&self.reserve)?;
        Ok(DiskSpace {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            size: disk.f_blocks.saturating_mul(disk.f_frsize),
            reserve: self.reserve.metadata()?.blocks() * 512,
        })
    }

    /// The space that the records took at the last look at all of them, in bytes.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    fn check_space(&self) -> io::Result<()> {
        let space = self.measure_space()?;
        // Not by setting the reserve aside: runs that end now may be about to use what was given back.
        let wanted = LEAST + RESERVE.saturating_sub(space.reserve);
        if space.free >= wanted {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
}

/// Does what the beginning of a record does.
fn probe_disk(runs: &Path) -> io::Result<()> {
    // Beside the records: it is none.
    let path = runs.with_file_name("probe");
    let mut options = File::options();
    let options = options.create(true).truncate(true).write(true).mode(0o600);
    let written = options.open(&path).and_then(|mut file| {
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        File::open(runs)?.sync_all()
    });
    _ = fs::remove_file(path);
    written
}
