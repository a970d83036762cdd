//! CancelRun: asks a run to end, or makes it.

use action_proto::v1::{CancelRunRequest, CancelRunResponse, Outcome};
use tonic::{Request, Response, Status};

use super::{Service, access, get_run};
use crate::{
    record::RunId,
    run::{Stop, StopOrder},
};

pub(super) async fn cancel_run(
    service: &Service,
    request: &Request<CancelRunRequest>,
) -> Result<Response<CancelRunResponse>, Status> {
    let caller = access::caller(request)?;
    let request = request.get_ref();
    let run = get_run::visible(service, caller, &request.run_id).await?;
    if run.outcome() == Outcome::Unspecified {
        let run_id: RunId = run
            .run_id
            .parse()
            .map_err(|()| Status::internal("the run has no id"))?;
        let stop = if request.force {
            Stop::Force
        } else {
            Stop::Cancel
        };
        tracing::info!(%run_id, subject = caller.subject, force = request.force, "cancelled");
        service.runs.stop(
            &run_id,
            StopOrder::new(stop, format!("cancelled by {}", caller.subject)),
        );
    }
    Ok(Response::new(CancelRunResponse { run: Some(run) }))
}
