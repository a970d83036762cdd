//! The runs that were accepted and have no end in the audit log, found at a start without reading all of it.
//!
//! A checkpoint in the state directory has a position of the log and the runs that were open there. A start
//! applies the lines behind the position. Checkpoints are written regularly, and before the first line of a
//! new file; an older one only makes the start read more.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{AuditedCaller, Event};
use crate::{
    atomic_file::{self, Ownership},
    file_digest, shown,
};

/// The name of a checkpoint, in the state directory.
const NAME: &str = "audit.checkpoint";
/// So many bytes before the position of a checkpoint identify its file.
const IDENTITY: u64 = 4096;
/// How much of a log without a checkpoint is read, from its end: an older server wrote it.
const TAIL: u64 = 16 << 20;
/// The most files of the log's directory that are searched for a log that was moved.
const FILES: usize = 1000;
const CHECKPOINT_LIMIT: u64 = 64 << 20;

/// A run that has no end in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// The caller that started it; the address is left out.
    #[serde(flatten)]
    pub caller: AuditedCaller,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The runs that are open in the log, by id.
#[derive(Debug, Clone, Default)]
pub struct OpenRuns {
    /// Those that were accepted and have no end.
    pub runs: BTreeMap<String, OpenRun>,
    /// Those that ended after the last checkpoint.
    pub ended: HashSet<String>,
    /// False if a part of the log is missing: more runs may be open.
    pub is_complete: bool,
}

impl OpenRuns {
    /// Applies an event that is in the log.
    pub(super) fn apply_event(&mut self, event: &Event) {
        match event {
            Event::RunAccepted(run) => {
                let open = OpenRun {
                    caller: run.caller.without_address(),
                    command: Some(run.command.clone()),
                };
                self.runs.insert(run.run_id.clone(), open);
            }
            Event::RunFinished(run) => _ = self.runs.remove(&run.run_id),
            _ => {}
        }
    }

    /// True for the end of a run that is open.
    pub(super) fn is_end_of_open(&self, event: &Event) -> bool {
        matches!(event, Event::RunFinished(run) if self.runs.contains_key(&run.run_id))
    }

    /// Applies the lines of a file from `offset`.
    fn read(&mut self, file: &File, offset: u64) -> io::Result<()> {
        for_each_line(file, offset, |line| match line.event.as_str() {
            "run_accepted" => {
                let caller = line.run.caller.without_address();
                let open = OpenRun { caller, ..line.run };
                self.runs.insert(line.run_id, open);
            }
            "run_finished" => {
                self.runs.remove(&line.run_id);
                self.ended.insert(line.run_id);
            }
            _ => {}
        })
    }
}

/// The run IDs among these that have an end in a file of the log. Reads all of it.
pub(super) fn ended_among(file: &File, run_ids: &HashSet<String>) -> io::Result<HashSet<String>> {
    let mut ended = HashSet::new();
    for_each_line(file, 0, |line| {
        if line.event == "run_finished" && run_ids.contains(&line.run_id) {
            ended.insert(line.run_id);
        }
    })?;
    Ok(ended)
}

/// The part of a line that is about a run.
#[derive(Debug, Deserialize)]
struct RunLine {
    event: String,
    run_id: String,
    #[serde(flatten)]
    run: OpenRun,
}

/// Reads the lines of a file from `offset` that are about a run. Other lines are skipped.
fn for_each_line(file: &File, offset: u64, mut apply: impl FnMut(RunLine)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(offset))?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Ok(line) = serde_json::from_slice(&line) {
            apply(line);
        }
        line.clear();
    }
    Ok(())
}

/// A position of the log, and the runs that are open there.
#[derive(Debug, Serialize, Deserialize)]
struct AuditCheckpoint {
    inode: u64,
    offset: u64,
    /// The SHA-256 of the [`IDENTITY`] bytes before the position.
    digest: String,
    /// True if the server stopped there: no line follows.
    is_last: bool,
    runs: BTreeMap<String, OpenRun>,
}

impl AuditCheckpoint {
    /// True for the file that the position is in, also under another name or copied.
    fn is_of(&self, file: &File) -> bool {
        let inode = file.metadata().map(|metadata| metadata.ino());
        // At the beginning of a file there are no bytes that identify it.
        (self.offset > 0 || inode.is_ok_and(|inode| inode == self.inode))
            && digest_before(file, self.offset).is_ok_and(|digest| digest == self.digest)
    }
}

/// The checkpoints of a log.
#[derive(Debug)]
pub(super) struct CheckpointStore {
    directory: PathBuf,
}

impl CheckpointStore {
    pub(super) fn new(state_directory: &Path) -> CheckpointStore {
        CheckpointStore {
            directory: state_directory.to_owned(),
        }
    }

    /// Writes the runs that are open at the end of `file`. Blocks for the disk.
    pub(super) fn write(&self, file: &File, open: &OpenRuns, is_last: bool) -> io::Result<()> {
        let metadata = file.metadata()?;
        let checkpoint = AuditCheckpoint {
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
        // It was moved while no server ran.
        match find_moved(path, &checkpoint) {
            Some(moved) => open.read(&moved, checkpoint.offset)?,
            None => open.is_complete = checkpoint.is_last,
        }
        let length = file.metadata()?.len();
        open.read(file, length.saturating_sub(TAIL))?;
        Ok(open)
    }

    fn read(&self) -> Option<AuditCheckpoint> {
        let path = self.directory.join(NAME);
        let read = || {
            let mut text = Vec::new();
            let file = File::open(&path)?;
            file.take(CHECKPOINT_LIMIT).read_to_end(&mut text)?;
            Ok::<AuditCheckpoint, io::Error>(serde_json::from_slice(&text)?)
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
fn find_moved(path: &Path, checkpoint: &AuditCheckpoint) -> Option<File> {
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

/// The digest of the bytes before a position. An error if the file is shorter.
fn digest_before(file: &File, offset: u64) -> io::Result<String> {
    let length = offset.min(IDENTITY);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset - length)?;
    Ok(file_digest::in_hexadecimal(&file_digest::of_text(&bytes)))
}

#[cfg(test)]
mod tests;
