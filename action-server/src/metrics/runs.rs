//! Counts the events of runs after they are recorded, so that the numbers agree with the records, also
//! on a full disk.

use std::time::{Duration, Instant};

use action_proto::v1::{NodeFinished, Outcome, RunFinished, run_event::Event};
use prometheus::IntCounter;

use super::Metrics;

/// Every outcome that a job or run can have.
const OUTCOMES: [Outcome; 6] = [
    Outcome::Ok,
    Outcome::Failed,
    Outcome::TimedOut,
    Outcome::Cancelled,
    Outcome::NotStarted,
    Outcome::Lost,
];

/// Counts the events of one run.
#[derive(Debug)]
pub struct RunMeter {
    metrics: Metrics,
    command: String,
    output: IntCounter,
    accepted: Instant,
    is_begun: bool,
}

/// The sum of some events, before it is known whether they can be recorded.
#[derive(Debug, Default)]
pub struct EventTally {
    output: u64,
    started: u64,
    ended: Vec<EndedJob>,
    finished: Option<(Outcome, Option<Duration>)>,
}

#[derive(Debug)]
struct EndedJob {
    outcome: Outcome,
    duration: Option<Duration>,
    dropped: u64,
}

impl Metrics {
    /// Has the numbers of commands begin at zero.
    pub fn know_commands<'a>(&self, commands: impl Iterator<Item = &'a str>) {
        let table = &self.table;
        for command in commands {
            for counters in [
                &table.runs_started,
                &table.jobs_started,
                &table.output,
                &table.output_dropped,
            ] {
                counters.with_label_values(&[command]);
            }
            for outcome in OUTCOMES.map(Outcome::label) {
                table.runs_finished.with_label_values(&[command, outcome]);
                table.jobs_finished.with_label_values(&[command, outcome]);
            }
        }
    }

    /// Counts a run that is accepted now.
    pub fn run_accepted(&self, command: &str) -> RunMeter {
        self.table.runs_started.with_label_values(&[command]).inc();
        RunMeter {
            command: command.to_owned(),
            output: self.table.output.with_label_values(&[command]),
            accepted: Instant::now(),
            is_begun: false,
            metrics: self.clone(),
        }
    }

    /// Counts a run of a server that died, which this server ends.
    pub fn run_lost(&self, command: &str, finished: &RunFinished) {
        let table = &self.table;
        let outcome = finished.outcome().label();
        table
            .runs_finished
            .with_label_values(&[command, outcome])
            .inc();
        let lost = finished.counts.iter();
        let lost = lost.filter(|count| count.outcome() == Outcome::Lost);
        table
            .jobs_finished
            .with_label_values(&[command, Outcome::Lost.label()])
            .inc_by(lost.map(|count| u64::from(count.count)).sum());
    }
}

impl EventTally {
    /// The sum of these events.
    pub fn of(events: &[Event]) -> EventTally {
        let mut tally = EventTally::default();
        for event in events {
            match event {
                Event::NodeOutput(output) => tally.output += output.data.len() as u64,
                Event::NodeStarted(_) => tally.started += 1,
                Event::NodeFinished(finished) => tally.ended.push(EndedJob::of(finished)),
                Event::RunFinished(it) => {
                    tally.finished = Some((it.outcome(), time(it.duration)));
                }
                Event::RunStarted(_) => {}
            }
        }
        tally
    }
}

impl EndedJob {
    fn of(finished: &NodeFinished) -> EndedJob {
        EndedJob {
            outcome: finished.outcome(),
            duration: time(finished.duration),
            dropped: finished.output_dropped_bytes + finished.output_lost_bytes,
        }
    }
}

fn time(duration: Option<prost_types::Duration>) -> Option<Duration> {
    duration.and_then(|duration| duration.try_into().ok())
}

impl RunMeter {
    /// Counts events that are recorded now.
    pub fn add(&mut self, tally: EventTally) {
        let (table, command) = (&self.metrics.table, self.command.as_str());
        if tally.output > 0 {
            self.output.inc_by(tally.output);
        }
        if tally.started > 0 {
            let started = table.jobs_started.with_label_values(&[command]);
            started.inc_by(tally.started);
            if !std::mem::replace(&mut self.is_begun, true) {
                let delay = self.accepted.elapsed().as_secs_f64();
                table.run_start_delay.observe(delay);
            }
        }
        for end in tally.ended {
            let labels = [command, end.outcome.label()];
            table.jobs_finished.with_label_values(&labels).inc();
            let dropped = table.output_dropped.with_label_values(&[command]);
            dropped.inc_by(end.dropped);
            if let Some(duration) = end.duration {
                let durations = table.job_duration.with_label_values(&[command]);
                durations.observe(duration.as_secs_f64());
            }
        }
        if let Some((outcome, duration)) = tally.finished {
            let labels = [command, outcome.label()];
            table.runs_finished.with_label_values(&labels).inc();
            let durations = table.run_duration.with_label_values(&[command]);
            durations.observe(duration.unwrap_or_default().as_secs_f64());
        }
    }
}
