//! How far a run is. Pure: no process, no clock, no disk.

use std::sync::Arc;

use action_proto::v1::{NodeFinished, Outcome, OutcomeCount, run_event::Event};

/// How a run is ended, in ascending severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopKind {
    /// Start no more jobs; those that run go on.
    Halt,
    /// TERM to the scripts, and KILL after a grace.
    Cancel,
    /// The same, because the run's time is over.
    TimeOut,
    /// KILL at once.
    Force,
}

impl StopKind {
    /// The outcome of a job that was ended so.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            StopKind::Halt | StopKind::Cancel | StopKind::Force => Outcome::Cancelled,
            StopKind::TimeOut => Outcome::TimedOut,
        }
    }
}

/// An order to end a run, with the reason that its jobs report.
#[derive(Debug, Clone)]
pub struct StopOrder {
    /// How.
    pub stop: StopKind,
    /// Why, as in "cancelled by alice".
    pub why: Arc<str>,
}

impl StopOrder {
    /// An order to end a run.
    pub fn new(stop: StopKind, why: impl Into<Arc<str>>) -> StopOrder {
        StopOrder {
            stop,
            why: why.into(),
        }
    }
}

/// How far a run is.
#[derive(Debug)]
pub(super) struct RunProgress {
    waiting: usize,
    running: usize,
    stop: Option<StopKind>,
    counts: Vec<OutcomeCount>,
}

impl RunProgress {
    /// A run of so many jobs.
    pub(super) fn new(jobs: usize) -> RunProgress {
        RunProgress {
            waiting: jobs,
            running: 0,
            stop: None,
            counts: Vec::new(),
        }
    }

    /// How many jobs have been started and not ended.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// How many jobs wait to be started.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn start_job(&mut self) {
        self.waiting -= 1;
        self.running += 1;
    }

    /// Counts the end of a job. True where the job had been started.
    pub(super) fn count_end(&mut self, event: &Event) -> bool {
        let Event::NodeFinished(finished) = event else {
            return false;
        };
        Outcome::count(&mut self.counts, finished);
        let was_started = !finished.never_started;
        if was_started {
            self.running -= 1;
        } else {
            self.waiting -= 1;
        }
        was_started
    }

    /// Notes an order to stop. True where it is graver than those before, so that jobs must hear of it.
    pub(super) fn note_stop(&mut self, stop: StopKind) -> bool {
        let is_graver = self.stop < Some(stop);
        self.stop = self.stop.max(Some(stop));
        is_graver
    }

    /// True when every job has ended.
    pub(super) fn is_done(&self) -> bool {
        self.waiting + self.running == 0
    }

    /// How many jobs have ended with another outcome than OK.
    pub(super) fn failures(&self) -> u32 {
        let counts = self.counts.iter();
        let failed = counts.filter(|it| it.outcome() != Outcome::Ok);
        failed.map(|it| it.count).sum()
    }

    /// True until the running jobs were ordered to stop.
    pub(super) fn is_going(&self) -> bool {
        self.stop.is_none_or(|stop| stop == StopKind::Halt)
    }

    /// How many jobs had which outcome so far, OK first.
    pub(super) fn counts(&self) -> &Vec<OutcomeCount> {
        &self.counts
    }
}

/// The end of a job that an order kept from being started.
pub(super) fn never_started(node: &str, order: &StopOrder) -> Event {
    Event::NodeFinished(NodeFinished {
        node: node.to_owned(),
        outcome: order.stop.outcome().into(),
        message: format!("{}, before it was started", order.why),
        never_started: true,
        ..NodeFinished::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(outcome: Outcome) -> Event {
        Event::NodeFinished(NodeFinished {
            outcome: outcome.into(),
            ..NodeFinished::default()
        })
    }

    #[test]
    fn a_run_is_done_when_every_job_has_ended() {
        let mut progress = RunProgress::new(4);
        for outcome in [Outcome::Ok, Outcome::Failed, Outcome::Ok] {
            progress.start_job();
            assert!(progress.count_end(&finished(outcome)));
        }
        assert_eq!((progress.waiting(), progress.failures()), (1, 1));
        let order = StopOrder::new(StopKind::Cancel, "cancelled");
        assert!(!progress.is_done() && progress.note_stop(order.stop));
        assert!(!progress.count_end(&never_started("n", &order)));
        assert!(progress.is_done());
        let counts = progress.counts().iter();
        let counts: Vec<_> = counts.map(|it| (it.outcome(), it.count)).collect();
        let expected = [
            (Outcome::Ok, 2),
            (Outcome::Failed, 1),
            (Outcome::Cancelled, 1),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn jobs_hear_of_an_order_that_is_graver_than_those_before() {
        let mut progress = RunProgress::new(1);
        let orders = [
            StopKind::Halt,
            StopKind::Cancel,
            StopKind::Cancel,
            StopKind::Force,
            StopKind::Cancel,
        ];
        let heard = orders.map(|stop| progress.note_stop(stop));
        assert_eq!(heard, [true, true, false, true, false]);
        assert!(!progress.is_going());
    }
}
