//! Owns Ctrl-C and SIGTERM: the first is a wish, the second is the end of this process. SIGTERM ends
//! it soon by itself: who sends it kills what does not end. Works in a task of its own, so that it
//! does so even while output waits for its reader.

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
/// How long the run may take to end after SIGTERM.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What the first signal does.
pub(crate) enum Answer {
    /// Cancels the run.
    Cancel(Box<Connection>),
    /// Leaves the run alone and ends this client.
    Leave,
}

/// Who wants this client to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The user, by Ctrl-C.
    Interrupt,
    /// SIGTERM: a CI system, a service manager or `kill`.
    Terminate,
}

impl Kind {
    /// The exit code of a client that ends for it: 128 and the signal's number, as in shells.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Interrupt => exit::INTERRUPTED,
            Kind::Terminate => exit::TERMINATED,
        }
    }
}

/// What to tell the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The run is being cancelled.
    Cancelling(Kind),
    /// That did not succeed, and is not tried again.
    Failed(String),
    /// This client ends; the run does not.
    Leaving(Kind),
}

/// A watch over the signals.
pub(crate) struct Interrupt {
    notices: mpsc::UnboundedReceiver<Notice>,
    run_id: watch::Sender<Option<String>>,
    cancelling: Option<Kind>,
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
            cancelling: None,
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
                if let Notice::Cancelling(kind) = notice {
                    self.cancelling = Some(kind);
                }
                notice
            }
            None => pending().await,
        }
    }

    /// Who has asked for the run to be cancelled here, if it was.
    pub(crate) fn cancelling(&self) -> Option<Kind> {
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

    async fn next(&mut self) -> Kind {
        tokio::select! {
            _ = self.interrupt.recv() => Kind::Interrupt,
            _ = self.terminate.recv() => Kind::Terminate,
        }
    }
}

async fn attend(
    mut signals: Signals,
    answer: Answer,
    known: watch::Receiver<Option<String>>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    let first = signals.next().await;
    // The notice finds no receiver only when the client is ending anyway.
    match answer {
        Answer::Leave => drop(notices.send(Notice::Leaving(first))),
        Answer::Cancel(connection) => {
            drop(notices.send(Notice::Cancelling(first)));
            tokio::spawn(cancel(*connection, known, notices));
        }
    }
    let last = tokio::select! {
        next = signals.next() => next,
        () = tokio::time::sleep(LAST_WAIT), if first == Kind::Terminate => first,
    };
    // At once means without waiting for a reader of our output.
    status::leave();
    std::process::exit(last.exit_code().into());
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
    let mut is_renewed = false;
    loop {
        match connection.cancel_run(&run_id, false).await {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::Connection => {
                tokio::time::sleep(RETRY).await;
            }
            // The run may have outlived the token.
            Err(error) if error.kind() == ErrorKind::Login && !is_renewed => {
                is_renewed = connection.renew_token().await.is_ok();
                if !is_renewed {
                    drop(notices.send(Notice::Failed(error.one_line())));
                    return;
                }
            }
            Err(error) => {
                drop(notices.send(Notice::Failed(error.one_line())));
                return;
            }
        }
    }
}
