//! The registry of all runs: starts, finds and stops them, and waits for them when the server stops.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use action_proto::v1::Job;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{
    RunLimits, RunStatus, ServerLoad, StartError, StopKind, StopOrder, recover::recover_runs,
    scheduler::RunKey, slots::JobSlots,
};
use crate::{
    audit::{self, Audit, AuditedCaller},
    holder_limiter::{HolderLimiter, HolderPermit},
    locks::lock,
    metrics::Metrics,
    process::{Reaper, give_back_memory},
    record::{
        EventLog, EventReader, RecordEntry, RecordStore, RetentionLimits, RunId, RunIndex, RunTexts,
    },
};

/// The time that runs have to end after the last of their scripts was killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A run that goes on, as calls reach it.
pub(super) struct LiveRun {
    pub(super) entry: Arc<RecordEntry>,
    pub(super) orders: watch::Sender<Option<StopOrder>>,
    pub(super) status: Arc<Mutex<RunStatus>>,
    pub(super) queue: RunKey,
}

/// The status of a live run.
#[derive(Debug, Clone)]
pub struct LiveStatus {
    /// As its owner reports it.
    pub status: RunStatus,
    /// The sequence of the last event that can be read.
    pub last_sequence: u64,
}

/// All runs.
#[derive(Clone)]
pub struct RunRegistry {
    pub(super) inner: Arc<RegistryInner>,
}

pub(super) struct RegistryInner {
    store: Arc<RecordStore>,
    pub(super) log: Arc<dyn EventLog>,
    index: Arc<dyn RunIndex>,
    pub(super) audit: Audit,
    pub(super) metrics: Metrics,
    pub(super) limits: Arc<RunLimits>,
    pub(super) slots: JobSlots,
    pub(super) reaper: Reaper,
    live: Mutex<HashMap<RunId, LiveRun>>,
    /// One permit for each run that may live.
    pub(super) run_permits: Arc<Semaphore>,
    /// The same for each subject.
    pub(super) subjects: HolderLimiter<String>,
    pub(super) stopping: AtomicBool,
}

impl RunRegistry {
    /// A registry with its records in `store`, where `log` puts them.
    ///
    /// Ends the runs that another server left without an end, and their processes.
    ///
    /// # Errors
    /// The disk's.
    pub async fn open(
        store: Arc<RecordStore>,
        log: Arc<dyn EventLog>,
        audit: Audit,
        metrics: Metrics,
        limits: RunLimits,
    ) -> io::Result<RunRegistry> {
        recover_runs(&store, &audit, &metrics).await?;
        let slots = JobSlots::new(limits.job_threads);
        let run_permits = Arc::new(Semaphore::new(limits.live_runs));
        let subjects = HolderLimiter::new(usize::MAX, limits.runs_per_subject);
        let inner = RegistryInner {
            index: Arc::clone(&store) as Arc<dyn RunIndex>,
            store,
            log,
            audit,
            metrics,
            limits: Arc::new(limits),
            slots,
            reaper: Reaper::new()?,
            live: Mutex::default(),
            run_permits,
            subjects,
            stopping: AtomicBool::new(false),
        };
        Ok(RunRegistry {
            inner: Arc::new(inner),
        })
    }

    /// A reader of a run's events after `after`, live or ended.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub async fn read(&self, run_id: &RunId, after: u64) -> io::Result<Box<dyn EventReader>> {
        self.inner.log.read(run_id, after).await
    }

    /// The runs that there are, in brief.
    pub fn index(&self) -> &dyn RunIndex {
        &*self.inner.index
    }

    /// The live runs, newest first.
    pub fn living_runs(&self) -> Vec<Arc<RecordEntry>> {
        let live = self.live();
        let mut entries: Vec<_> = live.values().map(|it| Arc::clone(&it.entry)).collect();
        drop(live);
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.position()));
        entries
    }

    /// The status of a live run; `None` for others.
    pub fn status(&self, run_id: &RunId) -> Option<LiveStatus> {
        let last_sequence = self.inner.log.live_sequence(run_id)?;
        let live = self.live();
        let live = live.get(run_id)?;
        let status = lock(&live.status);
        Some(LiveStatus {
            status: RunStatus {
                queue_position: self.inner.slots.queue_position(live.queue),
                ..status.clone()
            },
            last_sequence,
        })
    }

    /// Arguments and reason of a run. Blocks for the disk where they are long.
    ///
    /// # Errors
    /// The disk's.
    pub fn texts(&self, entry: &RecordEntry) -> io::Result<RunTexts> {
        self.inner.store.texts(entry)
    }

    /// Each job of a run, as far as its record goes now, and where that is damaged. Blocks for the disk, but for one that lives.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn jobs(&self, run_id: &RunId) -> io::Result<(Vec<Job>, Option<String>)> {
        self.inner.store.jobs(run_id)
    }

    /// Whether new runs can be recorded, as of the last check.
    pub fn record_works(&self) -> watch::Receiver<bool> {
        self.inner.store.writable()
    }

    /// Checks that. Blocks for the disk.
    pub fn look_at_records(&self) {
        self.inner.store.check_writable();
    }

    /// The load of all runs now.
    pub fn load(&self) -> ServerLoad {
        let mut load = ServerLoad {
            limit: self.inner.limits.live_runs,
            ..ServerLoad::default()
        };
        self.inner.slots.add_to(&mut load);
        for live in self.live().values() {
            let status = lock(&live.status);
            load.runs += 1;
            load.running += u64::from(status.running);
            load.waiting += u64::from(status.waiting);
            load.unrecorded += usize::from(status.failing);
        }
        load
    }

    /// Stops a live run.
    pub fn stop(&self, run_id: &RunId, order: StopOrder) {
        if let Some(live) = self.live().get(run_id) {
            live.orders.send_if_modified(|known| {
                let graver = known.as_ref().is_none_or(|known| known.stop < order.stop);
                if graver {
                    *known = Some(order);
                }
                graver
            });
        }
    }

    /// Removes old records, and reaps processes that have ended since. Blocks for the disk.
    pub fn tidy(&self, retention: &RetentionLimits) {
        self.inner.reaper.reap_ended();
        match self
            .inner
            .store
            .expire_records(retention, |id| self.live().contains_key(id))
        {
            Ok(0) => {}
            Ok(runs) => {
                tracing::info!(runs, "removed old records");
                give_back_memory();
            }
            Err(error) => tracing::error!(%error, "cannot remove an old record"),
        }
    }

    /// Rejects new runs, waits for live ones, cancels the rest after `drain` or when `hurried` is done,
    /// and returns when none is live, or after a limit.
    pub async fn drain(&self, drain: Duration, hurried: impl Future<Output = ()>) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        tokio::select! {
            () = self.until_none_lives() => return,
            () = sleep(drain) => {}
            () = hurried => {}
        }
        tracing::warn!(runs = self.live().len(), "cancelling what still runs");
        let ids: Vec<RunId> = self.live().keys().cloned().collect();
        for id in &ids {
            let why = "the server is stopping";
            let event = audit::Event::RunCancelled {
                run_id: id.to_string(),
                caller: AuditedCaller::default(),
                reason: Some(why),
            };
            self.inner.audit.note(event);
            self.stop(id, StopOrder::new(StopKind::Cancel, why));
        }
        // One grace for scripts, and one for what had left them.
        let limit = 2 * self.inner.limits.kill_grace + STOP_LIMIT;
        if timeout(limit, self.until_none_lives()).await.is_err() {
            tracing::error!(
                runs = self.live().len(),
                "runs do not end; they count as lost at the next start"
            );
        }
    }

    /// The number of live runs.
    pub fn living(&self) -> usize {
        self.live().len()
    }

    async fn until_none_lives(&self) {
        // Each live run holds a permit: all are free when none lives.
        let all = u32::try_from(self.inner.limits.live_runs).unwrap_or(u32::MAX);
        _ = self.inner.run_permits.acquire_many(all).await;
    }

    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<RunId, LiveRun>> {
        lock(&self.inner.live)
    }
}

/// Removes a run from the live ones when its owner is done or panics.
pub(super) struct LiveRunGuard {
    registry: RunRegistry,
    run_id: RunId,
    _permits: RunPermits,
}

/// The permits of a live run.
pub(super) struct RunPermits {
    _of_all: OwnedSemaphorePermit,
    _of_subject: HolderPermit<String>,
}

impl RegistryInner {
    /// The permits for a run of a subject.
    pub(super) fn permits(&self, subject: &str) -> Result<RunPermits, StartError> {
        let of_all = Arc::clone(&self.run_permits).try_acquire_owned();
        // In this order: a drain that begins after the check waits for the permit.
        if self.stopping.load(Ordering::SeqCst) {
            return Err(StartError::Stopping);
        }
        let of_subject = self.subjects.take(subject.to_owned());
        Ok(RunPermits {
            _of_all: of_all.map_err(|_| StartError::TooManyRuns(self.limits.live_runs))?,
            _of_subject: of_subject
                .ok_or(StartError::TooManyOfSubject(self.limits.runs_per_subject))?,
        })
    }
}

impl LiveRunGuard {
    pub(super) fn new(registry: RunRegistry, run_id: RunId, permits: RunPermits) -> LiveRunGuard {
        LiveRunGuard {
            registry,
            run_id,
            _permits: permits,
        }
    }
}

impl Drop for LiveRunGuard {
    fn drop(&mut self) {
        self.registry.live().remove(&self.run_id);
    }
}
