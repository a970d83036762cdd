//! The thread of the audit log: numbers the lines, writes them, and has the disk keep them.
//!
//! A thread of its own, so that callers' tasks do not block on the disk, and lines that come together are
//! synced together.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::field::display;

use super::{
    AuditError, Event, OpenRuns,
    file::{FileState, LogFile},
    line::{log_event, render_line},
    open_runs::{CheckpointStore, ended_among},
};
use crate::{metrics::Metrics, shown, trust::Trust};

/// How many lines are synced together at most.
const BATCH: usize = 64;
/// How often a log that cannot be written is reported.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);
/// A checkpoint is written after so many bytes or so long, whichever comes first.
const CHECKPOINT_BYTES: usize = 1 << 20;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

type WriteReply = oneshot::Sender<io::Result<()>>;

/// A request to the thread.
#[derive(Debug)]
pub(super) enum AuditMessage {
    /// Write an event; reply when it is written, or synced if `synced` is set.
    Write {
        event: Event,
        synced: bool,
        answer: WriteReply,
    },
    /// Continue in the file that has the log's name now.
    Reopen(oneshot::Sender<()>),
    /// Retry if the last write failed, and reply when all is synced.
    Settle(WriteReply),
    /// The same for a server that stops.
    Close(WriteReply),
    /// Reply with the runs that have no end in the log.
    OpenRuns(oneshot::Sender<OpenRuns>),
    /// Reply with those of the runs that have an end in the log's file.
    Ended(HashSet<String>, oneshot::Sender<HashSet<String>>),
}

impl AuditMessage {
    pub(super) fn write_event(event: Event, synced: bool, answer: WriteReply) -> AuditMessage {
        AuditMessage::Write {
            event,
            synced,
            answer,
        }
    }
}

/// The writing side of the log.
#[derive(Debug)]
pub(super) struct AuditWriter {
    path: PathBuf,
    trust: Trust,
    file: LogFile,
    seq: u64,
    /// The replies that wait for the next sync.
    waiting: Vec<WriteReply>,
    /// The lines that were written since the last sync, and how many they are.
    unsynced: (String, u64),
    /// How many lines were lost since the last successful write; `None` if it was the last one.
    lost: Option<u64>,
    /// Ends of open runs that could not be written, at most one for each live run.
    pending_ends: Vec<Event>,
    complained: Option<Instant>,
    /// True if the file could not be reopened: it may have been moved.
    must_reopen: bool,
    open: OpenRuns,
    checkpoints: CheckpointStore,
    /// When the last checkpoint was written, and how many bytes were since.
    checkpoint: (Instant, usize),
    /// When the last one could not be written; `None` where it was.
    checkpoint_failed: Option<Instant>,
    /// True when the server stops.
    is_closing: bool,
    works: watch::Sender<bool>,
    metrics: Metrics,
}

impl AuditWriter {
    pub(super) fn open(
        path: &Path,
        state_directory: &Path,
        trust: Trust,
        works: watch::Sender<bool>,
        metrics: Metrics,
    ) -> Result<AuditWriter, AuditError> {
        let file = LogFile::open(path, trust)?;
        let checkpoints = CheckpointStore::new(state_directory);
        let open = checkpoints.open_runs(path, file.as_file());
        Ok(AuditWriter {
            path: path.to_owned(),
            trust,
            file,
            seq: 0,
            waiting: Vec::new(),
            unsynced: (String::new(), 0),
            lost: None,
            pending_ends: Vec::new(),
            complained: None,
            must_reopen: false,
            open: open.map_err(|source| AuditError::Io {
                path: path.to_owned(),
                source,
            })?,
            checkpoints,
            checkpoint: (Instant::now(), 0),
            checkpoint_failed: None,
            is_closing: false,
            works,
            metrics,
        })
    }

    /// Writes until all senders are gone.
    pub(super) fn write_messages(mut self, mut messages: mpsc::Receiver<AuditMessage>) {
        while let Some(first) = messages.blocking_recv() {
            self.handle_message(first);
            for _ in 1..BATCH {
                let Ok(next) = messages.try_recv() else { break };
                self.handle_message(next);
            }
            self.sync_lines();
            let (at, bytes) = self.checkpoint;
            let is_due = bytes >= CHECKPOINT_BYTES || at.elapsed() >= CHECKPOINT_INTERVAL;
            if bytes > 0 && (is_due || self.is_closing) {
                self.keep_checkpoint();
            }
        }
    }

    fn handle_message(&mut self, message: AuditMessage) {
        if matches!(
            message,
            AuditMessage::Write { .. } | AuditMessage::Settle(_) | AuditMessage::Close(_)
        ) {
            self.follow_name();
        }
        self.is_closing |= matches!(message, AuditMessage::Close(_));
        match message {
            AuditMessage::Write {
                event,
                synced,
                answer,
            } => match self.write_event(event) {
                Ok(()) if synced => self.waiting.push(answer),
                // The caller may be gone.
                done => _ = answer.send(done),
            },
            AuditMessage::Reopen(answer) => {
                // Callers wait for the file that has their line.
                self.sync_lines();
                if self.reopen_file().is_ok() {
                    tracing::info!("reopened the audit log");
                }
                _ = answer.send(());
            }
            AuditMessage::Settle(answer) | AuditMessage::Close(answer) => match self.write_loss() {
                Ok(()) => {
                    self.waiting.push(answer);
                    self.sync_lines();
                    // Health settles every second while the disk is full.
                    let has_failed = |at: Instant| at.elapsed() < COMPLAINT_INTERVAL;
                    let is_due =
                        self.checkpoint.1 > 0 && !self.checkpoint_failed.is_some_and(has_failed);
                    if self.is_closing || is_due {
                        self.keep_checkpoint();
                    }
                }
                failed => _ = answer.send(failed),
            },
            AuditMessage::OpenRuns(answer) => _ = answer.send(self.open.clone()),
            AuditMessage::Ended(run_ids, answer) => {
                let found = ended_among(self.file.as_file(), &run_ids);
                _ = answer.send(found.unwrap_or_default());
            }
        }
    }

    fn write_event(&mut self, event: Event) -> io::Result<()> {
        let written = self.write_loss().and_then(|()| self.append_event(&event));
        if written.is_err() {
            if self.open.is_end_of_open(&event) {
                self.pending_ends.push(event);
            } else {
                self.lost = self.lost.map(|lost| lost + 1);
                self.metrics.audit_lost();
            }
        }
        written
    }

    /// Writes how many lines were lost, and then the pending ends of runs.
    fn write_loss(&mut self) -> io::Result<()> {
        let Some(lost) = self.lost else { return Ok(()) };
        self.append_event(&Event::AuditResumed { lost })?;
        self.lost = None;
        while let Some(event) = self.pending_ends.first().cloned() {
            self.append_event(&event)?;
            self.pending_ends.remove(0);
        }
        Ok(())
    }

    fn append_event(&mut self, event: &Event) -> io::Result<()> {
        let seq = self.seq + 1;
        log_event(seq, event);
        let line = render_line(seq, SystemTime::now(), event);
        let written = line.and_then(|line| {
            if self.must_reopen && self.file.is_removed() {
                Err(io::Error::other(
                    "its file was removed, and cannot be made again",
                ))
            } else {
                self.file.append_line(&line).map(|()| line)
            }
        });
        match written {
            Ok(line) => {
                // Only now: a missing number in the file means that a line was removed.
                self.seq = seq;
                self.open.apply_event(event);
                self.unsynced.0 += &line;
                self.unsynced.1 += 1;
                self.checkpoint.1 += line.len();
                self.metrics.audit_written();
                Ok(())
            }
            Err(error) => {
                self.report_failure(&error);
                Err(error)
            }
        }
    }

    /// Syncs the written lines, and replies to the callers that wait.
    fn sync_lines(&mut self) {
        let (lines, count) = std::mem::take(&mut self.unsynced);
        let synced = if lines.is_empty() {
            Ok(())
        } else {
            self.keep_lines(&lines)
        };
        match &synced {
            Ok(()) if self.lost.is_none() => self.mark_writable(),
            Ok(()) => {}
            Err(error) => {
                self.report_failure(error);
                if self.file.is_removed() {
                    self.lost = self.lost.map(|lost| lost + count);
                }
            }
        }
        for answer in self.waiting.drain(..) {
            let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
            _ = answer.send(synced.as_ref().copied().map_err(copy));
        }
    }

    /// Syncs lines that were written, also if their file was removed meanwhile.
    fn keep_lines(&mut self, lines: &str) -> io::Result<()> {
        self.file.sync()?;
        if self.file.is_removed() {
            self.open_named().map_err(io::Error::other)?;
            self.file.append_line(lines)?;
            self.file.sync()?;
            self.keep_checkpoint();
        }
        Ok(())
    }

    /// Continues in the file that has the log's name, if the open one was moved, removed or truncated.
    fn follow_name(&mut self) {
        match self.file.find_state(&self.path) {
            FileState::Current if !self.must_reopen => {}
            FileState::Truncated => {
                tracing::warn!("another program cut the audit log: lines may be lost");
                if let Err(error) = self.file.follow_truncation() {
                    self.report_failure(&error);
                }
                self.keep_checkpoint();
            }
            FileState::Current | FileState::Elsewhere => {
                // Callers wait for the file that has their line.
                self.sync_lines();
                if self.reopen_file().is_ok() {
                    tracing::info!("reopened the audit log: its file was moved or removed");
                }
            }
        }
    }

    fn reopen_file(&mut self) -> Result<(), AuditError> {
        self.open_named()?;
        // Before its first line: the lines of the last file may not be found again.
        self.keep_checkpoint();
        Ok(())
    }

    fn open_named(&mut self) -> Result<(), AuditError> {
        match LogFile::open(&self.path, self.trust) {
            Ok(file) => {
                self.file = file;
                self.must_reopen = false;
                Ok(())
            }
            Err(error) => {
                if !std::mem::replace(&mut self.must_reopen, true) {
                    tracing::error!(%error, "cannot reopen the audit log; the last file stays in use while it has a name, retrying before each line");
                }
                Err(error)
            }
        }
    }

    fn keep_checkpoint(&mut self) {
        self.checkpoint = (Instant::now(), 0);
        self.checkpoint_failed = None;
        if let Err(error) = self
            .checkpoints
            .write(self.file.as_file(), &self.open, self.is_closing)
        {
            // The next start reads more.
            tracing::warn!(%error, "cannot keep a checkpoint of the audit log");
            self.checkpoint.1 = 1;
            self.checkpoint_failed = Some(Instant::now());
        }
    }

    fn mark_writable(&mut self) {
        if self
            .works
            .send_if_modified(|works| !std::mem::replace(works, true))
        {
            self.complained = None;
            tracing::info!("the audit log can be written again");
        }
    }

    fn report_failure(&mut self, error: &io::Error) {
        self.lost.get_or_insert(0);
        self.works
            .send_if_modified(|works| std::mem::replace(works, false));
        let due = |told: Instant| told.elapsed() >= COMPLAINT_INTERVAL;
        if self.complained.is_none_or(due) {
            self.complained = Some(Instant::now());
            let path = display(shown::file(&self.path));
            tracing::error!(path, %error, "cannot write the audit log; no run is started while that is so");
        }
    }
}
