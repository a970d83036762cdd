//! CancelRun: asks a run to end, or makes it.

use action_proto::v1::{CancelRunRequest, CancelRunResponse, Outcome, Run};
use tonic::{Request, Response, Status};

use super::{
    Service, denial_audit,
    runs::{self, Found, Wanted},
};
use crate::{
    audit::Event,
    run::{StopKind, StopOrder},
};

pub(super) async fn cancel_run(
    service: &Service,
    request: &Request<CancelRunRequest>,
) -> Result<Response<CancelRunResponse>, Status> {
    let caller = service.doors.caller(request)?;
    let who = denial_audit::who(request);
    let request = request.get_ref();
    let Found {
        entry,
        run,
        is_visible,
        ..
    } = runs::find(service, caller, &request.run_id, Wanted::Cancelling).await?;
    if run.outcome() == Outcome::Unspecified {
        let stop = if request.force {
            StopKind::Force
        } else {
            StopKind::Cancel
        };
        let event = Event {
            who,
            reason: request.force.then(|| "by force".into()),
            ..Event::of_run("run_cancelled", &entry.id)
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
