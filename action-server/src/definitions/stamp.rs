//! Whether definitions may have changed, told without reading them.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::Sources;

/// A number that is another one when a file or directory of the definitions was written, replaced,
/// added, taken away or given other rights. Only as good as the file system's times: two writes
/// within one tick of its clock may look like one.
pub(super) fn stamp(sources: &Sources) -> u64 {
    let mut hasher = DefaultHasher::new();
    add(&sources.nodes, &mut hasher);
    add(&sources.commands, &mut hasher);
    for command in entries(&sources.commands) {
        add(&command, &mut hasher);
        entries(&command)
            .iter()
            .for_each(|file| add(file, &mut hasher));
    }
    hasher.finish()
}

fn add(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    // Of what a link leads to: that is what would be read.
    match fs::metadata(path) {
        Ok(it) => {
            (it.dev(), it.ino(), it.size(), it.mode(), it.uid()).hash(hasher);
            (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()).hash(hasher);
        }
        Err(error) => error.raw_os_error().hash(hasher),
    }
}

fn entries(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
