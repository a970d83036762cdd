//! What the program that started the server is told of it: sd_notify(3). Without one, nothing is
//! told. Decides nothing: that it is ready, looks anew or stops is for `app.rs` to say.

use std::{io, net::SocketAddr, time::Duration};

use sd_notify::NotifyState;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// How often it is told how far a drain has come.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// How long it shall wait from such a word to the next.
const PATIENCE: Duration = Duration::from_secs(15);

/// The server takes calls.
pub(crate) async fn ready(address: SocketAddr) {
    tell(move || {
        let status = format!("listening on {address}");
        sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])
    })
    .await;
}

/// The files are being looked at anew; `ready` says when that is done.
pub(crate) async fn reloading() {
    tell(|| {
        // The time tells the word of this reload from that of the last one.
        let now = NotifyState::monotonic_usec_now()?;
        sd_notify::notify(&[NotifyState::Reloading, now])
    })
    .await;
}

/// The server stops. Tells again and again how many runs are `left`, and asks for more time, for
/// as long as it is polled.
pub(crate) async fn stopping(left: impl Fn() -> usize) {
    tell(|| sd_notify::notify(&[NotifyState::Stopping])).await;
    loop {
        let status = match left() {
            1 => "stopping: 1 run is left".to_owned(),
            runs => format!("stopping: {runs} runs are left"),
        };
        tell(move || {
            let micros = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
            let more = NotifyState::ExtendTimeoutUsec(micros);
            sd_notify::notify(&[NotifyState::Status(&status), more])
        })
        .await;
        sleep(TELL_INTERVAL).await;
    }
}

/// Says that the server is alive, twice in the time after which it would be ended, for as long as
/// it is polled. `audit` is closed when the thread of the audit log has ended.
///
/// The word passes through all that a call needs: the runtime wakes this task, and a thread of those
/// that write and read records takes it along. A disk that hangs is no reason to end the server: its
/// scripts would be killed, and the next server would hang like this one.
pub(crate) async fn keep_alive(audit: watch::Receiver<bool>) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return;
    };
    // Whoever lost the thread never gets it back.
    while audit.has_changed().is_ok() {
        tell(|| sd_notify::notify(&[NotifyState::Watchdog])).await;
        sleep(limit / 2).await;
    }
}

/// On a thread that may block: a supervisor that takes nothing must not hold up the server.
async fn tell(word: impl FnOnce() -> io::Result<()> + Send + 'static) {
    if let Ok(Err(error)) = spawn_blocking(word).await {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}
