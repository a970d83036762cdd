//! What goes on over all runs, in numbers.

use std::time::Duration;

/// What goes on now, over all runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Runs that live.
    pub runs: usize,
    /// The most that may.
    pub limit: usize,
    /// Of them, those whose record cannot be written.
    pub unrecorded: usize,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that wait to be started.
    pub waiting: u64,
    /// Runs that wait for a place.
    pub waiting_runs: usize,
    /// How long the first of them has.
    pub oldest_wait: Duration,
    /// Places for jobs.
    pub slots: usize,
    /// Those that are taken.
    pub slots_used: usize,
}
