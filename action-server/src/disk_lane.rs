//! Lanes for blocking calls: each kind of disk work has a bounded number of threads of its own, so that
//! one kind never waits behind another.
//!
//! The runtime itself never waits for a disk. One that hangs holds up its own lane and nothing else.

use thiserror::Error;
use tokio::sync::Semaphore;

/// How many threads of the runtime may block: more than all lanes together, so that what has no lane,
/// such as notifying the service manager, always finds one.
pub(crate) const BLOCKING_THREADS: usize = 512;

/// The lanes of this process, which has one runtime.
pub(crate) static LANES: Lanes = Lanes {
    starts: DiskLane::new(128),
    appends: DiskLane::new(64),
    syncs: DiskLane::new(32),
    ends: DiskLane::new(96),
    reads: DiskLane::new(16),
    callers: DiskLane::new(8),
    lookups: DiskLane::new(2),
    plans: DiskLane::new(16),
    scripts: DiskLane::new(64),
    definitions: DiskLane::new(8),
    checks: DiskLane::new(2),
    tidying: DiskLane::new(4),
};

/// One lane for each kind of blocking work.
pub(crate) struct Lanes {
    /// Starts of runs: their scripts are looked at, their records made.
    pub(crate) starts: DiskLane,
    /// Events on their way to the records of live runs.
    pub(crate) appends: DiskLane,
    /// Records that are synced while they grow.
    pub(crate) syncs: DiskLane,
    /// Ends of runs, which wait for the disk.
    pub(crate) ends: DiskLane,
    /// Records that are read for those who follow runs.
    pub(crate) reads: DiskLane,
    /// Callers' requests to find or read one run.
    pub(crate) callers: DiskLane,
    /// Lists of runs and searches for one among what is in memory: few, as they take a processor.
    pub(crate) lookups: DiskLane,
    /// Digests of the scripts of plans that callers ask for.
    pub(crate) plans: DiskLane,
    /// Scripts that are looked at as they are started.
    pub(crate) scripts: DiskLane,
    /// Definitions, keys, policies and certificates that are read again.
    pub(crate) definitions: DiskLane,
    /// Whether runs can be recorded.
    pub(crate) checks: DiskLane,
    /// Records that are removed.
    pub(crate) tidying: DiskLane,
}

/// A bounded number of threads for one kind of blocking work.
#[derive(Debug)]
pub(crate) struct DiskLane {
    permits: Semaphore,
}

/// Blocking work that has no result: it panicked, or the runtime is shutting down.
#[derive(Debug, Error)]
#[error("the server failed")]
pub(crate) struct LaneError;

impl From<LaneError> for std::io::Error {
    fn from(error: LaneError) -> std::io::Error {
        std::io::Error::other(error)
    }
}

impl DiskLane {
    /// A lane in which `width` calls may block at once.
    pub(crate) const fn new(width: usize) -> DiskLane {
        DiskLane {
            permits: Semaphore::const_new(width),
        }
    }

    /// Runs `work` on a thread of the lane as soon as one is free.
    ///
    /// Dropping the future before then means that `work` never starts; work that has started runs to
    /// its end and holds its thread until then.
    ///
    /// # Errors
    /// See [`LaneError`].
    pub(crate) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LaneError> {
        let permit = self.permits.acquire().await.map_err(|_| LaneError)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work()
        });
        done.await.map_err(|_| LaneError)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    const CEILING: Duration = Duration::from_secs(30);

    /// Notifications, name resolution and the like.
    const OTHERS: usize = 32;

    #[test]
    fn there_are_threads_for_all_lanes_and_some_more() {
        let Lanes {
            starts,
            appends,
            syncs,
            ends,
            reads,
            callers,
            lookups,
            plans,
            scripts,
            definitions,
            checks,
            tidying,
        } = &LANES;
        let lanes = [
            starts,
            appends,
            syncs,
            ends,
            reads,
            callers,
            lookups,
            plans,
            scripts,
            definitions,
            checks,
            tidying,
        ];
        // Other tests may use the lanes meanwhile, which only makes it less.
        let all: usize = lanes
            .map(|lane| lane.permits.available_permits())
            .iter()
            .sum();
        assert!(all + OTHERS <= BLOCKING_THREADS, "{all}");
    }

    #[tokio::test]
    async fn a_full_lane_holds_up_no_other_and_forgets_dropped_work() {
        static FULL: DiskLane = DiskLane::new(1);
        static OTHER: DiskLane = DiskLane::new(1);
        let (release, gate) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let hanging = tokio::spawn(FULL.run(move || {
            _ = begin.send(());
            gate.recv_timeout(CEILING)
        }));
        begun.await.unwrap();
        assert_eq!(OTHER.run(|| 1).await.unwrap(), 1);
        let (started, starts) = mpsc::channel();
        let started_later = started.clone();
        let mut dropped = Box::pin(FULL.run(move || _ = started_later.send("dropped")));
        let polled = futures_util::poll!(&mut dropped);
        assert!(polled.is_pending());
        drop(dropped);
        release.send(()).unwrap();
        hanging.await.unwrap().unwrap().unwrap();
        FULL.run(move || _ = started.send("last")).await.unwrap();
        assert_eq!(starts.try_iter().collect::<Vec<_>>(), ["last"]);
    }
}
