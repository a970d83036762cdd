//! From an event to its one line, with any text in it, and to the server's log.

use std::{io, time::SystemTime};

use serde::Serialize;
use serde_json::Value;
use tracing::Level;

use super::Event;

#[derive(Serialize)]
struct LogLine<'a> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// The line, with its end.
pub(super) fn render_line(seq: u64, time: SystemTime, event: &Event) -> io::Result<String> {
    let time = humantime::format_rfc3339_millis(time).to_string();
    let json = serde_json::to_string(&LogLine { seq, time, event })?;
    let mut line = action_proto::escape_in_json(&json).into_owned();
    line.push('\n');
    Ok(line)
}

/// Logs the event. The server's log quotes and escapes each text.
pub(super) fn log_event(seq: u64, event: &Event) {
    if !tracing::enabled!(target: "audit", Level::INFO) {
        return;
    }
    let keys = serde_json::to_value(event).unwrap_or_default();
    let text = |key| keys.get(key).and_then(Value::as_str);
    let number = |key| keys.get(key).and_then(Value::as_u64);
    let json = |key| keys.get(key).map(Value::to_string);
    tracing::info!(
        target: "audit",
        run_id = text("run_id").map(display),
        outcome = text("outcome"),
        subject = text("subject"),
        jti = text("jti"),
        key = text("key"),
        address = text("address"),
        method = text("method"),
        command = text("command"),
        nodes = text("nodes"),
        nodes_length = number("nodes_length"),
        nodes_sha256 = text("nodes_sha256"),
        arguments = json("arguments"),
        arguments_length = number("arguments_length"),
        arguments_sha256 = text("arguments_sha256"),
        scripts = json("scripts"),
        rule = text("rule"),
        counts = json("counts"),
        reason = text("reason"),
        what = text("what"),
        faults = json("faults"),
        repeated = number("repeated"),
        lost = number("lost"),
        version = text("version"),
        seq,
        "{}", text("event").unwrap_or_default()
    );
}
