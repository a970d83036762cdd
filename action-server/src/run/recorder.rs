//! Writes a run's events to its record, also when the disk is full or failing for a while.
//!
//! While the record cannot be written the run goes on: what its jobs print is dropped and
//! counted, what became of them is kept and written as soon as that is possible again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use action_proto::v1::{RunFinished, run_event::Event};
use tokio::time::sleep;

use super::shared::append_message;
use crate::{
    metrics::{EventTally, RunMeter},
    record::EventWriter,
};

/// How often a record that cannot be written is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// After so long an end that the disk does not take is reported, and tried again less often.
const END_LIMIT: Duration = Duration::from_secs(10);
const LATE_INTERVAL: Duration = Duration::from_secs(1);

/// The writing side of a run.
pub(super) struct EventRecorder {
    writer: Box<dyn EventWriter>,
    meter: RunMeter,
    /// When the record could last not be written; `None` while it can.
    failing: Option<Instant>,
    pending: PendingEvents,
}

/// Events that the record has not taken yet.
#[derive(Debug, Default)]
struct PendingEvents {
    /// Events that wait to be written.
    events: Vec<Event>,
    /// Lost output in bytes by node, reported at the end of its job.
    lost: HashMap<String, u64>,
}

impl EventRecorder {
    pub(super) fn new(writer: Box<dyn EventWriter>, meter: RunMeter) -> EventRecorder {
        EventRecorder {
            writer,
            meter,
            failing: None,
            pending: PendingEvents::default(),
        }
    }

    /// True while the record cannot be written.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// When pending events are to be tried again; `None` while there are none.
    pub(super) fn next_try(&self) -> Option<tokio::time::Instant> {
        let tried = self.failing.filter(|_| !self.pending.events.is_empty())?;
        Some((tried + RETRY_INTERVAL).into())
    }

    /// Records events, or keeps what must not be lost of them.
    pub(super) async fn record(&mut self, events: Vec<Event>) {
        let is_waiting = self
            .failing
            .is_some_and(|tried| tried.elapsed() < RETRY_INTERVAL);
        self.take_events(events, is_waiting);
        if !is_waiting {
            self.write_pending().await;
        }
    }

    fn take_events(&mut self, events: Vec<Event>, is_waiting: bool) {
        // What is left of the disk is for the ends of runs.
        if is_waiting || !self.writer.takes_output() {
            self.pending.add_without_output(events);
        } else {
            self.pending.add_events(events);
        }
    }

    /// Records the rest and the end, and is done when the disk has them: it is tried again for as long as the
    /// server runs.
    pub(super) async fn finish(mut self, rest: Vec<Event>, finished: RunFinished) {
        self.take_events(rest, self.is_failing());
        let mut events = std::mem::take(&mut self.pending.events);
        events.push(Event::RunFinished(finished));
        let tally = EventTally::of(&events);
        let started = Instant::now();
        let mut is_late = false;
        while let Err(unwritten) = self.writer.finish(events).await {
            let run_id = self.writer.run_id();
            if !is_late && started.elapsed() > END_LIMIT {
                is_late = true;
                tracing::error!(%run_id, error = %unwritten.error, "the end of the run cannot be recorded, retrying every second; it counts as lost if the server stops before");
            }
            events = unwritten.events;
            sleep(if is_late {
                LATE_INTERVAL
            } else {
                RETRY_INTERVAL
            })
            .await;
        }
        if is_late {
            tracing::info!(run_id = %self.writer.run_id(), "the end of the run is recorded");
        }
        self.meter.add(tally);
    }

    async fn write_pending(&mut self) {
        let events = std::mem::take(&mut self.pending.events);
        let tally = EventTally::of(&events);
        let written = self.writer.append(events).await;
        let run_id = self.writer.run_id();
        match written {
            Ok(()) => {
                self.meter.add(tally);
                if self.failing.take().is_some() {
                    tracing::info!(%run_id, "the record can be written again");
                }
            }
            Err(unwritten) => {
                if self.failing.is_none() {
                    tracing::error!(%run_id, error = %unwritten.error, "cannot write the record; the run goes on, its output is dropped and counted");
                }
                self.failing = Some(Instant::now());
                self.pending.add_without_output(unwritten.events);
            }
        }
    }
}

impl PendingEvents {
    /// Adds events to be written. The end of a job reports its lost output.
    fn add_events(&mut self, events: Vec<Event>) {
        for mut event in events {
            if let Event::NodeFinished(finished) = &mut event
                && let Some(lost) = self.lost.remove(&finished.node)
            {
                finished.output_lost_bytes += lost;
                let why = format!("{lost} bytes of output could not be recorded");
                append_message(&mut finished.message, &why);
            }
            self.events.push(event);
        }
    }

    /// The same, but for output, which is dropped and counted.
    fn add_without_output(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::NodeOutput(output) => {
                    *self.lost.entry(output.node).or_default() += output.data.len() as u64;
                }
                event => self.add_events(vec![event]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use action_proto::v1::{NodeFinished, NodeOutput};

    use super::*;

    #[test]
    fn output_is_counted_and_ends_are_kept() {
        let output = |node: &str| {
            let data = "12345".into();
            Event::NodeOutput(NodeOutput {
                node: node.into(),
                data,
                ..NodeOutput::default()
            })
        };
        let end = |node: &str| {
            Event::NodeFinished(NodeFinished {
                node: node.into(),
                ..NodeFinished::default()
            })
        };
        let mut pending = PendingEvents::default();
        pending.add_without_output(vec![output("a"), output("a")]);
        pending.add_without_output(vec![output("b"), end("a"), end("c")]);
        // Written again: output is kept, and the end of a job reports what was lost.
        pending.add_events(vec![output("b"), end("b")]);
        let told: Vec<_> = pending
            .events
            .iter()
            .map(|event| match event {
                Event::NodeFinished(it) => {
                    (it.node.as_str(), it.output_lost_bytes, it.message.as_str())
                }
                _ => ("output", 0, ""),
            })
            .collect();
        let lost = |node, bytes, text| (node, bytes, text);
        assert_eq!(
            told,
            [
                lost("a", 10, "10 bytes of output could not be recorded"),
                lost("c", 0, ""),
                lost("output", 0, ""),
                lost("b", 5, "5 bytes of output could not be recorded"),
            ]
        );
    }
}
