//! Runs as callers may see them: found by an id or its beginning, and described.

use std::sync::Arc;

use action_proto::{
    input::shown_run_id,
    v1::{Outcome, Run, RunStarted},
};
use prost_types::Timestamp;
use tonic::Status;

use super::{
    Service,
    access::{Access, RunAction},
    status,
    verdicts::Verdicts,
};
use crate::{
    auth::{Caller, policy::Right},
    disk_lane::LANES,
    record::{RecordEntry, RecordFault, RecordState, RunId, RunSummary, RunTexts},
    run::{LiveStatus, RunRegistry},
};

/// So many runs are looked up at once.
const PART: usize = 1000;
/// So many ids are offered for a text that is the beginning of several.
const OFFERED: usize = 5;

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
    pub(super) entry: Arc<RecordEntry>,
    pub(super) run: Run,
    /// What rules are asked of.
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
    let text: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let search = Search {
        runs: service.runs.clone(),
        access: service.doors.access(caller),
        is_whole: text.parse::<RunId>().is_ok(),
        text,
        wanted,
    };
    // Nothing that waits keeps a caller from a run whose whole id it has.
    let (search, found) = match search.is_whole {
        true => {
            let found = search.find(false);
            (search, found)
        }
        false => {
            let look_up = move || {
                let found = search.find(false);
                Ok((search, found))
            };
            in_memory(look_up).await?
        }
    };
    let (search, entry) = match found? {
        Answer::Found(entry) => (search, entry),
        // A record that could not be read before: it is tried again.
        Answer::NeedsDisk => {
            let look_up = move || match search.find(true)? {
                Answer::Found(entry) => Ok((search, entry)),
                Answer::NeedsDisk => Err(status::unreadable_now(&std::io::ErrorKind::Other.into())),
            };
            blocking(look_up).await?
        }
    };
    search.describe(entry).await
}

/// What a caller looks for.
struct Search {
    runs: RunRegistry,
    access: Access,
    text: String,
    /// True for a text that is a whole id.
    is_whole: bool,
    wanted: Wanted,
}

enum Answer {
    Found(Arc<RecordEntry>),
    /// The answer depends on a record that could not be read before.
    NeedsDisk,
}

impl Search {
    /// Looks through the runs whose ids begin so. Blocks for the disk only where it may.
    fn find(&self, may_block: bool) -> Result<Answer, Status> {
        let index = self.runs.index();
        let mut verdicts = Verdicts::new(&self.access);
        let (mut seen, mut fault) = (Vec::new(), None);
        let mut after = None;
        while seen.len() <= OFFERED {
            let part = index.find(&self.text, after, PART);
            let Some(last) = part.last() else { break };
            after = Some(last.id.clone());
            for entry in part {
                if entry.known().is_none() && !may_block {
                    return Ok(Answer::NeedsDisk);
                }
                match index.summary(&entry) {
                    Ok(RecordState::Run(summary)) if self.is_known(&mut verdicts, summary) => {
                        seen.push(entry);
                    }
                    Ok(RecordState::Run(_)) => {}
                    // Whose a damaged record is cannot be read: only callers who may see all are told of it.
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
            (1, _) => Ok(Answer::Found(seen.remove(0))),
            (0, Some((id, fault))) => Err(status::from_fault(&id, fault)),
            (0, None) => {
                let why = self
                    .access
                    .unresolved(&[Right::ReadOwn, Right::ReadAny], None);
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

    fn is_known(&self, verdicts: &mut Verdicts<'_>, run: &RunSummary) -> bool {
        let is_cancelled_unseen = self.wanted == Wanted::Cancelling && self.is_whole;
        verdicts.may(RunAction::Read, run)
            || (is_cancelled_unseen && verdicts.may(RunAction::Cancel, run))
    }

    async fn describe(self, entry: Arc<RecordEntry>) -> Result<Found, Status> {
        let Some(summary) = entry.summary() else {
            return Err(status::from_fault(&entry.id, RecordFault::Damaged));
        };
        let started = summary.identified();
        if self.wanted == Wanted::Cancelling && !self.access.cancels(&started) {
            let command = Some(started.command.as_str());
            let rights = [Right::CancelOwn, Right::CancelAny];
            let why = self.access.unresolved(&rights, command);
            let text = format!("you may see run {} but not cancel it{why}", entry.id);
            return Err(Status::permission_denied(text));
        }
        let texts = match (summary.texts(), self.wanted) {
            (Some(texts), _) => texts.clone(),
            // No disk holds up a cancel.
            (None, Wanted::Cancelling) => RunTexts::default(),
            (None, Wanted::Reading) => {
                let (runs, entry) = (self.runs.clone(), Arc::clone(&entry));
                let read = move || {
                    let texts = runs.texts(&entry);
                    texts.map_err(|error| status::from_record(&entry.id, &error))
                };
                blocking(read).await?
            }
        };
        Ok(Found {
            is_visible: self.access.reads(&started),
            run: describe(&self.runs, summary, texts),
            entry,
            started,
        })
    }
}

/// A run as the API shows it.
pub(super) fn describe(runs: &RunRegistry, summary: &RunSummary, texts: RunTexts) -> Run {
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
        // Nobody owns it and it has no end: the end could not be written.
        None => run.outcome = Outcome::Lost.into(),
    }
    run
}

/// What is known of a run whose record is damaged, for callers who may see all.
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

/// Runs what waits for the disk on the lane of callers' requests.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = LANES.callers.run(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}

/// Runs what takes a moment and waits for no disk on a lane that no disk holds up.
pub(super) async fn in_memory<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = LANES.lookups.run(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}
