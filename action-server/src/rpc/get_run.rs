//! GetRun: one run with each of its jobs.

use action_proto::v1::{GetRunRequest, GetRunResponse, Run};
use tonic::{Request, Response, Status};

use super::{Service, access, status};
use crate::{
    auth::Caller,
    catalogue::Catalogue,
    record::{RunId, Summary, Watermark},
    run::{self, FindError, Registry},
};

pub(super) async fn get_run(
    service: &Service,
    request: &Request<GetRunRequest>,
) -> Result<Response<GetRunResponse>, Status> {
    let run = visible(service, access::caller(request)?, &request.get_ref().run_id).await?;
    let (runs, run_id) = (service.runs.clone(), run.run_id.clone());
    let jobs = blocking(move || match runs.find(&run_id) {
        Ok(entry) => runs
            .jobs(&entry.id)
            .map_err(|error| status::from_record(&entry.id, &error)),
        Err(error) => Err(status::from_find(&error)),
    });
    Ok(Response::new(GetRunResponse {
        jobs: jobs.await?,
        run: Some(run),
    }))
}

/// The run that `text` names, when the caller may see it.
pub(super) async fn visible(service: &Service, caller: &Caller, text: &str) -> Result<Run, Status> {
    let catalogue = service.definitions.snapshot();
    let (runs, caller, text) = (service.runs.clone(), caller.clone(), text.to_owned());
    blocking(move || {
        let entry = runs
            .find(&text)
            .map_err(|error| status::from_find(&error))?;
        match describe(&runs, &caller, &catalogue, &entry.id)? {
            Some((_, run)) => Ok(run),
            None => Err(status::from_find(&FindError::Unknown(text))),
        }
    })
    .await
}

/// A run as the API shows it, with its summary; `None` when the caller may not see it. Blocks for
/// the disk.
pub(super) fn describe(
    runs: &Registry,
    caller: &Caller,
    catalogue: &Catalogue,
    run_id: &RunId,
) -> Result<Option<(Summary, Run)>, Status> {
    let (summary, live) = runs
        .summary(run_id)
        .map_err(|error| status::from_record(run_id, &error))?;
    if !access::run(caller, catalogue, &summary.started) {
        return Ok(None);
    }
    let mut run = summary.to_run();
    if let Some(live) = live {
        add_live(&mut run, live);
    }
    Ok(Some((summary, run)))
}

fn add_live(run: &mut Run, (status, mark): (run::Status, Watermark)) {
    run.running_jobs = status.running;
    run.waiting_jobs = status.waiting;
    run.counts = status.counts;
    run.last_sequence = mark.sequence;
}

/// Runs what waits for the disk where that holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the server failed"))?
}
