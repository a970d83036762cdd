//! What a server that died left behind: its scripts are ended, its runs get their end, and the audit log
//! gets the ends that it lacks.

use std::io;

use action_proto::v1::Outcome;

use super::shared::labelled;
use crate::{
    audit::{self, Audit, OpenRun, OpenRuns},
    crash,
    metrics::Metrics,
    process::end_orphans,
    record::{Holder, RunId, Store, Summary, Unfinished},
    transient::is_transient,
};

/// Sees to what a server that died left behind.
pub(super) async fn recover(store: &Store, audit: &Audit, metrics: &Metrics) -> io::Result<()> {
    let mut open = audit.open_runs().await;
    let elsewhere = store.last_holder();
    if let Some(holder) = elsewhere {
        tell_of_takeover(holder, audit).await;
    }
    let unfinished = store.unfinished()?;
    if !unfinished.is_empty() {
        let ids: Vec<&str> = unfinished.iter().map(|run| run.id().as_str()).collect();
        let processes = end_orphans(&ids).await;
        let runs = ids.len();
        tracing::warn!(
            runs,
            processes,
            "the last server died: its scripts are ended, its runs lost"
        );
    }
    for run in unfinished {
        end_lost(run, &mut open, store, audit, metrics).await;
    }
    complete_audit(open, store, audit).await;
    audit.settle().await;
    Ok(())
}

async fn tell_of_takeover(holder: &Holder, audit: &Audit) {
    let host = holder.shown();
    tracing::warn!(
        host,
        "took the state directory over from a server on another machine that did not stop: its scripts may still run there"
    );
    let event = audit::Event {
        what: Some(host),
        reason: Some("the server there did not stop: its scripts may still run".into()),
        ..audit::Event::new("taken_over")
    };
    // A log that fails has said so.
    _ = audit.write(event).await;
}

/// Ends the record of a run that was lost, and then tells the audit log.
async fn end_lost(
    run: Unfinished,
    open: &mut OpenRuns,
    store: &Store,
    audit: &Audit,
    metrics: &Metrics,
) {
    let run_id = run.id().clone();
    let told = open.runs.remove(run_id.as_str());
    if let Err(error) = store.end_lost(run) {
        tracing::error!(%run_id, %error, "cannot record that the run is lost; it is tried at the next start");
        if let Some(told) = told {
            open.runs.insert(run_id.to_string(), told);
        }
        return;
    }
    let summary = store.summary(&run_id).ok();
    if let Some((summary, (finished, ..))) = summary
        .as_ref()
        .and_then(|it| Some((it, it.finished.as_ref()?)))
    {
        metrics.run_lost(&summary.started.command, finished);
    }
    // It was refused after its record was begun, and the server died before that was removed.
    if open.ended.contains(run_id.as_str()) {
        return;
    }
    let mut reason = match &told {
        None if open.is_complete => {
            "the server died before it accepted the run: nothing was started"
        }
        _ => "the server died while it ran",
    }
    .to_owned();
    if let Some(holder) = store.last_holder().filter(|_| told.is_some()) {
        reason += &format!("; scripts may still run on {}", holder.shown());
    }
    let event = finished(&run_id, &told.unwrap_or_default(), summary.as_ref(), reason);
    // A log that fails has said so, and takes no run as long as it does.
    _ = audit.write(event).await;
    crash::point("audit-end");
}

/// Writes the ends that the audit log lacks: the server died, or the log failed, after the end was
/// recorded. A line that is written is not open at the next start, so none is written twice.
async fn complete_audit(open: OpenRuns, store: &Store, audit: &Audit) {
    if !open.is_complete {
        tracing::warn!(
            "a part of the audit log was moved away while no server ran: ends of runs in it cannot be completed"
        );
        let event = audit::Event {
            reason: Some(
                "a part of the log was moved away while no server ran: ends of runs may be missing"
                    .into(),
            ),
            ..audit::Event::new("audit_incomplete")
        };
        _ = audit.write(event).await;
    }
    for (run_id, told) in open.runs {
        let Ok(run_id) = run_id.parse::<RunId>() else {
            continue;
        };
        let event = match store.summary(&run_id) {
            // Its end could not be recorded now: the next start does both.
            Ok(summary) if summary.finished.is_none() => continue,
            Ok(summary) => {
                let reason = "completed at a start: the run ended before the server died";
                finished(&run_id, &told, Some(&summary), reason.to_owned())
            }
            Err(error) if is_transient(&error) => continue,
            Err(error) => {
                let what = match error.kind() {
                    io::ErrorKind::NotFound => "there is no record of the run",
                    _ => "the record of the run is damaged",
                };
                tracing::error!(%run_id, %error, "the audit log has no end of a run, and {what}");
                let reason = format!("completed at a start: {what}");
                finished(&run_id, &told, None, reason)
            }
        };
        _ = audit.write(event).await;
        crash::point("audit-end");
    }
}

/// The line of a run that has ended, as its record tells. Without a record it counts as lost.
fn finished(
    run_id: &RunId,
    told: &OpenRun,
    summary: Option<&Summary>,
    reason: String,
) -> audit::Event {
    let mut event = audit::Event {
        who: told.who.clone(),
        command: told.command.clone(),
        outcome: Some(Outcome::Lost.label().to_owned()),
        reason: Some(reason),
        ..audit::Event::of_run("run_finished", run_id)
    };
    let Some(summary) = summary else { return event };
    event.who.subject = Some(summary.started.subject.clone());
    event.command = Some(summary.started.command.clone());
    let nodes = action_proto::fold(summary.started.nodes.iter().map(String::as_str));
    event.nodes = Some(nodes).filter(|nodes| !nodes.is_empty());
    if let Some((finished, ..)) = &summary.finished {
        event.outcome = Some(finished.outcome().label().to_owned());
        event.counts = Some(labelled(&finished.counts));
    }
    event
}
