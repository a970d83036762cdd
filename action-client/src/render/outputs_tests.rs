//! Tests of `outputs`: what is kept once, and what is not kept.

use super::*;
use action_proto::v1::{NodeFinished, Outcome, RunStarted};

fn event(event: Event) -> RunEvent {
    RunEvent {
        event: Some(event),
        ..RunEvent::default()
    }
}

fn started(nodes: &[&str]) -> RunEvent {
    event(Event::RunStarted(RunStarted {
        nodes: nodes.iter().map(ToString::to_string).collect(),
        ..RunStarted::default()
    }))
}

fn wrote(node: &str, data: &str) -> RunEvent {
    event(Event::NodeOutput(NodeOutput {
        node: node.into(),
        stream: OutputStream::Stdout.into(),
        data: data.as_bytes().to_vec().into(),
    }))
}

fn ended(node: &str, outcome: Outcome) -> RunEvent {
    event(Event::NodeFinished(NodeFinished {
        node: node.into(),
        outcome: outcome.into(),
        exit_code: Some(3),
        duration: Some(prost_types::Duration::default()),
        ..NodeFinished::default()
    }))
}

fn taken(limit: usize, events: &[RunEvent]) -> (OutputGroups, Tally) {
    let (mut outputs, mut tally) = (OutputGroups::with_limit(limit), Tally::default());
    for event in events {
        outputs.take_event(event);
        tally.take_event(event);
    }
    outputs.close_all(&tally);
    (outputs, tally)
}

fn shown(outputs: &OutputGroups, tally: &Tally) -> Vec<String> {
    let groups = outputs.groups(tally).into_iter();
    groups
        .map(|group| {
            let text = String::from_utf8_lossy(&group.output.stdout).into_owned();
            let missing = group.output.missing;
            format!(
                "{} {}: {text} -{missing}",
                group.label,
                group.nodes.join(",")
            )
        })
        .collect()
}

#[test]
fn equal_outputs_are_kept_once_and_grouped_with_their_outcome() {
    let (outputs, tally) = taken(
        100,
        &[
            started(&["a", "b", "c", "d", "e"]),
            wrote("b", "sa"),
            wrote("a", "same"),
            ended("a", Outcome::Ok),
            wrote("b", "me"),
            ended("b", Outcome::Ok),
            wrote("c", "same"),
            ended("c", Outcome::Failed),
            wrote("d", "other"),
            ended("d", Outcome::Ok),
        ],
    );
    let expected = [
        "ok a,b: same -0",
        "ok d: other -0",
        "failed c: same -0",
        "running e:  -0",
    ];
    assert_eq!(shown(&outputs, &tally), expected);
    assert_eq!(outputs.used, "sameother".len());
    assert_eq!(outputs.distinct.len(), 3, "the empty one too");
    let by_output: Vec<String> = outputs
        .by_output(&tally)
        .iter()
        .map(|(nodes, _)| nodes.join(","))
        .collect();
    assert_eq!(by_output, ["a,b,c", "d"]);
}

#[test]
fn what_is_past_the_bound_is_counted_and_never_called_equal() {
    let (outputs, tally) = taken(
        10,
        &[
            started(&["a", "b", "c"]),
            wrote("a", "12345678"),
            wrote("b", "12345678"),
            wrote("b", "9"),
            wrote("c", "x"),
            ended("b", Outcome::Ok),
            ended("a", Outcome::Ok),
            ended("c", Outcome::Ok),
        ],
    );
    let expected = ["ok a: 12345678 -0", "ok b: 12 -7", "ok c:  -1"];
    assert_eq!(shown(&outputs, &tally), expected);
}
