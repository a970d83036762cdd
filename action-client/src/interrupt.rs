//! Ctrl-C and SIGTERM during a run: the first cancels, the second ends this process, as does SIGTERM after
//! 2 s. In a task of its own, so that output which waits for its reader does not delay it.

use crate::config::kill_token_program;
use crate::connection::Connection;
use crate::error::{CliError, ErrorKind, Result};
use crate::render::status;
use crate::stop_signals::{self, StopSignal, StopSignals};
use std::future::pending;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long to wait before a cancel that did not get through is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the run may take to end after SIGTERM.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What the first signal does.
pub(crate) enum OnSignal {
    Cancel(Box<Connection>),
    /// Leaves the run alone and ends this client.
    Leave,
}

/// A message for the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InterruptNotice {
    /// The run is being cancelled.
    Cancelling(StopSignal),
    /// That did not succeed, and is not tried again.
    Failed(String),
    /// This client ends; the run does not.
    Leaving(StopSignal),
}

pub(crate) struct InterruptWatch {
    notices: mpsc::UnboundedReceiver<InterruptNotice>,
    run_id: watch::Sender<Option<String>>,
    cancelling: Option<StopSignal>,
}

impl InterruptWatch {
    pub(crate) fn watch(answer: OnSignal) -> Result<Self> {
        let signals = StopSignals::listen().map_err(|error| {
            CliError::new(ErrorKind::Connection, "cannot watch for signals").caused_by(error)
        })?;
        stop_signals::set_watched();
        let (sender, notices) = mpsc::unbounded_channel();
        let (sender_of_id, run_id) = watch::channel(None);
        tokio::spawn(handle_signals(signals, answer, run_id, sender));
        Ok(Self {
            notices,
            run_id: sender_of_id,
            cancelling: None,
        })
    }

    /// Sets the run's id, once.
    pub(crate) fn set_run(&self, run_id: &str) {
        self.run_id.send_if_modified(|id| {
            let is_new = id.is_none();
            if is_new {
                *id = Some(run_id.to_owned());
            }
            is_new
        });
    }

    /// Waits for the next message. Dropping the future loses nothing.
    pub(crate) async fn next_notice(&mut self) -> InterruptNotice {
        match self.notices.recv().await {
            Some(notice) => {
                if let InterruptNotice::Cancelling(kind) = notice {
                    self.cancelling = Some(kind);
                }
                notice
            }
            None => pending().await,
        }
    }

    /// Who has asked for the run to be cancelled here, if it was.
    pub(crate) fn cancelling(&self) -> Option<StopSignal> {
        self.cancelling
    }
}

async fn handle_signals(
    mut signals: StopSignals,
    answer: OnSignal,
    run_id: watch::Receiver<Option<String>>,
    notices: mpsc::UnboundedSender<InterruptNotice>,
) {
    let first = signals.next().await;
    // The notice finds no receiver only when the client is ending anyway.
    match answer {
        OnSignal::Leave => drop(notices.send(InterruptNotice::Leaving(first))),
        OnSignal::Cancel(connection) => {
            drop(notices.send(InterruptNotice::Cancelling(first)));
            tokio::spawn(cancel_run(*connection, run_id, notices));
        }
    }
    let last = tokio::select! {
        next = signals.next() => next,
        () = tokio::time::sleep(LAST_WAIT), if first == StopSignal::Terminate => first,
    };
    // At once means without waiting for a reader of our output.
    kill_token_program();
    status::leave();
    std::process::exit(last.exit_code().into());
}

/// Cancels the run once its id is there, and tries again as long as the server is away.
async fn cancel_run(
    connection: Connection,
    mut run_id: watch::Receiver<Option<String>>,
    notices: mpsc::UnboundedSender<InterruptNotice>,
) {
    let run_id = match run_id.wait_for(Option::is_some).await {
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
                    drop(notices.send(InterruptNotice::Failed(error.one_line())));
                    return;
                }
            }
            Err(error) => {
                drop(notices.send(InterruptNotice::Failed(error.one_line())));
                return;
            }
        }
    }
}
