//! One owner a run: it alone starts the run's jobs and has the run's record written.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use action_proto::v1::{Outcome, OutcomeCount, RunFinished, run_event::Event};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Load, Stop, StopOrder, job,
    progress::{Progress, never_started},
    recorder::Recorder,
    recording::Recording,
    shared::{Shared, labelled, tell_outcome},
    slots::Slots,
};
use crate::{
    audit::{self, Who},
    process::{EnvMarker, LeftoversOf},
};

/// How many events may wait to be written, and how many are written at once. With chunks of at
/// most 64 KiB this bounds what a run's output takes in memory.
const BACKLOG: usize = 24;

/// Where a run stands now, for those who ask.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Jobs that run.
    pub running: u32,
    /// Jobs that wait to be started.
    pub waiting: u32,
    /// Where it stands in the server's queue for places, from 1; 0 while it does not stand there.
    pub queue_position: u32,
    /// How many jobs ended with which outcome.
    pub counts: Vec<OutcomeCount>,
    /// True while the record cannot be written.
    pub failing: bool,
}

/// What an owner tells of where its run stands. The queue moves without it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    status: Status,
    ticket: u64,
}

impl Standing {
    /// Adds what this run does to what all do.
    pub(super) fn add_to(&self, load: &mut Load) {
        load.running += u64::from(self.status.running);
        load.waiting += u64::from(self.status.waiting);
        load.unrecorded += usize::from(self.status.failing);
    }

    /// Where the run stands now.
    pub(super) fn now(&self, slots: &Slots) -> Status {
        Status {
            queue_position: slots.position(self.ticket),
            ..self.status.clone()
        }
    }
}

/// The task that owns a run.
pub(super) struct Owner {
    shared: Arc<Shared>,
    recording: Recording,
    progress: Progress,
    status: Arc<Mutex<Standing>>,
    slots: Slots,
    orders: watch::Receiver<Option<StopOrder>>,
    started: Instant,
    /// What is to be recorded next.
    batch: Vec<Event>,
    /// How many of these the progress has seen.
    observed: usize,
}

type Slot = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl Owner {
    pub(super) fn new(
        shared: Arc<Shared>,
        recorder: Recorder,
        slots: Slots,
        orders: watch::Receiver<Option<StopOrder>>,
        status: Arc<Mutex<Standing>>,
    ) -> Owner {
        let progress = Progress::new(shared.plan.jobs.len(), shared.plan.fanout as usize);
        let owner = Owner {
            shared,
            recording: Recording::new(recorder),
            progress,
            status,
            slots,
            orders,
            started: Instant::now(),
            batch: Vec::with_capacity(BACKLOG),
            observed: 0,
        };
        owner.show_status();
        owner
    }

    /// Sees the run to its end.
    pub(super) async fn run(mut self) {
        if self.shared.plan.command.leave_running {
            self.shared.reaper.let_unmarked_live();
        }
        let (sender, mut events) = mpsc::channel(BACKLOG);
        let (stop_jobs, jobs_stop) = watch::channel(None);
        let time_is_over = self
            .shared
            .limits
            .run_timeout
            .map(|limit| self.started + limit);
        // One place in the server's queue at a time: runs take turns, however many jobs each has.
        let mut slot: Option<Slot> = None;
        while !self.progress.is_done() {
            // Where the record hangs nothing more is started: its outcome could not be recorded.
            if !self.progress.wants_job() || self.recording.is_stalled() {
                slot = None;
            } else if slot.is_none() {
                let ticket = self.slots.queue_up();
                self.standing().ticket = ticket.number();
                slot = Some(Box::pin(self.slots.clone().take(ticket)));
            }
            let (retry, stall) = (self.recording.next_try(), self.recording.stalls_at());
            tokio::select! {
                biased;
                Ok(()) = self.orders.changed() => {
                    let order = self.orders.borrow_and_update().clone();
                    order.into_iter().for_each(|order| self.stop(order, &stop_jobs));
                }
                () = until(time_is_over), if self.progress.is_going() => {
                    let limit = self.shared.limits.run_timeout.unwrap_or_default();
                    let why = format!("the run was not done after {}", humantime::format_duration(limit));
                    self.stop(StopOrder::new(Stop::TimeOut, why), &stop_jobs);
                }
                Some(Ok(permit)) = poll_slot(&mut slot) => {
                    slot = None;
                    let at = self.progress.start_job();
                    let job = job::run(Arc::clone(&self.shared), at, permit, jobs_stop.clone(), sender.clone());
                    tokio::spawn(job);
                }
                () = self.recording.written() => {}
                // Events wait while others are written: the channel fills, then the pipes.
                _ = events.recv_many(&mut self.batch, BACKLOG), if self.recording.is_idle() => {}
                // No event may come for long, and others wait for what is owed to the record.
                () = until(retry) => self.recording.record(Vec::new()),
                () = until(stall) => self.recording.mark_stalled(),
            }
            self.record();
            if let Some(order) = self.halt_order() {
                self.stop(order, &stop_jobs);
                self.record();
            }
        }
        self.finish().await;
    }

    /// The order to start nothing more, once too many jobs have failed.
    fn halt_order(&self) -> Option<StopOrder> {
        let most = self
            .shared
            .max_failures
            .filter(|&most| self.progress.failures() >= most)?;
        let why = format!("cancelled after {most} failures");
        (self.progress.waiting() > 0).then(|| StopOrder::new(Stop::Halt, why))
    }

    fn stop(&mut self, order: StopOrder, stop_jobs: &watch::Sender<Option<StopOrder>>) {
        let (never, news) = self.progress.stop(order.stop);
        let jobs = &self.shared.plan.jobs[never];
        self.batch.extend(
            jobs.iter()
                .map(|job| never_started(job.node_name(), &order)),
        );
        if news {
            stop_jobs.send_replace(Some(order));
        }
    }

    /// Takes note of new events, and has them recorded as soon as those before are.
    fn record(&mut self) {
        for event in &self.batch[self.observed..] {
            self.progress.observe(event);
        }
        self.observed = self.batch.len();
        if self.observed > 0 && self.recording.is_idle() {
            self.observed = 0;
            self.recording.record(std::mem::take(&mut self.batch));
        }
        self.show_status();
    }

    fn show_status(&self) {
        let mut standing = self.standing();
        let status = &mut standing.status;
        status.running = u32::try_from(self.progress.running()).unwrap_or(u32::MAX);
        status.waiting = u32::try_from(self.progress.waiting()).unwrap_or(u32::MAX);
        status.failing = self.recording.is_failing();
        self.progress.count_into(&mut status.counts);
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what hid from its own job, behind another name or none: it has no job to hide behind
    /// any more.
    async fn end_what_hid(shared: &Shared) {
        let mut processes = 0;
        if !shared.plan.command.leave_running {
            let marker = EnvMarker::run(shared.run_id.as_str());
            for of in [LeftoversOf::Run(marker), LeftoversOf::Everybody] {
                let ended = shared.reaper.end_leftovers(&Arc::new(of)).await;
                processes += ended.len();
            }
        }
        if processes > 0 {
            tracing::warn!(run_id = %shared.run_id, processes, "ended processes that hid from their job");
        }
    }

    async fn finish(mut self) {
        let rest = self.recording.flush(self.batch);
        let (rest, ()) = tokio::join!(rest, Owner::end_what_hid(&self.shared));
        let mut counts = Vec::new();
        self.progress.count_into(&mut counts);
        let outcome = Outcome::gravest(&counts);
        let finished = RunFinished {
            outcome: outcome.into(),
            counts,
            duration: prost_types::Duration::try_from(self.started.elapsed()).ok(),
        };
        let event = finished_event(&self.shared, outcome, &finished.counts);
        tell_outcome(&self.shared.span, outcome, "");
        self.recording.finish(rest, finished).await;
        // Only now: without an end in the record the next start says in both that the run is lost. A log
        // that fails has said so, and writes the line when it can.
        _ = self.shared.audit.write(event).await;
    }
}

fn finished_event(shared: &Shared, outcome: Outcome, counts: &[OutcomeCount]) -> audit::Event {
    audit::Event {
        // Where the call came from that started it says nothing of its end.
        who: Who {
            address: None,
            ..shared.who.clone()
        },
        command: Some(shared.plan.command.name.clone()),
        nodes: Some(shared.plan.nodes.clone()).filter(|nodes| !nodes.is_empty()),
        outcome: Some(outcome.label().to_owned()),
        counts: Some(labelled(counts)),
        ..audit::Event::of_run("run_finished", &shared.run_id)
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn poll_slot(slot: &mut Option<Slot>) -> Option<Result<OwnedSemaphorePermit, AcquireError>> {
    match slot {
        Some(slot) => Some(slot.await),
        None => std::future::pending().await,
    }
}
