//! SHA-256 of files and of directory trees, without reading unchanged files again.
//!
//! Knows nothing of commands. A leaf that any room may call. Blocks for the disk.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, Read, Seek},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::OFlags;
use thiserror::Error;

use crate::{locks::lock, shown};

/// A SHA-256.
pub type Sha256 = [u8; 32];

/// The most files that are remembered. Beyond it the cache starts again from nothing.
const MOST_FILES: usize = 65_536;
/// A file that changed this recently may change again within one tick of the file system's clock,
/// so its digest is not remembered.
const SETTLED: Duration = Duration::from_secs(1);
/// The most files and directories, and bytes, beside scripts: all are checked for each plan.
const MOST_ENTRIES: usize = 20_000;
const MOST_BYTES: u64 = 1 << 30;
/// How deep directories are followed.
const DEPTH_LIMIT: usize = 32;
/// Skipped names: compiled Python, and git's data.
const SKIPPED: [&str; 2] = ["__pycache__", ".git"];

/// Identifies the content of a file without reading it.
#[derive(PartialEq, Eq, Hash)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl FileStamp {
    fn of(metadata: &Metadata) -> FileStamp {
        FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        u64::try_from(self.ctime.0).is_ok_and(|changed| changed + SETTLED.as_secs() < now)
    }
}

/// The digests of files, remembered while inode, size and times stay the same. Clones share them.
#[derive(Clone, Default)]
pub struct FileDigests {
    known: Arc<Mutex<HashMap<FileStamp, Sha256>>>,
}

impl std::fmt::Debug for FileDigests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileDigests")
    }
}

/// The digest of a text.
pub fn of_text(text: &[u8]) -> Sha256 {
    let mut context = Context::new(&SHA256);
    context.update(text);
    finish_digest(context)
}

/// As `sha256sum` prints it.
pub fn in_hexadecimal(digest: &Sha256) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FileDigests {
    /// The digest of an open file's whole content, wherever it is read to.
    ///
    /// # Errors
    /// The disk's.
    pub fn of_file(&self, mut file: File) -> io::Result<Sha256> {
        let stamp = FileStamp::of(&file.metadata()?);
        if let Some(known) = lock(&self.known).get(&stamp) {
            return Ok(*known);
        }
        let mut context = Context::new(&SHA256);
        let mut chunk = [0; 16 * 1024];
        file.rewind()?;
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                count => context.update(&chunk[..count]),
            }
        }
        let digest = finish_digest(context);
        if stamp.is_settled() && FileStamp::of(&file.metadata()?) == stamp {
            let mut known = lock(&self.known);
            if known.len() >= MOST_FILES {
                known.clear();
            }
            known.insert(stamp, digest);
        }
        Ok(digest)
    }

    /// The digest of files and directories with all that is below them: names, contents and whether
    /// they can be executed. Links are followed. What cannot be read counts as such.
    ///
    /// # Errors
    /// There is too much of it, as behind a link to a directory that has nothing to do with it.
    pub fn of_trees(&self, roots: &[PathBuf]) -> Result<Sha256, TooManyFiles> {
        let mut walk = TreeWalk {
            files: self,
            context: Context::new(&SHA256),
            open: HashSet::new(),
            entries: 0,
            bytes: 0,
        };
        for root in roots {
            let name = root.file_name().unwrap_or_default();
            walk.add_path(root, name)?;
        }
        Ok(finish_digest(walk.context))
    }
}

/// The files beside scripts are too many to take their digest for each plan.
#[derive(Debug, Error)]
#[error(
    "more than {MOST_ENTRIES} files or {} MiB stand beside the scripts, counted to {}", MOST_BYTES >> 20, shown::path(.0)
)]
pub struct TooManyFiles(PathBuf);

/// A walk over trees.
struct TreeWalk<'a> {
    files: &'a FileDigests,
    context: Context,
    /// The directories that it is in.
    open: HashSet<(u64, u64)>,
    entries: usize,
    bytes: u64,
}

impl TreeWalk<'_> {
    fn add_path(&mut self, path: &Path, name: &OsStr) -> Result<(), TooManyFiles> {
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            return Ok(());
        }
        self.add_field(name.as_bytes());
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.add_field(error.kind().to_string().as_bytes());
                return Ok(());
            }
        };
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(TooManyFiles(path.to_owned()));
        }
        if metadata.is_dir() {
            let identity = (metadata.dev(), metadata.ino());
            // A link to a directory that holds it has no end.
            if self.open.len() < DEPTH_LIMIT && self.open.insert(identity) {
                self.add_directory(path)?;
                self.open.remove(&identity);
            }
        } else if metadata.is_file() {
            self.bytes = self.bytes.saturating_add(metadata.size());
            if self.bytes > MOST_BYTES {
                return Err(TooManyFiles(path.to_owned()));
            }
            match open_regular(path).and_then(|file| self.files.of_file(file)) {
                Ok(digest) => self.add_field(&digest),
                Err(error) => self.add_field(error.kind().to_string().as_bytes()),
            }
            self.add_field(&(metadata.mode() & 0o111).to_be_bytes());
        } else {
            self.add_field(b"special");
        }
        Ok(())
    }

    fn add_directory(&mut self, path: &Path) -> Result<(), TooManyFiles> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.add_field(error.kind().to_string().as_bytes());
                return Ok(());
            }
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        // One more than can be counted is enough.
        let mut names: Vec<_> = names.take(MOST_ENTRIES + 1).collect();
        names.sort();
        self.context.update(b"{");
        for name in names {
            self.add_path(&path.join(&name), &name)?;
        }
        self.context.update(b"}");
        Ok(())
    }

    fn add_field(&mut self, value: &[u8]) {
        add_field(&mut self.context, value);
    }
}

/// Files and directories as they were when their digest was taken.
#[derive(Debug, Clone)]
pub struct TreeSnapshot {
    digests: FileDigests,
    roots: Vec<PathBuf>,
    /// What the digest was then.
    pub digest: Sha256,
}

impl TreeSnapshot {
    /// Takes the digest of these now.
    ///
    /// # Errors
    /// They are too many.
    pub fn take(digests: FileDigests, roots: Vec<PathBuf>) -> Result<TreeSnapshot, TooManyFiles> {
        Ok(TreeSnapshot {
            digest: digests.of_trees(&roots)?,
            digests,
            roots,
        })
    }

    /// Whether they are as they were.
    pub fn is_unchanged(&self) -> bool {
        let now = self.digests.of_trees(&self.roots);
        now.is_ok_and(|now| now == self.digest)
    }
}

/// Adds a value with its length, so that no two lists of values look alike.
fn add_field(context: &mut Context, value: &[u8]) {
    context.update(b":");
    context.update(&(value.len() as u64).to_be_bytes());
    context.update(value);
}

fn finish_digest(context: Context) -> Sha256 {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Opens a regular file. Does not wait for the writer of a FIFO.
///
/// # Errors
/// The disk's, or that it is no regular file (`Unsupported`).
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

#[cfg(test)]
mod tests;
