//! How a job is ended when it must be, and what is said of its end.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use action_proto::v1::{NodeFinished, Outcome};
use tokio::time::Instant;

use super::{Job, Signal, Stop};
use crate::run::shared::say_too;

impl Job<'_> {
    /// The script's time is over, or the grace after TERM.
    pub(super) async fn on_timeout(&mut self) {
        match self.ending {
            None => {
                let limit = humantime::format_duration(self.errand.timeout);
                let why = format!("not done after {limit}");
                self.terminate(Outcome::TimedOut, why).await;
            }
            Some(_) => self.killed = self.kill().await,
        }
    }

    pub(super) async fn on_stop_order(&mut self) {
        let Some(order) = self.stop.borrow_and_update().clone() else {
            return;
        };
        match order.stop {
            Stop::Force => {
                let was_ending = self.ending.is_some();
                match self.kill().await {
                    true if was_ending => self.killed = true,
                    true => {
                        let why = format!("{}; killed by force", order.why);
                        self.ending = Some((Outcome::Cancelled, why));
                    }
                    false => {}
                }
            }
            Stop::Halt => {}
            _ if self.ending.is_some() => {}
            stop => self.terminate(stop.outcome(), order.why.to_string()).await,
        }
    }

    /// The first step: the script may still put things in order.
    async fn terminate(&mut self, outcome: Outcome, why: String) {
        // Before the signal: what loses its parent by it could not be told from others' processes.
        let tree = self.shared.reaper.tree(self.process.group).await;
        if self.has_ended() {
            return;
        }
        self.tree.extend(tree);
        self.ending = Some((outcome, why));
        self.process.group.signal(Signal::Term);
        // One that is stopped could not take the first signal.
        self.process.group.signal(Signal::Continue);
        self.deadline = Instant::now() + self.shared.limits.kill_grace;
    }

    /// The last step. False when the script has ended by itself before.
    async fn kill(&mut self) -> bool {
        let group = self.process.group;
        let tree = self.shared.reaper.tree(group).await;
        if self.has_ended() {
            return false;
        }
        self.is_over = true;
        // They end with the script, and nobody sees them end.
        self.leftovers.extend(tree.in_group(group));
        self.tree.extend(tree);
        group.signal(Signal::Kill);
        // Nothing more can be done but wait. The kernel ends it as soon as it can.
        self.deadline = Instant::now() + Duration::from_secs(3600);
        true
    }

    /// True once the script was waited for: its group may not be signalled then.
    fn has_ended(&mut self) -> bool {
        matches!(self.process.child.try_wait(), Ok(Some(_)))
    }

    pub(super) fn finished(
        &self,
        status: std::io::Result<ExitStatus>,
        duration: Duration,
    ) -> NodeFinished {
        let status = status.inspect_err(|error| {
            tracing::error!(run_id = %self.shared.run_id, node = self.planned.node_name(), %error, "cannot wait for a script");
        });
        let exit_code = status.as_ref().ok().and_then(ExitStatus::code);
        let signal = status.as_ref().ok().and_then(ExitStatus::signal);
        let state = exit_code
            .and_then(|code| self.errand.command.exit_codes.get(&code))
            .cloned();
        let (outcome, mut message) = self.judge(exit_code, signal, state.is_some());
        say_too(&mut message, self.why_incomplete());
        NodeFinished {
            node: self.planned.node_name().to_owned(),
            outcome: outcome.into(),
            exit_code,
            signal,
            state: state.unwrap_or_default(),
            message,
            duration: prost_types::Duration::try_from(duration).ok(),
            output_dropped_bytes: self.dropped,
            leftover_processes: u32::try_from(self.leftovers.len()).unwrap_or(u32::MAX),
            error_line: self.error_line.text(self.stderr_mask.secrets()),
            output_incomplete: self.is_incomplete,
            // These are for others to say.
            never_started: false,
            output_lost_bytes: 0,
        }
    }

    /// What the author of a script can do where its output was cut off.
    fn why_incomplete(&self) -> &'static str {
        match self.is_incomplete && self.ending.is_none() {
            false => "",
            true if self.errand.command.leave_running => {
                "the output may be incomplete: a process that was left running holds it open, and with \
                 leave_running it is read for half a second only; redirect such a process's output"
            }
            true => {
                "the output may be incomplete: a process that the script left behind held it open and \
                 was ended; leave_running lets such processes live, with their output redirected"
            }
        }
    }

    fn judge(&self, code: Option<i32>, signal: Option<i32>, is_answer: bool) -> (Outcome, String) {
        if let Some((outcome, why)) = &self.ending {
            let how = match self.killed {
                true => "; it did not end when asked, and was killed",
                false => "",
            };
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
