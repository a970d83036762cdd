//! Waiting for what a script has set going: another command's script tells the node's state, again
//! and again, until it is one of those that are wanted, and stays.

use std::time::Duration;

use action_proto::v1::{NodeFinished, NodeOutput, Outcome, OutputStream, run_event::Event};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Stop, StopOrder,
    job::Job,
    script_call::{Ear, Errand, start},
    shared::{Shared, say_too},
};
use crate::catalogue::{PlannedJob, Verify, Waiting};

/// So many looks one after the other must find the node where it is wanted: one that falls back is
/// noticed.
const LOOKS: u32 = 2;

/// Waits, where the plan says so, until the node is where the script has sent it. Returns the job's
/// end: the script's own, with the state; or why the state was not reached.
pub(super) async fn wait_for_state(
    shared: &Shared,
    planned: &PlannedJob,
    mut stop: watch::Receiver<Option<StopOrder>>,
    events: &mpsc::Sender<Event>,
    finished: NodeFinished,
) -> NodeFinished {
    let (Some(waiting), Some(script)) = (&shared.plan.waiting, &planned.state_script) else {
        return finished;
    };
    if finished.outcome() != Outcome::Ok {
        return finished;
    }
    let teller = Teller {
        node: planned.node_name(),
        events,
    };
    let mut watch = Watch::new(&waiting.verify);
    let deadline = Instant::now() + waiting.verify.timeout;
    loop {
        let errand = Errand {
            command: &waiting.command,
            script,
            arguments: &[],
            timeout: waiting
                .command
                .timeout
                .min((deadline - Instant::now()).max(LAST_LOOK)),
            // Readers of the record may not be allowed to see the command.
            alias: Some("the script that tells the state"),
        };
        let looked = look(shared, planned, &errand, &stop).await;
        if let Some(order) = told_to_stop(&stop) {
            return ended(finished, order.stop.outcome(), watch.cut_short(&order.why));
        }
        if looked.state.is_none() && Instant::now() >= deadline {
            // It was cut short, and says nothing of the node.
            return ended(finished, Outcome::TimedOut, watch.too_late(waiting));
        }
        let seen = watch.see(looked);
        teller.tell(&seen.lines).await;
        if seen.is_reached {
            return NodeFinished {
                state: watch.state.unwrap_or_default(),
                ..finished
            };
        }
        let now = Instant::now();
        if now >= deadline && !watch.is_settling() {
            return ended(finished, Outcome::TimedOut, watch.too_late(waiting));
        }
        // The last look is at the deadline, and one more where that finds the state for the first time.
        let last = match now < deadline {
            true => deadline,
            false => now + LAST_PAUSE,
        };
        let next = last.min(now + waiting.verify.every);
        tokio::select! {
            () = sleep_until(next) => {}
            order = stop.wait_for(|order| order.as_ref().is_some_and(ends)) => {
                if let Ok(order) = order
                    && let Some(order) = order.as_ref()
                {
                    return ended(finished, order.stop.outcome(), watch.cut_short(&order.why));
                }
            }
        }
    }
}

fn ends(order: &StopOrder) -> bool {
    order.stop != Stop::Halt
}

fn told_to_stop(stop: &watch::Receiver<Option<StopOrder>>) -> Option<StopOrder> {
    stop.borrow().clone().filter(ends)
}

fn ended(mut finished: NodeFinished, outcome: Outcome, message: String) -> NodeFinished {
    let of_script = std::mem::replace(&mut finished.message, message);
    say_too(&mut finished.message, &of_script);
    finished.set_outcome(outcome);
    finished
}

/// What one look came to: a state, or why there is none.
#[derive(Debug, Default)]
struct Look {
    state: Option<String>,
    reason: String,
}

/// Has the node's state told once.
async fn look(
    shared: &Shared,
    planned: &PlannedJob,
    errand: &Errand<'_>,
    stop: &watch::Receiver<Option<StopOrder>>,
) -> Look {
    let process = match start(shared, planned, errand).await {
        Ok(process) => process,
        Err(reason) => {
            return Look {
                state: None,
                reason,
            };
        }
    };
    let ear = Ear::Sender(Vec::new());
    let job = Job::new(shared, planned, errand, process, stop.clone(), ear);
    let (finished, heard) = job.see_to_its_end(None).await;
    if finished.outcome() != Outcome::Ok {
        return Look {
            state: None,
            reason: finished.message,
        };
    }
    // The last word is the state; what an exit code stands for is coarser, and for silent scripts.
    let heard = String::from_utf8_lossy(&heard);
    let word = heard.split_whitespace().next_back().map(str::to_owned);
    Look {
        state: word.or(Some(finished.state).filter(|state| !state.is_empty())),
        reason: "it told no state".into(),
    }
}

/// How long the look at the deadline may take at least.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// How long after it the next one is.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// What the looks have shown so far. Pure.
#[derive(Debug)]
struct Watch<'a> {
    verify: &'a Verify,
    state: Option<String>,
    reason: String,
    in_a_row: u32,
    fell_back: Option<String>,
}

/// What follows from a look.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    lines: Vec<(OutputStream, String)>,
    is_reached: bool,
}

impl<'a> Watch<'a> {
    fn new(verify: &'a Verify) -> Watch<'a> {
        Watch {
            verify,
            state: None,
            reason: String::new(),
            in_a_row: 0,
            fell_back: None,
        }
    }

    fn see(&mut self, look: Look) -> Seen {
        let mut lines = Vec::new();
        let Some(state) = look.state else {
            self.in_a_row = 0;
            if self.reason != look.reason {
                let text = format!("the state is not told: {}", look.reason);
                lines.push((OutputStream::Stderr, text));
                self.reason = look.reason;
            }
            return Seen {
                lines,
                is_reached: false,
            };
        };
        self.reason.clear();
        let is_wanted = self.verify.until.contains(&state);
        if self.in_a_row > 0 && !is_wanted {
            let before = self.state.as_deref().unwrap_or_default();
            let text = format!("fell back from {before} to {state}");
            lines.push((OutputStream::Stderr, text.clone()));
            self.fell_back = Some(text);
        }
        if self.state.as_ref() != Some(&state) {
            lines.push((OutputStream::Stdout, state.clone()));
        }
        self.in_a_row = if is_wanted { self.in_a_row + 1 } else { 0 };
        self.state = Some(state);
        Seen {
            lines,
            is_reached: self.in_a_row >= LOOKS,
        }
    }

    /// True where the state is the wanted one, and it is not known yet whether it stays.
    fn is_settling(&self) -> bool {
        self.in_a_row > 0
    }

    fn wanted(&self) -> String {
        self.verify.until.join(" or ")
    }

    fn too_late(&self, waiting: &Waiting) -> String {
        let limit = humantime::format_duration(waiting.verify.timeout);
        let wanted = self.wanted();
        let fell = self.fell_back.iter().map(|text| format!("{text}; "));
        let fell: String = fell.collect();
        match &self.state {
            Some(state) if self.reason.is_empty() => {
                format!("{fell}{state} and not {wanted} after {limit}")
            }
            _ => {
                let reason = match self.reason.as_str() {
                    "" => "no answer",
                    reason => reason,
                };
                format!("{fell}not known to be {wanted} after {limit}: {reason}")
            }
        }
    }

    fn cut_short(&self, why: &str) -> String {
        let wanted = self.wanted();
        match &self.state {
            Some(state) => format!("{why}; it was {state} and not yet {wanted}"),
            None => format!("{why}; it was not yet {wanted}"),
        }
    }
}

struct Teller<'a> {
    node: &'a str,
    events: &'a mpsc::Sender<Event>,
}

impl Teller<'_> {
    async fn tell(&self, lines: &[(OutputStream, String)]) {
        for (stream, line) in lines {
            let output = NodeOutput {
                node: self.node.to_owned(),
                stream: (*stream).into(),
                data: Bytes::from(format!("{line}\n")),
            };
            _ = self.events.send(Event::NodeOutput(output)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify() -> Verify {
        Verify {
            command: "power-status".into(),
            until: vec!["ON".into()],
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
        }
    }

    fn look(state: &str) -> Look {
        Look {
            state: Some(state)
                .filter(|state| !state.is_empty())
                .map(str::to_owned),
            reason: "exit 1".into(),
        }
    }

    #[test]
    fn a_state_counts_when_it_stays() {
        let verify = verify();
        let mut watch = Watch::new(&verify);
        let mut told = Vec::new();
        let looks = ["OFF", "OFF", "PENDING", "", "", "ON", "OFF", "ON", "ON"];
        for (at, state) in looks.into_iter().enumerate() {
            let seen = watch.see(look(state));
            told.extend(seen.lines.into_iter().map(|(_, line)| line));
            assert_eq!(seen.is_reached, at == looks.len() - 1, "{at}");
        }
        assert_eq!(
            told,
            [
                "OFF",
                "PENDING",
                "the state is not told: exit 1",
                "ON",
                "fell back from ON to OFF",
                "OFF",
                "ON"
            ]
        );
    }

    #[test]
    fn the_end_says_what_was_seen() {
        let verify = verify();
        let waiting = Waiting {
            command: std::sync::Arc::new(crate::catalogue::Command {
                name: "power-status".into(),
                ..crate::catalogue::Command::default()
            }),
            verify: verify.clone(),
        };
        let mut watch = Watch::new(&verify);
        assert_eq!(
            watch.cut_short("cancelled by bob"),
            "cancelled by bob; it was not yet ON"
        );
        watch.see(look(""));
        assert_eq!(
            watch.too_late(&waiting),
            "not known to be ON after 1m: exit 1"
        );
        watch.see(look("ON"));
        watch.see(look("OFF"));
        assert_eq!(
            watch.too_late(&waiting),
            "fell back from ON to OFF; OFF and not ON after 1m"
        );
        assert_eq!(watch.cut_short("why"), "why; it was OFF and not yet ON");
    }
}
