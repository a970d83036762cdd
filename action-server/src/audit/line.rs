//! From an event to its one line, with any text in it.

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
