//! Streams of a run's events from its record, for live and ended runs.

use std::{collections::VecDeque, pin::Pin};

use action_proto::v1::{RunEvent, RunStarted};
use futures_util::stream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Response, Status, metadata::MetadataValue};

use super::{access_control::AccessControl, auth_failure, status};
use crate::{
    audit::{Audit, AuditedCaller, Event},
    auth::Caller,
    holder_limiter::HolderPermit,
    record::{EventReader, RunId},
    run::{RunRegistry, StopKind, StopOrder},
};

/// The events of a run after `after`, to its end, read at the caller's speed.
pub(super) async fn stream_run(
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
    Ok(stream_events(reader, run_id))
}

/// The events of a reader, to its end.
pub(super) fn stream_events(
    reader: Box<dyn EventReader>,
    run_id: &RunId,
) -> impl Stream<Item = Result<RunEvent, Status>> + Send + use<> {
    let start = (reader, VecDeque::new(), run_id.clone());
    stream::try_unfold(start, |(mut reader, mut ready, run_id)| async move {
        if ready.is_empty() {
            ready = next_events(&mut reader, &run_id).await?;
        }
        Ok(ready
            .pop_front()
            .map(|event| (event, (reader, ready, run_id))))
    })
}

async fn next_events(
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
pub(super) type MessageStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The answer that streams events as messages, with the run's id in its header. It holds its permit to
/// its end.
pub(super) fn stream_response<T: 'static>(
    run_id: &RunId,
    place: HolderPermit<String>,
    events: impl Stream<Item = Result<RunEvent, Status>> + Send + 'static,
    message: fn(Option<RunEvent>) -> T,
) -> Response<MessageStream<T>> {
    let events = events.map(move |event| {
        let _held = &place;
        event.map(|event| message(Some(event)))
    });
    let events: MessageStream<T> = Box::pin(events);
    let mut response = Response::new(events);
    if let Ok(value) = MetadataValue::try_from(run_id.as_str()) {
        response.metadata_mut().insert(status::RUN_ID, value);
    }
    response
}

/// The same stream for as long as its caller may see the run, checked at once and after each change of
/// keys, policy or definitions. The run goes on.
pub(super) fn while_visible<S>(
    events: S,
    doors: &AccessControl,
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
                        return Some((Err(auth_failure::unauthenticated()), (None, is_visible)));
                    }
                }
                event = tokio_stream::StreamExt::next(&mut events) => {
                    return event.map(|event| (event, (Some((events, changes)), is_visible)));
                }
            }
        }
    })
}

/// The same stream, which cancels its run when it is dropped. Its end, or an error of the server,
/// disarms that: then the caller has not gone away.
pub(super) fn cancel_when_gone<T>(
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

/// Cancels a run when it is dropped: its caller went away and had asked for that. A caller with a revoked
/// token has not gone away: the server ended its stream. The rules decide as for CancelRun.
pub(super) struct CancelOnDrop {
    run: Option<GuardedRun>,
}

/// The run, and the caller that cancels it.
pub(super) struct GuardedRun {
    pub(super) runs: RunRegistry,
    pub(super) audit: Audit,
    pub(super) run_id: RunId,
    /// The command, the nodes and the subject, for the rules.
    pub(super) started: RunStarted,
    pub(super) audited: AuditedCaller,
    pub(super) caller: Caller,
    pub(super) doors: AccessControl,
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
        let may_cancel = || run.doors.access_of(&run.caller).may_cancel(&run.started);
        if !run.doors.is_good(&run.caller) || !may_cancel() {
            return;
        }
        let GuardedRun {
            runs,
            audit,
            run_id,
            audited,
            ..
        } = run;
        let why = "its caller went away and had asked for that";
        let event = Event::RunCancelled {
            run_id: run_id.to_string(),
            caller: audited,
            reason: Some(why),
        };
        audit.note(event);
        runs.stop(&run_id, StopOrder::new(StopKind::Cancel, why));
    }
}
