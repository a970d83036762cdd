//! What the jobs of a run share, and what holds for all runs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use action_proto::v1::{Outcome, OutcomeCount};

use crate::{
    audit::{Audit, Who},
    catalogue::{Identity, Plan},
    file_digest::TreeSnapshot,
    process::Reaper,
    record::RunId,
    traces::Span,
};

/// What holds for all runs.
#[derive(Debug)]
pub struct Limits {
    /// The most jobs at once on the whole server.
    pub job_threads: usize,
    /// The most runs that live at once.
    pub live_runs: usize,
    /// The most of them of one subject.
    pub runs_per_subject: usize,
    /// The most output of one job that is kept, in bytes, unless its command says otherwise.
    pub output_per_job: u64,
    /// The longest that a run may take; `None` for no limit but its jobs' own.
    pub run_timeout: Option<Duration>,
    /// How long a script has after the first signal to end.
    pub kill_grace: Duration,
    /// Where scripts start.
    pub working_directory: PathBuf,
    /// What every script's environment starts from.
    pub base_environment: Vec<(String, String)>,
}

/// What the jobs of one run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) run_id: RunId,
    pub(super) plan: Plan,
    /// The files of the plan that the run is bound to.
    pub(super) files: Option<TreeSnapshot>,
    pub(super) identity: Identity,
    pub(super) who: Who,
    pub(super) max_failures: Option<u32>,
    pub(super) limits: Arc<Limits>,
    pub(super) reaper: Reaper,
    pub(super) audit: Audit,
    /// Whether the log has that a script of the run could not be started.
    pub(super) logged_start_failure: AtomicBool,
    /// The run's own, in which each job has one.
    pub(super) span: Span,
}

impl Shared {
    /// The most output of one job that is kept; `None` for all.
    pub(super) fn output_limit(&self) -> Option<u64> {
        self.plan
            .command
            .output_limit
            .unwrap_or(Some(self.limits.output_per_job))
    }
}

/// How many jobs ended with which outcome, as the audit log has it.
pub(super) fn labelled(counts: &[OutcomeCount]) -> BTreeMap<String, u32> {
    let labelled = counts
        .iter()
        .map(|it| (it.outcome().label().to_owned(), it.count));
    labelled.collect()
}

/// Adds to what is said of a job's end.
pub(super) fn say_too(message: &mut String, more: &str) {
    if !message.is_empty() && !more.is_empty() {
        message.push_str("; ");
    }
    message.push_str(more);
}

/// Says in a run's or job's span what became of it.
pub(super) fn tell_outcome(span: &Span, outcome: Outcome, message: &str) {
    span.set("action.outcome", outcome.label());
    if outcome != Outcome::Ok {
        span.fail(message);
    }
}
