//! The load of all runs, in numbers.

use std::time::Duration;

/// The load of all runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerLoad {
    /// Live runs.
    pub runs: usize,
    /// The most live runs.
    pub limit: usize,
    /// Live runs whose record cannot be written.
    pub unrecorded: usize,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that wait to be started.
    pub waiting: u64,
    /// Runs that wait for a slot.
    pub waiting_runs: usize,
    /// How long the first of them has waited.
    pub oldest_wait: Duration,
    /// Slots for scripts.
    pub slots: usize,
    /// Slots in use.
    pub slots_used: usize,
}
