//! One owner a run: it alone starts the run's jobs and writes the run's record.

use std::{pin::Pin, sync::Arc};

use action_proto::v1::{Outcome, RunFinished, run_event::Event};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};

use super::{
    Limits, Stop, job,
    progress::{Progress, never_started},
};
use crate::{
    catalogue::{Identity, Plan},
    process::{Descendants, Marker},
    record::{RunId, Writer},
};

/// How many events may wait to be written, and how many are written at once. With chunks of at
/// most 64 KiB this bounds what a run's output takes in memory.
const BACKLOG: usize = 64;

/// What the jobs of one run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) run_id: RunId,
    pub(super) plan: Plan,
    pub(super) identity: Identity,
    pub(super) limits: Arc<Limits>,
    pub(super) descendants: Descendants,
}

impl Shared {
    /// The most output of one job that is kept; `None` for all.
    pub(super) fn output_limit(&self) -> Option<u64> {
        self.plan
            .command
            .output_limit
            .unwrap_or(Some(self.limits.output_per_job))
    }
}

/// The task that owns a run.
pub(super) struct Owner {
    shared: Arc<Shared>,
    writer: Writer,
    progress: Progress,
    slots: Arc<Semaphore>,
    stops: mpsc::Receiver<Stop>,
    started: Instant,
    /// False after the record could not be written: the run goes on, unrecorded.
    recording: bool,
}

type Slot = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl Owner {
    pub(super) fn new(
        shared: Arc<Shared>,
        writer: Writer,
        slots: Arc<Semaphore>,
        stops: mpsc::Receiver<Stop>,
    ) -> Owner {
        let progress = Progress::new(shared.plan.jobs.len(), shared.plan.fanout as usize);
        Owner {
            shared,
            writer,
            progress,
            slots,
            stops,
            started: Instant::now(),
            recording: true,
        }
    }

    /// Sees the run to its end.
    pub(super) async fn run(mut self) {
        let (sender, mut events) = mpsc::channel(BACKLOG);
        let (stop_jobs, jobs_stop) = watch::channel(None);
        let mut batch = Vec::with_capacity(BACKLOG);
        // One place in the server's queue at a time: runs take turns, however many jobs each has.
        let mut slot: Option<Slot> = None;
        while !self.progress.is_done() {
            if !self.progress.wants_job() {
                slot = None;
            } else if slot.is_none() {
                slot = Some(Box::pin(Arc::clone(&self.slots).acquire_owned()));
            }
            tokio::select! {
                biased;
                Some(stop) = self.stops.recv() => {
                    let (never, news) = self.progress.stop(stop);
                    batch.extend(never.map(|at| never_started(self.shared.plan.jobs[at].node_name())));
                    if news {
                        stop_jobs.send_replace(Some(stop));
                    }
                }
                Some(Ok(permit)) = poll_slot(&mut slot) => {
                    slot = None;
                    let at = self.progress.start_job();
                    let job = job::run(Arc::clone(&self.shared), at, permit, jobs_stop.clone(), sender.clone());
                    tokio::spawn(job);
                }
                _ = events.recv_many(&mut batch, BACKLOG) => {}
            }
            self.record(&mut batch);
        }
        self.finish().await;
    }

    fn record(&mut self, batch: &mut Vec<Event>) {
        if batch.is_empty() {
            return;
        }
        for event in batch.iter() {
            self.progress.observe(event);
        }
        let events = batch.drain(..);
        if self.recording
            && let Err(error) = self.writer.append(events)
        {
            self.lose_record(&error);
        }
    }

    async fn finish(mut self) {
        // What hid from its own job, behind another name, has no job to hide behind any more.
        let marker = Marker::run(self.shared.run_id.as_str());
        if !self.shared.plan.command.leave_running {
            self.shared.descendants.end_strays(None, &marker).await;
        }
        let counts = self.progress.counts();
        let outcome = Outcome::gravest(&counts);
        let finished = RunFinished {
            outcome: outcome.into(),
            counts,
            duration: prost_types::Duration::try_from(self.started.elapsed()).ok(),
        };
        let run_id = self.shared.run_id.clone();
        tracing::info!(%run_id, outcome = outcome.label(), "finished");
        if !self.recording {
            return;
        }
        // The disk may take its time; other runs do not wait for it.
        let written = tokio::task::spawn_blocking(move || {
            let written = self.writer.finish([Event::RunFinished(finished)]);
            written.inspect_err(|error| self.lose_record(error))
        });
        _ = written.await;
    }

    fn lose_record(&mut self, error: &std::io::Error) {
        tracing::error!(run_id = %self.shared.run_id, %error, "cannot write the record; the run goes on without");
        self.recording = false;
        self.writer.abandon();
    }
}

async fn poll_slot(slot: &mut Option<Slot>) -> Option<Result<OwnedSemaphorePermit, AcquireError>> {
    match slot {
        Some(slot) => Some(slot.await),
        None => std::future::pending().await,
    }
}
