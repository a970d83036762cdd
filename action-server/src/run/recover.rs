//! What a server that died left behind: its scripts are ended, and its runs get their end.

use std::io;

use action_proto::v1::Outcome;

use crate::{
    audit::{self, Audit},
    metrics::Metrics,
    process::end_orphans,
    record::{Entry, RecordFault, RunId, RunIndex, Store, Unfinished},
};

/// Sees to what a server that died left behind: its scripts are ended, and its runs are marked.
pub(super) async fn recover(store: &Store, audit: &Audit, metrics: &Metrics) -> io::Result<()> {
    let (unfinished, damaged) = (store.unfinished(), store.newly_damaged());
    let ids = unfinished.iter().map(Unfinished::id);
    let ids = ids.chain(damaged.iter().map(|entry| &entry.id));
    let ids: Vec<&str> = ids.map(RunId::as_str).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let processes = end_orphans(&ids).await;
    for entry in damaged {
        put_aside(store, audit, &entry).await;
    }
    if unfinished.is_empty() {
        return Ok(());
    }
    let runs = unfinished.len();
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
        let entry = store.find(run_id.as_str(), None, 1).pop();
        let summary = entry.as_ref().and_then(|entry| entry.summary());
        if let Some(summary) = summary
            && let Some(finished) = summary.finished()
        {
            metrics.run_lost(&summary.command, &finished.result);
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

/// Reports a damaged record, and puts it aside. The report comes first: where the server dies in
/// between, the next one repeats it.
async fn put_aside(store: &Store, audit: &Audit, entry: &Entry) {
    let run_id = &entry.id;
    tracing::error!(%run_id, "the record is damaged from its beginning: it is put aside");
    let event = audit::Event {
        outcome: Some(Outcome::Lost.label().to_owned()),
        reason: Some(RecordFault::Damaged.to_string()),
        ..audit::Event::of_run("record_damaged", run_id)
    };
    _ = audit.write(event).await;
    if let Err(error) = store.put_aside(entry) {
        tracing::error!(%run_id, %error, "cannot put a damaged record aside: it is left where it is");
    }
}
