//! PlanRun: what RunCommand would do with the same request.

use action_proto::v1::{PlanRunRequest, PlanRunResponse, PlannedJob};
use tonic::{Request, Response, Status};

use super::{Service, access, run_command::lowered, status};
use crate::{
    auth::Caller,
    catalogue::{self, Catalogue, Plan},
};

pub(super) fn plan_run(
    service: &Service,
    request: Request<PlanRunRequest>,
) -> Result<Response<PlanRunResponse>, Status> {
    let caller = access::caller(&request)?.clone();
    let request = request.into_inner();
    let request = catalogue::Request {
        command: request.command,
        nodes: request.nodes,
        arguments: request.arguments,
        fanout: Some(request.fanout).filter(|&fanout| fanout > 0),
        timeout: lowered(request.timeout)?,
    };
    let plan = plan(&service.definitions.snapshot(), &caller, &request)?;
    let job = |job: &catalogue::PlannedJob| PlannedJob {
        node: job.node_name().to_owned(),
        rank: job.rank.clone(),
        script: plan.script_name(&job.script),
    };
    Ok(Response::new(PlanRunResponse {
        jobs: plan.jobs.iter().map(job).collect(),
        nodes: plan.nodes.clone(),
        confirmation: plan.confirmation.clone().unwrap_or_default(),
        fanout: plan.fanout,
        timeout: prost_types::Duration::try_from(plan.timeout).ok(),
    }))
}

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
