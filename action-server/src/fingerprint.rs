//! Detects changed files without reading them; lists directories.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A number that is another one when one of the files or directories was written, replaced, added,
/// taken away or given other rights. Only as good as the file system's times: two writes within one
/// tick of its clock may look like one.
pub(crate) fn stamp<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let path = path.as_ref();
        path.hash(&mut hasher);
        // Of what a link leads to: that is what would be read.
        match fs::metadata(path) {
            Ok(it) => {
                (it.dev(), it.ino(), it.size(), it.mode(), it.uid()).hash(&mut hasher);
                (it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()).hash(&mut hasher);
            }
            Err(error) => error.raw_os_error().hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// What is in a directory, in the order of the names; nothing where it cannot be listed.
pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    list(directory).unwrap_or_default()
}

/// What is in a directory, in the order of the names.
///
/// # Errors
/// It cannot be listed.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
