//! Values of `metadata.yaml` as admins write them: times, sizes, numbers.

use std::{str::FromStr, time::Duration};

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn parse_timeout(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text)
        .ok()
        .filter(|time| !time.is_zero());
    // Clocks overflow beyond.
    time.map(|time| time.min(Duration::from_secs(10 * 365 * 24 * 3600)))
}

pub(super) fn parse_count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&count| count > 0)
}

pub(super) fn parse_size(text: &str) -> Option<Option<u64>> {
    match text {
        "none" => Some(None),
        text => bytesize::ByteSize::from_str(text)
            .ok()
            .map(|size| Some(size.as_u64())),
    }
}

pub(super) fn parse_bool(text: &str) -> Option<bool> {
    // What YAML 1.1 calls a boolean, which the original's files may use.
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
