//! Which files and directories the definitions are in: one of them changed, all are read again.

use std::path::{Path, PathBuf};

use super::Sources;

/// A number that is another one when a definition changed; see [`crate::stamp`].
pub(super) fn stamp(sources: &Sources) -> u64 {
    let mut paths = vec![sources.nodes.clone(), sources.commands.clone()];
    for command in entries(&sources.commands) {
        let files = entries(&command);
        paths.push(command);
        paths.extend(files);
    }
    crate::stamp::stamp(paths)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
