//! The runs that the audit log has an acceptance of and no end, found at a start without reading all of the log.
//!
//! A checkpoint in the state directory names a position of the log and the runs that were open there. The
//! lines behind the position have the rest, so nothing is missed: each acceptance stands before the
//! position, and its run in the checkpoint, or behind it. A checkpoint is written now and then, and before
//! the first line of a new file; an older one only makes the start read more.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{Event, Who};
use crate::{
    atomic_file::{self, Ownership},
    file_digest, shown,
};

/// The name of a checkpoint, in the state directory.
const NAME: &str = "audit.checkpoint";
/// So many bytes before the position of a checkpoint identify its file.
const IDENTITY: u64 = 4096;
/// So much of a log without a checkpoint is read at most, from its end: an older server wrote it.
const TAIL: u64 = 16 << 20;
/// The most files of the log's directory that are tried for one that was moved away.
const FILES: usize = 1000;
const CHECKPOINT_LIMIT: u64 = 64 << 20;

/// What the log has of a run without an end in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// Who started it; the address is left out.
    #[serde(flatten)]
    pub who: Who,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The runs that are open in the log, by id.
#[derive(Debug, Clone, Default)]
pub struct OpenRuns {
    /// Those that were accepted and have no end.
    pub runs: BTreeMap<String, OpenRun>,
    /// Those whose end stands behind the last checkpoint.
    pub ended: HashSet<String>,
    /// False where a part of the log is not there any more: more runs may be open.
    pub is_complete: bool,
}

impl OpenRuns {
    /// Takes a line that is in the log.
    pub(super) fn observe(&mut self, event: &Event) {
        let Some(run_id) = &event.run_id else { return };
        match event.name.as_str() {
            "run_accepted" => {
                let who = Who {
                    address: None,
                    ..event.who.clone()
                };
                let command = event.command.clone();
                self.runs.insert(run_id.clone(), OpenRun { who, command });
            }
            "run_finished" => _ = self.runs.remove(run_id),
            _ => {}
        }
    }

    /// True for the end of a run that is open.
    pub(super) fn is_end_of_open(&self, event: &Event) -> bool {
        let run_id = event.run_id.as_ref();
        event.name == "run_finished" && run_id.is_some_and(|id| self.runs.contains_key(id))
    }

    /// Takes the lines of a file from `offset`. What is no line of the log is left out.
    fn read(&mut self, file: &File, offset: u64) -> io::Result<()> {
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(offset))?;
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            if let Ok(event) = serde_json::from_slice::<Event>(&line) {
                if event.name == "run_finished" {
                    self.ended.extend(event.run_id.clone());
                }
                self.observe(&event);
            }
            line.clear();
        }
        Ok(())
    }
}

/// Which of these runs have an end in a file of the log. Reads all of it.
pub(super) fn ended_among(file: &File, run_ids: &HashSet<String>) -> io::Result<HashSet<String>> {
    let mut reader = BufReader::new(file);
    reader.rewind()?;
    let (mut line, mut found) = (Vec::new(), HashSet::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Ok(event) = serde_json::from_slice::<Event>(&line)
            && event.name == "run_finished"
        {
            found.extend(event.run_id.filter(|run_id| run_ids.contains(run_id)));
        }
        line.clear();
    }
    Ok(found)
}

/// A position of the log, and what is open there.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    inode: u64,
    offset: u64,
    /// The SHA-256 of the [`IDENTITY`] bytes before the position.
    digest: String,
    /// True if the server stopped there: nothing stands behind it.
    is_last: bool,
    runs: BTreeMap<String, OpenRun>,
}

impl Checkpoint {
    /// True for the file that the position is in, also under another name or copied.
    fn is_of(&self, file: &File) -> bool {
        let inode = file.metadata().map(|metadata| metadata.ino());
        // At its beginning all files are alike.
        (self.offset > 0 || inode.is_ok_and(|inode| inode == self.inode))
            && digest_before(file, self.offset).is_ok_and(|digest| digest == self.digest)
    }
}

/// The checkpoints of a log.
#[derive(Debug)]
pub(super) struct Checkpoints {
    directory: PathBuf,
}

impl Checkpoints {
    pub(super) fn new(state_directory: &Path) -> Checkpoints {
        Checkpoints {
            directory: state_directory.to_owned(),
        }
    }

    /// Keeps what is open at the end of `file`. Blocks for the disk.
    pub(super) fn write(&self, file: &File, open: &OpenRuns, is_last: bool) -> io::Result<()> {
        let metadata = file.metadata()?;
        let checkpoint = Checkpoint {
            inode: metadata.ino(),
            offset: metadata.len(),
            digest: digest_before(file, metadata.len())?,
            is_last,
            runs: open.runs.clone(),
        };
        let ownership = Ownership {
            permissions: fs::Permissions::from_mode(0o600),
            ..Ownership::of(&fs::metadata(&self.directory)?)
        };
        let text = serde_json::to_vec(&checkpoint)?;
        atomic_file::replace(&self.directory.join(NAME), &text, &ownership)
    }

    /// The runs that are open in the log at `path`, which is `file`. Blocks for the disk.
    pub(super) fn open_runs(&self, path: &Path, file: &File) -> io::Result<OpenRuns> {
        let mut open = OpenRuns {
            is_complete: true,
            ..OpenRuns::default()
        };
        let Some(checkpoint) = self.read() else {
            let length = file.metadata()?.len();
            open.is_complete = length <= TAIL;
            open.read(file, length.saturating_sub(TAIL))?;
            return Ok(open);
        };
        open.runs.clone_from(&checkpoint.runs);
        if checkpoint.is_of(file) {
            open.read(file, checkpoint.offset)?;
            return Ok(open);
        }
        // Moved away while no server ran.
        match moved(path, &checkpoint) {
            Some(moved) => open.read(&moved, checkpoint.offset)?,
            None => open.is_complete = checkpoint.is_last,
        }
        let length = file.metadata()?.len();
        open.read(file, length.saturating_sub(TAIL))?;
        Ok(open)
    }

    fn read(&self) -> Option<Checkpoint> {
        let path = self.directory.join(NAME);
        let read = || {
            let mut text = Vec::new();
            let file = File::open(&path)?;
            file.take(CHECKPOINT_LIMIT).read_to_end(&mut text)?;
            Ok::<Checkpoint, io::Error>(serde_json::from_slice(&text)?)
        };
        match read() {
            Ok(checkpoint) => Some(checkpoint),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = shown::file(&path);
                tracing::warn!(%path, %error, "cannot read the checkpoint of the audit log; its end is read instead");
                None
            }
        }
    }
}

/// The file of a checkpoint, in the directory of the log.
fn moved(path: &Path, checkpoint: &Checkpoint) -> Option<File> {
    let entries = fs::read_dir(path.parent()?).ok()?.take(FILES).flatten();
    let mut files = entries.filter_map(|entry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = File::options();
        let options = options
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
        options.open(entry.path()).ok().filter(|_| is_file)
    });
    files.find(|file| checkpoint.is_of(file))
}

/// The digest of what stands before a position. An error where the file does not reach that far.
fn digest_before(file: &File, offset: u64) -> io::Result<String> {
    let length = offset.min(IDENTITY);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset - length)?;
    Ok(file_digest::in_hexadecimal(&file_digest::of_text(&bytes)))
}

#[cfg(test)]
mod tests;
