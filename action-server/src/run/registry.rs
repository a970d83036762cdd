//! All runs: starts them, finds them, stops them, and waits for them when the server ends.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use action_proto::v1::{RunStarted, run_event::Event};
use thiserror::Error;
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    time::timeout,
};

use super::{
    Stop,
    owner::{Owner, Shared},
};
use crate::{
    catalogue::{Identity, Plan, PlannedJob},
    process::Descendants,
    record::{Reader, RunId, Store, Watermark},
};

/// What holds for all runs.
#[derive(Debug)]
pub struct Limits {
    /// The most jobs at once on the whole server.
    pub job_threads: usize,
    /// The most runs that live at once.
    pub live_runs: usize,
    /// The most output of one job that is kept, in bytes, unless its command says otherwise.
    pub output_per_job: u64,
    /// How long a script has after the first signal to end.
    pub kill_grace: Duration,
    /// Where scripts start.
    pub working_directory: PathBuf,
    /// What every script's environment starts from.
    pub base_environment: Vec<(String, String)>,
}

/// Who starts a run.
#[derive(Debug, Clone, Default)]
pub struct Starter {
    /// As the token proves.
    pub identity: Identity,
    /// The user name that the client gave for itself: a claim.
    pub claimed_username: String,
    /// The user id that the client gave for itself: a claim.
    pub claimed_uid: String,
}

/// Why a run is not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The server is stopping.
    #[error("the server is stopping; try again later")]
    Stopping,
    /// Too many runs live.
    #[error("{0} runs are going on, the limit (limits.live_runs); try again later")]
    TooManyRuns(usize),
    /// The record cannot be written.
    #[error("the run cannot be recorded, so it was not started")]
    Record(#[source] io::Error),
}

struct Live {
    watermark: watch::Receiver<Watermark>,
    stops: mpsc::Sender<Stop>,
}

/// All runs.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    limits: Arc<Limits>,
    slots: Arc<Semaphore>,
    descendants: Descendants,
    live: Mutex<HashMap<RunId, Live>>,
    /// Told whenever a run has ended.
    ended: Notify,
    stopping: AtomicBool,
}

impl Registry {
    /// A registry with its records in `store`.
    pub fn new(store: Store, limits: Limits) -> Registry {
        let slots = Arc::new(Semaphore::new(
            limits.job_threads.min(Semaphore::MAX_PERMITS),
        ));
        let inner = Inner {
            store,
            limits: Arc::new(limits),
            slots,
            descendants: Descendants::default(),
            live: Mutex::default(),
            ended: Notify::new(),
            stopping: AtomicBool::new(false),
        };
        Registry {
            inner: Arc::new(inner),
        }
    }

    /// Starts a run. When this returns the run is on the disk, and will be seen to its end
    /// whatever becomes of the caller.
    ///
    /// # Errors
    /// See [`StartError`]; nothing was run then.
    pub async fn start(&self, plan: Plan, starter: Starter) -> Result<RunId, StartError> {
        if self.inner.stopping.load(Ordering::Acquire) {
            return Err(StartError::Stopping);
        }
        let live = self.live().len();
        if live >= self.inner.limits.live_runs {
            return Err(StartError::TooManyRuns(live));
        }
        let first = run_started(&plan, &starter);
        let registry = self.clone();
        // On its own: a caller that goes away here must not leave a record without an owner.
        let started =
            tokio::task::spawn_blocking(move || registry.record_and_own(plan, starter, first));
        started
            .await
            .map_err(|error| StartError::Record(io::Error::other(error)))?
    }

    fn record_and_own(
        &self,
        plan: Plan,
        starter: Starter,
        first: Event,
    ) -> Result<RunId, StartError> {
        let writer = self.inner.store.create(first).map_err(StartError::Record)?;
        let run_id = writer.id().clone();
        tracing::info!(
            %run_id, command = plan.command.name, nodes = plan.nodes, jobs = plan.jobs.len(),
            subject = starter.identity.username, "started"
        );
        let (stops, stops_receiver) = mpsc::channel(8);
        let live = Live {
            watermark: writer.watermark(),
            stops,
        };
        let shared = Arc::new(Shared {
            run_id: run_id.clone(),
            plan,
            identity: starter.identity,
            limits: Arc::clone(&self.inner.limits),
            descendants: self.inner.descendants.clone(),
        });
        let owner = Owner::new(
            shared,
            writer,
            Arc::clone(&self.inner.slots),
            stops_receiver,
        );
        self.live().insert(run_id.clone(), live);
        let guard = Leave {
            registry: self.clone(),
            run_id: run_id.clone(),
        };
        tokio::spawn(async move {
            owner.run().await;
            drop(guard);
        });
        Ok(run_id)
    }

    /// A reader of a run's events after `after`, live or ended.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn read(&self, run_id: &RunId, after: u64) -> io::Result<Reader> {
        let watermark = self.live().get(run_id).map(|live| live.watermark.clone());
        self.inner.store.read(run_id, watermark, after)
    }

    /// Stops a run that lives. One that has ended stays as it is.
    pub fn stop(&self, run_id: &RunId, stop: Stop) {
        if let Some(live) = self.live().get(run_id) {
            // A full queue holds a stop already.
            _ = live.stops.try_send(stop);
        }
    }

    /// Takes no more runs, waits for those that live, cancels what is left after `drain`, and
    /// returns when none lives.
    pub async fn drain(&self, drain: Duration) {
        self.inner.stopping.store(true, Ordering::Release);
        if timeout(drain, self.until_none_lives()).await.is_ok() {
            return;
        }
        tracing::warn!(runs = self.live().len(), "cancelling what still runs");
        let ids: Vec<RunId> = self.live().keys().cloned().collect();
        for id in &ids {
            self.stop(id, Stop::Cancel);
        }
        self.until_none_lives().await;
    }

    async fn until_none_lives(&self) {
        loop {
            let ended = self.inner.ended.notified();
            if self.live().is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunId, Live>> {
        self.inner
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a run from the living when its owner is done, also where that panics.
struct Leave {
    registry: Registry,
    run_id: RunId,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.registry.live().remove(&self.run_id);
        self.registry.inner.ended.notify_waiters();
    }
}

fn run_started(plan: &Plan, starter: &Starter) -> Event {
    let nodes = match plan.command.has_context {
        true => plan
            .jobs
            .iter()
            .map(|job: &PlannedJob| job.node_name().to_owned())
            .collect(),
        false => Vec::new(),
    };
    Event::RunStarted(RunStarted {
        command: plan.command.name.clone(),
        arguments: plan.arguments.clone(),
        subject: starter.identity.username.clone(),
        nodes,
        request_username: starter.claimed_username.clone(),
        request_uid: starter.claimed_uid.clone(),
        fanout: plan.fanout,
        timeout: prost_types::Duration::try_from(plan.timeout).ok(),
    })
}
