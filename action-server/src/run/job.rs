//! One job: starts its script, passes on what it writes, and sees it and all it started to
//! their end. Tells its owner everything as events; hears from it only when to stop.

use std::{collections::HashSet, process::ExitStatus, sync::Arc};

use action_proto::v1::{
    NodeFinished, NodeOutput, NodeStarted, Outcome, OutputStream, run_event::Event,
};
use bytes::Bytes;
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::{
    Stop, StopOrder,
    error_line::ErrorLine,
    mask::{Mask, Secrets},
    script_call::{Ear, Errand, HEARD, start},
    shared::{Shared, tell_outcome},
    verify,
};
use crate::{
    catalogue::PlannedJob,
    crash,
    process::{Process, ProcessId, ProcessTree, Signal},
};

mod after;
mod ending;

/// Runs one job to its end.
pub(super) async fn run(
    shared: Arc<Shared>,
    at: usize,
    permit: OwnedSemaphorePermit,
    stop: watch::Receiver<Option<StopOrder>>,
    events: mpsc::Sender<Event>,
) {
    let Some(planned) = shared.plan.jobs.get(at) else {
        return;
    };
    let span = shared.span.child("job");
    span.set("action.node", planned.node_name().to_owned());
    span.set("action.command", shared.plan.command.name.clone());
    span.set("action.rank", planned.rank.clone());
    let _in_progress = shared.reaper.begin_job();
    let mut guard = Guard {
        node: planned.node_name().to_owned(),
        events: Some(events.clone()),
    };
    crash::point("before-spawn");
    let errand = Errand {
        command: &shared.plan.command,
        script: &planned.script,
        arguments: &shared.plan.arguments,
        timeout: shared.plan.timeout,
        alias: None,
    };
    let finished = match start(&shared, planned, &errand).await {
        Err(message) => NodeFinished {
            node: planned.node_name().to_owned(),
            outcome: Outcome::NotStarted.into(),
            message,
            ..NodeFinished::default()
        },
        Ok(process) => {
            crash::point("after-spawn");
            let started = NodeStarted {
                node: planned.node_name().to_owned(),
                rank: planned.rank.clone(),
                script: shared.plan.script_name(&planned.script),
            };
            let mut job = Job::new(
                &shared,
                planned,
                &errand,
                process,
                stop.clone(),
                Ear::Owner(&events),
            );
            job.emit(Event::NodeStarted(started));
            let finished = job.see_to_its_end(Some(permit)).await.0;
            verify::wait_for_state(&shared, planned, stop, &events, finished).await
        }
    };
    guard.events = None;
    tell_outcome(&span, finished.outcome(), &finished.message);
    if let Some(code) = finished.exit_code {
        span.set("action.exit_code", i64::from(code));
    }
    _ = events.send(Event::NodeFinished(finished)).await;
}

/// Tells the owner of a job that did not come to tell of its own end: no run waits for ever for a
/// fault of ours.
struct Guard {
    node: String,
    events: Option<mpsc::Sender<Event>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(events) = self.events.take() else {
            return;
        };
        let finished = NodeFinished {
            node: std::mem::take(&mut self.node),
            outcome: Outcome::Lost.into(),
            message: "the server failed in this job; how it ended is not known".into(),
            ..NodeFinished::default()
        };
        tokio::spawn(async move {
            _ = events.send(Event::NodeFinished(finished)).await;
        });
    }
}

/// A script that runs, until it and all that it started have ended.
pub(super) struct Job<'a> {
    shared: &'a Shared,
    planned: &'a PlannedJob,
    errand: &'a Errand<'a>,
    process: Process,
    stop: watch::Receiver<Option<StopOrder>>,
    ear: Ear<'a>,
    /// What the owner has not taken yet. Nothing more is read before it has: so the pipes fill up, and
    /// the script waits, while the record does.
    pending: Option<Event>,
    started: Instant,
    /// When the script has had its time, the grace after the first signal included.
    deadline: Instant,
    /// How the job is being ended, and why, once it is.
    ending: Option<(Outcome, String)>,
    /// What was seen below the script when it was told to end: what hides later was there then.
    tree: ProcessTree,
    /// Those of its processes that had left its group when it was told to end, or were killed.
    leftovers: HashSet<ProcessId>,
    stdout_mask: Mask,
    stderr_mask: Mask,
    /// True when it was asked to end and had to be killed.
    killed: bool,
    /// True when its processes have no time left.
    is_over: bool,
    /// True when an output was not read to its end.
    is_incomplete: bool,
    error_line: ErrorLine,
    kept: u64,
    dropped: u64,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        planned: &'a PlannedJob,
        errand: &'a Errand<'a>,
        process: Process,
        stop: watch::Receiver<Option<StopOrder>>,
        ear: Ear<'a>,
    ) -> Job<'a> {
        let started = Instant::now();
        let secrets = Secrets::new(planned.node.iter().flat_map(|node| node.secrets()));
        Job {
            deadline: started + errand.timeout,
            started,
            ending: None,
            tree: ProcessTree::default(),
            leftovers: HashSet::new(),
            stdout_mask: Mask::new(secrets.clone()),
            stderr_mask: Mask::new(secrets),
            killed: false,
            is_over: false,
            is_incomplete: false,
            pending: None,
            error_line: ErrorLine::default(),
            kept: 0,
            dropped: 0,
            shared,
            planned,
            errand,
            process,
            stop,
            ear,
        }
    }

    /// Sees to its end. Returns what became of it, and what was heard.
    pub(super) async fn see_to_its_end(
        mut self,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (NodeFinished, Vec<u8>) {
        let status = self.until_exit().await;
        let duration = self.started.elapsed();
        self.shared.reaper.remove_leader(self.process.group);
        // The script is gone: another may take its place while this one is cleaned up after.
        drop(permit);
        self.clean_up().await;
        self.tell_what_is_held().await;
        let finished = self.finished(status, duration);
        match self.ear {
            Ear::Owner(_) => (finished, Vec::new()),
            Ear::Sender(heard) => (finished, heard),
        }
    }

    /// Passes output on until the script itself has ended, ending it when it must.
    async fn until_exit(&mut self) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                // In no order: a script that never pauses on one output must not hide the rest.
                () = sleep_until(self.deadline) => match self.process.child.try_wait() {
                    // The server may have slept too: an end that is there already counts.
                    Ok(Some(status)) => return Ok(status),
                    _ => self.on_timeout().await,
                },
                Ok(()) = self.stop.changed() => match self.process.child.try_wait() {
                    Ok(Some(status)) => return Ok(status),
                    _ => self.on_stop_order().await,
                },
                () = hand_over(&self.ear, &mut self.pending) => {}
                chunk = self.stdout_mask.read(&mut self.process.stdout), if self.pending.is_none() => self.pass(OutputStream::Stdout, chunk),
                chunk = self.stderr_mask.read(&mut self.process.stderr), if self.pending.is_none() => self.pass(OutputStream::Stderr, chunk),
                status = self.process.child.wait() => return status,
            }
        }
    }

    fn pass(&mut self, stream: OutputStream, chunk: std::io::Result<Bytes>) {
        match chunk {
            Ok(data) => self.tell(stream, &data),
            Err(error) => {
                tracing::warn!(run_id = %self.shared.run_id, node = self.planned.node_name(), %error, "cannot read a script's output");
            }
        }
    }

    /// An output that was left open, or that could not be read, did not come to its end.
    async fn tell_what_is_held(&mut self) {
        for (stream, rest) in [
            (OutputStream::Stdout, self.stdout_mask.pause()),
            (OutputStream::Stderr, self.stderr_mask.pause()),
        ] {
            self.flush().await;
            self.tell(stream, &rest);
        }
        self.flush().await;
    }

    /// Tells of output, as far as there is room for it. Only while nothing is pending.
    fn tell(&mut self, stream: OutputStream, data: &Bytes) {
        if stream == OutputStream::Stderr {
            self.error_line.pass(data);
        }
        let limit = match &self.ear {
            Ear::Owner(_) => self.shared.output_limit(),
            Ear::Sender(_) => Some(HEARD),
        };
        let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.kept));
        let keep = usize::try_from(room).unwrap_or(usize::MAX).min(data.len());
        self.kept += keep as u64;
        self.dropped += (data.len() - keep) as u64;
        if keep == 0 {
            return;
        }
        match &mut self.ear {
            Ear::Owner(_) => {
                crash::point("first-output");
                let output = NodeOutput {
                    node: self.planned.node_name().to_owned(),
                    stream: stream.into(),
                    data: data.slice(..keep),
                };
                self.emit(Event::NodeOutput(output));
            }
            Ear::Sender(heard) if stream == OutputStream::Stdout => heard.extend(&data[..keep]),
            Ear::Sender(_) => {}
        }
    }

    /// Hands an event to the owner, now or later. Only while nothing is pending.
    pub(super) fn emit(&mut self, event: Event) {
        if let Ear::Owner(events) = &self.ear {
            match events.try_send(event) {
                Err(TrySendError::Full(event)) => self.pending = Some(event),
                // The owner is there as long as its jobs are: it ends after the last of them.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
        }
    }

    /// Waits until the owner has taken what is pending.
    async fn flush(&mut self) {
        if self.pending.is_some() {
            hand_over(&self.ear, &mut self.pending).await;
        }
    }
}

/// Hands over what is pending as soon as the owner takes it; not while nothing is. Cancel safe.
async fn hand_over(ear: &Ear<'_>, pending: &mut Option<Event>) {
    match ear {
        Ear::Owner(events) if pending.is_some() => {
            let permit = events.reserve().await;
            if let (Ok(permit), Some(event)) = (permit, pending.take()) {
                permit.send(event);
            }
        }
        _ => std::future::pending().await,
    }
}
