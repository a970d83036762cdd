//! CancelRun: asks a run to end, or makes it.

use action_proto::v1::{CancelRunRequest, CancelRunResponse, Outcome};
use tonic::{Request, Response, Status};

use super::{
    Service, access,
    runs::{self, Wanted},
};
use crate::run::{Stop, StopOrder};

pub(super) async fn cancel_run(
    service: &Service,
    request: &Request<CancelRunRequest>,
) -> Result<Response<CancelRunResponse>, Status> {
    let caller = access::caller(request)?;
    let request = request.get_ref();
    let (entry, run) = runs::find(service, caller, &request.run_id, Wanted::Cancelling).await?;
    if run.outcome() == Outcome::Unspecified {
        let stop = if request.force {
            Stop::Force
        } else {
            Stop::Cancel
        };
        let (subject, jti) = (&caller.subject, &caller.token_id);
        tracing::info!(run_id = %entry.id, subject, jti, force = request.force, "cancelled");
        service.runs.stop(
            &entry.id,
            StopOrder::new(stop, format!("cancelled by {subject}")),
        );
    }
    Ok(Response::new(CancelRunResponse { run: Some(run) }))
}
