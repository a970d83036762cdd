//! From a request to a plan that its caller may have: the one way there.

use std::time::Duration;

use tonic::Status;

use super::{access::Access, status};
use crate::catalogue::{self, Plan};

/// Plans what the caller may do: the one way from a request to a plan.
pub(super) fn plan(access: &Access, request: &catalogue::Request) -> Result<Plan, Status> {
    access.check_command(&request.command)?;
    let plan = access
        .catalogue()
        .plan(request)
        .map_err(|error| status::from_plan(&error))?;
    access.check_plan(&plan)?;
    Ok(plan)
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
