//! GetRun: one run with its jobs, a page of them at a time.

use action_proto::v1::{GetRunRequest, GetRunResponse, Job};
use tonic::{Request, Response, Status};

use super::{
    GrpcService,
    page::{JOBS, page},
    runs::{self, FoundRun, RunPurpose},
    status,
};

pub(super) async fn get_run(
    service: &GrpcService,
    request: &Request<GetRunRequest>,
) -> Result<Response<GetRunResponse>, Status> {
    let caller = service.doors.caller(request)?;
    let asked = request.get_ref();
    let FoundRun { entry, mut run, .. } =
        runs::find_run(service, caller, &asked.run_id, RunPurpose::Reading).await?;
    let (jobs, damage) = match entry.live_jobs() {
        Some(jobs) => (jobs, None),
        None => {
            let registry = service.runs.clone();
            let read = move || {
                let jobs = registry.jobs(&entry.id);
                jobs.map_err(|error| status::from_record(&entry.id, &error))
            };
            runs::run_blocking(read).await?
        }
    };
    if let Some(damage) = damage {
        run.message = damage;
    }
    let (jobs, next_page_token) = page(
        &jobs,
        |job| &job.node,
        Job::clone,
        asked.page_size,
        &asked.page_token,
        &JOBS,
    )?;
    Ok(Response::new(GetRunResponse {
        run: Some(run),
        jobs,
        next_page_token,
    }))
}
