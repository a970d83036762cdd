//! Where a run stands, and what follows from each thing that happens. Pure: no process, no
//! clock, no disk.

use std::sync::Arc;

use action_proto::v1::{NodeFinished, Outcome, OutcomeCount, run_event::Event};

/// How a run is being ended, the graver the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Start no more jobs; those that run go on.
    Halt,
    /// Ask the scripts to end, and make them after a grace.
    Cancel,
    /// The same, because the run's time is over.
    TimeOut,
    /// Make them end now.
    Force,
}

impl Stop {
    /// The outcome of a job that was ended so.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Stop::Halt | Stop::Cancel | Stop::Force => Outcome::Cancelled,
            Stop::TimeOut => Outcome::TimedOut,
        }
    }
}

/// A request to end a run, with the reason that its jobs report.
#[derive(Debug, Clone)]
pub struct StopOrder {
    /// How.
    pub stop: Stop,
    /// Why, as in "cancelled by alice".
    pub why: Arc<str>,
}

impl StopOrder {
    /// An order to end a run.
    pub fn new(stop: Stop, why: impl Into<Arc<str>>) -> StopOrder {
        StopOrder {
            stop,
            why: why.into(),
        }
    }
}

/// Where a run stands.
#[derive(Debug)]
pub(super) struct Progress {
    jobs: usize,
    fanout: usize,
    next: usize,
    ended: usize,
    stop: Option<Stop>,
    counts: Vec<OutcomeCount>,
}

impl Progress {
    /// A run of so many jobs, at most `fanout` of them at once.
    pub(super) fn new(jobs: usize, fanout: usize) -> Progress {
        Progress {
            jobs,
            fanout,
            next: 0,
            ended: 0,
            stop: None,
            counts: Vec::new(),
        }
    }

    /// How many jobs have been started and not ended.
    pub(super) fn running(&self) -> usize {
        self.next - self.ended
    }

    /// How many jobs wait to be started.
    pub(super) fn waiting(&self) -> usize {
        self.jobs - self.next
    }

    /// True when another job may be started, as far as this run is concerned.
    pub(super) fn wants_job(&self) -> bool {
        self.stop.is_none() && self.next < self.jobs && self.running() < self.fanout
    }

    /// The job to start now.
    pub(super) fn start_job(&mut self) -> usize {
        let job = self.next;
        self.next += 1;
        job
    }

    /// Takes note of an event that a job told.
    pub(super) fn observe(&mut self, event: &Event) {
        if let Event::NodeFinished(finished) = event {
            self.ended += 1;
            Outcome::count(&mut self.counts, finished);
        }
    }

    /// Stops the run. Returns the jobs that will never be started, and whether the stop is graver
    /// than what was known, so that the running ones must hear of it.
    pub(super) fn stop(&mut self, stop: Stop) -> (std::ops::Range<usize>, bool) {
        let news = self.stop < Some(stop);
        self.stop = self.stop.max(Some(stop));
        let never = self.next..self.jobs;
        self.next = self.jobs;
        (never, news)
    }

    /// True when every job has ended.
    pub(super) fn is_done(&self) -> bool {
        self.ended == self.jobs
    }

    /// How many jobs have ended, and not OK.
    pub(super) fn failures(&self) -> u32 {
        let counts = self.counts.iter();
        let failed = counts.filter(|it| it.outcome() != Outcome::Ok);
        failed.map(|it| it.count).sum()
    }

    /// True until the jobs that run were told to stop.
    pub(super) fn is_going(&self) -> bool {
        self.stop.is_none_or(|stop| stop == Stop::Halt)
    }

    /// How many jobs had which outcome so far, OK first, in place of what `counts` held.
    pub(super) fn count_into(&self, counts: &mut Vec<OutcomeCount>) {
        counts.clone_from(&self.counts);
    }
}

/// What is said of a job that a stop kept from being started.
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
    fn at_most_fanout_at_once_until_all_have_ended() {
        let mut progress = Progress::new(3, 2);
        assert_eq!((progress.start_job(), progress.start_job()), (0, 1));
        assert!(!progress.wants_job());
        progress.observe(&finished(Outcome::Ok));
        assert!(progress.wants_job());
        assert_eq!(progress.start_job(), 2);
        progress.observe(&finished(Outcome::Failed));
        assert!(!progress.is_done() && !progress.wants_job());
        progress.observe(&finished(Outcome::Ok));
        assert!(progress.is_done());
        let mut counts = Vec::new();
        progress.count_into(&mut counts);
        let counts: Vec<_> = counts.iter().map(|c| (c.outcome(), c.count)).collect();
        assert_eq!(counts, [(Outcome::Ok, 2), (Outcome::Failed, 1)]);
    }

    #[test]
    fn a_stop_starts_nothing_more_and_is_told_once() {
        let mut progress = Progress::new(5, 2);
        progress.start_job();
        assert_eq!(progress.stop(Stop::Cancel), (1..5, true));
        assert!(!progress.wants_job());
        assert_eq!(progress.stop(Stop::Cancel), (5..5, false));
        assert_eq!(progress.stop(Stop::Force), (5..5, true));
        assert_eq!(progress.stop(Stop::Cancel), (5..5, false));
        for _ in 0..4 {
            progress.observe(&never_started(
                "n",
                &StopOrder::new(Stop::Force, "cancelled"),
            ));
        }
        progress.observe(&finished(Outcome::Cancelled));
        assert!(progress.is_done());
    }
}
