//! PlanRun: what RunCommand would do with the same request.

use action_proto::v1::{PlanRunRequest, PlanRunResponse, PlannedJob};
use tonic::{Request, Response, Status};

use super::{
    Service, access,
    planning::{lowered, plan},
};
use crate::catalogue;

pub(super) fn plan_run(
    service: &Service,
    request: Request<PlanRunRequest>,
) -> Result<Response<PlanRunResponse>, Status> {
    let caller = access::caller(&request)?.clone();
    let request = request.into_inner();
    let request = catalogue::Request {
        command: request.command,
        nodes: request.nodes,
        exclude: request.exclude,
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
