//! A run's events as a stream: the one way from the record to a caller, for runs that live and
//! runs that have ended.

use std::{collections::VecDeque, pin::Pin};

use action_proto::v1::{RunEvent, RunStarted};
use futures_util::stream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Response, Status, metadata::MetadataValue};

use super::{access_control::Doors, refusal, status};
use crate::{
    audit::{Audit, Event, Who},
    auth::Caller,
    places::Place,
    record::{EventReader, RunId},
    run::{RunRegistry, StopKind, StopOrder},
};

/// The events of a run after `after`, to its end. Reads the record at the speed of the caller.
pub(super) async fn stream(
    runs: &RunRegistry,
    run_id: &RunId,
    after: u64,
) -> Result<impl Stream<Item = Result<RunEvent, Status>> + Send + use<>, Status> {
    let reader = runs
        .read(run_id, after)
        .await
        .map_err(|error| status::from_record(run_id, &error))?;
    if let Some(last) = reader.last_sequence().filter(|&last| after > last) {
        let text = format!("run {run_id} has no event {after}: its last is {last}");
        return Err(Status::out_of_range(text));
    }
    Ok(read(reader, run_id))
}

/// The events that a reader has, to its end.
pub(super) fn read(
    reader: Box<dyn EventReader>,
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

async fn more(
    reader: &mut Box<dyn EventReader>,
    run_id: &RunId,
) -> Result<VecDeque<RunEvent>, Status> {
    let events = reader
        .next()
        .await
        .map_err(|error| status::from_record(run_id, &error))?;
    Ok(events.into())
}

/// The stream of an answer.
pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The answer that streams events as messages, with the run's id in its header. It holds its place
/// among the streams of its caller to its end.
pub(super) fn response<T: 'static>(
    run_id: &RunId,
    place: Place<String>,
    events: impl Stream<Item = Result<RunEvent, Status>> + Send + 'static,
    message: fn(Option<RunEvent>) -> T,
) -> Response<Messages<T>> {
    let events = events.map(move |event| {
        let _held = &place;
        event.map(|event| message(Some(event)))
    });
    let events: Messages<T> = Box::pin(events);
    let mut response = Response::new(events);
    if let Ok(value) = MetadataValue::try_from(run_id.as_str()) {
        response.metadata_mut().insert(status::RUN_ID, value);
    }
    response
}

/// The same stream for as long as its caller may see the run, which is asked at once and whenever
/// what decides has changed: the run goes on, unseen.
pub(super) fn while_visible<S>(
    events: S,
    doors: &Doors,
    caller: Caller,
    run: RunStarted,
) -> impl Stream<Item = Result<RunEvent, Status>> + Send + use<S>
where
    S: Stream<Item = Result<RunEvent, Status>> + Send,
{
    let mut changes = doors.changes();
    // What changed before this was subscribed to is seen by the first look.
    changes.mark_changed();
    let doors = doors.clone();
    let is_visible = move || doors.stays_visible(&caller, &run);
    let start = Some((Box::pin(events), changes));
    stream::unfold((start, is_visible), |(state, is_visible)| async move {
        let (mut events, mut changes) = state?;
        loop {
            tokio::select! {
                biased;
                Some(()) = changes.next() => {
                    if !is_visible() {
                        return Some((Err(refusal::unauthenticated()), (None, is_visible)));
                    }
                }
                event = tokio_stream::StreamExt::next(&mut events) => {
                    return event.map(|event| (event, (Some((events, changes)), is_visible)));
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

/// Cancels a run when it is dropped: its caller went away and had asked for that. A caller whose token
/// is good no more has not gone: the server has ended its stream. The rules decide as for CancelRun.
pub(super) struct CancelOnDrop {
    run: Option<GuardedRun>,
}

/// The run, and in whose name it is cancelled.
pub(super) struct GuardedRun {
    pub(super) runs: RunRegistry,
    pub(super) audit: Audit,
    pub(super) run_id: RunId,
    /// What the rules are asked of: the command, the nodes and the subject.
    pub(super) started: RunStarted,
    pub(super) who: Who,
    pub(super) caller: Caller,
    pub(super) doors: Doors,
}

impl CancelOnDrop {
    pub(super) fn new(run: GuardedRun) -> CancelOnDrop {
        CancelOnDrop { run: Some(run) }
    }

    fn disarm(mut self) {
        self.run = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(run) = self.run.take() else {
            return;
        };
        let may_cancel = || run.doors.access(&run.caller).cancels(&run.started);
        if !run.doors.is_good(&run.caller) || !may_cancel() {
            return;
        }
        let GuardedRun {
            runs,
            audit,
            run_id,
            who,
            ..
        } = run;
        let why = "its caller went away and had asked for that";
        let event = Event {
            who,
            reason: Some(why.into()),
            ..Event::of_run("run_cancelled", &run_id)
        };
        audit.note(event);
        runs.stop(&run_id, StopOrder::new(StopKind::Cancel, why));
    }
}
