//! WatchRun: the events of a run, from any point of it.

use action_proto::v1::{WatchRunRequest, WatchRunResponse};
use tonic::{Request, Response, Status};

use super::{
    GrpcService,
    events::{self, MessageStream},
    runs::{self, FoundRun, RunPurpose},
};

pub(super) async fn watch_run(
    service: &GrpcService,
    request: &Request<WatchRunRequest>,
) -> Result<Response<MessageStream<WatchRunResponse>>, Status> {
    let caller = service.doors.caller(request)?;
    let place = service.stream_place(caller)?;
    let request = request.get_ref();
    let FoundRun { entry, started, .. } =
        runs::find_run(service, caller, &request.run_id, RunPurpose::Reading).await?;
    let events = events::stream_run(&service.runs, &entry.id, request.after_sequence).await?;
    let events = events::while_visible(events, &service.doors, caller.clone(), started);
    let message = |event| WatchRunResponse { event };
    Ok(events::stream_response(&entry.id, place, events, message))
}
