//! WatchRun: the events of a run, from any point of it.

use action_proto::v1::{WatchRunRequest, WatchRunResponse};
use tonic::{Request, Response, Status};

use super::{
    Service, events,
    runs::{self, Found, Wanted},
};

/// The answer's stream.
pub(super) type Events = events::Messages<WatchRunResponse>;

pub(super) async fn watch_run(
    service: &Service,
    request: &Request<WatchRunRequest>,
) -> Result<Response<Events>, Status> {
    let caller = service.doors.caller(request)?;
    let place = service.stream_place(caller)?;
    let request = request.get_ref();
    let Found { entry, started, .. } =
        runs::find(service, caller, &request.run_id, Wanted::Reading).await?;
    let events = events::stream(&service.runs, &entry.id, request.after_sequence).await?;
    let events = events::while_visible(events, &service.doors, caller.clone(), started);
    let message = |event| WatchRunResponse { event };
    Ok(events::response(&entry.id, place, events, message))
}
