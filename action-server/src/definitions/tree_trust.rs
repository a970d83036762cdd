//! What stands around scripts in the command directory, and whether it can be trusted: they read
//! and call it with the server's rights, as they do `helpers/`.
//!
//! Scripts and metadata themselves are looked at where they are read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use action_proto::input::shown_name;

use super::text::unreadable_fault;
use crate::{
    catalogue::UntrustedFiles, fingerprint, shown, transient::is_transient, trust::Trust,
    yaml::Fault,
};

/// The most faults of one command or folder: a umask may have opened all of it to others.
const MOST_FAULTS: usize = 10;

/// Checks all files around the scripts of these commands, and finds those that others can write.
/// What cannot be looked at now stays as it was in `before`, and cannot be trusted at a first look.
pub(super) fn check_trees(
    root: &Path,
    is_command: impl Fn(&str) -> bool,
    trust: Trust,
    before: Option<&UntrustedFiles>,
) -> (UntrustedFiles, Vec<Fault>) {
    let (mut untrusted, mut found) = (UntrustedFiles::default(), Vec::new());
    if trust == Trust::Lax {
        return (untrusted, found);
    }
    for path in list_entries(root, &mut found) {
        let name = path.file_name().and_then(|name| name.to_str());
        let command = name.filter(|name| is_command(name));
        let mut faults = Vec::new();
        check_tree(&path, command.is_some(), trust, &mut faults);
        let is_known = |fault: &&Fault| !fault.is_transient || before.is_none();
        if let Some(first) = faults.iter().find(is_known) {
            let shown = first.file.strip_prefix(root).unwrap_or(&first.file);
            untrusted.add(command, shown::file(shown));
        }
        let whom = command.map_or_else(|| "any command".to_owned(), shown_name);
        found.extend(faults.into_iter().map(|fault| Fault {
            reason: if fault.is_transient {
                fault.reason
            } else {
                format!("{}; until then no run of {whom} is started", fault.reason)
            },
            ..fault
        }));
    }
    if found.iter().any(|fault| fault.is_transient) {
        before.inspect(|before| untrusted.keep(before));
    }
    (untrusted, found)
}

/// Looks at a file, or at a directory with all that is in it; links are not gone into.
fn check_tree(path: &Path, is_command: bool, trust: Trust, faults: &mut Vec<Fault>) {
    if faults.len() >= MOST_FAULTS {
        return;
    }
    if let Err(reason) = trust.check_within(path) {
        let text = format!("not trusted: {reason}");
        faults.push(Fault::error(path, 1, text).caused_by(&reason));
    }
    let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if !is_directory {
        return;
    }
    for entry in list_entries(path, faults) {
        if !(is_command && is_looked_at_elsewhere(&entry)) {
            check_tree(&entry, false, trust, faults);
        }
    }
}

/// What is in a directory. What the server may not list its scripts cannot read either.
fn list_entries(directory: &Path, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    fingerprint::list(directory).unwrap_or_else(|error| {
        if is_transient(&error) {
            faults.push(unreadable_fault(directory, &error));
        }
        Vec::new()
    })
}

/// Scripts and metadata of a command.
fn is_looked_at_elsewhere(path: &Path) -> bool {
    let is = |extension: &str| path.extension().is_some_and(|known| known == extension);
    path.is_file() && (is("sh") || path.file_name().is_some_and(|name| name == "metadata.yaml"))
}
