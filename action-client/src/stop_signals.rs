//! Owns Ctrl-C and SIGTERM as wishes that this client ends.

use crate::exit;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether a followed run decides about the signals.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
/// Whether the process is ended by `exit_on_stop`.
static IS_HANDLED: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    Interrupt,
    /// SIGTERM: of a CI system, a service manager or `kill`.
    Terminate,
}

impl StopSignal {
    /// The exit code of a client that ends for it: 128 and the signal's number, as in shells.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            StopSignal::Interrupt => exit::INTERRUPTED,
            StopSignal::Terminate => exit::TERMINATED,
        }
    }
}

/// The stop signals as they come.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Begins to listen; from now on signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}

/// Leaves the signals to the run that is followed from now on.
pub(crate) fn set_watched() {
    IS_WATCHED.store(true, Ordering::Release);
}

/// Ends the process at the next stop signal, after `clean_up`, unless a run is followed by then. Needs a
/// runtime; without one the signals keep their default.
pub(crate) fn exit_on_stop(clean_up: fn()) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    if IS_HANDLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let Ok(mut signals) = StopSignals::listen() else {
        return;
    };
    runtime.spawn(async move {
        let signal = signals.next().await;
        if !IS_WATCHED.load(Ordering::Acquire) {
            clean_up();
            std::process::exit(signal.exit_code().into());
        }
    });
}
