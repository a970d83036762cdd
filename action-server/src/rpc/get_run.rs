//! GetRun: one run with each of its jobs.

use action_proto::v1::{GetRunRequest, GetRunResponse};
use tonic::{Request, Response, Status};

use super::{
    Service,
    runs::{self, Found, Wanted},
    status,
};

pub(super) async fn get_run(
    service: &Service,
    request: &Request<GetRunRequest>,
) -> Result<Response<GetRunResponse>, Status> {
    let caller = service.doors.caller(request)?;
    let Found { entry, run, .. } =
        runs::find(service, caller, &request.get_ref().run_id, Wanted::Reading).await?;
    let registry = service.runs.clone();
    let jobs = runs::blocking(move || {
        registry
            .jobs(&entry.id)
            .map_err(|error| status::from_record(&entry.id, &error))
    });
    Ok(Response::new(GetRunResponse {
        jobs: jobs.await?,
        run: Some(run),
    }))
}
