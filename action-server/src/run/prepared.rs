//! The start of a run in two steps: first what waits for the disk and may fail, then what does neither.
//!
//! If the caller leaves or its deadline passes, its call is dropped while it waits. A run that is not
//! launched by then never is, so a failed call has started nothing.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    RunOrigin, RunRegistry, StartError,
    owner::RunOwner,
    recorder::EventRecorder,
    registry::{LiveRun, LiveRunGuard, RunPermits},
    shared::RunContext,
};
use crate::{
    audit::{Audit, FinishedRun},
    catalogue::Plan,
    record::{EventReader, EventWriter, NewRun, RecordEntry, RunId, check_length},
    traces::Span,
};

/// The longest that the start of a run waits for the disk; then the call fails.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A run that is on the disk and in the audit log, and not started. Where it is dropped it never is.
#[must_use]
pub struct PreparedRun {
    registry: RunRegistry,
    permits: RunPermits,
    audited: AuditedRun,
    writer: Box<dyn EventWriter>,
    reader: Box<dyn EventReader>,
    entry: Arc<RecordEntry>,
    plan: Plan,
    origin: RunOrigin,
}

impl RunRegistry {
    /// Prepares a run: puts its first event on the disk, and its line into the audit log. Where it is
    /// dropped meanwhile nothing is left of the run.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left of the run then.
    pub async fn prepare(&self, plan: Plan, origin: RunOrigin) -> Result<PreparedRun, StartError> {
        let inner = &self.inner;
        let limit = Instant::now() + START_LIMIT;
        let permits = inner.permits(&origin.identity.username)?;
        let first = origin.first_event(&plan);
        check_length(&first)?;
        let begun = inner.log.begin(first);
        let NewRun {
            entry,
            writer,
            reader,
        } = in_time(limit, begun).await.map_err(StartError::Record)?;
        let turn = in_time(limit, inner.audit.reserve_turn()).await;
        let turn = turn.map_err(StartError::Audit)?;
        let audited = AuditedRun {
            audit: inner.audit.clone(),
            run_id: Some(writer.run_id().clone()),
        };
        let committed = origin.commit_audit(&inner.audit, turn, writer.run_id(), &plan);
        match timeout_at(limit, committed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                // The log has its end already.
                audited.keep_log();
                return Err(StartError::Audit(error));
            }
            Err(_) => return Err(StartError::Audit(io::ErrorKind::TimedOut.into())),
        }
        Ok(PreparedRun {
            registry: self.clone(),
            permits,
            audited,
            writer,
            reader,
            entry,
            plan,
            origin,
        })
    }
}

/// What the disk says before the limit.
async fn in_time<T>(limit: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = timeout_at(limit, work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl PreparedRun {
    /// Starts the run, which goes on to its end if the caller leaves. Waits for nothing. Returns a reader of its events from the first.
    pub fn launch(self) -> (RunId, Box<dyn EventReader>) {
        let PreparedRun {
            registry,
            permits,
            audited,
            mut writer,
            reader,
            entry,
            plan,
            origin,
        } = self;
        let inner = Arc::clone(&registry.inner);
        let run_id = writer.run_id().clone();
        let span = Span::current().child("run");
        span.set("action.run_id", run_id.to_string());
        span.set("action.command", plan.command.name.clone());
        span.set("action.nodes", plan.nodes.clone());
        let orders = watch::Sender::new(None);
        let orders_receiver = orders.subscribe();
        let status = Arc::new(Mutex::default());
        let context = Arc::new(RunContext {
            run_id: run_id.clone(),
            identity: origin.identity,
            audited: origin.audited,
            files: origin.files,
            max_failures: origin.max_failures,
            plan,
            limits: Arc::clone(&inner.limits),
            reaper: inner.reaper.clone(),
            audit: inner.audit.clone(),
            logged_start_failure: false.into(),
        });
        let jobs = context.plan.jobs.len();
        let queue = inner.slots.queue_jobs(jobs, context.plan.fanout as usize);
        let live = LiveRun {
            entry,
            orders,
            status: Arc::clone(&status),
            queue: queue.run_key(),
        };
        let meter = inner.metrics.run_accepted(&context.plan.command.name);
        registry.live().insert(run_id.clone(), live);
        // Findable only from here on, when it is live.
        writer.release();
        audited.keep_log();
        let recorder = EventRecorder::new(writer, meter);
        let owner = RunOwner::new(context, recorder, queue, orders_receiver, status);
        let guard = LiveRunGuard::new(registry, run_id.clone(), permits);
        tokio::spawn(span.scope(async move {
            owner.run_to_completion().await;
            drop(guard);
        }));
        (run_id, reader)
    }
}

/// A run that the audit log has, or is about to have, as accepted. Its drop writes an end.
struct AuditedRun {
    audit: Audit,
    /// `None` once it is started.
    run_id: Option<RunId>,
}

impl AuditedRun {
    /// Leaves the log as it is.
    fn keep_log(mut self) {
        self.run_id = None;
    }
}

impl Drop for AuditedRun {
    fn drop(&mut self) {
        let Some(run_id) = self.run_id.take() else {
            return;
        };
        let why = "its caller went away, or its deadline passed, before it was started";
        tracing::info!(%run_id, "a run was not started: {why}");
        self.audit
            .note(FinishedRun::never_started(&run_id, why.to_owned()));
    }
}
