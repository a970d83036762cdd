//! What comes after a script's own end: the rest of its output, and the processes that it left.

use std::{sync::Arc, time::Duration};

use action_proto::v1::OutputStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Job, Stop, hand_over};
use crate::process::{EnvMarker, LeftoversOf, Reaper, Remaining};

/// An output that a process holds open after the script's own end is read until it pauses for so
/// long.
const QUIET: Duration = Duration::from_millis(500);
/// How long it is read at most.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// How long processes that have closed the outputs may take to end by themselves.
const EXIT_TIME: Duration = Duration::from_millis(100);
/// The same for those that run: on a busy machine they wait for a processor.
const BUSY_EXIT_TIME: Duration = Duration::from_secs(1);
/// How often they are looked for.
const EXIT_PAUSE: Duration = Duration::from_millis(5);
/// How often those that got TERM are looked for.
const LEFTOVERS_PAUSE: Duration = Duration::from_millis(20);

/// What becomes of the rest of an output that the record does not take before the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It stays in the pipe: the processes that may still write have to end first.
    IsLeft,
    /// Nothing writes any more.
    IsWaitedFor,
}

impl Job<'_> {
    /// Passes on the rest of the output, and ends what the script left running.
    pub(super) async fn clean_up(&mut self) {
        let of = Arc::new(LeftoversOf::Job(
            self.process.group,
            EnvMarker::job(self.shared.run_id.as_str(), self.planned.node_name()),
            std::mem::take(&mut self.tree),
        ));
        self.terminate_leftovers(&of).await;
        self.is_incomplete = !self.drain(self.drain_limit(), Rest::IsLeft).await;
        self.end_leftovers(&of).await;
    }

    /// Until when outputs are read that are open after the script's end.
    fn drain_limit(&self) -> Instant {
        let now = Instant::now();
        match self.lets_live() || self.ending.is_some() || self.is_stopped() {
            true => now + QUIET,
            false => (now + DRAIN_LIMIT).min(self.deadline),
        }
    }

    /// Passes on what comes until both outputs have ended, neither says anything for a while, the job
    /// is stopped or the limit has come. True when both have ended.
    async fn drain(&mut self, mut limit: Instant, rest: Rest) -> bool {
        let began = Instant::now();
        while self.process.stdout.is_open() || self.process.stderr.is_open() {
            let last = self
                .stdout_mask
                .last_read()
                .max(self.stderr_mask.last_read());
            let quiet = last.max(began) + QUIET;
            // While the record takes nothing, a pause is not the script's.
            let until = match (&self.pending, rest) {
                (None, _) => Some(limit.min(quiet)),
                (Some(_), Rest::IsLeft) => Some(limit),
                (Some(_), Rest::IsWaitedFor) => None,
            };
            tokio::select! {
                () = hand_over(&self.ear, &mut self.pending) => if rest == Rest::IsWaitedFor {
                    limit = limit.max(Instant::now() + QUIET);
                },
                chunk = self.stdout_mask.read(&mut self.process.stdout), if self.pending.is_none() => self.pass(OutputStream::Stdout, chunk),
                chunk = self.stderr_mask.read(&mut self.process.stderr), if self.pending.is_none() => self.pass(OutputStream::Stderr, chunk),
                Ok(()) = self.stop.changed() => if self.is_stopped() {
                    limit = limit.min(Instant::now() + QUIET);
                },
                () = sleep_until(until.unwrap_or(limit)), if until.is_some() => if !self.pass_what_is_there().await {
                    return false;
                }
            }
            if self.pending.is_none() && Instant::now() > limit {
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
            chunk = self.stdout_mask.read(&mut self.process.stdout), if self.pending.is_none() => self.pass(OutputStream::Stdout, chunk),
            chunk = self.stderr_mask.read(&mut self.process.stderr), if self.pending.is_none() => self.pass(OutputStream::Stderr, chunk),
            () = std::future::ready(()) => return false,
        }
        true
    }

    /// True when the run was ordered to end its jobs.
    fn is_stopped(&self) -> bool {
        let order = self.stop.borrow();
        order.as_ref().is_some_and(|order| order.stop != Stop::Halt)
    }

    /// True when what the script left running is to live on.
    fn lets_live(&self) -> bool {
        self.errand.command.leave_running && self.ending.is_none()
    }

    /// When a job is ended its script may be gone long before what it started: that has the same
    /// time to put things in order.
    async fn terminate_leftovers(&mut self, of: &Arc<LeftoversOf>) {
        if self.ending.is_none() || self.is_over {
            return;
        }
        let reaper = &self.shared.reaper;
        // What left the group did not get the first TERM.
        let terminated = reaper.terminate_leftovers(of, self.process.group).await;
        if !terminated.is_empty() {
            self.deadline = Instant::now() + self.shared.limits.kill_grace;
        }
        self.leftovers.extend(terminated);
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.deadline) => {
                    self.killed = reaper.remaining(of).await != Remaining::Nothing;
                    return;
                }
                Ok(()) = self.stop.changed() => {
                    let order = self.stop.borrow_and_update().clone();
                    if order.is_some_and(|order| order.stop == Stop::Force) {
                        self.killed = true;
                        return;
                    }
                }
                () = sleep_until(next_look) => {
                    if reaper.remaining(of).await == Remaining::Nothing {
                        return;
                    }
                    next_look = Instant::now() + LEFTOVERS_PAUSE;
                }
                () = hand_over(&self.ear, &mut self.pending) => {}
                chunk = self.stdout_mask.read(&mut self.process.stdout), if self.pending.is_none() => self.pass(OutputStream::Stdout, chunk),
                chunk = self.stderr_mask.read(&mut self.process.stderr), if self.pending.is_none() => self.pass(OutputStream::Stderr, chunk),
            }
        }
    }

    /// Ends what the script left running, unless its admin wants that.
    async fn end_leftovers(&mut self, of: &Arc<LeftoversOf>) {
        if self.lets_live() {
            return;
        }
        if !self.is_incomplete && !self.is_over && !self.killed {
            wait_until_ended(&self.shared.reaper, of).await;
        }
        let ended = self.shared.reaper.end_leftovers(of).await;
        if self.is_incomplete {
            // No process of this job holds the pipes now; what is in them is still the job's.
            self.drain(Instant::now() + QUIET, Rest::IsWaitedFor).await;
        }
        self.leftovers.extend(ended);
    }
}

/// Waits for processes that have closed the outputs, as `tee` does at the script's end: they are
/// about to end.
async fn wait_until_ended(reaper: &Reaper, of: &Arc<LeftoversOf>) {
    let began = Instant::now();
    loop {
        let limit = match reaper.remaining(of).await {
            Remaining::Nothing => return,
            Remaining::Busy => BUSY_EXIT_TIME,
            Remaining::Waiting => EXIT_TIME,
        };
        if began.elapsed() > limit {
            return;
        }
        sleep(EXIT_PAUSE).await;
    }
}
