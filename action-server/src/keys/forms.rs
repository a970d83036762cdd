//! Forms of scalars that several files have.

use std::time::Duration;

use super::scalar_forms;

/// No time is longer: clocks overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

scalar_forms! {
    /// A text exactly as it was written, also where YAML would take it for a number.
    PlainText: String = "text", true, "a text", |text| Some(text.to_owned());
    /// True or false, in the words of YAML 1.1.
    Switch: bool = "bool", false, "true or false", parse_bool;
    /// A time such as `90s` or `1h`.
    TimeSpan: Duration = "time", false, "a time such as 90s or 1h", parse_time;
    /// A size such as `64MiB`, in bytes.
    ByteSize: u64 = "size", false, "a size such as 64MiB", parse_size;
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Reads a time such as `90s`.
pub fn parse_time(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text).ok();
    time.map(|time| time.min(LONGEST))
}

/// Reads a size such as `64MiB`, in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let size: Option<bytesize::ByteSize> = text.parse().ok();
    size.map(|size| size.as_u64())
}
