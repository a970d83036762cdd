//! PlanRun: what RunCommand would do with the same request.

use action_proto::v1::{PlanRunRequest, PlanRunResponse, PlannedJob};
use tonic::{Request, Response, Status};

use super::{
    Service,
    planning::{lowered, plan, plan_in_part},
};
use crate::catalogue;

pub(super) fn plan_run(
    service: &Service,
    request: Request<PlanRunRequest>,
) -> Result<Response<PlanRunResponse>, Status> {
    let access = service.doors.access(service.doors.caller(&request)?);
    let request = request.into_inner();
    let in_part = request.report_forbidden;
    let request = catalogue::Request {
        command: request.command,
        nodes: request.nodes,
        exclude: request.exclude,
        arguments: request.arguments,
        fanout: Some(request.fanout).filter(|&fanout| fanout > 0),
        timeout: lowered(request.timeout)?,
        wait: request.wait,
    };
    let (plan, judgement) = match in_part {
        true => plan_in_part(&access, &request)?,
        false => plan(&access, &request)?,
    };
    let job = |job: &catalogue::PlannedJob| PlannedJob {
        node: job.node_name().to_owned(),
        rank: job.rank.clone(),
        script: plan.script_name(&job.script),
    };
    Ok(Response::new(PlanRunResponse {
        nodes: judgement.nodes(&plan, true),
        forbidden_nodes: judgement.nodes(&plan, false),
        waits_for: plan
            .waiting
            .as_ref()
            .map(|waiting| waiting.verify.until.clone())
            .unwrap_or_default(),
        permitted: judgement.is_whole(),
        rules: [&judgement.allowing[..], &judgement.refusing].concat(),
        jobs: plan
            .jobs
            .iter()
            .zip(&judgement.allowed)
            .filter(|(_, allowed)| **allowed)
            .map(|(planned, _)| job(planned))
            .collect(),
        confirmation: plan.confirmation.clone().unwrap_or_default(),
        fanout: plan.fanout,
        timeout: prost_types::Duration::try_from(plan.timeout).ok(),
    }))
}
