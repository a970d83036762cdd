//! What stands around scripts in the command directory, and whether it can be trusted: they read
//! and call it with the server's rights, as they do `helpers/`.
//!
//! Scripts and metadata themselves are looked at where they are read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{catalogue::Untrusted, fingerprint::entries, trust::Trust, yaml::Fault};

/// How much is told of one command or folder: a umask may have left its mark on all of it.
const MOST_FAULTS: usize = 10;

/// Looks at all that stands around the scripts of these commands, and tells what others can write.
pub(super) fn look(
    root: &Path,
    is_command: impl Fn(&str) -> bool,
    trust: Trust,
) -> (Untrusted, Vec<Fault>) {
    let (mut untrusted, mut told) = (Untrusted::default(), Vec::new());
    if trust == Trust::Lax {
        return (untrusted, told);
    }
    for path in entries(root) {
        let name = path.file_name().and_then(|name| name.to_str());
        let command = name.filter(|name| is_command(name));
        let mut faults = Vec::new();
        walk(&path, command.is_some(), trust, &mut faults);
        let Some((first, _)) = faults.first() else {
            continue;
        };
        let shown = first.strip_prefix(root).unwrap_or(first);
        let whom = command.unwrap_or("any command");
        untrusted.add(command, shown.display().to_string());
        told.extend(faults.iter().map(|(path, reason)| {
            let reason = format!("not trusted: {reason}; until then no run of {whom} is started");
            Fault::error(path, 1, reason)
        }));
    }
    (untrusted, told)
}

/// Looks at a file, or at a directory with all that is in it; links are not gone into.
fn walk(path: &Path, is_command: bool, trust: Trust, faults: &mut Vec<(PathBuf, String)>) {
    if faults.len() >= MOST_FAULTS {
        return;
    }
    if let Err(reason) = trust.check_within(path) {
        faults.push((path.to_owned(), reason.to_string()));
    }
    let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if !is_directory {
        return;
    }
    // What cannot be listed by the server cannot be read by its scripts.
    for entry in entries(path) {
        if !(is_command && is_looked_at_elsewhere(&entry)) {
            walk(&entry, false, trust, faults);
        }
    }
}

/// Scripts and metadata of a command.
fn is_looked_at_elsewhere(path: &Path) -> bool {
    let is = |extension: &str| path.extension().is_some_and(|known| known == extension);
    path.is_file() && (is("sh") || path.file_name().is_some_and(|name| name == "metadata.yaml"))
}
