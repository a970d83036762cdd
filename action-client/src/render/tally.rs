//! The state of a run's jobs, from its events: summary, notes, exit code. Pure.

use crate::exit::{self, ExitMode};
use action_proto::fold;
use action_proto::v1::{NodeFinished, Outcome, RunEvent, run_event::Event};
use std::collections::{BTreeMap, HashMap};

/// The jobs of one run and how they ended so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    command: String,
    /// In the order of the plan; one empty name for a command that takes no nodes.
    nodes: Vec<String>,
    finished: HashMap<String, NodeFinished>,
    outcome: Option<Outcome>,
    /// True after the events broke off: jobs without an end may have ended.
    is_broken_off: bool,
}

impl Tally {
    /// The events broke off before the end of the run.
    pub(crate) fn break_off(&mut self) {
        self.is_broken_off = true;
    }

    pub(crate) fn take_event(&mut self, event: &RunEvent) {
        match &event.event {
            Some(Event::RunStarted(started)) => {
                self.command.clone_from(&started.command);
                self.nodes.clone_from(&started.nodes);
                if self.nodes.is_empty() {
                    self.nodes.push(String::new());
                }
            }
            Some(Event::NodeFinished(finished)) => {
                self.finished
                    .insert(finished.node.clone(), finished.clone());
            }
            Some(Event::RunFinished(finished)) => self.outcome = Some(finished.outcome()),
            Some(Event::NodeStarted(_) | Event::NodeOutput(_)) | None => {}
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// The exit code for what became of the jobs.
    pub(crate) fn exit_code(&self, interrupted: bool, mode: ExitMode) -> u8 {
        let jobs = self.nodes.iter().map(|node| self.finished.get(node));
        exit::of_run(jobs, interrupted, mode)
    }

    /// The summary: each outcome with its node set, the best first.
    pub(crate) fn summary(&self) -> String {
        let mut groups: BTreeMap<(u8, &str, String), Vec<&str>> = BTreeMap::new();
        for node in &self.nodes {
            groups.entry(self.node_status(node)).or_default().push(node);
        }
        let mut parts = Vec::new();
        for ((_, label, reason), nodes) in groups {
            let mut part = format!("{label} {}", self.named_set(&nodes));
            if !reason.is_empty() {
                part.push_str(": ");
                part.push_str(&reason);
            }
            parts.push(part);
        }
        parts.join("  ")
    }

    pub(crate) fn nodes(&self) -> &[String] {
        &self.nodes
    }

    pub(crate) fn finished(&self, node: &str) -> Option<&NodeFinished> {
        self.finished.get(node)
    }

    /// Whether every job has ended well.
    pub(crate) fn is_all_ok(&self) -> bool {
        let is_ok = |job: &NodeFinished| job.outcome() == Outcome::Ok;
        self.nodes
            .iter()
            .all(|node| self.finished.get(node).is_some_and(is_ok))
    }

    /// How a node stands: how grave that is, its outcome and the reason for it.
    pub(crate) fn node_status(&self, node: &str) -> (u8, &'static str, String) {
        let (outcome, reason) = match self.finished.get(node) {
            Some(job) => (job.outcome(), end_reason(job)),
            None => (Outcome::Unspecified, String::new()),
        };
        // Jobs that are running stand last.
        let rank = if outcome == Outcome::Unspecified {
            u8::MAX
        } else {
            outcome.gravity()
        };
        let label = if outcome == Outcome::Unspecified && self.is_broken_off {
            "unknown"
        } else {
            outcome.label()
        };
        (rank, label, reason)
    }

    /// A node set with its size, as in `node[01-08] (8)`; the command for a job without a node.
    pub(crate) fn named_set(&self, nodes: &[&str]) -> String {
        let set = fold(nodes.iter().copied());
        let set = if set.is_empty() { &self.command } else { &set };
        format!("{set} ({})", nodes.len())
    }

    /// A line for a run on a single node, when its exit code alone does not say it.
    pub(crate) fn single_node_remark(&self) -> Option<String> {
        let [node] = self.nodes.as_slice() else {
            return None;
        };
        let name = if node.is_empty() { &self.command } else { node };
        let Some(job) = self.finished.get(node) else {
            let status = if self.is_broken_off {
                "its end is unknown"
            } else {
                "still running"
            };
            return Some(format!("{name}: {status}"));
        };
        let what = match job.outcome() {
            Outcome::Ok => return None,
            Outcome::Failed => match (job.exit_code, job.signal) {
                (Some(_), _) => return None,
                // The server's words for a signal say which.
                (None, Some(_)) if !job.message.is_empty() => String::new(),
                (None, Some(signal)) => format!("ended by signal {signal}"),
                (None, None) => "failed".to_owned(),
            },
            Outcome::TimedOut => "timed out".to_owned(),
            Outcome::NotStarted => "not started".to_owned(),
            other => other.label().to_owned(),
        };
        let message = first_line(&job.message);
        let parts = [name.as_str(), &what, message]
            .into_iter()
            .filter(|part| !part.is_empty());
        Some(parts.collect::<Vec<_>>().join(": "))
    }

    /// Notes on dropped or lost output and leftover processes.
    pub(crate) fn job_notes(&self) -> Vec<String> {
        let jobs = || self.nodes.iter().filter_map(|node| self.finished.get(node));
        let mut notes = Vec::new();
        let set = |of: fn(&NodeFinished) -> u64| {
            let named = jobs().filter(|job| of(job) > 0);
            let set = fold(named.map(|job| job.node.as_str()));
            let set = if set.is_empty() {
                self.command.clone()
            } else {
                set
            };
            (jobs().map(of).sum::<u64>(), set)
        };
        let (bytes, nodes) = set(|job| job.output_dropped_bytes);
        if bytes > 0 {
            notes.push(format!(
                "{nodes}: {bytes} bytes of output past the limit were dropped"
            ));
        }
        let (bytes, nodes) = set(|job| job.output_lost_bytes);
        if bytes > 0 {
            notes.push(format!(
                "{nodes}: {bytes} bytes of output are lost: the server could not record them"
            ));
        }
        let (jobs_cut, nodes) = set(|job| u64::from(job.output_incomplete));
        if jobs_cut > 0 {
            notes.push(format!(
                "{nodes}: the output may be incomplete: it was still open when the script had ended"
            ));
        }
        let (processes, nodes) = set(|job| u64::from(job.leftover_processes));
        if processes > 0 {
            let were = if processes == 1 {
                "process was"
            } else {
                "processes were"
            };
            notes.push(format!("{nodes}: {processes} left-over {were} ended"));
        }
        notes
    }
}

/// Why a job ended as it did, in a word or two; empty when its outcome says it all.
pub(crate) fn end_reason(job: &NodeFinished) -> String {
    match job.outcome() {
        Outcome::Ok => job.state.clone(),
        Outcome::Failed => match (job.exit_code, job.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => first_line(&job.message).to_owned(),
        },
        Outcome::NotStarted | Outcome::Lost => first_line(&job.message).to_owned(),
        Outcome::TimedOut | Outcome::Cancelled | Outcome::Unspecified => String::new(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::{RunFinished, RunStarted};

    fn tally(nodes: &[&str], jobs: &[NodeFinished]) -> Tally {
        let nodes = nodes.iter().map(ToString::to_string).collect();
        let started = RunStarted {
            command: "usage".into(),
            nodes,
            ..RunStarted::default()
        };
        let mut events = vec![Event::RunStarted(started)];
        events.extend(jobs.iter().cloned().map(Event::NodeFinished));
        let mut tally = Tally::default();
        for event in events {
            tally.take_event(&RunEvent {
                event: Some(event),
                ..RunEvent::default()
            });
        }
        tally
    }

    fn job(node: &str, outcome: Outcome) -> NodeFinished {
        NodeFinished {
            node: node.into(),
            outcome: outcome.into(),
            ..NodeFinished::default()
        }
    }

    #[test]
    fn the_summary_groups_by_outcome_and_reason() {
        let names: Vec<String> = (1..=9).map(|n| format!("node{n:02}")).collect();
        let mut nodes: Vec<&str> = names.iter().map(String::as_str).collect();
        nodes.push("gpu1");
        let mut jobs: Vec<_> = nodes[..8]
            .iter()
            .map(|name| job(name, Outcome::Ok))
            .collect();
        jobs.push(NodeFinished {
            exit_code: Some(3),
            ..job("node09", Outcome::Failed)
        });
        jobs.push(job("gpu1", Outcome::TimedOut));
        let tally = tally(&nodes, &jobs);
        assert_eq!(
            tally.summary(),
            "ok node[01-08] (8)  failed node09 (1): exit 3  timed-out gpu1 (1)"
        );
        assert_eq!(tally.exit_code(false, ExitMode::Largest), 253);
    }

    #[test]
    fn states_signals_and_messages_are_reasons() {
        let tally = tally(
            &["n1", "n2", "n3", "n4"],
            &[
                NodeFinished {
                    state: "OFF".into(),
                    ..job("n1", Outcome::Ok)
                },
                NodeFinished {
                    signal: Some(11),
                    ..job("n2", Outcome::Failed)
                },
                NodeFinished {
                    message: "no script\nfor it".into(),
                    ..job("n3", Outcome::NotStarted)
                },
            ],
        );
        assert_eq!(
            tally.summary(),
            "ok n1 (1): OFF  failed n2 (1): signal 11  \
             not-started n3 (1): no script  running n4 (1)"
        );
        assert_eq!(tally.exit_code(false, ExitMode::Largest), 254);
    }

    #[test]
    fn a_single_node_is_remarked_on_when_its_code_does_not_say_it() {
        let remark = |job: NodeFinished| tally(&[&job.node.clone()], &[job]).single_node_remark();
        assert_eq!(remark(job("n1", Outcome::Ok)), None);
        let failed = NodeFinished {
            exit_code: Some(3),
            ..job("n1", Outcome::Failed)
        };
        assert_eq!(remark(failed), None);
        let away = NodeFinished {
            message: "no shell".into(),
            ..job("n1", Outcome::NotStarted)
        };
        assert_eq!(remark(away).as_deref(), Some("n1: not started: no shell"));
        let killed = |message: &str| NodeFinished {
            signal: Some(9),
            message: message.into(),
            ..job("n1", Outcome::Failed)
        };
        assert_eq!(remark(killed("")).as_deref(), Some("n1: ended by signal 9"));
        assert_eq!(remark(killed("killed")).as_deref(), Some("n1: killed"));
        let plain = job("", Outcome::TimedOut);
        assert_eq!(remark(plain).as_deref(), Some("usage: timed out"));
        assert!(tally(&["n1"], &[]).single_node_remark().is_some());
    }

    #[test]
    fn what_was_dropped_and_ended_is_noted() {
        let a = NodeFinished {
            output_dropped_bytes: 7,
            ..job("n1", Outcome::Ok)
        };
        let b = NodeFinished {
            output_dropped_bytes: 5,
            leftover_processes: 1,
            ..job("n2", Outcome::Ok)
        };
        assert_eq!(
            tally(&["n1", "n2"], &[a, b]).job_notes(),
            [
                "n[1-2]: 12 bytes of output past the limit were dropped",
                "n2: 1 left-over process was ended"
            ]
        );
    }

    #[test]
    fn the_end_is_known() {
        let mut tally = tally(&["n1"], &[]);
        assert!(!tally.is_ended());
        let event = Some(Event::RunFinished(RunFinished::default()));
        tally.take_event(&RunEvent {
            event,
            ..RunEvent::default()
        });
        assert!(tally.is_ended());
    }
}
