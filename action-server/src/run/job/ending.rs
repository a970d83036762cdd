//! How a job is ended when it must be, and what is said of its end.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use action_proto::v1::{NodeFinished, Outcome};
use tokio::time::Instant;

use super::{Family, Job, Signal, Stop};
use crate::run::shared::say_too;

impl Job<'_> {
    pub(super) fn out_of_time(&mut self) {
        match self.ending {
            None => {
                let limit = humantime::format_duration(self.errand.timeout);
                self.ask(Outcome::TimedOut, format!("not done after {limit}"));
            }
            Some(_) => {
                self.killed = true;
                self.kill();
            }
        }
    }

    pub(super) fn hear_stop(&mut self) {
        let Some(order) = self.stop.borrow_and_update().clone() else {
            return;
        };
        match order.stop {
            Stop::Force => {
                match self.ending {
                    Some(_) => self.killed = true,
                    None => {
                        self.ending = Some((
                            Outcome::Cancelled,
                            format!("{}; killed by force", order.why),
                        ));
                    }
                }
                self.kill();
            }
            Stop::Halt => {}
            _ if self.ending.is_some() => {}
            stop => self.ask(stop.outcome(), order.why.to_string()),
        }
    }

    /// The first step: the script may still put things in order.
    fn ask(&mut self, outcome: Outcome, why: String) {
        self.ending = Some((outcome, why));
        self.family.extend(Family::of(self.process.group));
        self.process.group.signal(Signal::Term);
        // One that is stopped could not take the first signal.
        self.process.group.signal(Signal::Continue);
        self.deadline = Instant::now() + self.shared.limits.kill_grace;
    }

    /// The last step.
    fn kill(&mut self) {
        self.is_over = true;
        self.family.extend(Family::of(self.process.group));
        self.process.group.signal(Signal::Kill);
        // Nothing more can be done but wait. The kernel ends it as soon as it can.
        self.deadline = Instant::now() + Duration::from_secs(3600);
    }

    pub(super) fn finished(
        &self,
        status: std::io::Result<ExitStatus>,
        duration: Duration,
        leftover_processes: u32,
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
            leftover_processes,
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
