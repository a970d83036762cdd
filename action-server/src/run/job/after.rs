//! What comes after a script's own end: the rest of its output, and the processes that it left.

use std::{collections::HashSet, time::Duration};

use action_proto::v1::OutputStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Job, Stop, hand_over};
use crate::process::{Marker, Strays};

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

/// What becomes of the rest of an output that the record does not take before the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It stays in the pipe: the processes that may still write have to end first.
    IsLeft,
    /// Nothing writes any more.
    IsWaitedFor,
}

impl Job<'_> {
    /// Passes on the rest of the output, and ends what the script left running. Returns how many
    /// processes that were.
    pub(super) async fn clean_up(&mut self) -> u32 {
        let strays = Strays::Job(
            self.process.group,
            Marker::job(self.shared.run_id.as_str(), self.planned.node_name()),
            std::mem::take(&mut self.family),
        );
        let mut left = self.wait_for_those_asked(&strays).await;
        self.is_incomplete = !self.drain(self.drain_limit(), Rest::IsLeft).await;
        left.extend(self.end_leftovers(&strays).await);
        u32::try_from(left.len()).unwrap_or(u32::MAX)
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
                () = hand_over(&self.ear, &mut self.pending) => {}
                chunk = self.stdout_mask.read(&mut self.process.stdout), if self.pending.is_none() => self.pass(OutputStream::Stdout, chunk),
                chunk = self.stderr_mask.read(&mut self.process.stderr), if self.pending.is_none() => self.pass(OutputStream::Stderr, chunk),
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
            self.drain(Instant::now() + QUIET, Rest::IsWaitedFor).await;
        }
        ended
    }
}
