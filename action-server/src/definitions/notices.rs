//! The kernel's notices of edits (inotify(7)). They only say when to look.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use tokio_stream::StreamExt;

use super::{DefinitionSources, accepted::approval_path};
use crate::fingerprint::entries;

/// Room for a few notices: many at once say no more than one.
const BUFFER: usize = 4096;
/// The most directories that are watched: a link may lead into a large tree.
const DIRECTORIES: usize = 10_000;

/// EditNotices of edits of the definitions.
pub(super) struct EditNotices {
    stream: EventStream<Vec<u8>>,
    /// The directories that hold other things too, such as a log, and the names in them that matter.
    shared: HashMap<WatchDescriptor, HashSet<OsString>>,
}

impl EditNotices {
    /// Asks for notices about what is there now. Blocks for the disk.
    ///
    /// # Errors
    /// No descriptor is left, or no watch (`fs.inotify.max_user_instances`, `max_user_watches`).
    pub(super) fn observe(sources: &DefinitionSources) -> io::Result<EditNotices> {
        let inotify = Inotify::init()?;
        let mut watches = inotify.watches();
        let mut watch = |path: &Path, mask| match watches.add(path, mask | WatchMask::MASK_ADD) {
            Ok(watch) => Ok(Some(watch)),
            Err(error) if is_exhausted(&error) => Err(error),
            // What is not there now is looked for at the next scan.
            Err(_) => Ok(None),
        };
        // Reading is no edit, and our own reading would wake us for ever.
        let names = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::ATTRIB;
        let contents = names
            | WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF;
        let mut whole = HashSet::new();
        whole.extend(watch(&sources.nodes, contents)?);
        for directory in directories(&sources.commands) {
            whole.extend(watch(&directory, contents)?);
        }
        // The parents too: editors and packages replace by rename, and links are swapped.
        let mut shared: HashMap<WatchDescriptor, HashSet<OsString>> = HashMap::new();
        let approval = approval_path(sources);
        for path in [&sources.nodes, &sources.commands, &approval] {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let found = watch(parent, names | WatchMask::CLOSE_WRITE)?;
            if let Some(found) = found.filter(|found| !whole.contains(found)) {
                shared.entry(found).or_default().insert(name.to_owned());
            }
        }
        let stream = inotify.into_event_stream(vec![0; BUFFER])?;
        Ok(EditNotices { stream, shared })
    }

    /// Returns when an edit was noticed. Cancel safe.
    pub(super) async fn next_edit(&mut self) {
        loop {
            match self.stream.next().await {
                Some(Ok(event)) if self.is_edit(&event) => return,
                Some(Ok(_)) => {}
                // What was missed is not known.
                Some(Err(_)) | None => return,
            }
        }
    }

    fn is_edit(&self, event: &EventOwned) -> bool {
        if event.mask.contains(EventMask::IGNORED) {
            return false;
        }
        let Some(names) = self.shared.get(&event.wd) else {
            return true;
        };
        let name = event.name.as_deref();
        name.is_some_and(|name: &OsStr| names.contains(name))
    }
}

/// True where the kernel gives no more notices, whatever the path.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::NOMEM | Errno::MFILE | Errno::NFILE)
    )
}

/// A directory and all below it, also behind links, each once.
fn directories(top: &Path) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let is_new = fs::metadata(&path).is_ok_and(|metadata| {
            metadata.is_dir() && seen.insert((metadata.dev(), metadata.ino()))
        });
        if !is_new || found.len() == DIRECTORIES {
            continue;
        }
        waiting.extend(entries(&path));
        found.push(path);
    }
    found
}
