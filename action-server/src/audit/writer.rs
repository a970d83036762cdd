//! The thread of the audit log: numbers the lines, writes them, and has the disk keep them.
//!
//! One thread, so that no caller's task waits for the disk but who wants to, and so that lines
//! which come together are synced together.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::field::display;

use super::{AuditError, Event, file::LogFile, line::line};
use crate::{metrics::Metrics, shown, trust::Trust};

/// How many lines are synced together at most.
const BATCH: usize = 64;
/// How often a log that cannot be written is reported.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

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
    /// True when something was written since the last sync.
    unsynced: bool,
    /// How many lines were lost since it last worked; `None` while it works.
    lost: Option<u64>,
    complained: Option<Instant>,
    /// True if the file could not be reopened: it may be moved away.
    must_reopen: bool,
    works: watch::Sender<bool>,
    metrics: Metrics,
}

impl Writer {
    pub(super) fn open(
        path: &Path,
        trust: Trust,
        works: watch::Sender<bool>,
        metrics: Metrics,
    ) -> Result<Writer, AuditError> {
        Ok(Writer {
            path: path.to_owned(),
            trust,
            file: LogFile::open(path, trust)?,
            seq: 0,
            waiting: Vec::new(),
            unsynced: false,
            lost: None,
            complained: None,
            must_reopen: false,
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
        }
    }

    fn handle(&mut self, message: Message) {
        if self.must_reopen && matches!(message, Message::Write { .. }) {
            self.reopen();
        }
        match message {
            Message::Write {
                event,
                synced,
                answer,
            } => match self.write(&event) {
                Ok(()) if synced => self.waiting.push(answer),
                // The caller may be gone.
                done => _ = answer.send(done),
            },
            Message::Reopen(answer) => {
                self.reopen();
                _ = answer.send(());
            }
            Message::Settle(answer) => match self.tell_of_loss() {
                Ok(()) => self.waiting.push(answer),
                failed => _ = answer.send(failed),
            },
        }
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.tell_of_loss()
            .and_then(|()| self.append(event))
            .inspect_err(|_| {
                self.lost = self.lost.map(|lost| lost + 1);
                self.metrics.audit_lost();
            })
    }

    /// The first line after lines that were lost says how many those are.
    fn tell_of_loss(&mut self) -> io::Result<()> {
        let Some(lost) = self.lost else { return Ok(()) };
        self.append(&Event {
            lost: Some(lost),
            ..Event::new("audit_resumed")
        })?;
        self.lost = None;
        Ok(())
    }

    fn append(&mut self, event: &Event) -> io::Result<()> {
        let seq = self.seq + 1;
        tell(seq, event);
        let written = line(seq, SystemTime::now(), event).and_then(|line| self.file.append(&line));
        match &written {
            Ok(()) => {
                // Only now: a number that is missing in the file is of a line that was taken away.
                self.seq = seq;
                self.unsynced = true;
                self.metrics.audit_written();
            }
            Err(error) => self.complain(error),
        }
        written
    }

    /// Syncs what is written, and answers the callers that wait for it.
    fn sync(&mut self) {
        let synced = match std::mem::take(&mut self.unsynced) {
            true => self.file.sync(),
            false => Ok(()),
        };
        match &synced {
            Ok(()) if self.lost.is_none() => self.recover(),
            Ok(()) => {}
            Err(error) => self.complain(error),
        }
        for answer in self.waiting.drain(..) {
            let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
            _ = answer.send(synced.as_ref().copied().map_err(copy));
        }
    }

    fn reopen(&mut self) {
        match LogFile::open(&self.path, self.trust) {
            Ok(file) => {
                // Callers wait for the file that has their line.
                self.sync();
                self.file = file;
                self.must_reopen = false;
                tracing::info!("reopened the audit log");
            }
            Err(error) => {
                if !std::mem::replace(&mut self.must_reopen, true) {
                    tracing::error!(%error, "cannot reopen the audit log; the last file stays in use, retrying before each line");
                }
            }
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

/// The same in the server's log, which quotes and escapes each text.
fn tell(seq: u64, event: &Event) {
    let (who, text) = (&event.who, Option::<String>::as_deref);
    tracing::info!(
        target: "audit",
        run_id = event.run_id.as_ref().map(display),
        outcome = text(&event.outcome),
        subject = text(&who.subject),
        jti = text(&who.jti),
        key = text(&who.key),
        address = text(&who.address),
        method = text(&event.method),
        command = text(&event.command),
        nodes = text(&event.nodes),
        nodes_length = event.nodes_length,
        nodes_sha256 = text(&event.nodes_sha256),
        arguments = json(event.arguments.as_ref()),
        arguments_length = event.arguments_length,
        arguments_sha256 = text(&event.arguments_sha256),
        scripts = json(event.scripts.as_ref()),
        rule = text(&event.rule),
        counts = json(event.counts.as_ref()),
        reason = text(&event.reason),
        what = text(&event.what),
        faults = json(event.faults.as_ref()),
        repeated = event.repeated,
        lost = event.lost,
        version = text(&event.version),
        seq,
        "{}", event.name
    );
}

fn json(value: Option<&impl Serialize>) -> Option<String> {
    serde_json::to_string(value?).ok()
}
