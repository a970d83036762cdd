//! WatchRun: the events of a run, from any point of it.

use std::pin::Pin;

use action_proto::v1::{WatchRunRequest, WatchRunResponse};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, metadata::MetadataValue};

use super::{Service, access, events, get_run};
use crate::record::RunId;

/// The answer's stream.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<WatchRunResponse, Status>> + Send>>;

pub(super) async fn watch_run(
    service: &Service,
    request: &Request<WatchRunRequest>,
) -> Result<Response<Events>, Status> {
    let caller = access::caller(request)?;
    let request = request.get_ref();
    let run = get_run::visible(service, caller, &request.run_id).await?;
    if request.after_sequence > run.last_sequence {
        let text = format!(
            "run {} has no event {}: its last is {}",
            run.run_id, request.after_sequence, run.last_sequence
        );
        return Err(Status::out_of_range(text));
    }
    let run_id: RunId = run
        .run_id
        .parse()
        .map_err(|()| Status::internal("the run has no id"))?;
    let (runs, after) = (service.runs.clone(), request.after_sequence);
    let events = get_run::blocking(move || events::stream(&runs, &run_id, after)).await?;
    let events = events.map(|event| event.map(|event| WatchRunResponse { event: Some(event) }));
    let mut response = Response::new(Box::pin(events) as Events);
    if let Ok(value) = MetadataValue::try_from(run.run_id.as_str()) {
        response.metadata_mut().insert("action-run-id", value);
    }
    Ok(response)
}
