//! RunCommand: plan, start, and stream the record from its beginning.

use std::collections::BTreeMap;

use action_proto::v1::{DetachPolicy, RunCommandRequest, RunCommandResponse, RunStarted};
use tonic::{Request, Response, Status};

use super::{
    GrpcService, denial_audit,
    events::{self, CancelOnDrop, GuardedRun, MessageStream},
    planning::{plan_shape, plan_whole},
    status,
};
use crate::{
    audit::AuditedCaller,
    auth::{Caller, policy::RunRequirements},
    catalogue::{CallerIdentity, Plan},
    definitions::{Definitions, PlanDigest, PlanDigests, PlanScriptError},
    disk_lane::LANES,
    file_digest::TreeSnapshot,
    run::{PreparedRun, RunOrigin},
};

/// The longest user name or id that a client may give for itself, in bytes.
const CLAIM_LIMIT: usize = 256;

pub(super) async fn run_command(
    service: &GrpcService,
    request: Request<RunCommandRequest>,
) -> Result<Response<MessageStream<RunCommandResponse>>, Status> {
    let caller = service.doors.caller(&request)?.clone();
    let audited = denial_audit::audited_caller(&request);
    let request = request.into_inner();
    let cancel_when_gone = request.detach_policy == DetachPolicy::Cancel as i32;
    let checked = check_request(service, &caller, audited, request);
    let checked = checked.map_err(status::nothing_started)?;
    let place = service
        .stream_place(&caller)
        .map_err(status::nothing_started)?;
    let audited = checked.starter.audited.clone();
    let started = cancel_when_gone.then(|| identify_run(&checked.plan, &caller));
    let prepared = prepare_run(service, checked).await?;
    // From here to the answer nothing is awaited, here and in the layers around: a call is dropped
    // where it waits, and a caller whose call is dropped learns that it failed.
    let (run_id, reader) = prepared.launch();
    let guard = started.map(|started| {
        CancelOnDrop::new(GuardedRun {
            runs: service.runs.clone(),
            audit: service.audit.clone(),
            run_id: run_id.clone(),
            started,
            audited,
            caller,
            doors: service.doors.clone(),
        })
    });
    let events = events::cancel_when_gone(events::stream_events(reader, &run_id), guard);
    let message = |event| RunCommandResponse { event };
    Ok(events::stream_response(&run_id, place, events, message))
}

/// What rules about runs are asked of.
fn identify_run(plan: &Plan, caller: &Caller) -> RunStarted {
    let nodes = plan.jobs.iter().filter_map(|job| job.node.as_ref());
    RunStarted {
        command: plan.command.name.clone(),
        subject: caller.subject.clone(),
        nodes: nodes.map(|node| node.name.clone()).collect(),
        ..RunStarted::default()
    }
}

/// A run that nothing but the disk can refuse any more.
struct CheckedRun {
    plan: Plan,
    starter: RunOrigin,
    bound_to: Option<PlanBinding>,
    /// The command that prints the nodes' state, where the caller may not see it.
    hidden_teller: Option<String>,
}

/// The plan that a run must be.
struct PlanBinding {
    expected: PlanDigest,
    /// What else of the request shapes the run.
    shape: Vec<u8>,
}

impl PlanBinding {
    fn of(request: &RunCommandRequest) -> Result<Option<PlanBinding>, Status> {
        if request.plan_digest.is_empty() {
            return Ok(None);
        }
        let expected = request.plan_digest.parse::<PlanDigest>();
        let expected =
            expected.map_err(|error| Status::invalid_argument(format!("plan_digest: {error}")))?;
        let shape = plan_shape(request);
        Ok(Some(PlanBinding { expected, shape }))
    }

    /// Refuses another plan than the expected one. Returns the files that it is made of. Blocks for
    /// the disk.
    fn check(&self, digests: &PlanDigests, plan: &Plan) -> Result<TreeSnapshot, Status> {
        let files = digests.files(plan);
        let files = files.map_err(|error| status::from_files(&error))?;
        let now = digests.digest(plan, &files.digest, &self.shape);
        match self.expected.differences(&now).as_slice() {
            [] => Ok(files),
            parts => Err(status::plan_changed(parts)),
        }
    }
}

/// All that can refuse a run before the disk is asked.
fn check_request(
    service: &GrpcService,
    caller: &Caller,
    audited: AuditedCaller,
    request: RunCommandRequest,
) -> Result<CheckedRun, Status> {
    let access = service.doors.access_of(caller);
    check_claims(&request)?;
    let bound_to = PlanBinding::of(&request)?;
    let brings = RunRequirements {
        reason: !request.reason.is_empty(),
        plan: bound_to.is_some(),
    };
    let (plan, judgement) = plan_whole(&access, &request, brings)?;
    let rule = judgement.allowing.join(", ");
    check_brings(&rule, judgement.missing)?;
    check_agreed(&plan, request.confirmed, request.expected_nodes)?;
    let starter = RunOrigin {
        identity: CallerIdentity {
            username: caller.subject.clone(),
            uid: caller.uid,
            reason: request.reason,
        },
        audited,
        rule,
        scripts: BTreeMap::new(),
        plan_digest: bound_to.as_ref().map(|it| it.expected.to_string()),
        files: None,
        claimed_username: request.request_username,
        claimed_uid: request.request_uid,
        max_failures: Some(request.max_failures).filter(|&most| most > 0),
    };
    let teller = plan.waiting.as_ref().map(|it| it.verify.command.clone());
    Ok(CheckedRun {
        hidden_teller: teller.filter(|name| !access.sees_command(name)),
        plan,
        starter,
        bound_to,
    })
}

/// Prepares a run. Dropped where it waits for the disk, it leaves nothing.
async fn prepare_run(service: &GrpcService, checked: CheckedRun) -> Result<PreparedRun, Status> {
    let waiting = WaitingCaller {
        command: Some(checked.plan.command.name.clone()),
    };
    let definitions = service.doors.definitions.clone();
    let plan_digests = service.plan_digests.clone();
    let checked = LANES.starts.run(move || {
        let CheckedRun {
            plan,
            mut starter,
            bound_to,
            hidden_teller,
        } = checked;
        starter.scripts = check_scripts(&definitions, &plan, hidden_teller.as_deref())?;
        if let Some(binding) = bound_to {
            starter.files = Some(binding.check(&plan_digests, &plan)?);
        }
        Ok((plan, starter))
    });
    let checked = checked
        .await
        .unwrap_or_else(|error| Err(Status::internal(error.to_string())));
    let (plan, starter) = match checked {
        Ok(checked) => checked,
        Err(status) => {
            waiting.answer();
            return Err(status::nothing_started(status));
        }
    };
    let prepared = service.runs.prepare(plan, starter).await;
    waiting.answer();
    prepared.map_err(|error| status::nothing_started(status::from_start(&error)))
}

/// A caller who waits for the disk to keep a run, and may go away before. Who left does not expect a run,
/// and may have asked again.
struct WaitingCaller {
    /// `None` once it is answered.
    command: Option<String>,
}

impl WaitingCaller {
    fn answer(mut self) {
        self.command = None;
    }
}

impl Drop for WaitingCaller {
    fn drop(&mut self) {
        if let Some(command) = &self.command {
            tracing::info!(command, "a caller went away before its run was started");
        }
    }
}

/// Refuses a run that does not bring what the rules that allow it require.
fn check_brings(rule: &str, missing: RunRequirements) -> Result<(), Status> {
    if missing.is_empty() {
        return Ok(());
    }
    let required = missing.names().join(" and --");
    let text = format!("the policy ({rule}) requires --{required}; nothing was run");
    Err(denial_audit::denied_by(
        rule,
        Status::permission_denied(text),
    ))
}

/// Whatever the caller saw before must be what will run, and be wanted.
fn check_agreed(plan: &Plan, confirmed: bool, expected: Option<u32>) -> Result<(), Status> {
    let count = plan.jobs.iter().filter(|job| job.node.is_some()).count();
    if let Some(expected) = expected.filter(|&expected| expected as usize != count) {
        let text =
            format!("{expected} nodes were expected and {count} are selected; nothing was run");
        return Err(Status::failed_precondition(text));
    }
    match &plan.confirmation {
        Some(question) if !confirmed => {
            let between = if question.contains('\n') { '\n' } else { ' ' };
            let text = format!("the command asks for a confirmation:{between}{question}");
            Err(Status::failed_precondition(text))
        }
        _ => Ok(()),
    }
}

/// A script that is gone or cannot run refuses the run whole, before any other is started.
/// Returns each one's digest.
fn check_scripts(
    definitions: &Definitions,
    plan: &Plan,
    hidden_teller: Option<&str>,
) -> Result<BTreeMap<String, String>, Status> {
    let is_hidden = |script: &str| {
        let command = script.split('/').next();
        command == hidden_teller && command != Some(&plan.command.name)
    };
    definitions.check_scripts(plan).map_err(|error| {
        tracing::warn!(%error, "a run was refused");
        match error {
            PlanScriptError::Unusable { script, .. } if is_hidden(&script) => {
                status::broken_teller(&plan.command.name)
            }
            // The reason may hold a path; callers get the script's name only.
            PlanScriptError::Unusable { script, .. } => Status::failed_precondition(format!(
                "the script {script} cannot be run; ask the admin to run: action-server check"
            )),
            PlanScriptError::Transient(_) => {
                Status::unavailable("the server cannot read the scripts now; try again later")
            }
        }
    })
}

fn check_claims(request: &RunCommandRequest) -> Result<(), Status> {
    let long = |text: &str| text.len() > CLAIM_LIMIT || text.contains('\0');
    if long(&request.request_username) || long(&request.request_uid) {
        Err(Status::invalid_argument(
            "request_username or request_uid is too long",
        ))
    } else {
        Ok(())
    }
}
