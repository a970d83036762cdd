//! From an event to the one line that tells it, whatever is in its texts.

use std::{fmt::Write as _, io, time::SystemTime};

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
    let mut line = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        // All of these can only stand within strings, where an escape means the same.
        match is_treacherous(character) {
            true => _ = write!(line, "\\u{:04x}", u32::from(character)),
            false => line.push(character),
        }
    }
    line.push('\n');
    Ok(line)
}

/// True for what ends a line for some readers, drives a terminal, or changes the order in which
/// text is shown. JSON itself asks for escapes only below U+0020.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
