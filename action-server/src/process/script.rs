//! Whether a file can be run as a script, decided by looking at it.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use action_proto::input::shown_path;
use rustix::fs::OFlags;
use thiserror::Error;

use crate::transient::is_transient;

/// U+FEFF as UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file cannot be run as a script.
#[derive(Debug, Error)]
pub enum ScriptFileError {
    /// It is not there, or a link that leads nowhere.
    #[error("it is not there (or a link that leads nowhere)")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A directory, FIFO, device or socket.
    #[error("it is not a regular file")]
    NotRegular,
    /// The executable bit is missing.
    #[error("it is not executable; run: chmod +x {}", crate::shown::file(.0))]
    NotExecutable(PathBuf),
    /// The first line does not name an interpreter.
    #[error("it does not start with #! and an interpreter, such as #!/bin/bash")]
    NoInterpreter,
    /// An editor's invisible mark hides the first line from the kernel.
    #[error(
        "it begins with a byte order mark (UTF-8 BOM) before #!; run: sed -i '1s/^\\xEF\\xBB\\xBF//' {}", crate::shown::file(.0)
    )]
    ByteOrderMark(PathBuf),
    /// The carriage return would be a part of the interpreter's name or of its last argument.
    #[error(
        "its first line ends with a carriage return: the script has Windows line ends; run: sed -i 's/\\r$//' {}", crate::shown::file(.0)
    )]
    CarriageReturn(PathBuf),
    /// The interpreter is not there.
    #[error("its interpreter {0:?} is not there")]
    InterpreterMissing(String),
}

impl ScriptFileError {
    /// The same for callers, without paths and remedies.
    pub fn brief(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ScriptFileError::Missing => "it is not there (or a link that leads nowhere)",
            // The system's own words have no path.
            ScriptFileError::Unreadable(error) if error.raw_os_error().is_some() => {
                return format!("it cannot be read: {}", without_number(error)).into();
            }
            ScriptFileError::Unreadable(_) => "it cannot be read",
            ScriptFileError::NotRegular => "it is not a regular file",
            ScriptFileError::NotExecutable(_) => "it is not executable",
            ScriptFileError::NoInterpreter => "it does not start with #! and an interpreter",
            ScriptFileError::ByteOrderMark(_) => {
                "it begins with a byte order mark (UTF-8 BOM) before #!"
            }
            ScriptFileError::CarriageReturn(_) => "its first line ends with a carriage return",
            ScriptFileError::InterpreterMissing(_) => "its interpreter is not there",
        })
    }
}

/// The system's words for an error, without its number.
pub(super) fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Checks that a script could be started now. Returns it, open and some way read.
///
/// Opens without blocking, so that a FIFO in the directory does not hang the caller.
///
/// # Errors
/// The first reason against it.
pub fn check_script(path: &Path) -> Result<File, ScriptFileError> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ScriptFileError::Missing,
            _ => ScriptFileError::Unreadable(error),
        })?;
    // Of the file that was opened, not of a name that may lead elsewhere by now.
    let metadata = file.metadata().map_err(ScriptFileError::Unreadable)?;
    if !metadata.is_file() {
        return Err(ScriptFileError::NotRegular);
    }
    if metadata.mode() & 0o111 == 0 {
        return Err(ScriptFileError::NotExecutable(path.to_owned()));
    }
    // The kernel reads no more of the first line than 256 bytes: see execve(2).
    let mut start = Vec::with_capacity(256);
    file.by_ref()
        .take(256)
        .read_to_end(&mut start)
        .map_err(ScriptFileError::Unreadable)?;
    let line = start
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    if start.starts_with(MARK) {
        return Err(ScriptFileError::ByteOrderMark(path.to_owned()));
    }
    if line.starts_with(b"#!") && line.ends_with(b"\r") {
        return Err(ScriptFileError::CarriageReturn(path.to_owned()));
    }
    let interpreter = line
        .strip_prefix(b"#!")
        .and_then(|rest| {
            rest.split(|byte| *byte == b' ' || *byte == b'\t')
                .find(|word| !word.is_empty())
        })
        .ok_or(ScriptFileError::NoInterpreter)?;
    let interpreter = String::from_utf8_lossy(interpreter).into_owned();
    match fs::metadata(&interpreter) {
        Ok(_) => {}
        Err(error) if is_transient(&error) => return Err(ScriptFileError::Unreadable(error)),
        Err(_) => {
            let shown = shown_path(Path::new(&interpreter), Path::exists);
            return Err(ScriptFileError::InterpreterMissing(shown));
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// Messages to callers are the beginning of those in the log.
    #[test]
    fn the_brief_text_has_no_path() {
        let path = || PathBuf::from("/etc/x.sh");
        for error in [
            ScriptFileError::Missing,
            ScriptFileError::Unreadable(io::Error::other("/x")),
            ScriptFileError::Unreadable(io::Error::from_raw_os_error(24)),
            ScriptFileError::NotRegular,
            ScriptFileError::NotExecutable(path()),
            ScriptFileError::NoInterpreter,
            ScriptFileError::ByteOrderMark(path()),
            ScriptFileError::CarriageReturn(path()),
        ] {
            let brief = error.brief();
            assert!(error.to_string().starts_with(&*brief), "{error}");
            assert!(!brief.contains('/'), "{brief}");
        }
    }

    #[test]
    fn what_can_be_run_and_what_not() {
        let directory = tempfile::tempdir().unwrap();
        let check = |name: &str, text: &str, mode: u32| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            check_script(&path)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(check("good", "#!/bin/sh\necho", 0o755), Ok(()));
        assert_eq!(check("spaced", "#! /bin/sh -e\n", 0o700), Ok(()));
        assert!(
            check("mode", "#!/bin/sh\n", 0o644)
                .unwrap_err()
                .contains("chmod +x")
        );
        assert!(
            check("text", "echo hello\n", 0o755)
                .unwrap_err()
                .contains("does not start with #!")
        );
        assert!(
            check("empty", "", 0o755)
                .unwrap_err()
                .contains("does not start with #!")
        );
        for line in [
            "#!/bin/sh\r\n",
            "#!/bin/sh -e\r\n",
            "#!/usr/bin/env bash\r\n",
            "#!/bin/sh\r",
        ] {
            let fault = check("crlf", line, 0o755).unwrap_err();
            assert!(fault.contains("Windows line ends"), "{fault}");
        }
        assert_eq!(check("inner", "#!/bin/sh -e\necho \r\n", 0o755), Ok(()));
        let fault = check("mark", "\u{feff}#!/bin/sh\n", 0o755).unwrap_err();
        assert!(fault.contains("byte order mark"), "{fault}");
        assert!(
            check("gone", "#!/no/such\n", 0o755)
                .unwrap_err()
                .contains("/no/such")
        );

        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(matches!(check_script(&link), Err(ScriptFileError::Missing)));
        assert!(matches!(
            check_script(directory.path()),
            Err(ScriptFileError::NotRegular)
        ));
        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap();
        assert!(made.success());
        assert!(matches!(
            check_script(&fifo),
            Err(ScriptFileError::NotRegular)
        ));
    }
}
