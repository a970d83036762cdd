//! One owner a run: it alone starts the run's jobs and has the run's record written.

use std::sync::{Arc, Mutex};

use action_proto::v1::{Outcome, OutcomeCount, RunFinished, run_event::Event};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    StopKind, StopOrder,
    job::run_job,
    progress::{RunProgress, never_started},
    recorder::EventRecorder,
    recording::RecorderTask,
    shared::{RunContext, counts_by_label, set_span_outcome},
    slots::JobQueue,
};
use crate::{
    audit::{self, AuditedNodes, FinishedRun},
    locks::lock,
    process::LeftoverScope,
    traces::Span,
};

/// How many events may wait to be written, and how many are written at once. With chunks of at
/// most 64 KiB this bounds what a run's output takes in memory.
const BACKLOG: usize = 24;

/// The status of a live run.
#[derive(Debug, Clone, Default)]
pub struct RunStatus {
    /// Jobs that run.
    pub running: u32,
    /// Jobs that wait to be started.
    pub waiting: u32,
    /// The place in the server's queue for slots, from 1; 0 while the run is not in it.
    pub queue_position: u32,
    /// How many jobs ended with which outcome.
    pub counts: Vec<OutcomeCount>,
    /// True while the record cannot be written.
    pub failing: bool,
}

/// The task that owns a run.
pub(super) struct RunOwner {
    context: Arc<RunContext>,
    recording: RecorderTask,
    progress: RunProgress,
    status: Arc<Mutex<RunStatus>>,
    queue: JobQueue,
    orders: watch::Receiver<Option<StopOrder>>,
    stop_jobs: watch::Sender<Option<StopOrder>>,
    started: Instant,
    /// Events to be recorded next.
    batch: Vec<Event>,
    /// How many of these the progress has counted.
    observed: usize,
}

impl RunOwner {
    pub(super) fn new(
        context: Arc<RunContext>,
        recorder: EventRecorder,
        queue: JobQueue,
        orders: watch::Receiver<Option<StopOrder>>,
        status: Arc<Mutex<RunStatus>>,
    ) -> RunOwner {
        let owner = RunOwner {
            progress: RunProgress::new(context.plan.jobs.len()),
            context,
            recording: RecorderTask::new(recorder),
            status,
            queue,
            orders,
            stop_jobs: watch::Sender::new(None),
            started: Instant::now(),
            batch: Vec::with_capacity(BACKLOG),
            observed: 0,
        };
        owner.update_status();
        owner
    }

    /// Runs the jobs, and records the end after the last of them.
    pub(super) async fn run_to_completion(mut self) {
        if self.context.plan.command.leave_running {
            self.context.reaper.spare_unmarked();
        }
        let (sender, mut events) = mpsc::channel(BACKLOG);
        let limit = self.context.limits.run_timeout;
        let deadline = limit.map(|limit| self.started + limit);
        while !self.progress.is_done() {
            // While the record hangs nothing more is started: its outcome could not be recorded.
            self.queue.set_held(self.recording.is_stalled());
            let (retry, stall) = (self.recording.next_try(), self.recording.stalls_at());
            tokio::select! {
                biased;
                Ok(()) = self.orders.changed() => {
                    let order = self.orders.borrow_and_update().clone();
                    order.into_iter().for_each(|order| self.stop_run(order));
                }
                () = wait_until(deadline), if self.progress.is_going() => {
                    let limit = humantime::format_duration(limit.unwrap_or_default());
                    let why = format!("the run was not done after {limit}");
                    self.stop_run(StopOrder::new(StopKind::TimeOut, why));
                }
                (job, slot) = self.queue.next_start() => {
                    self.progress.start_job();
                    let stop = self.stop_jobs.subscribe();
                    let job = run_job(Arc::clone(&self.context), job, slot, stop, sender.clone());
                    tokio::spawn(Span::current().scope(job));
                }
                () = self.recording.written() => {}
                // Events wait while others are written: the channel fills, then the pipes.
                _ = events.recv_many(&mut self.batch, BACKLOG), if self.recording.is_idle() => {}
                // No event may come for long, and the recorder has some to write.
                () = wait_until(retry) => self.recording.record(Vec::new()),
                () = wait_until(stall) => self.recording.mark_stalled(),
            }
            self.record_batch();
            if let Some(order) = self.halt_order() {
                self.stop_run(order);
                self.record_batch();
            }
        }
        self.finish_run().await;
    }

    /// The order to start nothing more, once too many jobs have failed.
    fn halt_order(&self) -> Option<StopOrder> {
        let most = self
            .context
            .max_failures
            .filter(|&most| self.progress.failures() >= most)?;
        let why = format!("cancelled after {most} failures");
        (self.progress.waiting() > 0).then(|| StopOrder::new(StopKind::Halt, why))
    }

    fn stop_run(&mut self, order: StopOrder) {
        for job in self.queue.cancel_waiting() {
            if let Some(job) = self.context.plan.jobs.get(job) {
                self.batch.push(never_started(job.node_name(), &order));
            }
        }
        if self.progress.note_stop(order.stop) {
            self.stop_jobs.send_replace(Some(order));
        }
    }

    /// Counts new events, and has them recorded as soon as those before are.
    fn record_batch(&mut self) {
        for event in &self.batch[self.observed..] {
            if self.progress.count_end(event) {
                self.queue.finish_job();
            }
        }
        self.observed = self.batch.len();
        if self.observed > 0 && self.recording.is_idle() {
            self.observed = 0;
            self.recording.record(std::mem::take(&mut self.batch));
        }
        self.update_status();
    }

    fn update_status(&self) {
        let mut status = lock(&self.status);
        status.running = u32::try_from(self.progress.running()).unwrap_or(u32::MAX);
        status.waiting = u32::try_from(self.progress.waiting()).unwrap_or(u32::MAX);
        status.failing = self.recording.is_failing();
        status.counts.clone_from(self.progress.counts());
    }

    async fn finish_run(mut self) {
        let rest = self.recording.flush(self.batch);
        let (rest, ()) = tokio::join!(rest, end_run_leftovers(&self.context));
        let counts = self.progress.counts().clone();
        let outcome = Outcome::gravest(&counts);
        let finished = RunFinished {
            outcome: outcome.into(),
            counts,
            duration: prost_types::Duration::try_from(self.started.elapsed()).ok(),
        };
        let event = finished_event(&self.context, outcome, &finished.counts);
        set_span_outcome(&Span::current(), outcome, "");
        self.recording.finish(rest, finished).await;
        // Only now: without an end in the record the next start makes the run lost in both. A log that
        // fails has reported it, and writes the line when it can.
        _ = self.context.audit.write(event).await;
    }
}

/// Ends processes of the run that hid from their jobs.
async fn end_run_leftovers(context: &RunContext) {
    let mut processes = 0;
    if !context.plan.command.leave_running {
        let run_id = context.run_id.to_string();
        for scope in [LeftoverScope::Run(run_id), LeftoverScope::Server] {
            let ended = context.reaper.end_leftovers(&Arc::new(scope)).await;
            processes += ended.len();
        }
    }
    if processes > 0 {
        tracing::warn!(run_id = %context.run_id, processes, "ended processes that hid from their job");
    }
}

fn finished_event(context: &RunContext, outcome: Outcome, counts: &[OutcomeCount]) -> audit::Event {
    let finished = FinishedRun {
        run_id: context.run_id.to_string(),
        caller: context.audited.without_address(),
        command: Some(context.plan.command.name.clone()),
        nodes: AuditedNodes::of_run(&context.plan.nodes),
        outcome: outcome.label(),
        counts: Some(counts_by_label(counts)),
        reason: None,
    };
    finished.into()
}

async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
