//! Reading the text of a file that defines something.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

use crate::{trust::Trust, yaml::Fault};

/// Whether only the admin can have written a file.
pub(super) fn check_trust(path: &Path, trust: Trust) -> Result<(), Fault> {
    trust.check(path).map_err(|reason| {
        Fault::error(path, 1, format!("not trusted: {reason}"))
            .with_brief(format!("a file of its definition: {}", reason.brief()))
            .caused_by(&reason)
    })
}

/// Reads a definition's text. Never blocks on what is no file, never reads beyond `limit`.
pub(super) fn read_definition(path: &Path, limit: u64, trust: Trust) -> Result<String, Fault> {
    let file = open_file(path).map_err(|error| unreadable_fault(path, &error))?;
    check_trust(path, trust)?;
    read_text(path, file, limit)
}

/// Opens a file without waiting for a writer, as of a FIFO.
pub(super) fn open_file(path: &Path) -> io::Result<fs::File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    fs::File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
}

/// The fault of a file that cannot be read.
pub(super) fn unreadable_fault(path: &Path, error: &io::Error) -> Fault {
    Fault::error(path, 1, format!("cannot read it: {error}"))
        .with_brief("a file of its definition cannot be read")
        .caused_by(error)
}

/// Reads the text of an open file.
pub(super) fn read_text(path: &Path, file: fs::File, limit: u64) -> Result<String, Fault> {
    let fault = |reason: String| Fault::error(path, 1, reason);
    let unreadable = |error: io::Error| unreadable_fault(path, &error);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(fault("it is not a regular file".into()));
    }
    if metadata.len() > limit {
        return Err(fault(format!(
            "it has {} bytes, more than {limit}",
            metadata.len()
        )));
    }
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&b| b == b'\n').count();
        Fault::error(path, line, "it is not UTF-8 text")
    })
}
