//! PlanRun: what RunCommand would do with the same request.

use action_proto::v1::{PlanRunRequest, PlanRunResponse, PlannedJob};
use tonic::{Request, Response, Status};

use super::{
    FEATURES, GrpcService,
    planning::{as_run, plan_in_part, plan_shape, plan_whole},
    status,
};
use crate::{auth::policy::RunRequirements, catalogue, disk_lane::LANES};

pub(super) async fn plan_run(
    service: &GrpcService,
    request: Request<PlanRunRequest>,
) -> Result<Response<PlanRunResponse>, Status> {
    let access = service.doors.access_of(service.doors.caller(&request)?);
    let request = request.into_inner();
    let in_part = request.report_forbidden;
    let request = as_run(request);
    // The answer says what a run must bring, whatever this request brings.
    let (plan, judgement) = if in_part {
        plan_in_part(&access, &request, RunRequirements::NONE)?
    } else {
        plan_whole(&access, &request, RunRequirements::NONE)?
    };
    let (plan, digest) = if judgement.is_whole() {
        take_digest(service, plan, &request).await?
    } else {
        (plan, String::new())
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
        requires: owned(&judgement.missing.names()),
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
        features: FEATURES.map(str::to_owned).into(),
        digest,
    }))
}

async fn take_digest(
    service: &GrpcService,
    plan: catalogue::Plan,
    request: &action_proto::v1::RunCommandRequest,
) -> Result<(catalogue::Plan, String), Status> {
    let digests = service.plan_digests.clone();
    let shape = plan_shape(request);
    let taken = LANES.plans.run(move || {
        let files = digests.files(&plan);
        let files = files.map_err(|error| status::from_files(&error))?;
        let digest = digests.digest(&plan, &files.digest, &shape);
        Ok((plan, digest.to_string()))
    });
    taken
        .await
        .map_err(|error| Status::internal(error.to_string()))?
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
