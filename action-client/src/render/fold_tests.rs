//! Tests of `fold`: what is printed, and what it costs.

use super::*;
use action_proto::v1::run_event::Event;
use action_proto::v1::{NodeFinished, NodeOutput, Outcome, OutputStream, RunEvent, RunStarted};
use std::time::Instant;

/// The events of nodes that each write to both streams and end.
fn events(nodes: &[(String, Vec<u8>, Vec<u8>, i32)]) -> Vec<RunEvent> {
    let names = nodes.iter().map(|(node, ..)| node.clone()).collect();
    let mut events = vec![Event::RunStarted(RunStarted {
        command: "usage".into(),
        nodes: names,
        ..RunStarted::default()
    })];
    for (node, stdout, stderr, code) in nodes {
        for (stream, data) in [
            (OutputStream::Stdout, stdout),
            (OutputStream::Stderr, stderr),
        ] {
            if !data.is_empty() {
                events.push(Event::NodeOutput(NodeOutput {
                    node: node.clone(),
                    stream: stream.into(),
                    data: data.clone().into(),
                }));
            }
        }
        let outcome = if *code == 0 {
            Outcome::Ok
        } else {
            Outcome::Failed
        };
        events.push(Event::NodeFinished(NodeFinished {
            node: node.clone(),
            outcome: outcome.into(),
            exit_code: Some(*code),
            ..NodeFinished::default()
        }));
    }
    let event = |event| RunEvent {
        event: Some(event),
        ..RunEvent::default()
    };
    events.into_iter().map(event).collect()
}

fn folded(events: &[RunEvent], terminal: bool) -> (String, String) {
    let (mut output, captured) = OutputWriter::memory(terminal);
    let (mut outputs, mut tally) = (OutputGroups::default(), Tally::default());
    for event in events {
        outputs.take_event(event);
        tally.take_event(event);
    }
    outputs.close_all(&tally);
    print_groups(&outputs, &tally, &mut output).unwrap();
    output.flush().unwrap();
    (
        captured.text(StdStream::Stdout),
        captured.text(StdStream::Stderr),
    )
}

fn node(name: &str, stdout: &str, stderr: &str, code: i32) -> (String, Vec<u8>, Vec<u8>, i32) {
    (name.into(), stdout.into(), stderr.into(), code)
}

#[test]
fn equal_outputs_stand_once_under_their_nodes() {
    let events = events(&[
        node("n3", "other\n", "", 0),
        node("n1", "same", "warn\n", 0),
        node("n2", "same", "warn\n", 0),
        node("n4", "", "", 0),
        node("n5", "", "broken\n", 3),
    ]);
    let (stdout, stderr) = folded(&events, false);
    assert_eq!(
        stdout,
        "n[1-2] (2)\nsame\nn3 (1)\nother\nn4 (1): no output\n"
    );
    assert_eq!(
        stderr,
        "n[1-2] (2): stderr\nwarn\nn5 (1): exit 3, stderr\nbroken\n"
    );
}

#[test]
fn a_terminal_is_safe_from_folded_outputs_too() {
    let events = events(&[node("n1", "\x1b[2J\x1b[31mred\n", "", 0)]);
    let (stdout, _) = folded(&events, true);
    assert_eq!(stdout, "n1 (1)\n^[[2J\x1b[31mred\n\x1b[0m");
}

/// Prints what folding costs; `cargo test --release -- --ignored --nocapture` measures it.
#[test]
fn a_thousand_results_are_folded() {
    let nodes: Vec<_> = (0..1000)
        .map(|number| {
            let text = format!("kernel {}\nuptime 3 days\n", number % 7).repeat(20);
            node(&format!("node{number:04}"), &text, "", number % 11 / 10)
        })
        .collect();
    let events = events(&nodes);
    let begun = Instant::now();
    let (stdout, _) = folded(&events, true);
    println!(
        "fold of 1,000 results of {} bytes: {:?}",
        nodes[0].1.len(),
        begun.elapsed()
    );
    assert_eq!(
        stdout
            .lines()
            .filter(|line| line.starts_with("node"))
            .count(),
        14
    );
}
