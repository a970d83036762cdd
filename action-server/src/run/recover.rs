//! Recovery at a start: ends the scripts of a server that died, gives its runs their end, and writes
//! the ends that the audit log lacks.

use std::{collections::HashSet, io};

use action_proto::v1::Outcome;

use super::shared::counts_by_label;
use crate::{
    audit::{self, Audit, AuditedNodes, FinishedRun, OpenRun, OpenRuns},
    crash,
    metrics::Metrics,
    process::end_orphans,
    record::{
        RecordEntry, RecordFault, RecordState, RecordStore, RunId, RunIndex, RunSummary,
        StateHolder, UnfinishedRun,
    },
};

/// Recovers from a server that died.
pub(super) async fn recover_runs(
    store: &RecordStore,
    audit: &Audit,
    metrics: &Metrics,
) -> io::Result<()> {
    let mut open = audit.open_runs().await;
    if let Some(holder) = store.last_holder() {
        report_takeover(holder, audit).await;
    }
    let (unfinished, damaged) = (store.unfinished(), store.newly_damaged());
    let ids = unfinished.iter().map(UnfinishedRun::id);
    let ids = ids.chain(damaged.iter().map(|entry| &entry.id));
    // Also those whose record was removed. Processes that ended runs left alive stay.
    let removed = open.runs.keys().map(String::as_str);
    let removed = removed.filter(|id| store.find(id, None, 1).is_empty());
    let ids: Vec<&str> = ids.map(RunId::as_str).chain(removed).collect();
    let processes = if ids.is_empty() {
        0
    } else {
        end_orphans(&ids).await
    };
    for entry in damaged {
        put_aside(store, audit, &entry).await;
    }
    let runs = unfinished.len();
    match store.last_holder() {
        _ if runs == 0 => {}
        None => tracing::warn!(
            runs,
            processes,
            "the last server died: its scripts are ended, its runs lost"
        ),
        Some(_) => tracing::warn!(runs, "the last server's runs are lost"),
    }
    // A record that was restored, or cut, may be of a run that ended long ago.
    let unknown = unfinished.iter().map(|run| run.id().to_string());
    let unknown: HashSet<String> = unknown.filter(|id| !open.runs.contains_key(id)).collect();
    if !unknown.is_empty() {
        open.ended.extend(audit.ended(unknown).await);
    }
    for run in unfinished {
        end_lost(run, &mut open, store, audit, metrics).await;
    }
    complete_audit(open, store, audit).await;
    audit.settle().await;
    Ok(())
}

async fn report_takeover(holder: &StateHolder, audit: &Audit) {
    let host = holder.shown();
    tracing::warn!(
        host,
        "took the state directory over from a server on another machine that did not stop: its scripts may still run there"
    );
    let event = audit::Event::TakenOver {
        reason: "the server there did not stop: its scripts may still run",
        what: host,
    };
    // A log that fails has said so.
    _ = audit.write(event).await;
}

/// Ends the record of a lost run, and then writes the end into the audit log.
async fn end_lost(
    run: UnfinishedRun,
    open: &mut OpenRuns,
    store: &RecordStore,
    audit: &Audit,
    metrics: &Metrics,
) {
    let run_id = run.id().clone();
    let accepted = open.runs.remove(run_id.as_str());
    if let Err(error) = store.end_lost(run) {
        tracing::error!(%run_id, %error, "cannot record that the run is lost; it is tried at the next start");
        if let Some(accepted) = accepted {
            open.runs.insert(run_id.to_string(), accepted);
        }
        return;
    }
    let entry = store.find(run_id.as_str(), None, 1).pop();
    let summary = entry.as_ref().and_then(|entry| entry.summary());
    if let Some(summary) = summary
        && let Some(finished) = summary.finished()
    {
        metrics.run_lost(&summary.command, &finished.result);
    }
    // The log has its end: it was refused after its record was begun and the server died before that was
    // removed, or its record was restored or cut since.
    if open.ended.contains(run_id.as_str()) {
        return;
    }
    let mut reason = match &accepted {
        None if open.is_complete => {
            "the server died before it accepted the run: nothing was started"
        }
        _ => "the server died while it ran",
    }
    .to_owned();
    if let Some(holder) = store.last_holder().filter(|_| accepted.is_some()) {
        reason += &format!("; scripts may still run on {}", holder.shown());
    }
    let event = finished_event(&run_id, &accepted.unwrap_or_default(), summary, reason);
    // A log that fails has said so, and takes no run as long as it does.
    _ = audit.write(event).await;
    crash::point("audit-end");
}

/// Writes the ends that the audit log lacks: the server died, or the log failed, after the end was
/// recorded. A line that is written is not open at the next start, so none is written twice.
async fn complete_audit(open: OpenRuns, store: &RecordStore, audit: &Audit) {
    if !open.is_complete {
        tracing::warn!(
            "a part of the audit log was moved away while no server ran: ends of runs in it cannot be completed"
        );
        let event = audit::Event::AuditIncomplete {
            reason: "a part of the log was moved away while no server ran: ends of runs may be missing",
        };
        _ = audit.write(event).await;
    }
    for (run_id, accepted) in open.runs {
        let Ok(run_id) = run_id.parse::<RunId>() else {
            continue;
        };
        if let Some(event) = completed_event(&run_id, &accepted, store) {
            _ = audit.write(event).await;
            crash::point("audit-end");
        }
    }
}

/// The end that the log lacks of a run; `None` where the next start may know more.
fn completed_event(
    run_id: &RunId,
    accepted: &OpenRun,
    store: &RecordStore,
) -> Option<audit::Event> {
    let entry = store.find(run_id.as_str(), None, 1).pop();
    let known = match &entry {
        Some(entry) => store.summary(entry),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let fault = match known {
        // Its end could not be recorded now: the next start does both.
        Ok(RecordState::Run(summary)) if summary.finished().is_none() => return None,
        Ok(RecordState::Run(summary)) => {
            let reason = "completed at a start: the run ended before the server died";
            return Some(finished_event(
                run_id,
                accepted,
                Some(summary),
                reason.to_owned(),
            ));
        }
        Ok(RecordState::Fault(fault)) => fault.to_string(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no record of the run".to_owned()
        }
        Err(_) => return None,
    };
    tracing::error!(%run_id, "the audit log has no end of a run: {fault}");
    let reason = format!("completed at a start: {fault}");
    Some(finished_event(run_id, accepted, None, reason))
}

/// The line of a run that has ended, as its record has it. Without a record it counts as lost.
fn finished_event(
    run_id: &RunId,
    accepted: &OpenRun,
    summary: Option<&RunSummary>,
    reason: String,
) -> audit::Event {
    let mut run = FinishedRun {
        run_id: run_id.to_string(),
        caller: accepted.caller.clone(),
        command: accepted.command.clone(),
        outcome: Outcome::Lost.label(),
        reason: Some(reason),
        ..FinishedRun::default()
    };
    if let Some(summary) = summary {
        run.caller.subject = Some(summary.subject.to_string());
        run.command = Some(summary.command.to_string());
        run.nodes = AuditedNodes::of_run(summary.nodes.folded());
        if let Some(finished) = summary.finished() {
            run.outcome = finished.result.outcome().label();
            run.counts = Some(counts_by_label(&finished.result.counts));
        }
    }
    run.into()
}

/// Reports a damaged record, and puts it aside. The report comes first: where the server dies in
/// between, the next one repeats it.
async fn put_aside(store: &RecordStore, audit: &Audit, entry: &RecordEntry) {
    let run_id = &entry.id;
    tracing::error!(%run_id, "the record is damaged from its beginning: it is put aside");
    let event = audit::Event::RecordDamaged {
        run_id: run_id.to_string(),
        outcome: Outcome::Lost.label(),
        reason: RecordFault::Damaged.to_string(),
    };
    _ = audit.write(event).await;
    if let Err(error) = store.put_aside(entry) {
        tracing::error!(%run_id, %error, "cannot put a damaged record aside: it is left where it is");
    }
}
