//! The context of a run, which its jobs share, and limits of all runs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use action_proto::v1::{Outcome, OutcomeCount};

use crate::{
    audit::{Audit, AuditedCaller},
    catalogue::{CallerIdentity, Plan},
    file_digest::TreeSnapshot,
    process::Reaper,
    record::RunId,
    traces::Span,
};

/// Limits and settings of all runs.
#[derive(Debug)]
pub struct RunLimits {
    /// The most scripts at once on the whole server.
    pub job_threads: usize,
    /// The most live runs.
    pub live_runs: usize,
    /// The most live runs of one subject.
    pub runs_per_subject: usize,
    /// The most output of one job that is kept, in bytes, unless its command has a limit.
    pub output_per_job: u64,
    /// The most time of a run; `None` for no limit but those of its jobs.
    pub run_timeout: Option<Duration>,
    /// The time that a script has to end after TERM.
    pub kill_grace: Duration,
    /// The working directory of scripts.
    pub working_directory: PathBuf,
    /// Variables of every script.
    pub base_environment: Vec<(String, String)>,
}

/// One run, as its jobs see it.
#[derive(Debug)]
pub(super) struct RunContext {
    pub(super) run_id: RunId,
    pub(super) plan: Plan,
    /// The files of the plan, where the run is bound to it.
    pub(super) files: Option<TreeSnapshot>,
    pub(super) identity: CallerIdentity,
    pub(super) audited: AuditedCaller,
    pub(super) max_failures: Option<u32>,
    pub(super) limits: Arc<RunLimits>,
    pub(super) reaper: Reaper,
    pub(super) audit: Audit,
    /// True once the log has that a script of the run could not be started.
    pub(super) logged_start_failure: AtomicBool,
}

impl RunContext {
    /// The most output of one job that is kept; `None` for all.
    pub(super) fn output_limit(&self) -> Option<u64> {
        self.plan
            .command
            .output_limit
            .unwrap_or(Some(self.limits.output_per_job))
    }
}

/// How many jobs ended with which outcome, as the audit log has it.
pub(super) fn counts_by_label(counts: &[OutcomeCount]) -> BTreeMap<String, u32> {
    let labels = counts
        .iter()
        .map(|it| (it.outcome().label().to_owned(), it.count));
    labels.collect()
}

/// Appends to the message of a job's end.
pub(super) fn append_message(message: &mut String, more: &str) {
    if !message.is_empty() && !more.is_empty() {
        message.push_str("; ");
    }
    message.push_str(more);
}

/// Sets the outcome of a run's or job's span.
pub(super) fn set_span_outcome(span: &Span, outcome: Outcome, message: &str) {
    span.set("action.outcome", outcome.label());
    if outcome != Outcome::Ok {
        span.fail(message);
    }
}
