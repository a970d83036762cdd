//! Runs of callers: found by an id or its prefix, and described.

use std::sync::Arc;

use action_proto::{
    input::shown_run_id,
    v1::{Outcome, Run, RunStarted},
};
use prost_types::Timestamp;
use tonic::Status;

use super::{
    GrpcService,
    access::{CallerAccess, RunAction},
    status,
    verdicts::RunVerdicts,
};
use crate::{
    auth::{Caller, policy::Right},
    disk_lane::LANES,
    record::{RecordEntry, RecordFault, RecordState, RunId, RunSummary, RunTexts},
    run::{LiveStatus, RunRegistry},
};

/// So many runs are looked up at once.
const PART: usize = 1000;
/// The most IDs in the error for an ambiguous prefix.
const OFFERED: usize = 5;

/// Why a run is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunPurpose {
    /// To see it.
    Reading,
    /// To cancel it.
    Cancelling,
}

/// A run that was found.
pub(super) struct FoundRun {
    pub(super) entry: Arc<RecordEntry>,
    pub(super) run: Run,
    /// The command, the nodes and the subject, for the rules.
    pub(super) started: RunStarted,
    /// False for a run that the caller may cancel and not see.
    pub(super) is_visible: bool,
}

/// The run that `text` names, by its ID or an unambiguous prefix, among those that the caller may see.
/// Others count as missing. A run that the caller may only cancel is found by its whole ID.
pub(super) async fn find_run(
    service: &GrpcService,
    caller: &Caller,
    text: &str,
    wanted: RunPurpose,
) -> Result<FoundRun, Status> {
    let text: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let search = RunSearch {
        runs: service.runs.clone(),
        access: service.doors.access_of(caller),
        is_whole: text.parse::<RunId>().is_ok(),
        text,
        wanted,
    };
    // Nothing that waits keeps a caller from a run whose whole id it has.
    let (search, found) = if search.is_whole {
        let found = search.search_runs(false);
        (search, found)
    } else {
        let look_up = move || {
            let found = search.search_runs(false);
            Ok((search, found))
        };
        run_in_memory(look_up).await?
    };
    let (search, entry) = match found? {
        RunLookup::Found(entry) => (search, entry),
        // A record that could not be read before: it is tried again.
        RunLookup::NeedsDisk => {
            let look_up = move || match search.search_runs(true)? {
                RunLookup::Found(entry) => Ok((search, entry)),
                RunLookup::NeedsDisk => {
                    Err(status::unreadable_now(&std::io::ErrorKind::Other.into()))
                }
            };
            run_blocking(look_up).await?
        }
    };
    search.describe_found(entry).await
}

/// The lookup of a run.
struct RunSearch {
    runs: RunRegistry,
    access: CallerAccess,
    text: String,
    /// True for a text that is a whole id.
    is_whole: bool,
    wanted: RunPurpose,
}

enum RunLookup {
    Found(Arc<RecordEntry>),
    /// The answer depends on a record that could not be read before.
    NeedsDisk,
}

impl RunSearch {
    /// Looks through the runs whose ids begin so. Blocks for the disk only where it may.
    fn search_runs(&self, may_block: bool) -> Result<RunLookup, Status> {
        let index = self.runs.index();
        let mut verdicts = RunVerdicts::new(&self.access);
        let (mut seen, mut fault) = (Vec::new(), None);
        let mut after = None;
        while seen.len() <= OFFERED {
            let part = index.find(&self.text, after, PART);
            let Some(last) = part.last() else { break };
            after = Some(last.id.clone());
            for entry in part {
                if entry.known().is_none() && !may_block {
                    return Ok(RunLookup::NeedsDisk);
                }
                match index.summary(&entry) {
                    Ok(RecordState::Run(summary)) if self.is_known(&mut verdicts, summary) => {
                        seen.push(entry);
                    }
                    Ok(RecordState::Run(_)) => {}
                    // The subject of a damaged record cannot be read: only callers who may see all runs see it.
                    Ok(RecordState::Fault(found)) => {
                        if self.access.reads_all() {
                            fault = Some((entry.id.clone(), *found));
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(status::from_record(&entry.id, &error)),
                }
            }
        }
        match (seen.len(), fault) {
            (1, _) => Ok(RunLookup::Found(seen.remove(0))),
            (0, Some((id, fault))) => Err(status::from_fault(&id, fault)),
            (0, None) => {
                let why = self
                    .access
                    .unresolved_note(&[Right::ReadOwn, Right::ReadAny], None);
                let text = shown_run_id(&self.text);
                Err(Status::not_found(format!("no such run: {text}{why}")))
            }
            _ => {
                let ids = seen.iter().take(OFFERED).map(|entry| entry.id.as_str());
                let ids = ids.collect::<Vec<_>>().join(", ");
                let text = &self.text;
                Err(Status::invalid_argument(format!(
                    "{text} is the beginning of more than one run's id: {ids}"
                )))
            }
        }
    }

    fn is_known(&self, verdicts: &mut RunVerdicts<'_>, run: &RunSummary) -> bool {
        let is_cancelled_unseen = self.wanted == RunPurpose::Cancelling && self.is_whole;
        verdicts.may(RunAction::Read, run)
            || (is_cancelled_unseen && verdicts.may(RunAction::Cancel, run))
    }

    async fn describe_found(self, entry: Arc<RecordEntry>) -> Result<FoundRun, Status> {
        let Some(summary) = entry.summary() else {
            return Err(status::from_fault(&entry.id, RecordFault::Damaged));
        };
        let started = summary.identified();
        if self.wanted == RunPurpose::Cancelling && !self.access.may_cancel(&started) {
            let command = Some(started.command.as_str());
            let rights = [Right::CancelOwn, Right::CancelAny];
            let why = self.access.unresolved_note(&rights, command);
            let text = format!("you may see run {} but not cancel it{why}", entry.id);
            return Err(Status::permission_denied(text));
        }
        let texts = match (summary.texts(), self.wanted) {
            (Some(texts), _) => texts.clone(),
            // No disk holds up a cancel.
            (None, RunPurpose::Cancelling) => RunTexts::default(),
            (None, RunPurpose::Reading) => {
                let (runs, entry) = (self.runs.clone(), Arc::clone(&entry));
                let read = move || {
                    let texts = runs.texts(&entry);
                    texts.map_err(|error| status::from_record(&entry.id, &error))
                };
                run_blocking(read).await?
            }
        };
        Ok(FoundRun {
            is_visible: self.access.may_read(&started),
            run: describe_run(&self.runs, summary, texts),
            entry,
            started,
        })
    }
}

/// A run as the API shows it.
pub(super) fn describe_run(runs: &RunRegistry, summary: &RunSummary, texts: RunTexts) -> Run {
    // In this order: a run that ends in between has its end in the summary.
    let live = runs.status(&summary.id);
    let mut run = summary.to_run(texts);
    match live {
        _ if summary.finished().is_some() => {}
        Some(LiveStatus {
            status,
            last_sequence,
        }) => {
            run.running_jobs = status.running;
            run.waiting_jobs = status.waiting;
            run.queue_position = status.queue_position;
            run.counts = status.counts;
            run.last_sequence = last_sequence;
        }
        // It has neither owner nor end: the end could not be written.
        None => run.outcome = Outcome::Lost.into(),
    }
    run
}

/// A run whose record is damaged, for callers who may see all runs.
pub(super) fn describe_fault(entry: &RecordEntry, fault: RecordFault) -> Run {
    let millis = i64::try_from(entry.time).unwrap_or(i64::MAX);
    Run {
        run_id: entry.id.to_string(),
        start_time: Some(Timestamp {
            seconds: millis / 1000,
            nanos: i32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
        }),
        outcome: Outcome::Lost.into(),
        message: fault.to_string(),
        ..Run::default()
    }
}

/// Runs work that waits for the disk, on the lane of callers' requests.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = LANES.callers.run(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}

/// Runs short work that needs no disk, on a lane that no disk holds up.
pub(super) async fn run_in_memory<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = LANES.lookups.run(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}
