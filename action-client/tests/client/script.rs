//! The events of runs, as tests write them.

use crate::server::{RUN_ID, State};
use action_proto::v1::run_event::Event;
use action_proto::v1::{
    NodeFinished, NodeOutput, Outcome, OutputStream, RunEvent, RunFinished, RunStarted,
};

/// A server that has a run of these events.
pub(crate) fn state_of(nodes: &[(&str, Outcome, i32)], texts: &[(&str, &str)]) -> State {
    State {
        events: events(nodes, texts),
        ..State::default()
    }
}

/// The events of a run: each text is what a node wrote, then every node ends as said.
fn events(nodes: &[(&str, Outcome, i32)], texts: &[(&str, &str)]) -> Vec<RunEvent> {
    let names = nodes.iter().map(|(node, ..)| (*node).to_owned()).collect();
    let started = RunStarted {
        command: "usage".into(),
        nodes: names,
        ..RunStarted::default()
    };
    let mut all = vec![Event::RunStarted(started)];
    all.extend(texts.iter().map(|(node, text)| {
        Event::NodeOutput(NodeOutput {
            node: (*node).into(),
            stream: OutputStream::Stdout.into(),
            data: text.as_bytes().to_vec().into(),
        })
    }));
    all.extend(nodes.iter().map(|(node, outcome, code)| {
        Event::NodeFinished(NodeFinished {
            node: (*node).into(),
            outcome: (*outcome).into(),
            exit_code: matches!(outcome, Outcome::Ok | Outcome::Failed).then_some(*code),
            ..NodeFinished::default()
        })
    }));
    all.push(Event::RunFinished(RunFinished {
        outcome: Outcome::Ok.into(),
        ..Default::default()
    }));
    let number = |(sequence, event)| RunEvent {
        run_id: RUN_ID.into(),
        sequence,
        time: None,
        event: Some(event),
    };
    (1..).zip(all).map(number).collect()
}
