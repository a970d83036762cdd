//! From a request to a plan that its caller may have: the one way there.

use std::time::Duration;

use action_proto::v1::{DetachPolicy, PlanRunRequest, RunCommandRequest};
use prost::Message as _;
use tonic::Status;

use super::{
    access::{CallerAccess, PlanJudgement},
    denial_audit,
};
use crate::{
    auth::policy::RunRequirements,
    catalogue::{self, Plan},
};

/// The longest reason, in bytes.
const REASON_LIMIT: usize = 1024;

/// The run that a request for a plan is about.
pub(super) fn as_run(request: PlanRunRequest) -> RunCommandRequest {
    RunCommandRequest {
        command: request.command,
        nodes: request.nodes,
        arguments: request.arguments,
        fanout: request.fanout,
        timeout: request.timeout,
        exclude: request.exclude,
        max_failures: request.max_failures,
        wait: request.wait,
        reason: request.reason,
        ..RunCommandRequest::default()
    }
}

/// What of a request shapes its run, in bytes that stay the same when fields are added and not set:
/// a field of protobuf is its number, its length and its value.
pub(super) fn plan_shape(request: &RunCommandRequest) -> Vec<u8> {
    let shaping = RunCommandRequest {
        // The plan has the nodes that these stand for.
        nodes: String::new(),
        exclude: String::new(),
        // These decide whether it runs, who asks and who listens, but not what runs.
        confirmed: false,
        expected_nodes: None,
        detach_policy: DetachPolicy::Unspecified.into(),
        request_username: String::new(),
        request_uid: String::new(),
        plan_digest: String::new(),
        ..request.clone()
    };
    shaping.encode_to_vec()
}

/// Plans what the caller may do. One node that it may not use is enough: then nothing is planned.
pub(super) fn plan_whole(
    access: &CallerAccess,
    request: &RunCommandRequest,
    brings: RunRequirements,
) -> Result<(Plan, PlanJudgement), Status> {
    let (plan, judgement) = plan_in_part(access, request, brings)?;
    if judgement.is_whole() {
        return Ok((plan, judgement));
    }
    let on = |nodes: String, before: &str, after: &str| match nodes.as_str() {
        "" => String::new(),
        nodes => format!("{before} on {nodes}{after}"),
    };
    let command = &plan.command.name;
    let forbidden = on(judgement.nodes(&plan, false), "", "");
    let rules = judgement.refusing.join(", ");
    let rest = on(judgement.nodes(&plan, true), " you may", ";");
    let text = format!("you may not run {command}{forbidden} ({rules});{rest} nothing was run");
    Err(denial_audit::denied_by(
        &rules,
        Status::permission_denied(text),
    ))
}

/// Plans a request whole, and judges what of it the caller may do.
pub(super) fn plan_in_part(
    access: &CallerAccess,
    request: &RunCommandRequest,
    brings: RunRequirements,
) -> Result<(Plan, PlanJudgement), Status> {
    check_reason(&request.reason)?;
    let request = catalogue::Request {
        command: request.command.clone(),
        nodes: request.nodes.clone(),
        exclude: request.exclude.clone(),
        arguments: request.arguments.clone(),
        fanout: Some(request.fanout).filter(|&fanout| fanout > 0),
        timeout: lowered(request.timeout)?,
        wait: request.wait,
    };
    access.check_command(&request.command)?;
    let plan = access.plan_run(&request)?;
    let judgement = access.judge_plan(&plan, brings);
    Ok((plan, judgement))
}

/// A reason is one line that can stand in a log, a table and an environment variable.
fn check_reason(reason: &str) -> Result<(), Status> {
    let invalid = |text: String| Err(Status::invalid_argument(text));
    if reason.len() > REASON_LIMIT {
        let length = reason.len();
        return invalid(format!(
            "the reason has {length} bytes, more than {REASON_LIMIT}"
        ));
    }
    if reason.chars().any(is_unseen) {
        return invalid("the reason has control characters; it must be one line of text".into());
    }
    // Blanks of all sorts, some of which count as letters.
    let is_seen = |c: char| c.is_alphanumeric() && !"\u{115f}\u{1160}\u{3164}\u{ffa0}".contains(c);
    if !reason.is_empty() && !reason.chars().any(is_seen) {
        return invalid("the reason is blank; say it in words".into());
    }
    Ok(())
}

/// Controls, separators of lines, and format characters that are not printed or that change how
/// others are. Not those that join letters in some scripts.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A caller's limit for each job.
fn lowered(limit: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
    let Some(limit) = limit else {
        return Ok(None);
    };
    // Two negative parts of great size overflow in the conversion.
    if limit.seconds < 0 || limit.nanos < 0 {
        return Err(Status::invalid_argument("the timeout is negative"));
    }
    match Duration::try_from(limit) {
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(Status::invalid_argument(
            "the timeout is negative or no time",
        )),
    }
}
