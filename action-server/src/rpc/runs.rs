//! Runs as callers may see them: found by an id or its beginning, and described.

use std::sync::Arc;

use action_proto::{
    input::shown_run_id,
    v1::{Outcome, Run, RunStarted},
};
use tonic::{Code, Status};

use super::{Service, status};
use crate::{
    auth::{Caller, policy::Right},
    disk_lane::{DiskLane, LANES},
    record::{Entry, RunId, Summary},
    run::{LiveStatus, Registry},
};

/// So many runs at most are looked at for a text that is the beginning of their ids.
const CANDIDATES: usize = 1000;

/// What is wanted of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To see it.
    Reading,
    /// To cancel it.
    Cancelling,
}

/// A run that was found.
pub(super) struct Found {
    pub(super) entry: Arc<Entry>,
    pub(super) run: Run,
    pub(super) started: RunStarted,
    /// False for a run that the caller may cancel and not see.
    pub(super) is_visible: bool,
}

/// The run that `text` names, its id or the beginning of only its id, among those that the caller
/// may see: of others nothing is told, not even that they are there. One that it may only cancel is
/// found by its whole id.
pub(super) async fn find(
    service: &Service,
    caller: &Caller,
    text: &str,
    wanted: Wanted,
) -> Result<Found, Status> {
    let access = service.doors.access(caller);
    let text: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let runs = service.runs.clone();
    // Runs that live are known without the disk: no cancel waits for one that hangs.
    let entries = runs.matching(&text, CANDIDATES);
    let live = !entries.is_empty() && entries.iter().all(|it| runs.live_summary(&it.id).is_some());
    let look = move |is_live: bool| {
        let mut seen = Vec::new();
        let mut damaged = Ok(());
        for entry in runs.matching(&text, CANDIDATES) {
            let is_whole = entry.id.as_str() == text;
            let is_known = |run: &RunStarted| {
                access.reads(run)
                    || (wanted == Wanted::Cancelling && is_whole && access.cancels(run))
            };
            let described = match is_live {
                true => describe_live(&runs, &entry.id, is_known),
                false => describe(&runs, &entry.id, is_known),
            };
            match described {
                Ok(Some((summary, run))) => seen.push((entry, run, summary.started)),
                Ok(None) => {}
                Err(status) if status.code() == Code::Unavailable => return Err(status),
                // Whose a damaged record is cannot be read: only who named it whole, or may see
                // all, is told of it.
                Err(status) if access.reads_all() || is_whole => {
                    damaged = Err(status);
                }
                Err(_) => {}
            }
        }
        match seen.len() {
            0 => {
                damaged?;
                // Where no record can be read none is said not to be there, hidden or not.
                let readable = runs.check_readable();
                readable.map_err(|error| status::unreadable_now(&error))?;
                let why = access.unresolved(&[Right::ReadOwn, Right::ReadAny], None);
                Err(Status::not_found(format!(
                    "no such run: {}{why}",
                    shown_run_id(&text)
                )))
            }
            1 => {
                let (entry, run, started) = seen.remove(0);
                if wanted == Wanted::Cancelling && !access.cancels(&started) {
                    let command = Some(started.command.as_str());
                    let why = access.unresolved(&[Right::CancelOwn, Right::CancelAny], command);
                    let text = format!("you may see run {} but not cancel it{why}", entry.id);
                    return Err(Status::permission_denied(text));
                }
                Ok(Found {
                    is_visible: access.reads(&started),
                    entry,
                    run,
                    started,
                })
            }
            _ => {
                let ids: Vec<&str> = seen
                    .iter()
                    .take(5)
                    .map(|(entry, ..)| entry.id.as_str())
                    .collect();
                let text = format!(
                    "{text} is the beginning of more than one run's id: {}",
                    ids.join(", ")
                );
                Err(Status::invalid_argument(text))
            }
        }
    };
    if live {
        let found = look(true);
        if !matches!(&found, Err(status) if status.code() == Code::Unavailable) {
            return found;
        }
    }
    blocking(&LANES.callers, move || look(false)).await
}

/// A run as the API shows it, with its summary; `None` for one that is not to be known. Blocks for
/// the disk.
pub(super) fn describe(
    runs: &Registry,
    run_id: &RunId,
    is_known: impl Fn(&RunStarted) -> bool,
) -> Result<Option<(Summary, Run)>, Status> {
    let summary = runs.summary(run_id);
    let summary = summary.map_err(|error| status::from_record(run_id, &error))?;
    Ok(shown(summary, is_known))
}

/// The same for a run that lives, without the disk. Unavailable where it has ended.
fn describe_live(
    runs: &Registry,
    run_id: &RunId,
    is_known: impl Fn(&RunStarted) -> bool,
) -> Result<Option<(Summary, Run)>, Status> {
    let (summary, live) = runs
        .live_summary(run_id)
        .ok_or_else(|| Status::unavailable("the run has just ended"))?;
    Ok(shown((summary, Some(live)), is_known))
}

fn shown(
    (summary, live): (Summary, Option<LiveStatus>),
    is_known: impl Fn(&RunStarted) -> bool,
) -> Option<(Summary, Run)> {
    if !is_known(&summary.started) {
        return None;
    }
    let mut run = summary.to_run();
    match live {
        Some(live) => add_live(&mut run, live),
        // Nobody owns it and it has no end: the end could not be written.
        None if summary.finished.is_none() => run.outcome = Outcome::Lost.into(),
        None => {}
    }
    Some((summary, run))
}

fn add_live(run: &mut Run, live: LiveStatus) {
    let LiveStatus {
        status,
        last_sequence,
    } = live;
    run.running_jobs = status.running;
    run.waiting_jobs = status.waiting;
    run.queue_position = status.queue_position;
    run.counts = status.counts;
    run.last_sequence = last_sequence;
}

/// Runs what waits for the disk on a lane.
pub(super) async fn blocking<T: Send + 'static>(
    lane: &'static DiskLane,
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = lane.run(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}
