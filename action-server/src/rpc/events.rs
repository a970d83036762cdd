//! A run's events as a stream: the one way from the record to a caller, for runs that live and
//! runs that have ended.

use std::{collections::VecDeque, sync::Arc};

use action_proto::v1::RunEvent;
use futures_util::stream;
use tokio_stream::Stream;
use tonic::{Response, Status, metadata::MetadataValue};

use super::status;
use crate::{
    audit::{Audit, Event, Who},
    auth::{Authority, Caller},
    record::{Reader, RunId},
    run::{Registry, Stop, StopOrder},
};

/// The events of a run after `after`, to its end. Reads the record at the speed of the caller.
/// Blocks for the disk until it has begun.
pub(super) fn stream(
    runs: &Registry,
    run_id: &RunId,
    after: u64,
) -> Result<impl Stream<Item = Result<RunEvent, Status>> + Send + use<>, Status> {
    let reader = runs
        .read(run_id, after)
        .map_err(|error| status::from_record(run_id, &error))?;
    if let Some(last) = reader.last_sequence().filter(|&last| after > last) {
        let text = format!("run {run_id} has no event {after}: its last is {last}");
        return Err(Status::out_of_range(text));
    }
    let run_id = run_id.clone();
    let start = (reader, VecDeque::new(), run_id);
    Ok(stream::try_unfold(
        start,
        |(mut reader, mut ready, run_id)| async move {
            if ready.is_empty() {
                ready = more(&mut reader, &run_id).await?;
            }
            Ok(ready
                .pop_front()
                .map(|event| (event, (reader, ready, run_id))))
        },
    ))
}

async fn more(reader: &mut Reader, run_id: &RunId) -> Result<VecDeque<RunEvent>, Status> {
    let events = reader
        .next()
        .await
        .map_err(|error| status::from_record(run_id, &error))?;
    Ok(events.into())
}

/// The answer that streams events, with the run's id in its header.
pub(super) fn response<S>(run_id: &RunId, events: S) -> Response<S> {
    let mut response = Response::new(events);
    if let Ok(value) = MetadataValue::try_from(run_id.as_str()) {
        response.metadata_mut().insert("action-run-id", value);
    }
    response
}

/// The same stream for as long as its caller's token is not revoked: the run goes on, unseen.
pub(super) fn while_good<S>(
    events: S,
    authority: &Arc<Authority>,
    caller: &Caller,
) -> impl Stream<Item = Result<RunEvent, Status>> + Send + use<S>
where
    S: Stream<Item = Result<RunEvent, Status>> + Send,
{
    let (authority, caller) = (Arc::clone(authority), caller.clone());
    let changes = authority.changes();
    let start = Some((Box::pin(events), changes));
    let good = move || authority.is_good(&caller);
    stream::unfold((start, good), |(state, good)| async move {
        let (mut events, mut changes) = state?;
        loop {
            tokio::select! {
                biased;
                Ok(()) = changes.changed() => {
                    if !good() {
                        let status = Status::unauthenticated("a valid token is needed");
                        return Some((Err(status), (None, good)));
                    }
                }
                event = tokio_stream::StreamExt::next(&mut events) => {
                    return event.map(|event| (event, (Some((events, changes)), good)));
                }
            }
        }
    })
}

/// The same stream with a guard: what it guards against is over when the stream is.
pub(super) fn guarded<T>(
    events: impl Stream<Item = T> + Send + 'static,
    guard: Option<CancelOnDrop>,
) -> impl Stream<Item = T> + Send {
    let start = (Box::pin(events), guard);
    stream::unfold(start, |(mut events, guard)| async move {
        match tokio_stream::StreamExt::next(&mut events).await {
            Some(event) => Some((event, (events, guard))),
            None => {
                guard.into_iter().for_each(CancelOnDrop::disarm);
                None
            }
        }
    })
}

/// Cancels a run when it is dropped: its caller went away and had asked for that.
pub(super) struct CancelOnDrop {
    run: Option<(Registry, Audit, RunId, Who)>,
}

impl CancelOnDrop {
    /// The run is cancelled in the name of `who`.
    pub(super) fn new(runs: Registry, audit: Audit, run_id: RunId, who: Who) -> CancelOnDrop {
        CancelOnDrop {
            run: Some((runs, audit, run_id, who)),
        }
    }

    fn disarm(mut self) {
        self.run = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some((runs, audit, run_id, who)) = self.run.take() else {
            return;
        };
        let why = "its caller went away and had asked for that";
        let event = Event {
            who,
            reason: Some(why.into()),
            ..Event::of_run("run_cancelled", &run_id)
        };
        audit.note(event);
        runs.stop(&run_id, StopOrder::new(Stop::Cancel, why));
    }
}
