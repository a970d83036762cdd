//! Ending a script before its own end, and the outcome of a job.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use action_proto::v1::{NodeFinished, Outcome};
use tokio::time::Instant;

use super::{RunningScript, StopKind};
use crate::{process::Signal, run::shared::append_message};

/// The time that the kernel has to end killed processes.
const KILL_TIME: Duration = Duration::from_secs(3600);

impl RunningScript<'_> {
    /// The script's time is over, or the grace after TERM.
    pub(super) async fn on_timeout(&mut self) {
        if self.ending.is_some() {
            self.killed = self.kill().await;
            return;
        }
        let limit = humantime::format_duration(self.call.timeout);
        let why = format!("not done after {limit}");
        self.terminate(Outcome::TimedOut, why).await;
    }

    pub(super) async fn on_stop_order(&mut self) {
        let Some(order) = self.stop.borrow_and_update().clone() else {
            return;
        };
        let is_ending = self.ending.is_some();
        match order.stop {
            StopKind::Halt => {}
            StopKind::Force => {
                if self.kill().await {
                    self.killed = is_ending;
                    let why = format!("{}; killed by force", order.why);
                    self.ending.get_or_insert((Outcome::Cancelled, why));
                }
            }
            _ if is_ending => {}
            stop => self.terminate(stop.outcome(), order.why.to_string()).await,
        }
    }

    /// Sends TERM: the script may still put things in order.
    async fn terminate(&mut self, outcome: Outcome, why: String) {
        // Before the signal: a process that loses its parent by it could not be attributed.
        let tree = self.context.reaper.script_tree(self.group).await;
        if self.has_ended() {
            return;
        }
        self.tree.extend(tree);
        self.ending = Some((outcome, why));
        self.group.signal(Signal::TERM);
        // A stopped process could not take the first signal.
        self.group.signal(Signal::CONT);
        self.deadline = Instant::now() + self.context.limits.kill_grace;
    }

    /// Sends KILL. False when the script has ended by itself before.
    async fn kill(&mut self) -> bool {
        let tree = self.context.reaper.script_tree(self.group).await;
        if self.has_ended() {
            return false;
        }
        self.is_over = true;
        // They end with the script, unseen.
        self.leftovers.extend(tree.in_group(self.group));
        self.tree.extend(tree);
        self.group.signal(Signal::KILL);
        self.deadline = Instant::now() + KILL_TIME;
        true
    }

    /// True once the script was waited for: its group may not be signalled then.
    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// The end of the job, as far as it depends on this script.
    pub(super) fn job_end(
        &self,
        status: std::io::Result<ExitStatus>,
        duration: Duration,
    ) -> NodeFinished {
        let status = status.inspect_err(|error| {
            tracing::error!(run_id = %self.context.run_id, node = self.planned.node_name(), %error, "cannot wait for a script");
        });
        let exit_code = status.as_ref().ok().and_then(ExitStatus::code);
        let signal = status.as_ref().ok().and_then(ExitStatus::signal);
        let state = exit_code
            .and_then(|code| self.call.command.exit_codes.get(&code))
            .cloned();
        let (outcome, mut message) = self.judge_end(exit_code, signal, state.is_some());
        append_message(&mut message, self.incomplete_hint());
        NodeFinished {
            node: self.planned.node_name().to_owned(),
            outcome: outcome.into(),
            exit_code,
            signal,
            state: state.unwrap_or_default(),
            message,
            duration: prost_types::Duration::try_from(duration).ok(),
            output_dropped_bytes: self.output.dropped_bytes(),
            leftover_processes: u32::try_from(self.leftovers.len()).unwrap_or(u32::MAX),
            error_line: self.output.error_line(),
            output_incomplete: self.is_incomplete,
            // The owner and the recorder set these.
            never_started: false,
            output_lost_bytes: 0,
        }
    }

    /// What the author of a script can do where its output was cut off; empty where it was not.
    fn incomplete_hint(&self) -> &'static str {
        if !self.is_incomplete || self.ending.is_some() {
            ""
        } else if self.call.command.leave_running {
            "the output may be incomplete: a process that was left running holds it open, and with \
             leave_running it is read for half a second only; redirect such a process's output"
        } else {
            "the output may be incomplete: a process that the script left behind held it open and \
             was ended; leave_running lets such processes live, with their output redirected"
        }
    }

    fn judge_end(
        &self,
        code: Option<i32>,
        signal: Option<i32>,
        is_answer: bool,
    ) -> (Outcome, String) {
        if let Some((outcome, why)) = &self.ending {
            let killed = "; it did not end when asked, and was killed";
            let how = if self.killed { killed } else { "" };
            return (*outcome, format!("{why}{how}"));
        }
        match (code, signal) {
            (Some(0), _) => (Outcome::Ok, String::new()),
            (Some(_), _) if is_answer => (Outcome::Ok, String::new()),
            (Some(code), _) => (Outcome::Failed, format!("exit {code}")),
            (None, Some(9)) => (
                Outcome::Failed,
                "killed by signal 9 (possibly out of memory)".into(),
            ),
            (None, Some(signal)) => (Outcome::Failed, format!("killed by signal {signal}")),
            (None, None) => (Outcome::Lost, "its end could not be learnt".into()),
        }
    }
}
