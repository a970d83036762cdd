//! A run's events as a stream: the one way from the record to a caller, for runs that live and
//! runs that have ended.

use std::collections::VecDeque;

use action_proto::v1::RunEvent;
use futures_util::stream;
use tokio_stream::Stream;
use tonic::{Response, Status, metadata::MetadataValue};

use super::{access_control::Doors, refusal, status};
use crate::{
    audit::{Audit, Event, Who},
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
    Ok(read(reader, run_id))
}

/// The events that a reader has, to its end.
pub(super) fn read(
    reader: Reader,
    run_id: &RunId,
) -> impl Stream<Item = Result<RunEvent, Status>> + Send + use<> {
    let start = (reader, VecDeque::new(), run_id.clone());
    stream::try_unfold(start, |(mut reader, mut ready, run_id)| async move {
        if ready.is_empty() {
            ready = more(&mut reader, &run_id).await?;
        }
        Ok(ready
            .pop_front()
            .map(|event| (event, (reader, ready, run_id))))
    })
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
        response.metadata_mut().insert(status::RUN_ID, value);
    }
    response
}

/// The same stream for as long as `may_go_on`, which is asked at once and whenever what decides has
/// changed: the run goes on, unseen.
pub(super) fn while_allowed<S, F>(
    events: S,
    doors: &Doors,
    may_go_on: F,
) -> impl Stream<Item = Result<RunEvent, Status>> + Send + use<S, F>
where
    S: Stream<Item = Result<RunEvent, Status>> + Send,
    F: Fn(&Doors) -> bool + Send,
{
    let mut changes = doors.changes();
    // What changed before this was subscribed to is seen by the first look.
    changes.mark_changed();
    let doors = doors.clone();
    let start = Some((Box::pin(events), changes));
    let allowed = move || may_go_on(&doors);
    stream::unfold((start, allowed), |(state, allowed)| async move {
        let (mut events, mut changes) = state?;
        loop {
            tokio::select! {
                biased;
                Ok(()) = changes.changed() => {
                    if !allowed() {
                        return Some((Err(refusal::unauthenticated()), (None, allowed)));
                    }
                }
                event = tokio_stream::StreamExt::next(&mut events) => {
                    return event.map(|event| (event, (Some((events, changes)), allowed)));
                }
            }
        }
    })
}

/// The same stream with a guard: what it guards against is over when the stream is, and where the
/// server ends it: then it is not the caller that goes away.
pub(super) fn guarded<T>(
    events: impl Stream<Item = Result<T, Status>> + Send + 'static,
    guard: Option<CancelOnDrop>,
) -> impl Stream<Item = Result<T, Status>> + Send {
    let start = (Box::pin(events), guard);
    stream::unfold(start, |(mut events, guard)| async move {
        match tokio_stream::StreamExt::next(&mut events).await {
            Some(Err(status)) => {
                guard.into_iter().for_each(CancelOnDrop::disarm);
                Some((Err(status), (events, None)))
            }
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
