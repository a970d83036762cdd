//! Waiting for the state that a script brings about: another command's script reads the node's
//! state again and again, until it is a wanted one and stays.

use std::{path::Path, time::Duration};

use action_proto::v1::{NodeFinished, NodeOutput, Outcome, OutputStream, run_event::Event};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    StopKind, StopOrder,
    running_script::RunningScript,
    script_call::ScriptCall,
    script_output::OutputSink,
    shared::{RunContext, append_message},
};
use crate::catalogue::{PlannedJob, StateCheck, StateWait};

/// So many readings in a row must give a wanted state: a node that falls back is noticed.
const READINGS: u32 = 2;
/// The least time that the last reading may take.
const LAST_READING: Duration = Duration::from_secs(1);
/// How long after the deadline a state that was first seen then is read again.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Waits, where the plan says so, until the node has a wanted state. Returns the job's end: the
/// script's own, with the state; or why the state was not reached.
pub(super) async fn wait_for_state(
    context: &RunContext,
    planned: &PlannedJob,
    mut stop: watch::Receiver<Option<StopOrder>>,
    events: &mpsc::Sender<Event>,
    finished: NodeFinished,
) -> NodeFinished {
    let (Some(waiting), Some(script)) = (&context.plan.waiting, &planned.state_script) else {
        return finished;
    };
    if finished.outcome() != Outcome::Ok {
        return finished;
    }
    let mut watch = StateWatch::new(&waiting.verify);
    let deadline = Instant::now() + waiting.verify.timeout;
    loop {
        let call = state_call(waiting, script, deadline);
        let reading = read_state(context, planned, &call, &stop).await;
        let order = stop.borrow().clone().filter(ends_jobs);
        if let Some(order) = order {
            return end_with(finished, order.stop.outcome(), watch.cut_short(&order.why));
        }
        if reading.state.is_none() && Instant::now() >= deadline {
            // It was cut short, and says nothing of the node.
            return end_with(finished, Outcome::TimedOut, watch.too_late(waiting));
        }
        let step = watch.observe_reading(reading);
        emit_lines(planned.node_name(), step.lines, events).await;
        if step.is_reached {
            return NodeFinished {
                state: watch.state.unwrap_or_default(),
                ..finished
            };
        }
        let now = Instant::now();
        if now >= deadline && !watch.is_settling() {
            return end_with(finished, Outcome::TimedOut, watch.too_late(waiting));
        }
        // The last reading is at the deadline, with one more where that finds the state first.
        let last = if now < deadline {
            deadline
        } else {
            now + LAST_PAUSE
        };
        tokio::select! {
            () = sleep_until(last.min(now + waiting.verify.every)) => {}
            order = stop.wait_for(|order| order.as_ref().is_some_and(ends_jobs)) => {
                if let Ok(order) = order
                    && let Some(order) = order.as_ref()
                {
                    return end_with(finished, order.stop.outcome(), watch.cut_short(&order.why));
                }
            }
        }
    }
}

fn state_call<'a>(waiting: &'a StateWait, script: &'a Path, deadline: Instant) -> ScriptCall<'a> {
    let left = deadline - Instant::now();
    ScriptCall {
        command: &waiting.command,
        script,
        arguments: &[],
        timeout: waiting.command.timeout.min(left.max(LAST_READING)),
        // Readers of the record may not be allowed to see the command.
        alias: Some("the script that tells the state"),
    }
}

fn ends_jobs(order: &StopOrder) -> bool {
    order.stop != StopKind::Halt
}

fn end_with(mut finished: NodeFinished, outcome: Outcome, message: String) -> NodeFinished {
    let of_script = std::mem::replace(&mut finished.message, message);
    append_message(&mut finished.message, &of_script);
    finished.set_outcome(outcome);
    finished
}

async fn emit_lines(node: &str, lines: Vec<(OutputStream, String)>, events: &mpsc::Sender<Event>) {
    for (stream, line) in lines {
        let output = NodeOutput {
            node: node.to_owned(),
            stream: stream.into(),
            data: Bytes::from(format!("{line}\n")),
        };
        _ = events.send(Event::NodeOutput(output)).await;
    }
}

/// One reading of a node's state, or why it gave none.
#[derive(Debug)]
struct StateReading {
    state: Option<String>,
    reason: String,
}

/// Runs the script that prints the state.
async fn read_state(
    context: &RunContext,
    planned: &PlannedJob,
    call: &ScriptCall<'_>,
    stop: &watch::Receiver<Option<StopOrder>>,
) -> StateReading {
    let failed = |reason| StateReading {
        state: None,
        reason,
    };
    let process = match call.start(context, planned).await {
        Ok(process) => process,
        Err(error) => return failed(error.to_string()),
    };
    let sink = OutputSink::Capture(Vec::new());
    let script = RunningScript::new(context, planned, call, process, stop.clone(), sink);
    let (finished, captured) = script.run_to_completion(None).await;
    if finished.outcome() != Outcome::Ok {
        return failed(finished.message);
    }
    // The last word is the state. A state by exit code is coarser, and for scripts that print nothing.
    let captured = String::from_utf8_lossy(&captured);
    let word = captured.split_whitespace().next_back().map(str::to_owned);
    StateReading {
        state: word.or(Some(finished.state).filter(|state| !state.is_empty())),
        reason: "it told no state".into(),
    }
}

/// The readings so far. Pure.
#[derive(Debug)]
struct StateWatch<'a> {
    verify: &'a StateCheck,
    state: Option<String>,
    reason: String,
    in_a_row: u32,
    fell_back: Option<String>,
}

/// The consequences of a reading.
#[derive(Debug, PartialEq, Eq)]
struct WatchStep {
    lines: Vec<(OutputStream, String)>,
    is_reached: bool,
}

impl<'a> StateWatch<'a> {
    fn new(verify: &'a StateCheck) -> StateWatch<'a> {
        StateWatch {
            verify,
            state: None,
            reason: String::new(),
            in_a_row: 0,
            fell_back: None,
        }
    }

    fn observe_reading(&mut self, reading: StateReading) -> WatchStep {
        let mut lines = Vec::new();
        let Some(state) = reading.state else {
            self.in_a_row = 0;
            if self.reason != reading.reason {
                let text = format!("the state is not told: {}", reading.reason);
                lines.push((OutputStream::Stderr, text));
                self.reason = reading.reason;
            }
            return WatchStep {
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
        WatchStep {
            lines,
            is_reached: self.in_a_row >= READINGS,
        }
    }

    /// True where the state is a wanted one that may still fall back.
    fn is_settling(&self) -> bool {
        self.in_a_row > 0
    }

    fn wanted_states(&self) -> String {
        self.verify.until.join(" or ")
    }

    fn too_late(&self, waiting: &StateWait) -> String {
        let limit = humantime::format_duration(waiting.verify.timeout);
        let wanted = self.wanted_states();
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
        let wanted = self.wanted_states();
        match &self.state {
            Some(state) => format!("{why}; it was {state} and not yet {wanted}"),
            None => format!("{why}; it was not yet {wanted}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify() -> StateCheck {
        StateCheck {
            command: "power-status".into(),
            until: vec!["ON".into()],
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
        }
    }

    fn reading(state: &str) -> StateReading {
        StateReading {
            state: Some(state)
                .filter(|state| !state.is_empty())
                .map(str::to_owned),
            reason: "exit 1".into(),
        }
    }

    #[test]
    fn a_state_counts_when_it_stays() {
        let verify = verify();
        let mut watch = StateWatch::new(&verify);
        let mut lines = Vec::new();
        let states = ["OFF", "OFF", "PENDING", "", "", "ON", "OFF", "ON", "ON"];
        for (at, state) in states.into_iter().enumerate() {
            let seen = watch.observe_reading(reading(state));
            lines.extend(seen.lines.into_iter().map(|(_, line)| line));
            assert_eq!(seen.is_reached, at == states.len() - 1, "{at}");
        }
        assert_eq!(
            lines,
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
        let waiting = StateWait {
            command: std::sync::Arc::new(crate::catalogue::Command {
                name: "power-status".into(),
                ..crate::catalogue::Command::default()
            }),
            verify: verify.clone(),
        };
        let mut watch = StateWatch::new(&verify);
        assert_eq!(
            watch.cut_short("cancelled by bob"),
            "cancelled by bob; it was not yet ON"
        );
        watch.observe_reading(reading(""));
        assert_eq!(
            watch.too_late(&waiting),
            "not known to be ON after 1m: exit 1"
        );
        watch.observe_reading(reading("ON"));
        watch.observe_reading(reading("OFF"));
        assert_eq!(
            watch.too_late(&waiting),
            "fell back from ON to OFF; OFF and not ON after 1m"
        );
        assert_eq!(watch.cut_short("why"), "why; it was OFF and not yet ON");
    }
}
