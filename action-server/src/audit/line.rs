//! From an event to its one line, with any text in it, and to the server's log.

use std::{io, time::SystemTime};

use serde::Serialize;

use super::Event;

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// The line, with its end.
pub(super) fn line(seq: u64, time: SystemTime, event: &Event) -> io::Result<String> {
    let time = humantime::format_rfc3339_millis(time).to_string();
    let json = serde_json::to_string(&Line { seq, time, event })?;
    let mut line = action_proto::escape_in_json(&json).into_owned();
    line.push('\n');
    Ok(line)
}

/// Logs the event. The server's log quotes and escapes each text.
pub(super) fn log(seq: u64, event: &Event) {
    let (who, text) = (&event.who, Option::<String>::as_deref);
    tracing::info!(
        target: "audit",
        run_id = event.run_id.as_ref().map(display),
        outcome = text(&event.outcome),
        subject = text(&who.subject),
        jti = text(&who.jti),
        key = text(&who.key),
        address = text(&who.address),
        method = text(&event.method),
        command = text(&event.command),
        nodes = text(&event.nodes),
        nodes_length = event.nodes_length,
        nodes_sha256 = text(&event.nodes_sha256),
        arguments = json(event.arguments.as_ref()),
        arguments_length = event.arguments_length,
        arguments_sha256 = text(&event.arguments_sha256),
        scripts = json(event.scripts.as_ref()),
        rule = text(&event.rule),
        counts = json(event.counts.as_ref()),
        reason = text(&event.reason),
        what = text(&event.what),
        faults = json(event.faults.as_ref()),
        repeated = event.repeated,
        lost = event.lost,
        version = text(&event.version),
        seq,
        "{}", event.name
    );
}

fn json(value: Option<&impl Serialize>) -> Option<String> {
    serde_json::to_string(value?).ok()
}
