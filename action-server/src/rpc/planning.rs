//! From a request to a plan that its caller may have: the one way there.

use std::time::Duration;

use tonic::Status;

use super::{
    access::{Access, Judgement},
    denial_audit, status,
};
use crate::catalogue::{Plan, Request};

/// Plans what the caller may do. One node that it may not use is enough: then nothing is planned.
pub(super) fn plan(access: &Access, request: &Request) -> Result<(Plan, Judgement), Status> {
    let (plan, judgement) = plan_in_part(access, request)?;
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
    access: &Access,
    request: &Request,
) -> Result<(Plan, Judgement), Status> {
    access.check_command(&request.command)?;
    access.check_selection(request)?;
    let plan = access
        .catalogue()
        .plan(request)
        .map_err(|error| status::from_plan(&error))?;
    let judgement = access.judge(&plan);
    Ok((plan, judgement))
}

/// A caller's limit for each job.
pub(super) fn lowered(limit: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
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
