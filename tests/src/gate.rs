//! A FIFO that a script waits at until the test lets it through: order without clocks.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use crate::wait::{CEILING, wait_until};

/// A FIFO. A script waits at it with `read -r < PATH`.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
}

impl Gate {
    /// Makes the FIFO.
    pub fn new(path: &Path) -> Gate {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        Gate {
            path: path.to_owned(),
        }
    }

    /// Waits until a script waits here, and lets it through.
    #[track_caller]
    pub fn open(&self) {
        let what = format!("a script at {}", self.path.display());
        let mut gate = wait_until(&what, CEILING, || self.try_open());
        gate.write_all(b"go\n").unwrap();
    }

    /// For writing, without blocking: fails (ENXIO, fifo(7)) while nobody reads.
    pub fn try_open(&self) -> Option<File> {
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        let mut options = File::options();
        options.write(true).custom_flags(nonblocking);
        options.open(&self.path).ok()
    }
}
