//! From a request to a plan that its caller may have: the one way there.

use std::time::Duration;

use tonic::Status;

use super::{access, status};
use crate::{
    auth::Caller,
    catalogue::{self, Catalogue, Plan},
};

/// Plans what the caller may do: the one way from a request to a plan.
pub(super) fn plan(
    catalogue: &Catalogue,
    caller: &Caller,
    request: &catalogue::Request,
) -> Result<Plan, Status> {
    access::command(caller, &request.command)?;
    let plan = catalogue
        .plan(request)
        .map_err(|error| status::from_plan(&error))?;
    access::plan(caller, catalogue, &plan)?;
    Ok(plan)
}

/// A caller's limit for each job.
pub(super) fn lowered(limit: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
    let Some(limit) = limit else { return Ok(None) };
    match Duration::try_from(limit) {
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(Status::invalid_argument(
            "the timeout is negative or no time",
        )),
    }
}
