//! A run's recorder beside its owner: one batch at a time is on its way to the record, and the owner
//! goes on meanwhile.

use std::time::Duration;

use action_proto::v1::{RunFinished, run_event::Event};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::recorder::Recorder;

/// A record that does not take a batch for so long is stalled: its disk hangs.
const STALL_LIMIT: Duration = Duration::from_secs(1);
/// So much output may wait for the end of its run, in bytes: the reserve has room for it.
const LITTLE_OUTPUT: usize = 64 << 10;

/// The recorder, at rest or writing.
pub(super) struct Recording {
    state: State,
    is_failing: bool,
    is_stalled: bool,
}

enum State {
    Idle(Recorder),
    Writing {
        since: Instant,
        written: BoxFuture<'static, Recorder>,
    },
    /// Between the two.
    Changing,
}

impl Recording {
    pub(super) fn new(recorder: Recorder) -> Recording {
        Recording {
            state: State::Idle(recorder),
            is_failing: false,
            is_stalled: false,
        }
    }

    /// True when the next batch can be taken.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    /// True while the record cannot be written.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing || self.is_stalled
    }

    /// True while a batch waits for long.
    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// When a batch that is being written has waited for long; `None` where it has already.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        match &self.state {
            State::Writing { since, .. } if !self.is_stalled => Some(*since + STALL_LIMIT),
            _ => None,
        }
    }

    pub(super) fn mark_stalled(&mut self) {
        self.is_stalled = true;
    }

    /// When what is owed to the record is to be tried again; `None` while nothing is.
    pub(super) fn next_try(&self) -> Option<Instant> {
        match &self.state {
            State::Idle(recorder) => recorder.next_try(),
            _ => None,
        }
    }

    /// Begins to record a batch. Only while idle.
    pub(super) fn record(&mut self, events: Vec<Event>) {
        match std::mem::replace(&mut self.state, State::Changing) {
            State::Idle(mut recorder) => {
                self.state = State::Writing {
                    since: Instant::now(),
                    written: Box::pin(async move {
                        recorder.record(events).await;
                        recorder
                    }),
                };
            }
            other => self.state = other,
        }
    }

    /// Returns when the batch is written; not while there is none. Cancel safe.
    pub(super) async fn written(&mut self) {
        match &mut self.state {
            State::Writing { written, .. } => {
                let recorder = written.await;
                self.is_failing = recorder.is_failing();
                self.is_stalled = false;
                self.state = State::Idle(recorder);
            }
            _ => std::future::pending().await,
        }
    }

    /// Returns when all before is written, with what there still is: a little goes with the end, in one
    /// write.
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

    /// Records the end, with what [`Recording::flush`] left.
    pub(super) async fn finish(self, rest: Vec<Event>, finished: RunFinished) {
        if let State::Idle(recorder) = self.state {
            recorder.finish(rest, finished).await;
        }
    }
}
