//! What a server that died left behind: its scripts are ended, and its runs get their end.

use std::io;

use action_proto::v1::Outcome;

use crate::{
    audit::{self, Audit},
    metrics::Metrics,
    process::end_orphans,
    record::{Store, Summary},
};

/// Sees to what a server that died left behind: its scripts are ended, and its runs are marked.
pub(super) async fn recover(store: &Store, audit: &Audit, metrics: &Metrics) -> io::Result<()> {
    let unfinished = store.unfinished()?;
    if unfinished.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = unfinished.iter().map(|run| run.id().as_str()).collect();
    let processes = end_orphans(&ids).await;
    let runs = ids.len();
    tracing::warn!(
        runs,
        processes,
        "the last server died: its scripts are ended, its runs lost"
    );
    for run in unfinished {
        let run_id = run.id().clone();
        if let Err(error) = store.end_lost(run) {
            tracing::error!(%run_id, %error, "cannot record that the run is lost; it is tried at the next start");
            continue;
        }
        if let Ok(Summary {
            started, finished, ..
        }) = store.summary(&run_id)
            && let Some((finished, ..)) = finished
        {
            metrics.run_lost(&started.command, &finished);
        }
        let event = audit::Event {
            outcome: Some(Outcome::Lost.label().to_owned()),
            reason: Some("the server died while it ran".into()),
            ..audit::Event::of_run("run_finished", &run_id)
        };
        // A log that fails has said so, and takes no run as long as it does.
        _ = audit.write(event).await;
    }
    Ok(())
}
