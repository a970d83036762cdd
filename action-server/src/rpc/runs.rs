//! Runs as callers may see them: found by an id or its beginning, and described.

use std::sync::Arc;

use action_proto::v1::{Outcome, Run};
use tonic::Status;

use super::{Service, access::Access, status};
use crate::{
    auth::Caller,
    record::{Entry, RunId, Summary, Watermark},
    run::{self, Registry},
};

/// So many runs at most are looked at for a text that is the beginning of their ids.
const CANDIDATES: usize = 1000;

/// The run that `text` names, its id or the beginning of only its id, among those that the caller
/// may see: of others nothing is told, not even that they are there.
pub(super) async fn visible(
    service: &Service,
    caller: &Caller,
    text: &str,
) -> Result<(Arc<Entry>, Run), Status> {
    let access = Access::new(caller, service.definitions.snapshot());
    let text: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let runs = service.runs.clone();
    blocking(move || {
        let mut seen = Vec::new();
        let mut damaged = Ok(());
        for entry in runs.matching(&text, CANDIDATES) {
            match describe(&runs, &access, &entry.id) {
                Ok(Some((_, run))) => seen.push((entry, run)),
                Ok(None) => {}
                // Whose a damaged record is cannot be read: only who named it whole, or may see
                // all, is told of it.
                Err(status) if access.allows_all() || entry.id.as_str() == text => {
                    damaged = Err(status);
                }
                Err(_) => {}
            }
        }
        match seen.len() {
            0 => {
                damaged?;
                Err(Status::not_found(format!("no such run: {text}")))
            }
            1 => Ok(seen.remove(0)),
            _ => {
                let ids: Vec<&str> = seen
                    .iter()
                    .take(5)
                    .map(|(entry, _)| entry.id.as_str())
                    .collect();
                let text = format!(
                    "{text} is the beginning of more than one run's id: {}",
                    ids.join(", ")
                );
                Err(Status::invalid_argument(text))
            }
        }
    })
    .await
}

/// A run as the API shows it, with its summary; `None` when the caller may not see it. Blocks for
/// the disk.
pub(super) fn describe(
    runs: &Registry,
    access: &Access,
    run_id: &RunId,
) -> Result<Option<(Summary, Run)>, Status> {
    let (summary, live) = runs
        .summary(run_id)
        .map_err(|error| status::from_record(run_id, &error))?;
    if !access.allows_run(&summary.started) {
        return Ok(None);
    }
    let mut run = summary.to_run();
    match live {
        Some(live) => add_live(&mut run, live),
        // Nobody owns it and it has no end: the end could not be written.
        None if summary.finished.is_none() => run.outcome = Outcome::Lost.into(),
        None => {}
    }
    Ok(Some((summary, run)))
}

fn add_live(run: &mut Run, (status, mark): (run::Status, Watermark)) {
    run.running_jobs = status.running;
    run.waiting_jobs = status.waiting;
    run.queue_position = status.queue_position;
    run.counts = status.counts;
    run.last_sequence = mark.sequence;
}

/// Runs what waits for the disk where that holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the server failed"))?
}
