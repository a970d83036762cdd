//! One job: starts its script, passes on what it writes, and sees it and all it started to
//! their end. Tells its owner everything as events; hears from it only when to stop.

use std::{collections::HashSet, process::ExitStatus, sync::Arc, time::Duration};

use action_proto::v1::{
    NodeFinished, NodeOutput, NodeStarted, Outcome, OutputStream, run_event::Event,
};
use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, sleep, sleep_until},
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
    process::{Family, Marker, Process, Signal, Strays},
};

mod ending;

/// An output that a process holds open after the script's own end is read until it pauses for so
/// long.
const QUIET: Duration = Duration::from_millis(500);
/// How long it is read at most.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// How long processes that have closed the outputs may take to end by themselves.
const EXIT_TIME: Duration = Duration::from_millis(100);
/// How often they are looked for.
const EXIT_PAUSE: Duration = Duration::from_millis(5);
/// How often those that were asked to end are looked for.
const STRAY_PAUSE: Duration = Duration::from_millis(20);

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
    let _in_progress = shared.descendants.begin_job();
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
            let job = Job::new(
                &shared,
                planned,
                &errand,
                process,
                stop.clone(),
                Ear::Owner(&events),
            );
            // The owner is there as long as its jobs are: it ends after the last of them.
            _ = events.send(Event::NodeStarted(started)).await;
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
    started: Instant,
    /// When the script has had its time, the grace after the first signal included.
    deadline: Instant,
    /// How the job is being ended, and why, once it is.
    ending: Option<(Outcome, String)>,
    /// Who was seen below the script when it was told to end: what hides later was there then.
    family: Family,
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
            family: Family::default(),
            stdout_mask: Mask::new(secrets.clone()),
            stderr_mask: Mask::new(secrets),
            killed: false,
            is_over: false,
            is_incomplete: false,
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
        self.shared.descendants.remove_leader(self.process.group);
        // The script is gone: another may take its place while this one is cleaned up after.
        drop(permit);
        let strays = Strays::Job(
            self.process.group,
            Marker::job(self.shared.run_id.as_str(), self.planned.node_name()),
            std::mem::take(&mut self.family),
        );
        let mut left = self.wait_for_those_asked(&strays).await;
        self.is_incomplete = !self.drain(self.drain_limit()).await;
        left.extend(self.end_leftovers(&strays).await);
        let leftovers = u32::try_from(left.len()).unwrap_or(u32::MAX);
        self.tell_what_is_held().await;
        let finished = self.finished(status, duration, leftovers);
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
                    _ => self.out_of_time(),
                },
                Ok(()) = self.stop.changed() => match self.process.child.try_wait() {
                    Ok(Some(status)) => return Ok(status),
                    _ => self.hear_stop(),
                },
                chunk = self.stdout_mask.read(&mut self.process.stdout) => self.pass(OutputStream::Stdout, chunk).await,
                chunk = self.stderr_mask.read(&mut self.process.stderr) => self.pass(OutputStream::Stderr, chunk).await,
                status = self.process.child.wait() => return status,
            }
        }
    }

    /// Until when outputs are read that are open after the script's end.
    fn drain_limit(&self) -> Instant {
        let now = Instant::now();
        match self.lets_live() || self.ending.is_some() {
            true => now + QUIET,
            false => (now + DRAIN_LIMIT).min(self.deadline),
        }
    }

    /// Passes on what comes until both outputs have ended, neither says anything for a while, the job
    /// is stopped or the limit has come. True when both have ended.
    async fn drain(&mut self, mut limit: Instant) -> bool {
        let began = Instant::now();
        while self.process.stdout.is_open() || self.process.stderr.is_open() {
            let last = self
                .stdout_mask
                .last_read()
                .max(self.stderr_mask.last_read());
            let quiet = last.max(began) + QUIET;
            tokio::select! {
                chunk = self.stdout_mask.read(&mut self.process.stdout) => self.pass(OutputStream::Stdout, chunk).await,
                chunk = self.stderr_mask.read(&mut self.process.stderr) => self.pass(OutputStream::Stderr, chunk).await,
                Ok(()) = self.stop.changed() => if self.is_stopped() {
                    limit = limit.min(Instant::now() + QUIET);
                },
                () = sleep_until(limit.min(quiet)) => if !self.pass_what_is_there().await {
                    return false;
                }
            }
            if Instant::now() > limit {
                // A process that was left behind writes without a pause.
                return false;
            }
        }
        true
    }

    /// Passes on what came while the server was held up. False when there is nothing.
    async fn pass_what_is_there(&mut self) -> bool {
        tokio::select! {
            biased;
            chunk = self.stdout_mask.read(&mut self.process.stdout) => self.pass(OutputStream::Stdout, chunk).await,
            chunk = self.stderr_mask.read(&mut self.process.stderr) => self.pass(OutputStream::Stderr, chunk).await,
            () = std::future::ready(()) => return false,
        }
        true
    }

    /// True when the run was ordered to end its jobs.
    fn is_stopped(&mut self) -> bool {
        let order = self.stop.borrow_and_update();
        order.as_ref().is_some_and(|order| order.stop != Stop::Halt)
    }

    /// True when what the script left running is to live on.
    fn lets_live(&self) -> bool {
        self.errand.command.leave_running && self.ending.is_none()
    }

    /// When a job is ended its script may be gone long before what it started: that has the same
    /// time to put things in order. Returns those that had left the group.
    async fn wait_for_those_asked(&mut self, strays: &Strays) -> HashSet<i32> {
        if self.ending.is_none() || self.is_over {
            return HashSet::new();
        }
        // What left the group did not hear the first word.
        let left = self
            .shared
            .descendants
            .ask_strays(strays, self.process.group);
        while self.shared.descendants.has_strays(strays) {
            tokio::select! {
                () = sleep_until(self.deadline) => {
                    self.killed = true;
                    break;
                }
                Ok(()) = self.stop.changed() => {
                    let order = self.stop.borrow_and_update().clone();
                    if order.is_some_and(|order| order.stop == Stop::Force) {
                        self.killed = true;
                        break;
                    }
                }
                chunk = self.stdout_mask.read(&mut self.process.stdout) => self.pass(OutputStream::Stdout, chunk).await,
                chunk = self.stderr_mask.read(&mut self.process.stderr) => self.pass(OutputStream::Stderr, chunk).await,
                () = sleep(STRAY_PAUSE) => {}
            }
        }
        left
    }

    /// Ends what the script left running, unless its admin wants that. Returns how many.
    async fn end_leftovers(&mut self, strays: &Strays) -> HashSet<i32> {
        if self.lets_live() {
            return HashSet::new();
        }
        let descendants = &self.shared.descendants;
        if !self.is_incomplete {
            // Who has closed the outputs, as `tee` does at the script's end, is about to end.
            let limit = Instant::now() + EXIT_TIME;
            while descendants.has_strays(strays) && Instant::now() < limit {
                sleep(EXIT_PAUSE).await;
            }
        }
        let ended = descendants.end_strays(strays).await;
        if self.is_incomplete {
            // No process of this job holds the pipes now; what is in them is still the job's.
            self.drain(Instant::now() + QUIET).await;
        }
        ended
    }

    async fn pass(&mut self, stream: OutputStream, chunk: std::io::Result<Bytes>) {
        match chunk {
            Ok(data) => self.tell(stream, data).await,
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
            self.tell(stream, rest).await;
        }
    }

    /// Tells of output, as far as there is room for it.
    async fn tell(&mut self, stream: OutputStream, data: Bytes) {
        if stream == OutputStream::Stderr {
            self.error_line.pass(&data);
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
            Ear::Owner(events) => {
                crash::point("first-output");
                let output = NodeOutput {
                    node: self.planned.node_name().to_owned(),
                    stream: stream.into(),
                    data: data.slice(..keep),
                };
                _ = events.send(Event::NodeOutput(output)).await;
            }
            Ear::Sender(heard) if stream == OutputStream::Stdout => heard.extend(&data[..keep]),
            Ear::Sender(_) => {}
        }
    }
}
