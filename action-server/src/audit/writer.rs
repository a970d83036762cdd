//! The thread of the audit log: numbers the lines, writes them, and has the disk keep them.
//!
//! One thread, so that no caller's task waits for the disk but who wants to, and so that lines
//! which come together are synced together.

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
    file::{LogFile, Place},
    line::{line, log},
    open_runs::{Checkpoints, ended_among},
};
use crate::{metrics::Metrics, shown, trust::Trust};

/// How many lines are synced together at most.
const BATCH: usize = 64;
/// How often a log that cannot be written is reported.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);
/// A checkpoint is written after so many bytes or so long, whichever comes first.
const CHECKPOINT_BYTES: usize = 1 << 20;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

type Answer = oneshot::Sender<io::Result<()>>;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Message {
    /// Write an event; answer when it is written or, if that is wanted, synced.
    Write {
        event: Box<Event>,
        synced: bool,
        answer: Answer,
    },
    /// Go on in the file that has the name now.
    Reopen(oneshot::Sender<()>),
    /// Write again if that failed, and answer when all is synced.
    Settle(Answer),
    /// The same, and nothing that matters will follow: the server stops.
    Close(Answer),
    /// Tell which runs have no end in the log.
    OpenRuns(oneshot::Sender<OpenRuns>),
    /// Tell which of these runs have an end in the log's file, wherever it stands.
    Ended(HashSet<String>, oneshot::Sender<HashSet<String>>),
}

impl Message {
    pub(super) fn write(event: Event, synced: bool, answer: Answer) -> Message {
        Message::Write {
            event: Box::new(event.bounded()),
            synced,
            answer,
        }
    }
}

/// The writing side of the log.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    trust: Trust,
    file: LogFile,
    seq: u64,
    /// Who waits for the next sync.
    waiting: Vec<Answer>,
    /// The lines that were written since the last sync, and how many they are.
    unsynced: (String, u64),
    /// How many lines were lost since it last worked; `None` while it works.
    lost: Option<u64>,
    /// Ends of open runs that could not be written. They are as few as runs may live.
    owed: Vec<Event>,
    complained: Option<Instant>,
    /// True if the file could not be reopened: it may be moved away.
    must_reopen: bool,
    open: OpenRuns,
    checkpoints: Checkpoints,
    /// When the last checkpoint was written, and how many bytes were since.
    checkpoint: (Instant, usize),
    /// When the last one could not be written; `None` where it was.
    checkpoint_failed: Option<Instant>,
    /// True when the server stops.
    is_closing: bool,
    works: watch::Sender<bool>,
    metrics: Metrics,
}

impl Writer {
    pub(super) fn open(
        path: &Path,
        state_directory: &Path,
        trust: Trust,
        works: watch::Sender<bool>,
        metrics: Metrics,
    ) -> Result<Writer, AuditError> {
        let file = LogFile::open(path, trust)?;
        let checkpoints = Checkpoints::new(state_directory);
        let open = checkpoints.open_runs(path, file.as_file());
        Ok(Writer {
            path: path.to_owned(),
            trust,
            file,
            seq: 0,
            waiting: Vec::new(),
            unsynced: (String::new(), 0),
            lost: None,
            owed: Vec::new(),
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
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(first) = messages.blocking_recv() {
            self.handle(first);
            for _ in 1..BATCH {
                let Ok(next) = messages.try_recv() else { break };
                self.handle(next);
            }
            self.sync();
            let (at, bytes) = self.checkpoint;
            let is_due = bytes >= CHECKPOINT_BYTES || at.elapsed() >= CHECKPOINT_INTERVAL;
            if bytes > 0 && (is_due || self.is_closing) {
                self.keep_checkpoint();
            }
        }
    }

    fn handle(&mut self, message: Message) {
        if matches!(
            message,
            Message::Write { .. } | Message::Settle(_) | Message::Close(_)
        ) {
            self.follow_name();
        }
        self.is_closing |= matches!(message, Message::Close(_));
        match message {
            Message::Write {
                event,
                synced,
                answer,
            } => match self.write(*event) {
                Ok(()) if synced => self.waiting.push(answer),
                // The caller may be gone.
                done => _ = answer.send(done),
            },
            Message::Reopen(answer) => {
                // Callers wait for the file that has their line.
                self.sync();
                if self.reopen().is_ok() {
                    tracing::info!("reopened the audit log");
                }
                _ = answer.send(());
            }
            Message::Settle(answer) | Message::Close(answer) => match self.tell_of_loss() {
                Ok(()) => {
                    self.waiting.push(answer);
                    self.sync();
                    // Health asks again and again while the disk is full.
                    let has_failed = |at: Instant| at.elapsed() < COMPLAINT_INTERVAL;
                    let is_due =
                        self.checkpoint.1 > 0 && !self.checkpoint_failed.is_some_and(has_failed);
                    if self.is_closing || is_due {
                        self.keep_checkpoint();
                    }
                }
                failed => _ = answer.send(failed),
            },
            Message::OpenRuns(answer) => _ = answer.send(self.open.clone()),
            Message::Ended(run_ids, answer) => {
                let found = ended_among(self.file.as_file(), &run_ids);
                _ = answer.send(found.unwrap_or_default());
            }
        }
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        let written = self.tell_of_loss().and_then(|()| self.append(&event));
        if written.is_err() {
            if self.open.is_end_of_open(&event) {
                self.owed.push(event);
            } else {
                self.lost = self.lost.map(|lost| lost + 1);
                self.metrics.audit_lost();
            }
        }
        written
    }

    /// The first line after lines that were lost says how many those are. The ends of runs follow.
    fn tell_of_loss(&mut self) -> io::Result<()> {
        let Some(lost) = self.lost else { return Ok(()) };
        self.append(&Event {
            lost: Some(lost),
            ..Event::new("audit_resumed")
        })?;
        self.lost = None;
        while let Some(event) = self.owed.first().cloned() {
            self.append(&event)?;
            self.owed.remove(0);
        }
        Ok(())
    }

    fn append(&mut self, event: &Event) -> io::Result<()> {
        let seq = self.seq + 1;
        log(seq, event);
        let line = line(seq, SystemTime::now(), event);
        let written = line.and_then(|line| match self.must_reopen && self.file.is_removed() {
            true => Err(io::Error::other(
                "its file was removed, and cannot be made again",
            )),
            false => self.file.append(&line).map(|()| line),
        });
        match written {
            Ok(line) => {
                // Only now: a number that is missing in the file is of a line that was taken away.
                self.seq = seq;
                self.open.observe(event);
                self.unsynced.0 += &line;
                self.unsynced.1 += 1;
                self.checkpoint.1 += line.len();
                self.metrics.audit_written();
                Ok(())
            }
            Err(error) => {
                self.complain(&error);
                Err(error)
            }
        }
    }

    /// Syncs what is written, and answers the callers that wait for it.
    fn sync(&mut self) {
        let (lines, count) = std::mem::take(&mut self.unsynced);
        let synced = match lines.is_empty() {
            true => Ok(()),
            false => self.keep(&lines),
        };
        match &synced {
            Ok(()) if self.lost.is_none() => self.recover(),
            Ok(()) => {}
            Err(error) => {
                self.complain(error);
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

    /// Has the disk keep lines that were written, also where their file was removed meanwhile.
    fn keep(&mut self, lines: &str) -> io::Result<()> {
        self.file.sync()?;
        if self.file.is_removed() {
            self.open_named().map_err(io::Error::other)?;
            self.file.append(lines)?;
            self.file.sync()?;
            self.keep_checkpoint();
        }
        Ok(())
    }

    /// Goes on in the file that has the log's name, before lines are written to one that was moved
    /// away, removed or cut.
    fn follow_name(&mut self) {
        match self.file.place(&self.path) {
            Place::Current if !self.must_reopen => {}
            Place::Truncated => {
                tracing::warn!("another program cut the audit log: lines may be lost");
                if let Err(error) = self.file.follow_truncation() {
                    self.complain(&error);
                }
                self.keep_checkpoint();
            }
            Place::Current | Place::Elsewhere => {
                // Callers wait for the file that has their line.
                self.sync();
                if self.reopen().is_ok() {
                    tracing::info!("reopened the audit log: its file was moved or removed");
                }
            }
        }
    }

    fn reopen(&mut self) -> Result<(), AuditError> {
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

    fn recover(&mut self) {
        if self
            .works
            .send_if_modified(|works| !std::mem::replace(works, true))
        {
            self.complained = None;
            tracing::info!("the audit log can be written again");
        }
    }

    fn complain(&mut self, error: &io::Error) {
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
