//! Notifies the service manager: sd_notify(3). Without one it does nothing.

use std::{io, net::SocketAddr, time::Duration};

use sd_notify::NotifyState;
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// How often the progress of a drain is notified.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);
/// How long it shall wait for the next of these.
const EXTENSION: Duration = Duration::from_secs(15);

/// The server accepts calls.
pub(crate) async fn notify_ready(address: SocketAddr) {
    notify_manager(move || {
        let status = format!("listening on {address}");
        sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)])
    })
    .await;
}

/// The files are being read again; `notify_ready` follows.
pub(crate) async fn notify_reloading() {
    notify_manager(|| {
        // The time distinguishes this reload from the last one.
        let now = NotifyState::monotonic_usec_now()?;
        sd_notify::notify(&[NotifyState::Reloading, now])
    })
    .await;
}

/// The server stops. Notifies how many runs are `left` and asks for more time, for as long as it is
/// polled.
pub(crate) async fn notify_stopping(left: impl Fn() -> usize) {
    notify_manager(|| sd_notify::notify(&[NotifyState::Stopping])).await;
    loop {
        let status = match left() {
            1 => "stopping: 1 run is left".to_owned(),
            runs => format!("stopping: {runs} runs are left"),
        };
        notify_manager(move || {
            let micros = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
            let more = NotifyState::ExtendTimeoutUsec(micros);
            sd_notify::notify(&[NotifyState::Status(&status), more])
        })
        .await;
        sleep(NOTIFY_INTERVAL).await;
    }
}

/// Notifies the watchdog twice in its limit, for as long as it is polled. `audit` is closed when the
/// thread of the audit log has ended.
///
/// The notification needs the runtime and a blocking thread, as calls do. A disk that hangs does not
/// stop it: the scripts would be killed, and the next server would hang too.
pub(crate) async fn keep_alive(audit: watch::Receiver<bool>) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return;
    };
    // A thread that has ended never comes back.
    while audit.has_changed().is_ok() {
        notify_manager(|| sd_notify::notify(&[NotifyState::Watchdog])).await;
        sleep(limit / 2).await;
    }
}

/// On a thread that may block: a manager that reads nothing must not hold up the server.
async fn notify_manager(word: impl FnOnce() -> io::Result<()> + Send + 'static) {
    if let Ok(Err(error)) = spawn_blocking(word).await {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}
