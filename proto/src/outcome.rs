//! What an `Outcome` means: its name for people, and which of two is the graver.

use crate::v1::{Outcome, OutcomeCount};

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_outcome_names_the_run() {
        let count = |outcome: Outcome, count| OutcomeCount {
            outcome: outcome.into(),
            count,
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
}
