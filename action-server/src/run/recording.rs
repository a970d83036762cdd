//! A run's recorder as a task of its own: one batch at a time is on its way to the record, and the
//! owner goes on meanwhile.

use std::time::Duration;

use action_proto::v1::{RunFinished, run_event::Event};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::recorder::EventRecorder;

/// A record that does not take a batch for so long is stalled: its disk hangs.
const STALL_LIMIT: Duration = Duration::from_secs(1);
/// So much output may wait for the end of its run, in bytes: the reserve has room for it.
const LITTLE_OUTPUT: usize = 64 << 10;

/// The recorder, idle or writing.
pub(super) struct RecorderTask {
    /// `None` while it writes.
    idle: Option<EventRecorder>,
    /// The batch on its way, and since when.
    writing: Option<(Instant, BoxFuture<'static, EventRecorder>)>,
    is_failing: bool,
    is_stalled: bool,
}

impl RecorderTask {
    pub(super) fn new(recorder: EventRecorder) -> RecorderTask {
        RecorderTask {
            idle: Some(recorder),
            writing: None,
            is_failing: false,
            is_stalled: false,
        }
    }

    /// True when the next batch can be taken.
    pub(super) fn is_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// True while the record cannot be written.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing || self.is_stalled
    }

    /// True while a batch waits for long.
    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// When the batch that is being written counts as stalled; `None` where it does already.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        let (since, _) = self.writing.as_ref().filter(|_| !self.is_stalled)?;
        Some(*since + STALL_LIMIT)
    }

    pub(super) fn mark_stalled(&mut self) {
        self.is_stalled = true;
    }

    /// When pending events are to be tried again; `None` while there are none.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.idle.as_ref()?.next_try()
    }

    /// Begins to record a batch. Only while idle.
    pub(super) fn record(&mut self, events: Vec<Event>) {
        if let Some(mut recorder) = self.idle.take() {
            let written = async move {
                recorder.record(events).await;
                recorder
            };
            self.writing = Some((Instant::now(), Box::pin(written)));
        }
    }

    /// Returns when the batch is written; never while there is none. Cancel safe.
    pub(super) async fn written(&mut self) {
        let Some((_, written)) = &mut self.writing else {
            return std::future::pending().await;
        };
        let recorder = written.await;
        self.writing = None;
        self.is_failing = recorder.is_failing();
        self.is_stalled = false;
        self.idle = Some(recorder);
    }

    /// Waits until the batch is written. Returns the events that are few enough to be written with the
    /// end; others are written before.
    pub(super) async fn flush(&mut self, events: Vec<Event>) -> Vec<Event> {
        if !self.is_idle() {
            self.written().await;
        }
        let output = |event: &Event| match event {
            Event::NodeOutput(output) => output.data.len(),
            _ => 0,
        };
        if events.iter().map(output).sum::<usize>() <= LITTLE_OUTPUT {
            return events;
        }
        self.record(events);
        self.written().await;
        Vec::new()
    }

    /// Records the end, with the events that [`RecorderTask::flush`] returned.
    pub(super) async fn finish(self, rest: Vec<Event>, finished: RunFinished) {
        if let Some(recorder) = self.idle {
            recorder.finish(rest, finished).await;
        }
    }
}
