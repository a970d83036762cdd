//! The origin of a run: its caller, the rule that allows it, and what the record, the audit log and
//! the traces have of it before it starts.

use std::{collections::BTreeMap, io};

use action_proto::v1::{RunStarted, run_event::Event};
use thiserror::Error;

use crate::{
    audit::{
        AcceptedRun, Audit, AuditedArguments, AuditedCaller, AuditedNodes, FinishedRun, WriteTurn,
    },
    catalogue::{CallerIdentity, Plan, PlannedJob},
    file_digest::TreeSnapshot,
    record::{RunId, TooLong},
};

/// The caller of a run, and the conditions of its start.
#[derive(Debug, Clone, Default)]
pub struct RunOrigin {
    /// The identity that the token proves.
    pub identity: CallerIdentity,
    /// The same for the audit log.
    pub audited: AuditedCaller,
    /// The rule that allows it.
    pub rule: String,
    /// Each script that will be run, with its digest.
    pub scripts: BTreeMap<String, String>,
    /// The digest of the plan that the run is bound to.
    pub plan_digest: Option<String>,
    /// The files that the plan was made of, where the run is bound to it: a job starts only while they
    /// are the same.
    pub files: Option<TreeSnapshot>,
    /// The user name that the client gave for itself: a claim.
    pub claimed_username: String,
    /// The user id that the client gave for itself: a claim.
    pub claimed_uid: String,
    /// The number of jobs that may end other than OK before no more are started.
    pub max_failures: Option<u32>,
}

/// Why a run is not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The server is stopping.
    #[error("the server is stopping; try again later")]
    Stopping,
    /// Too many runs live.
    #[error("{0} runs are going on, the limit (limits.live_runs); try again later")]
    TooManyRuns(usize),
    /// Too many runs of the subject live.
    #[error("{0} runs of yours are going on, the limit (limits.runs_per_subject); try again later")]
    TooManyOfSubject(usize),
    /// The record could not hold the run's first event.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The record cannot be written.
    #[error("the run cannot be recorded, so it was not started")]
    Record(#[source] io::Error),
    /// The audit log cannot be written.
    #[error("the audit log cannot be written, so the run was not started")]
    Audit(#[source] io::Error),
}

impl RunOrigin {
    /// The first event of the run's record.
    pub(super) fn first_event(&self, plan: &Plan) -> Event {
        let names = plan.jobs.iter().map(PlannedJob::node_name);
        let nodes = if plan.command.help.has_context {
            names.map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        Event::RunStarted(RunStarted {
            command: plan.command.name.clone(),
            arguments: plan.arguments.clone(),
            subject: self.identity.username.clone(),
            nodes,
            request_username: self.claimed_username.clone(),
            request_uid: self.claimed_uid.clone(),
            fanout: plan.fanout,
            timeout: prost_types::Duration::try_from(plan.timeout).ok(),
            reason: self.identity.reason.clone(),
        })
    }

    /// Writes `run_accepted` to the audit log. The record comes first, so that an accepted run has one,
    /// and with it an end, whenever the server dies. If the line fails, the record is removed before a
    /// caller can find it.
    pub(super) async fn commit_audit(
        &self,
        audit: &Audit,
        turn: WriteTurn<'_>,
        run_id: &RunId,
        plan: &Plan,
    ) -> io::Result<()> {
        let accepted = AcceptedRun {
            run_id: run_id.to_string(),
            caller: self.audited.clone(),
            command: plan.command.name.clone(),
            nodes: AuditedNodes::of_run(&plan.nodes),
            arguments: AuditedArguments::new(plan.arguments.clone()),
            scripts: self.scripts.clone(),
            plan: self.plan_digest.clone(),
            rule: self.rule.clone(),
            reason: Some(self.identity.reason.clone()).filter(|reason| !reason.is_empty()),
        };
        if let Err(error) = turn.commit(accepted.into()).await {
            // The line may be in the file, where the disk took it and did not keep it: it needs
            // its end there. Where this fails too there was no room for either.
            let reason = format!("the audit log could not be written: {error}");
            let event = FinishedRun::never_started(run_id, reason);
            if let Ok(turn) = audit.reserve_turn().await {
                _ = turn.commit(event).await;
            }
            return Err(error);
        }
        Ok(())
    }
}
