//! CancelRun: asks a run to end, or makes it.

use action_proto::v1::{CancelRunRequest, CancelRunResponse, Outcome, Run};
use tonic::{Request, Response, Status};

use super::{
    GrpcService, denial_audit,
    runs::{self, FoundRun, RunPurpose},
};
use crate::{
    audit::Event,
    run::{StopKind, StopOrder},
};

pub(super) async fn cancel_run(
    service: &GrpcService,
    request: &Request<CancelRunRequest>,
) -> Result<Response<CancelRunResponse>, Status> {
    let caller = service.doors.caller(request)?;
    let audited = denial_audit::audited_caller(request);
    let request = request.get_ref();
    let FoundRun {
        entry,
        run,
        is_visible,
        ..
    } = runs::find_run(service, caller, &request.run_id, RunPurpose::Cancelling).await?;
    if run.outcome() == Outcome::Unspecified {
        let stop = if request.force {
            StopKind::Force
        } else {
            StopKind::Cancel
        };
        let event = Event::RunCancelled {
            run_id: entry.id.to_string(),
            caller: audited,
            reason: request.force.then_some("by force"),
        };
        let order = StopOrder::new(stop, format!("cancelled by {}", caller.subject));
        // The line first, so that it stands before the run's end. A log that hangs holds up no
        // cancel.
        service.audit.note(event);
        service.runs.stop(&entry.id, order);
    }
    let run = match is_visible {
        true => run,
        // The right to cancel is none to see.
        false => Run {
            run_id: run.run_id,
            ..Run::default()
        },
    };
    Ok(Response::new(CancelRunResponse { run: Some(run) }))
}
