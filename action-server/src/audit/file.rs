//! The file of the audit log: trusted like a secret, and appended to so that an incomplete line does not
//! damage the next one.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

use super::AuditError;
use crate::trust::Trust;

/// A file of lines. Every write goes to its end.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    /// True when the last line has no end.
    torn: bool,
    /// The length after the last write, in bytes.
    length: u64,
}

/// The state of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// It has the log's name.
    Current,
    /// It has the log's name, and is shorter than after the last write.
    Truncated,
    /// Another file has the log's name, or none.
    Elsewhere,
}

impl LogFile {
    /// Opens the file, or creates it with mode 600.
    pub(super) fn open(path: &Path, trust: Trust) -> Result<LogFile, AuditError> {
        let failed = |source| AuditError::Io {
            path: path.to_owned(),
            source,
        };
        let directory = path.parent().unwrap_or(Path::new("/"));
        trust.check(directory)?;
        // Without blocking: a FIFO without a reader must not hold up the start.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(path)
            .map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::LOOP) => AuditError::NotRegular(path.to_owned()),
                _ => failed(error),
            })?;
        if !file.metadata().as_ref().is_ok_and(Metadata::is_file) {
            return Err(AuditError::NotRegular(path.to_owned()));
        }
        trust.check(path)?;
        // The name of a new file is durable only when the directory is.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed)?;
        let torn = is_torn(&file).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(LogFile { file, torn, length })
    }

    /// Appends a line. After an incomplete one the next begins on a new line.
    pub(super) fn append_line(&mut self, line: &str) -> io::Result<()> {
        let start = if self.torn { "\n" } else { "" };
        let whole = format!("{start}{line}");
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    self.length += count as u64;
                    let written = whole.len() - rest.len();
                    self.torn = written > start.len() && !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The file's state, by the log's name and by the length after the last write.
    pub(super) fn find_state(&self, path: &Path) -> FileState {
        let (Ok(named), Ok(own)) = (path.symlink_metadata(), self.file.metadata()) else {
            return FileState::Elsewhere;
        };
        match (named.dev(), named.ino()) == (own.dev(), own.ino()) {
            true if own.len() < self.length => FileState::Truncated,
            true => FileState::Current,
            false => FileState::Elsewhere,
        }
    }

    /// True for a file without a name: lines written to it are lost.
    pub(super) fn is_removed(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Continues at the end of a file that another program truncated.
    pub(super) fn follow_truncation(&mut self) -> io::Result<()> {
        self.length = self.file.metadata()?.len();
        self.torn = is_torn(&self.file)?;
        Ok(())
    }

    /// The file itself, to be read.
    pub(super) fn as_file(&self) -> &File {
        &self.file
    }

    /// Waits until the disk has all of it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// True when the last server, or the disk, left a line without its end.
fn is_torn(mut file: &File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
