//! Owns Ctrl-C and SIGTERM: the first is a wish, the second is the end of this process. Works
//! in a task of its own, so that it does so even while output waits for its reader.

use crate::connection::Connection;
use crate::error::{CliError, ErrorKind, Result};
use crate::exit;
use crate::render::status;
use std::future::pending;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// How long to wait before a cancel that did not get through is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the first signal does.
pub(crate) enum Answer {
    /// Cancels the run.
    Cancel(Box<Connection>),
    /// Leaves the run alone and ends this client.
    Leave,
}

/// What to tell the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The run is being cancelled.
    Cancelling,
    /// That did not succeed, and is not tried again.
    Failed(String),
    /// This client ends; the run does not.
    Leaving,
}

/// A watch over the signals.
pub(crate) struct Interrupt {
    notices: mpsc::UnboundedReceiver<Notice>,
    run_id: watch::Sender<Option<String>>,
    cancelling: bool,
}

impl Interrupt {
    /// Begins to watch; from now on signals no longer end the process by themselves.
    pub(crate) fn watch(answer: Answer) -> Result<Self> {
        let signals = Signals::new().map_err(|error| {
            CliError::new(ErrorKind::Connection, "cannot watch for signals").caused_by(error)
        })?;
        let (sender, notices) = mpsc::unbounded_channel();
        let (run_id, known) = watch::channel(None);
        tokio::spawn(attend(signals, answer, known, sender));
        Ok(Self {
            notices,
            run_id,
            cancelling: false,
        })
    }

    /// Sets the run, once its id is known.
    pub(crate) fn know(&self, run_id: &str) {
        self.run_id.send_if_modified(|known| {
            let is_new = known.is_none();
            if is_new {
                *known = Some(run_id.to_owned());
            }
            is_new
        });
    }

    /// Waits for something to tell the user. Dropping the future loses nothing.
    pub(crate) async fn notice(&mut self) -> Notice {
        match self.notices.recv().await {
            Some(notice) => {
                self.cancelling |= notice == Notice::Cancelling;
                notice
            }
            None => pending().await,
        }
    }

    /// Whether the user has asked for the run to be cancelled.
    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn attend(
    mut signals: Signals,
    answer: Answer,
    known: watch::Receiver<Option<String>>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    signals.next().await;
    // The receiver is only gone when the client ends anyway.
    match answer {
        Answer::Leave => drop(notices.send(Notice::Leaving)),
        Answer::Cancel(connection) => {
            drop(notices.send(Notice::Cancelling));
            tokio::spawn(cancel(*connection, known, notices));
        }
    }
    signals.next().await;
    // At once means without waiting for a reader of our output.
    status::leave();
    std::process::exit(exit::INTERRUPTED.into());
}

/// Cancels the run as soon as it is known which it is, and as long as the server is away.
async fn cancel(
    connection: Connection,
    mut known: watch::Receiver<Option<String>>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    let run_id = match known.wait_for(Option::is_some).await {
        Ok(run_id) => run_id.clone().unwrap_or_default(),
        Err(_) => return,
    };
    loop {
        match connection.cancel_run(&run_id, false).await {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::Connection => {
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => {
                drop(notices.send(Notice::Failed(error.one_line())));
                return;
            }
        }
    }
}
