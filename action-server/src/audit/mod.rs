//! The audit log: requests, callers and results, one JSON object a line, in a file that is only appended
//! to. Owns the file and its thread.

mod cut_text;
mod event;
mod file;
mod line;
mod open_runs;
mod writer;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};

use crate::{
    metrics::Metrics,
    trust::{Trust, TrustError},
};

pub use cut_text::{AuditedArguments, AuditedNodes};
pub use event::{AcceptedRun, AuditedCaller, DeniedCall, Event, FinishedRun};
pub use open_runs::{OpenRun, OpenRuns};
use writer::{AuditMessage, AuditWriter};

/// How many lines may wait for the disk. Further writers wait too: no line is dropped.
const BACKLOG: usize = 64;

/// Why the audit log cannot be opened.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum AuditError {
    #[error("cannot trust the audit log: {0}")]
    Untrusted(#[from] TrustError),
    #[error("the audit log {} is not a regular file (a link is not followed)", crate::shown::file(.0))]
    NotRegular(PathBuf),
    #[error("cannot open the audit log {}: {source}", crate::shown::file(path))]
    Io { path: PathBuf, source: io::Error },
}

/// The audit log. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Audit {
    messages: mpsc::Sender<AuditMessage>,
    works: watch::Receiver<bool>,
}

impl Audit {
    /// Opens or creates the log and starts its thread. `state_directory` keeps the checkpoint of its open
    /// runs.
    ///
    /// # Errors
    /// See [`AuditError`].
    pub fn open(
        path: &Path,
        state_directory: &Path,
        trust: Trust,
        metrics: Metrics,
    ) -> Result<Audit, AuditError> {
        let (works, watched) = watch::channel(true);
        let (messages, waiting) = mpsc::channel(BACKLOG);
        let writer = AuditWriter::open(path, state_directory, trust, works, metrics)?;
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.write_messages(waiting))
            .map_err(|source| AuditError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Audit {
            messages,
            works: watched,
        })
    }

    /// Writes a line, and returns when it is in the file. The disk has it soon after.
    ///
    /// # Errors
    /// The disk's. It is logged already.
    pub async fn write(&self, event: Event) -> io::Result<()> {
        let message = |answer| AuditMessage::write_event(event, false, answer);
        self.send_request(message).await?
    }

    /// Waits for the turn to write a line.
    ///
    /// # Errors
    /// The log's thread has ended.
    pub async fn reserve_turn(&self) -> io::Result<WriteTurn<'_>> {
        self.messages
            .reserve()
            .await
            .map(WriteTurn)
            .map_err(|_| thread_ended())
    }

    /// The runs that were accepted and have no end in the log. Call it before any run is started.
    pub async fn open_runs(&self) -> OpenRuns {
        self.send_request(AuditMessage::OpenRuns)
            .await
            .unwrap_or_default()
    }

    /// Those of the run IDs that have an end in the log's file. Reads all of it.
    pub async fn ended(&self, run_ids: HashSet<String>) -> HashSet<String> {
        let message = |answer| AuditMessage::Ended(run_ids, answer);
        self.send_request(message).await.unwrap_or_default()
    }

    /// Continues in the file that has the log's name now: after a rename.
    pub async fn reopen(&self) {
        _ = self.send_request(AuditMessage::Reopen).await;
    }

    /// Queues a line without waiting, for events that a hanging log must not hold up. They are few, since
    /// nothing bounds them.
    pub fn note(&self, event: Event) {
        let (sender, _) = oneshot::channel();
        let message = AuditMessage::write_event(event, false, sender);
        if let Err(TrySendError::Full(message)) = self.messages.try_send(message)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let messages = self.messages.clone();
            runtime.spawn(async move { messages.send(message).await });
        }
    }

    /// Returns when all earlier lines are on the disk. Retries a log that failed.
    pub async fn settle(&self) {
        // `watch_writable` has the result.
        _ = self.send_request(AuditMessage::Settle).await;
    }

    /// The same for a server that stops.
    pub async fn close(&self) {
        _ = self.send_request(AuditMessage::Close).await;
    }

    /// Sends a message to the log's thread and waits for the answer.
    async fn send_request<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> AuditMessage,
    ) -> io::Result<T> {
        let (sender, answer) = oneshot::channel();
        let sent = self.messages.send(message(sender)).await;
        sent.map_err(|_| thread_ended())?;
        answer.await.map_err(|_| thread_ended())
    }

    /// Whether the log could be written at the last attempt.
    pub fn watch_writable(&self) -> watch::Receiver<bool> {
        self.works.clone()
    }
}

/// The turn to write a line. The line is written even if the caller stops waiting.
#[derive(Debug)]
pub struct WriteTurn<'a>(mpsc::Permit<'a, AuditMessage>);

impl WriteTurn<'_> {
    /// Writes a line, and returns when it is on the disk.
    ///
    /// # Errors
    /// The disk's. It is logged already.
    pub async fn commit(self, event: Event) -> io::Result<()> {
        let (sender, answer) = oneshot::channel();
        self.0.send(AuditMessage::write_event(event, true, sender));
        answer.await.map_err(|_| thread_ended())?
    }
}

fn thread_ended() -> io::Error {
    io::Error::other("the audit log's thread has ended")
}

#[cfg(test)]
mod tests;
