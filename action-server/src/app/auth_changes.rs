//! What follows when keys, revocations or policy change: the log, the audit log and the metrics.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::{
    audit::{Audit, Event},
    auth::{AuthChange, Authority, RevocationReceipt},
    metrics::Metrics,
};

/// Keeps keys, revocations and policy current, and says whether tokens can be judged.
pub(super) async fn keep_current(
    authority: Arc<Authority>,
    acknowledgement: Option<RevocationReceipt>,
    audit: Audit,
    judges: watch::Sender<bool>,
    metrics: Metrics,
) {
    for what in ["keys", "revocations", "policy"] {
        metrics.count_reading(what, true);
    }
    let (notify, mut changes) = mpsc::unbounded_channel();
    let current = Arc::clone(&authority).keep_current(acknowledgement, move |change| {
        // The reader lives as long as this does.
        _ = notify.send(change);
    });
    let report = async {
        while let Some(change) = changes.recv().await {
            log_change(&change);
            metrics.count_reading(change.what, change.faults.is_empty());
            judges.send_replace(authority.is_healthy());
            // A log that fails has said so. What was read is in use.
            for what in change.revoked {
                _ = audit.write(Event::Revoked { what }).await;
            }
            _ = audit
                .write(Event::reloaded(change.what, change.faults))
                .await;
        }
    };
    tokio::join!(current, report);
}

fn log_change(change: &AuthChange) {
    let AuthChange { what, faults, .. } = change;
    // The retries are logged where they are made.
    for fault in faults.iter().filter(|_| !change.is_transient) {
        match *what {
            "revocations" => tracing::error!("{fault}: no token is good until they can be read"),
            "keys" => tracing::error!("{fault}: the key is not in use"),
            _ => tracing::error!("{fault}: the last good policy stays in use"),
        }
    }
    if faults.is_empty() {
        tracing::info!("took the new {what}");
    }
}
