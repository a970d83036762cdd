//! A record as JSON lines, for people and programs without a server.

use std::{
    fs::{File, ReadDir},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use action_proto::{
    input::shown_run_id,
    v1::{Outcome, OutputStream, RunEvent, run_event::Event},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Entry, file, index::Index};

use crate::shown;

/// Writes the events of a run in a state directory as one JSON object a line. Needs no lock: a
/// record that is being written is read as far as it is whole.
///
/// # Errors
/// The disk's, the output's, or that no run or more than one is meant (`NotFound`).
pub fn export(directory: &Path, run: &str, out: &mut impl Write) -> io::Result<()> {
    let mut index = Index::default();
    let runs: Arc<Path> = directory.join("runs").into();
    let damaged: Arc<Path> = directory.join("damaged").into();
    let unreadable = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot read the records in {}: {error}", shown::file(&runs)),
        )
    };
    for (directory, files) in [
        (&damaged, read_optional(&damaged)),
        (&runs, std::fs::read_dir(&runs).map(Some)),
    ] {
        for file in files.map_err(unreadable)?.into_iter().flatten() {
            let name = file?.file_name();
            if let Some((id, time)) = name.to_str().and_then(Entry::name_of) {
                index.insert(Arc::new(Entry::new(Arc::clone(directory), id, time)));
            }
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
    let file = File::open(entry.path())?;
    let mark = file::scan(&file, |event, _| {
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

/// A directory that need not be there.
fn read_optional(directory: &Path) -> io::Result<Option<ReadDir>> {
    match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
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
    let seconds = |duration: Option<prost_types::Duration>| {
        duration.map(|duration| duration.seconds as f64 + f64::from(duration.nanos) / 1e9)
    };
    let (kind, fields) = match &event.event {
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
        Some(Event::NodeOutput(it)) => {
            let stream = if it.stream() == OutputStream::Stderr {
                "stderr"
            } else {
                "stdout"
            };
            let mut fields = json!({"node": it.node, "stream": stream});
            match std::str::from_utf8(&it.data) {
                Ok(text) => fields["data"] = text.into(),
                Err(_) => fields["data_base64"] = STANDARD.encode(&it.data).into(),
            }
            ("node_output", fields)
        }
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
    };
    object.insert("event".into(), kind.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    object.into()
}
