//! Output for programs: one JSON object a line, with the names of the .proto as keys.

use crate::error::Result;
use crate::render::lines::{LineAssembler, LineEnd};
use crate::render::output::{OutputWriter, StdStream};
use crate::render::time::{duration_seconds, rfc3339};
use action_proto::escape_in_json;
use action_proto::v1::{
    NodeFinished, NodeOutput, Outcome, OutcomeCount, OutputStream, RunEvent, run_event::Event,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct JsonRenderer {
    /// What has been read of each (node, stream).
    readings: HashMap<String, [LineAssembler; 2]>,
}

/// One line of a script's output. A struct and not a map: there may be millions.
#[derive(Serialize)]
struct LineObject<'a> {
    event: &'static str,
    run_id: &'a str,
    sequence: u64,
    time: Option<&'a str>,
    node: &'a str,
    stream: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
}

impl JsonRenderer {
    pub(crate) fn render_event(
        &mut self,
        event: &RunEvent,
        output: &mut OutputWriter,
    ) -> Result<()> {
        match &event.event {
            Some(Event::NodeOutput(chunk)) => return self.show_lines(event, chunk, output),
            Some(Event::NodeFinished(finished)) => {
                if let Some(readings) = self.readings.remove(&finished.node) {
                    finish(event, &finished.node, readings, output)?;
                }
            }
            _ => {}
        }
        match object_of(event) {
            Some(object) => write(&object, output),
            None => Ok(()),
        }
    }

    fn show_lines(
        &mut self,
        event: &RunEvent,
        chunk: &NodeOutput,
        output: &mut OutputWriter,
    ) -> Result<()> {
        let (index, stream) = match chunk.stream() {
            OutputStream::Stdout => (0, "stdout"),
            OutputStream::Stderr => (1, "stderr"),
            OutputStream::Unspecified => return Ok(()),
        };
        if !self.readings.contains_key(&chunk.node) {
            self.readings.insert(chunk.node.clone(), Default::default());
        }
        let readings = self.readings.entry(chunk.node.clone()).or_default();
        let time = event.time.as_ref().map(rfc3339);
        readings[index].push(&chunk.data, |text, end| {
            write(
                &line(event, time.as_deref(), &chunk.node, stream, text, end),
                output,
            )
        })
    }
}

/// Shows what was held back of a node's output.
fn finish(
    event: &RunEvent,
    node: &str,
    readings: [LineAssembler; 2],
    output: &mut OutputWriter,
) -> Result<()> {
    let time = event.time.as_ref().map(rfc3339);
    for (mut reading, stream) in readings.into_iter().zip(["stdout", "stderr"]) {
        reading.finish(|text, end| {
            write(
                &line(event, time.as_deref(), node, stream, text, end),
                output,
            )
        })?;
    }
    Ok(())
}

fn line<'a>(
    event: &'a RunEvent,
    time: Option<&'a str>,
    node: &'a str,
    stream: &'static str,
    text: &'a [u8],
    end: LineEnd,
) -> LineObject<'a> {
    let line = std::str::from_utf8(text).ok();
    LineObject {
        event: "node_output",
        run_id: &event.run_id,
        sequence: event.sequence,
        time,
        node,
        stream,
        line,
        line_base64: line.is_none().then(|| STANDARD.encode(text)),
        partial: (end != LineEnd::Newline).then_some(true),
    }
}

/// Writes one object as one line.
pub(crate) fn write(object: &impl Serialize, output: &mut OutputWriter) -> Result<()> {
    let mut text = serde_json::to_string(object).unwrap_or_default();
    text.push('\n');
    output.write(StdStream::Stdout, escape_in_json(&text).as_bytes())
}

/// An event as an object; None for output and for kinds that only a newer server knows.
fn object_of(event: &RunEvent) -> Option<Value> {
    let (kind, fields) = match event.event.as_ref()? {
        Event::RunStarted(it) => (
            "run_started",
            json!({
                "command": it.command,
                "arguments": it.arguments,
                "subject": it.subject,
                "nodes": it.nodes,
                "request_username": it.request_username,
                "request_uid": it.request_uid,
                "fanout": it.fanout,
                "timeout": it.timeout.as_ref().map(duration_seconds),
                "reason": it.reason,
            }),
        ),
        Event::NodeStarted(it) => (
            "node_started",
            json!({"node": it.node, "rank": it.rank, "script": it.script}),
        ),
        Event::NodeFinished(it) => ("node_finished", finished(it)),
        Event::RunFinished(it) => (
            "run_finished",
            json!({
                "outcome": it.outcome().label(),
                "counts": outcome_counts(&it.counts),
                "never_started": Outcome::never_started(&it.counts),
                "duration": it.duration.as_ref().map(duration_seconds),
            }),
        ),
        Event::NodeOutput(_) => return None,
    };
    let head = json!({
        "event": kind,
        "run_id": event.run_id,
        "sequence": event.sequence,
        "time": event.time.as_ref().map(rfc3339),
    });
    Some(join([head, fields]))
}

fn finished(it: &NodeFinished) -> Value {
    json!({
        "node": it.node,
        "outcome": it.outcome().label(),
        "exit_code": it.exit_code,
        "signal": it.signal,
        "state": it.state,
        "message": it.message,
        "duration": it.duration.as_ref().map(duration_seconds),
        "output_dropped_bytes": it.output_dropped_bytes,
        "leftover_processes": it.leftover_processes,
        "error_line": it.error_line,
        "never_started": it.never_started,
        "output_incomplete": it.output_incomplete,
        "output_lost_bytes": it.output_lost_bytes,
    })
}

/// How many jobs had which outcome: labels as keys.
pub(crate) fn outcome_counts(counts: &[OutcomeCount]) -> Value {
    let pairs = counts
        .iter()
        .map(|it| (it.outcome().label().to_owned(), it.count.into()));
    Value::Object(pairs.collect())
}

/// One object with the fields of all.
fn join(objects: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for object in objects {
        if let Value::Object(fields) = object {
            all.extend(fields);
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::RunStarted;
    use prost_types::Timestamp;

    fn shown(events: Vec<Event>) -> Vec<Value> {
        let (mut output, captured) = OutputWriter::memory(true);
        let mut json = JsonRenderer::default();
        for (sequence, event) in (1..).zip(events) {
            let time = Some(Timestamp {
                seconds: 1_767_225_600,
                nanos: 5_000_000,
            });
            let event = RunEvent {
                run_id: "r".into(),
                sequence,
                time,
                event: Some(event),
            };
            json.render_event(&event, &mut output).unwrap();
        }
        output.flush().unwrap();
        let text = captured.text(StdStream::Stdout);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn wrote(data: &[u8]) -> Event {
        let (node, stream) = ("n1".into(), OutputStream::Stdout.into());
        Event::NodeOutput(NodeOutput {
            node,
            stream,
            data: data.to_vec().into(),
        })
    }

    #[test]
    fn output_comes_line_by_line() {
        let lines = shown(vec![
            wrote(b"a \x1b[2J\nb"),
            wrote(b"c\n\xff\n"),
            wrote(b"end"),
            Event::NodeFinished(NodeFinished {
                node: "n1".into(),
                outcome: Outcome::TimedOut.into(),
                ..NodeFinished::default()
            }),
        ]);
        assert_eq!(
            lines[0],
            json!({"event": "node_output", "run_id": "r", "sequence": 1, "node": "n1",
                   "time": "2026-01-01T00:00:00.005Z", "stream": "stdout", "line": "a \u{1b}[2J"})
        );
        assert_eq!(lines[1]["line"], "bc");
        assert_eq!(lines[2]["line_base64"], "/w==");
        assert!(lines[2].get("line").is_none());
        assert_eq!(
            (&lines[3]["line"], &lines[3]["partial"]),
            (&json!("end"), &json!(true))
        );
        assert_eq!(lines[4]["event"], "node_finished");
        assert_eq!(lines[4]["outcome"], "timed-out");
        assert_eq!(lines[4]["exit_code"], Value::Null);
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn every_kind_has_its_name_and_keys() {
        let nodes = vec!["n1".to_owned()];
        let lines = shown(vec![
            Event::RunStarted(RunStarted {
                nodes,
                ..RunStarted::default()
            }),
            Event::NodeStarted(Default::default()),
            Event::RunFinished(action_proto::v1::RunFinished {
                outcome: Outcome::Ok.into(),
                counts: vec![OutcomeCount {
                    outcome: Outcome::Ok.into(),
                    count: 1,
                    never_started: 0,
                }],
                duration: Some(prost_types::Duration {
                    seconds: 1,
                    nanos: 500_000_000,
                }),
            }),
        ]);
        assert_eq!(lines[0]["event"], "run_started");
        assert_eq!(lines[0]["nodes"], json!(["n1"]));
        assert_eq!(lines[1]["event"], "node_started");
        assert_eq!(lines[2]["counts"], json!({"ok": 1}));
        assert_eq!(lines[2]["duration"], "1.5s");
        assert_eq!(lines[2]["sequence"], 3);
    }
}
