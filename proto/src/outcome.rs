//! What an `Outcome` means: its name for people, and which of two is the graver.

use crate::v1::{NodeFinished, Outcome, OutcomeCount};

impl Outcome {
    /// The name that people and scripts read: `ok`, `failed`, `timed-out`, `cancelled`,
    /// `not-started`, `lost`; `running` for one that is not decided.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Unspecified => "running",
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed-out",
            Outcome::Cancelled => "cancelled",
            Outcome::NotStarted => "not-started",
            Outcome::Lost => "lost",
        }
    }

    /// How grave the outcome is, OK being 1: a run's outcome is the gravest of its jobs'.
    pub fn gravity(self) -> u8 {
        match self {
            Outcome::Unspecified => 0,
            Outcome::Ok => 1,
            Outcome::Failed => 2,
            Outcome::Cancelled => 3,
            Outcome::TimedOut => 4,
            Outcome::NotStarted => 5,
            Outcome::Lost => 6,
        }
    }

    /// The outcome of a run whose jobs ended as `counts` says; OK for a run without jobs.
    pub fn gravest(counts: &[OutcomeCount]) -> Outcome {
        counts
            .iter()
            .filter(|entry| entry.count > 0)
            .map(OutcomeCount::outcome)
            .max_by_key(|outcome| outcome.gravity())
            .unwrap_or(Outcome::Ok)
    }

    /// How many of the counted jobs were cancelled before their scripts were started.
    pub fn never_started(counts: &[OutcomeCount]) -> u32 {
        counts.iter().map(|entry| entry.never_started).sum()
    }

    /// Adds a job's end to how many had which outcome, which are kept in the order of the numbers of
    /// the outcomes.
    pub fn count(counts: &mut Vec<OutcomeCount>, finished: &NodeFinished) {
        let at = counts.binary_search_by_key(&finished.outcome, |entry| entry.outcome);
        let at = at.unwrap_or_else(|at| {
            let outcome = finished.outcome;
            counts.insert(
                at,
                OutcomeCount {
                    outcome,
                    ..OutcomeCount::default()
                },
            );
            at
        });
        if let Some(entry) = counts.get_mut(at) {
            entry.count += 1;
            entry.never_started += u32::from(finished.never_started);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_outcome_names_the_run() {
        let count = |outcome: Outcome, count| OutcomeCount {
            outcome: outcome.into(),
            count,
            never_started: 0,
        };
        assert_eq!(Outcome::gravest(&[]), Outcome::Ok);
        let counts = [
            count(Outcome::Ok, 9),
            count(Outcome::Failed, 1),
            count(Outcome::Lost, 0),
            count(Outcome::TimedOut, 1),
        ];
        assert_eq!(Outcome::gravest(&counts), Outcome::TimedOut);
    }

    #[test]
    fn jobs_are_counted_by_outcome() {
        let mut counts = Vec::new();
        for (outcome, never_started) in [
            (Outcome::Cancelled, true),
            (Outcome::Ok, false),
            (Outcome::Cancelled, false),
            (Outcome::Cancelled, true),
        ] {
            let finished = NodeFinished {
                outcome: outcome.into(),
                never_started,
                ..NodeFinished::default()
            };
            Outcome::count(&mut counts, &finished);
        }
        let counts = counts
            .iter()
            .map(|it| (it.outcome(), it.count, it.never_started));
        let expected = [(Outcome::Ok, 1, 0), (Outcome::Cancelled, 3, 2)];
        assert_eq!(counts.collect::<Vec<_>>(), expected);
    }
}
