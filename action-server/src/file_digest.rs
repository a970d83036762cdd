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
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::OFlags;

/// A SHA-256.
pub type Sha256 = [u8; 32];

/// The most files that are remembered. Beyond it the cache starts again from nothing.
const MOST_FILES: usize = 65_536;
/// A file that changed this recently may change again within one tick of the file system's clock,
/// so its digest is not remembered.
const SETTLED: Duration = Duration::from_secs(1);
/// How deep directories are followed.
const DEPTH_LIMIT: usize = 32;
/// Left out wherever they are: what Python compiles while scripts run, and what git knows of the files.
const SKIPPED: [&str; 2] = ["__pycache__", ".git"];

/// What tells one content of a file from another without reading it.
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
    finish(context)
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
        if let Some(known) = self.known().get(&stamp) {
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
        let digest = finish(context);
        if stamp.is_settled() && FileStamp::of(&file.metadata()?) == stamp {
            let mut known = self.known();
            if known.len() >= MOST_FILES {
                known.clear();
            }
            known.insert(stamp, digest);
        }
        Ok(digest)
    }

    /// The digest of files and directories with all that is below them: names, contents and whether
    /// they can be executed. Links are followed. What cannot be read counts as such.
    pub fn of_trees(&self, roots: &[PathBuf]) -> Sha256 {
        let mut context = Context::new(&SHA256);
        let mut open = HashSet::new();
        for root in roots {
            let name = root.file_name().unwrap_or_default();
            self.add(&mut context, root, name, &mut open);
        }
        finish(context)
    }

    fn add(
        &self,
        context: &mut Context,
        path: &Path,
        name: &OsStr,
        open: &mut HashSet<(u64, u64)>,
    ) {
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            return;
        }
        add_field(context, name.as_bytes());
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return add_field(context, error.kind().to_string().as_bytes()),
        };
        if metadata.is_dir() {
            let identity = (metadata.dev(), metadata.ino());
            // A link to a directory that holds it has no end.
            if open.len() < DEPTH_LIMIT && open.insert(identity) {
                self.add_directory(context, path, open);
                open.remove(&identity);
            }
        } else if metadata.is_file() {
            match open_regular(path).and_then(|file| self.of_file(file)) {
                Ok(digest) => add_field(context, &digest),
                Err(error) => add_field(context, error.kind().to_string().as_bytes()),
            }
            add_field(context, &(metadata.mode() & 0o111).to_be_bytes());
        } else {
            add_field(context, b"special");
        }
    }

    fn add_directory(&self, context: &mut Context, path: &Path, open: &mut HashSet<(u64, u64)>) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return add_field(context, error.kind().to_string().as_bytes()),
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        context.update(b"{");
        for name in names {
            self.add(context, &path.join(&name), &name, open);
        }
        context.update(b"}");
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<FileStamp, Sha256>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub fn take(digests: FileDigests, roots: Vec<PathBuf>) -> TreeSnapshot {
        TreeSnapshot {
            digest: digests.of_trees(&roots),
            digests,
            roots,
        }
    }

    /// Whether they are as they were.
    pub fn is_unchanged(&self) -> bool {
        self.digests.of_trees(&self.roots) == self.digest
    }
}

/// Adds a value with its length, so that no two lists of values look alike.
fn add_field(context: &mut Context, value: &[u8]) {
    context.update(b":");
    context.update(&(value.len() as u64).to_be_bytes());
    context.update(value);
}

fn finish(context: Context) -> Sha256 {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Opens what was a regular file a moment ago, without waiting where it is a FIFO by now.
fn open_regular(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}

#[cfg(test)]
mod tests;
