//! After a script's own end: the rest of its output, and the processes that it left.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{RunningScript, StopKind};
use crate::{
    process::{LeftoverScope, Reaper, RemainingProcesses},
    run::script_output::OutputStep,
};

/// An output that a leftover process holds open is read until it pauses for so long.
const QUIET: Duration = Duration::from_millis(500);
/// The longest that such an output is read.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// The time that processes have to end by themselves after they closed the outputs.
const EXIT_TIME: Duration = Duration::from_millis(100);
/// The same for those that run: on a busy machine they wait for a processor.
const BUSY_EXIT_TIME: Duration = Duration::from_secs(1);
/// Between two looks for processes that end by themselves.
const EXIT_PAUSE: Duration = Duration::from_millis(5);
/// Between two looks for processes that got TERM.
const LEFTOVERS_PAUSE: Duration = Duration::from_millis(20);

/// What to do with output that the record does not take before the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LateOutput {
    /// Leave it in the pipe: processes that may still write have to end first.
    Leave,
    /// Wait for the record: no process writes any more.
    Wait,
}

impl RunningScript<'_> {
    /// Passes on the rest of the output, and ends what the script left running.
    pub(super) async fn clean_up(&mut self) {
        let scope = Arc::new(LeftoverScope::Job(
            self.group,
            self.marker.clone(),
            std::mem::take(&mut self.tree),
        ));
        self.terminate_leftovers(&scope).await;
        self.is_incomplete = !self.drain(self.drain_limit(), LateOutput::Leave).await;
        self.end_leftovers(&scope).await;
    }

    /// The time until which outputs are read that are open after the script's end.
    fn drain_limit(&self) -> Instant {
        let now = Instant::now();
        if self.leaves_running() || self.ending.is_some() || self.is_stopped() {
            now + QUIET
        } else {
            (now + DRAIN_LIMIT).min(self.deadline)
        }
    }

    /// Passes output on until both outputs have ended, both are quiet, the job is stopped or the limit
    /// has come. True when both have ended.
    async fn drain(&mut self, mut limit: Instant, late: LateOutput) -> bool {
        let began = Instant::now();
        while self.output.is_open() {
            let quiet = self.output.last_read().max(began) + QUIET;
            // While the record takes nothing, a pause is not the script's.
            let until = match (self.output.is_pending(), late) {
                (false, _) => Some(limit.min(quiet)),
                (true, LateOutput::Leave) => Some(limit),
                (true, LateOutput::Wait) => None,
            };
            tokio::select! {
                step = self.output.advance() => if step == OutputStep::HandedOver && late == LateOutput::Wait {
                    limit = limit.max(Instant::now() + QUIET);
                },
                Ok(()) = self.stop.changed() => if self.is_stopped() {
                    limit = limit.min(Instant::now() + QUIET);
                },
                // What came while the server was held up is read first.
                () = sleep_until(until.unwrap_or(limit)), if until.is_some() => if !self.output.advance_now().await {
                    return false;
                }
            }
            if !self.output.is_pending() && Instant::now() > limit {
                // A leftover process writes without a pause.
                return false;
            }
        }
        true
    }

    /// True when what the script left running is to live on.
    fn leaves_running(&self) -> bool {
        self.call.command.leave_running && self.ending.is_none()
    }

    /// Sends TERM to what had left the group of a script that was ended, and gives it a grace of its own.
    async fn terminate_leftovers(&mut self, scope: &Arc<LeftoverScope>) {
        if self.ending.is_none() || self.is_over {
            return;
        }
        let reaper = &self.context.reaper;
        let terminated = reaper.terminate_leftovers(scope, self.group).await;
        if !terminated.is_empty() {
            self.deadline = Instant::now() + self.context.limits.kill_grace;
        }
        self.leftovers.extend(terminated);
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.deadline) => {
                    self.killed = reaper.remaining_leftovers(scope).await != RemainingProcesses::Nothing;
                    return;
                }
                Ok(()) = self.stop.changed() => {
                    let order = self.stop.borrow_and_update().clone();
                    if order.is_some_and(|order| order.stop == StopKind::Force) {
                        self.killed = true;
                        return;
                    }
                }
                () = sleep_until(next_look) => {
                    if reaper.remaining_leftovers(scope).await == RemainingProcesses::Nothing {
                        return;
                    }
                    next_look = Instant::now() + LEFTOVERS_PAUSE;
                }
                _ = self.output.advance() => {}
            }
        }
    }

    /// Kills what the script left running, unless its command has `leave_running`.
    async fn end_leftovers(&mut self, scope: &Arc<LeftoverScope>) {
        if self.leaves_running() {
            return;
        }
        if !self.is_incomplete && !self.is_over && !self.killed {
            wait_until_ended(&self.context.reaper, scope).await;
        }
        let ended = self.context.reaper.end_leftovers(scope).await;
        if self.is_incomplete {
            // No process of this job holds the pipes now; what is in them is still the job's.
            self.drain(Instant::now() + QUIET, LateOutput::Wait).await;
        }
        self.leftovers.extend(ended);
    }
}

/// Waits for processes that have closed the outputs and are about to end, as `tee` does.
async fn wait_until_ended(reaper: &Reaper, scope: &Arc<LeftoverScope>) {
    let began = Instant::now();
    loop {
        let limit = match reaper.remaining_leftovers(scope).await {
            RemainingProcesses::Nothing => return,
            RemainingProcesses::Busy => BUSY_EXIT_TIME,
            RemainingProcesses::Waiting => EXIT_TIME,
        };
        if began.elapsed() > limit {
            return;
        }
        sleep(EXIT_PAUSE).await;
    }
}
