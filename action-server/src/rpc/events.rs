//! A run's events as a stream: the one way from the record to a caller, for runs that live and
//! runs that have ended.

use std::collections::VecDeque;

use action_proto::v1::RunEvent;
use futures_util::stream;
use tokio_stream::Stream;
use tonic::Status;

use super::status;
use crate::{
    record::{Reader, RunId},
    run::{Registry, Stop, StopOrder},
};

/// The events of a run after `after`, to its end. Reads the record at the speed of the caller.
pub(super) fn stream(
    runs: &Registry,
    run_id: &RunId,
    after: u64,
) -> Result<impl Stream<Item = Result<RunEvent, Status>> + Send + use<>, Status> {
    let reader = runs
        .read(run_id, after)
        .map_err(|error| status::from_record(run_id, &error))?;
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

/// The same stream. When it is dropped before its end and `run` is given, that run is cancelled:
/// its caller asked for that.
pub(super) fn while_watched<T>(
    events: impl Stream<Item = T> + Send + 'static,
    run: Option<(Registry, RunId)>,
) -> impl Stream<Item = T> + Send {
    let start = (Box::pin(events), CancelOnDrop { run });
    stream::unfold(start, |(mut events, guard)| async move {
        match tokio_stream::StreamExt::next(&mut events).await {
            Some(event) => Some((event, (events, guard))),
            None => {
                guard.disarm();
                None
            }
        }
    })
}

struct CancelOnDrop {
    run: Option<(Registry, RunId)>,
}

impl CancelOnDrop {
    fn disarm(mut self) {
        self.run = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some((runs, run_id)) = self.run.take() {
            tracing::info!(%run_id, "cancelled: its caller went away and asked for that");
            let why = "cancelled: its caller went away and had asked for that";
            runs.stop(&run_id, StopOrder::new(Stop::Cancel, why));
        }
    }
}
