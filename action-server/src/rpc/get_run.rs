//! GetRun: one run with its jobs, a page of them at a time.

use action_proto::v1::{GetRunRequest, GetRunResponse, Job};
use tonic::{Request, Response, Status};

use super::{
    Service,
    page::{JOBS, page},
    runs::{self, Found, Wanted},
    status,
};
use crate::disk_lane::LANES;

pub(super) async fn get_run(
    service: &Service,
    request: &Request<GetRunRequest>,
) -> Result<Response<GetRunResponse>, Status> {
    let caller = service.doors.caller(request)?;
    let asked = request.get_ref();
    let Found { entry, run, .. } =
        runs::find(service, caller, &asked.run_id, Wanted::Reading).await?;
    let registry = service.runs.clone();
    let jobs = runs::blocking(&LANES.callers, move || {
        registry
            .jobs(&entry.id)
            .map_err(|error| status::from_record(&entry.id, &error))
    });
    let (jobs, next_page_token) = page(
        &jobs.await?,
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
