//! A record as JSON lines, for people and programs without a server.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use action_proto::{
    input::shown_run_id,
    v1::{NodeOutput, Outcome, OutputStream, RunEvent, run_event::Event},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    RecordEntry,
    directory::{file_names, optional_file_names},
    file,
    index::RecordIndex,
};

use crate::{file_digest::open_regular, shown};

/// Writes the events of a run in a state directory as one JSON object a line. Needs no lock: a
/// record that is being written is read as far as it is whole.
///
/// # Errors
/// The disk's, the output's, or that no run or more than one is meant (`NotFound`).
pub fn export(directory: &Path, run: &str, out: &mut impl Write) -> io::Result<()> {
    let mut index = RecordIndex::default();
    let runs: Arc<Path> = directory.join("runs").into();
    let damaged: Arc<Path> = directory.join("damaged").into();
    for (directory, names) in [
        (&damaged, optional_file_names(&damaged)),
        (&runs, file_names(&runs)),
    ] {
        let unreadable = |error: io::Error| {
            let directory = shown::file(directory);
            let text = format!("cannot read the records in {directory}: {error}");
            io::Error::new(error.kind(), text)
        };
        for (id, time) in names
            .map_err(unreadable)?
            .iter()
            .filter_map(|name| RecordEntry::parse_name(name))
        {
            index.insert(Arc::new(RecordEntry::new(Arc::clone(directory), id, time)));
        }
    }
    let matching = index.find(run, None, 2);
    let [entry] = matching.as_slice() else {
        let what = if matching.is_empty() {
            "no such run"
        } else {
            "more than one run begins so"
        };
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("{what}: {}", shown_run_id(run)),
        ));
    };
    let mut written = Ok(());
    let torn = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(
            io::ErrorKind::InvalidData,
            "the record is damaged: it is too short",
        ),
        _ => error,
    };
    let file = open_regular(&entry.path())?;
    let mark = file::scan_events(&file, |event, _| {
        if written.is_ok() {
            let json = to_json(&event).to_string();
            written = writeln!(out, "{}", action_proto::escape_in_json(&json));
        }
    })
    .map_err(torn)?;
    written?;
    if !file::has_ended(&file)? {
        tracing::warn!(
            "the run goes on, or its server died: there is no more than event {}",
            mark.sequence
        );
    } else if mark.end < file::whole_part(&file)?.end {
        let text = format!("the record is damaged behind event {}", mark.sequence);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(())
}

/// An event as JSON. Keys are the .proto's field names, `event` names the kind, outcomes are
/// their labels, durations seconds, times RFC 3339; output is `data`, or `data_base64` where it
/// is not UTF-8.
pub fn to_json(event: &RunEvent) -> Value {
    let mut object = Map::new();
    let time = event
        .time
        .and_then(|time| std::time::SystemTime::try_from(time).ok());
    object.insert("run_id".into(), event.run_id.clone().into());
    object.insert("sequence".into(), event.sequence.into());
    object.insert(
        "time".into(),
        time.map(|time| humantime::format_rfc3339_nanos(time).to_string())
            .into(),
    );
    let (kind, fields) = event_fields(event.event.as_ref());
    object.insert("event".into(), kind.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    object.into()
}

/// The kind of an event, and its own fields.
fn event_fields(event: Option<&Event>) -> (&'static str, Value) {
    match event {
        None => ("unknown", json!({})),
        Some(Event::RunStarted(it)) => (
            "run_started",
            json!({"command": it.command, "arguments": it.arguments, "subject": it.subject,
                "nodes": it.nodes, "request_username": it.request_username, "request_uid": it.request_uid,
                "fanout": it.fanout, "timeout": seconds(it.timeout), "reason": it.reason}),
        ),
        Some(Event::NodeStarted(it)) => (
            "node_started",
            json!({"node": it.node, "rank": it.rank, "script": it.script}),
        ),
        Some(Event::NodeOutput(it)) => ("node_output", output_fields(it)),
        Some(Event::NodeFinished(it)) => (
            "node_finished",
            json!({"node": it.node, "outcome": it.outcome().label(), "exit_code": it.exit_code,
                "signal": it.signal, "state": it.state, "message": it.message,
                "duration": seconds(it.duration), "output_dropped_bytes": it.output_dropped_bytes,
                "leftover_processes": it.leftover_processes, "error_line": it.error_line,
                "never_started": it.never_started, "output_incomplete": it.output_incomplete,
                "output_lost_bytes": it.output_lost_bytes}),
        ),
        Some(Event::RunFinished(it)) => {
            let counts: Map<String, Value> = it
                .counts
                .iter()
                .map(|entry| (entry.outcome().label().into(), entry.count.into()))
                .collect();
            (
                "run_finished",
                json!({"outcome": it.outcome().label(), "counts": counts,
                    "never_started": Outcome::never_started(&it.counts), "duration": seconds(it.duration)}),
            )
        }
    }
}

fn output_fields(output: &NodeOutput) -> Value {
    let is_stderr = output.stream() == OutputStream::Stderr;
    let stream = if is_stderr { "stderr" } else { "stdout" };
    let mut fields = json!({"node": output.node, "stream": stream});
    match std::str::from_utf8(&output.data) {
        Ok(text) => fields["data"] = text.into(),
        Err(_) => fields["data_base64"] = STANDARD.encode(&output.data).into(),
    }
    fields
}

fn seconds(duration: Option<prost_types::Duration>) -> Option<f64> {
    duration.map(|duration| duration.seconds as f64 + f64::from(duration.nanos) / 1e9)
}
