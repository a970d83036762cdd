//! The audit log: what was asked of the server, by whom, and what came of it, one JSON object a
//! line, in a file that is only ever appended to.
//!
//! Owns the file and its thread. What is worth a line, and how often, is for the rooms that know.

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
    trust::{Trust, Untrusted},
};

pub use event::{Event, Who};
pub use open_runs::{OpenRun, OpenRuns};
use writer::{Message, Writer};

/// How many lines may wait for the disk. Who brings one more waits too: none is left out.
const BACKLOG: usize = 64;

/// Why there is no audit log.
#[derive(Debug, Error)]
pub enum AuditError {
    /// It, or its directory, may be another's work.
    #[error("cannot trust the audit log: {0}")]
    Untrusted(#[from] Untrusted),
    /// It is a link, a directory, a device, a FIFO.
    #[error("the audit log {} is not a regular file (a link is not followed)", crate::shown::file(.0))]
    NotRegular(PathBuf),
    /// It cannot be opened.
    #[error("cannot open the audit log {}: {source}", crate::shown::file(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The audit log. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Audit {
    messages: mpsc::Sender<Message>,
    works: watch::Receiver<bool>,
}

impl Audit {
    /// Opens the log, making it where it is not there, and starts its thread. `state_directory` keeps
    /// which runs are open in it.
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
        let writer = Writer::open(path, state_directory, trust, works, metrics)?;
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run(waiting))
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
        let message = |answer| Message::write(event, false, answer);
        self.ask(message).await?
    }

    /// Waits for the turn to write a line, without which none is written.
    ///
    /// # Errors
    /// The log's thread has ended.
    pub async fn turn(&self) -> io::Result<Turn<'_>> {
        self.messages.reserve().await.map(Turn).map_err(|_| gone())
    }

    /// The runs that were accepted and have no end in the log. Ask before any run is started.
    pub async fn open_runs(&self) -> OpenRuns {
        self.ask(Message::OpenRuns).await.unwrap_or_default()
    }

    /// Which of these runs have an end in the log's file. Reads all of it.
    pub async fn ended(&self, run_ids: HashSet<String>) -> HashSet<String> {
        let message = |answer| Message::Ended(run_ids, answer);
        self.ask(message).await.unwrap_or_default()
    }

    /// Goes on in the file that has the log's name now: after it was renamed.
    pub async fn reopen(&self) {
        _ = self.ask(Message::Reopen).await;
    }

    /// Writes a line in its turn, and waits for nothing: for what a log that hangs must not hold
    /// up. Of which there is little, as nothing bounds it.
    pub fn note(&self, event: Event) {
        let (sender, _) = oneshot::channel();
        let message = Message::write(event, false, sender);
        if let Err(TrySendError::Full(message)) = self.messages.try_send(message)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let messages = self.messages.clone();
            runtime.spawn(async move { messages.send(message).await });
        }
    }

    /// Returns when the disk has all that came before. A log that failed is tried again.
    pub async fn settle(&self) {
        // `works` has the result.
        _ = self.ask(Message::Settle).await;
    }

    /// The same for a server that stops: nothing that matters follows.
    pub async fn close(&self) {
        _ = self.ask(Message::Close).await;
    }

    /// Sends a message to the log's thread and waits for the answer.
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> io::Result<T> {
        let (sender, answer) = oneshot::channel();
        let sent = self.messages.send(message(sender)).await;
        sent.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Whether the log can be written, as it was last known.
    pub fn works(&self) -> watch::Receiver<bool> {
        self.works.clone()
    }
}

/// The turn to write a line, which is written whether or not its end is waited for.
#[derive(Debug)]
pub struct Turn<'a>(mpsc::Permit<'a, Message>);

impl Turn<'_> {
    /// Writes a line, and returns when it is on the disk.
    ///
    /// # Errors
    /// The disk's. It is logged already.
    pub async fn commit(self, event: Event) -> io::Result<()> {
        let (sender, answer) = oneshot::channel();
        self.0.send(Message::write(event, true, sender));
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the audit log's thread has ended")
}

#[cfg(test)]
mod tests;
