//! PlanRun: what RunCommand would do with the same request.

use action_proto::v1::{PlanRunRequest, PlanRunResponse, PlannedJob};
use tonic::{Request, Response, Status};

use super::{
    Service,
    access::{self, Access},
    planning::{lowered, plan},
};
use crate::catalogue;

pub(super) fn plan_run(
    service: &Service,
    request: Request<PlanRunRequest>,
) -> Result<Response<PlanRunResponse>, Status> {
    let access = Access::new(access::caller(&request)?, service.definitions.snapshot());
    let request = request.into_inner();
    let request = catalogue::Request {
        command: request.command,
        nodes: request.nodes,
        exclude: request.exclude,
        arguments: request.arguments,
        fanout: Some(request.fanout).filter(|&fanout| fanout > 0),
        timeout: lowered(request.timeout)?,
    };
    let plan = plan(&access, &request)?;
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
