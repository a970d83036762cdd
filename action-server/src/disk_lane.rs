//! Lanes for blocking calls: each kind of disk work has threads of its own, and a bounded number of them,
//! so that one kind never waits behind another.
//!
//! The runtime itself never waits for a disk. One that hangs holds up its own lane and nothing else.
//!
//! A lane does its work on few threads, which go from one call to the next without sleep in between: a
//! thread that is woken for each call costs more than a short call. Only where calls wait, as behind a
//! disk that is slow, more threads come.

use std::{
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use thiserror::Error;
use tokio::{runtime::Handle, sync::oneshot, time::sleep};

use crate::locks::lock;

/// A call that is not done for so long has those behind it started on another thread.
const PATIENCE: Duration = Duration::from_millis(5);
/// It asks for that again and again, at most in such intervals.
const GREATEST_PATIENCE: Duration = Duration::from_secs(1);
/// How long a thread without work stays.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The lanes of this process.
pub(crate) static LANES: DiskLanes = DiskLanes {
    starts: DiskLane::new(8, 128),
    appends: DiskLane::new(2, 64),
    syncs: DiskLane::new(2, 32),
    ends: DiskLane::new(8, 96),
    reads: DiskLane::new(2, 16),
    callers: DiskLane::new(2, 8),
    lookups: DiskLane::new(1, 1),
    plans: DiskLane::new(2, 16),
    scripts: DiskLane::new(2, 64),
    definitions: DiskLane::new(2, 8),
    checks: DiskLane::new(1, 2),
    tidying: DiskLane::new(1, 4),
    metrics: DiskLane::new(1, 4),
};

/// One lane for each kind of blocking work.
pub(crate) struct DiskLanes {
    /// Starts of runs: their scripts are looked at, their records made.
    pub(crate) starts: DiskLane,
    /// Events on their way to the records of live runs.
    pub(crate) appends: DiskLane,
    /// Records that are synced while they grow.
    pub(crate) syncs: DiskLane,
    /// Ends of runs, which wait for the disk.
    pub(crate) ends: DiskLane,
    /// Records that are read for watchers.
    pub(crate) reads: DiskLane,
    /// Callers' requests to find or read one run.
    pub(crate) callers: DiskLane,
    /// Lists of runs and searches in memory: one at a time, since each takes a whole processor.
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
    /// Answers to scrapes.
    pub(crate) metrics: DiskLane,
}

type LaneWork = Box<dyn FnOnce() + Send>;

/// Threads for one kind of blocking work.
#[derive(Debug)]
pub(crate) struct DiskLane {
    /// So many threads work while no call waits for long.
    usual: usize,
    /// The most threads.
    most: usize,
    state: Mutex<LaneState>,
    has_work: Condvar,
}

struct LaneState {
    /// What waits, by the numbers of the calls.
    queue: BTreeMap<u64, LaneWork>,
    /// The number of the next call.
    next: u64,
    /// How many threads there are.
    threads: usize,
    /// How many of them wait for work.
    idle: usize,
}

/// Blocking work that has no result: it panicked, or there is no thread for it.
#[derive(Debug, Error)]
#[error("the server failed")]
pub(crate) struct LaneError;

impl From<LaneError> for io::Error {
    fn from(error: LaneError) -> io::Error {
        io::Error::other(error)
    }
}

impl DiskLane {
    /// A lane of `most` threads, of which `usual` do while no call waits for long.
    pub(crate) const fn new(usual: usize, most: usize) -> DiskLane {
        DiskLane {
            usual,
            most,
            state: Mutex::new(LaneState {
                queue: BTreeMap::new(),
                next: 0,
                threads: 0,
                idle: 0,
            }),
            has_work: Condvar::new(),
        }
    }

    /// Runs `work` on a thread of the lane as soon as one is free, in the order of the calls.
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
        let (done, mut result) = oneshot::channel();
        let runtime = Handle::current();
        let number = self.add_work(Box::new(move || {
            if !done.is_closed() {
                let _entered = runtime.enter();
                _ = done.send(work());
            }
        }));
        let _waiting = QueuedCall { lane: self, number };
        let mut patience = PATIENCE;
        loop {
            tokio::select! {
                biased;
                result = &mut result => return result.map_err(|_| LaneError),
                () = sleep(patience) => self.hurry_queue(),
            }
            // Behind a disk that hangs all threads are there soon.
            patience = (2 * patience).min(GREATEST_PATIENCE);
        }
    }

    fn add_work(&'static self, work: LaneWork) -> u64 {
        let mut state = self.lock_state();
        let number = state.next;
        state.next += 1;
        state.queue.insert(number, work);
        if state.threads - state.idle < self.usual {
            self.wake_thread(&mut state);
        }
        if state.threads == 0 {
            // No thread could be started: the work would wait for ever.
            state.queue.clear();
        }
        number
    }

    /// Adds a thread for the waiting calls.
    fn hurry_queue(&'static self) {
        let mut state = self.lock_state();
        if !state.queue.is_empty() {
            self.wake_thread(&mut state);
        }
    }

    fn wake_thread(&'static self, state: &mut LaneState) {
        if state.idle > 0 {
            self.has_work.notify_one();
        } else if state.threads < self.most {
            let thread = thread::Builder::new().name("disk".into());
            match thread.spawn(|| self.run_thread()) {
                Ok(_) => state.threads += 1,
                Err(error) => tracing::error!(%error, "cannot start a thread"),
            }
        }
    }

    /// The loop of a thread.
    fn run_thread(&self) {
        let mut state = self.lock_state();
        loop {
            if let Some((_, work)) = state.queue.pop_first() {
                drop(state);
                // The runtime's hook has logged it, and the caller gets an error.
                _ = catch_unwind(AssertUnwindSafe(work));
                state = self.lock_state();
                continue;
            }
            if state.threads > self.usual {
                break;
            }
            state.idle += 1;
            let waited = self.has_work.wait_timeout(state, IDLE_TIME);
            let (woken, time) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if time.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn lock_state(&self) -> MutexGuard<'_, LaneState> {
        lock(&self.state)
    }
}

/// A call that waits or is done. Its drop removes it from the queue.
struct QueuedCall {
    lane: &'static DiskLane,
    number: u64,
}

impl Drop for QueuedCall {
    fn drop(&mut self) {
        let removed = self.lane.lock_state().queue.remove(&self.number);
        // Behind the lock: it may call anything.
        drop(removed);
    }
}

impl std::fmt::Debug for LaneState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.queue.len())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::JoinHandle;

    use super::*;

    const CEILING: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_full_lane_holds_up_no_other_and_forgets_dropped_work() {
        static FULL: DiskLane = DiskLane::new(1, 1);
        static OTHER: DiskLane = DiskLane::new(1, 1);
        let (release, gate) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
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
        assert!(FULL.lock_state().queue.is_empty());
        release.send(()).unwrap();
        hanging.await.unwrap().unwrap().unwrap();
        FULL.run(move || _ = started.send("last")).await.unwrap();
        assert_eq!(starts.try_iter().collect::<Vec<_>>(), ["last"]);
    }

    #[tokio::test]
    async fn calls_behind_those_that_hang_are_done_by_more_threads_up_to_the_most() {
        static LANE: DiskLane = DiskLane::new(1, 3);
        async fn hang() -> (mpsc::Sender<()>, JoinHandle<bool>) {
            let (release, gate) = mpsc::channel::<()>();
            let (begin, begun) = oneshot::channel();
            let call = LANE.run(move || {
                _ = begin.send(());
                gate.recv_timeout(CEILING).is_ok()
            });
            let call = tokio::spawn(async { call.await.unwrap() });
            begun.await.unwrap();
            (release, call)
        }
        let mut hanging = vec![hang().await, hang().await];
        assert_eq!(LANE.run(|| 3).await.unwrap(), 3);
        hanging.push(hang().await);
        let mut refused = Box::pin(LANE.run(|| 4));
        let waited = tokio::time::timeout(10 * PATIENCE, &mut refused).await;
        assert!(waited.is_err() && LANE.lock_state().threads == 3);
        for (release, call) in hanging {
            release.send(()).unwrap();
            assert!(call.await.unwrap());
        }
        assert_eq!(refused.await.unwrap(), 4);
        // Those that came for the wait leave.
        while LANE.lock_state().threads > 1 {
            LANE.run(|| ()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_own_call() {
        static LANE: DiskLane = DiskLane::new(1, 1);
        assert!(LANE.run(|| panic!("as a fault of ours")).await.is_err());
        assert_eq!(LANE.run(|| 1).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_call_is_done_once_whoever_waits() {
        static LANE: DiskLane = DiskLane::new(2, 4);
        let calls = (0..2000).map(|number| tokio::spawn(LANE.run(move || number)));
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap().unwrap(), number);
        }
        assert!(LANE.lock_state().queue.is_empty());
    }
}
