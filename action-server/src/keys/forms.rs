//! Forms of scalars that several files have.

use std::time::Duration;

use super::ScalarForm;

/// No time is longer: clocks overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A text exactly as it was written, also where YAML would take it for a number.
#[derive(Debug)]
pub struct PlainText;

impl ScalarForm for PlainText {
    type Value = String;
    const NAME: &'static str = "text";
    const EXPECTED: &'static str = "a text";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<String> {
        Some(text.to_owned())
    }
}

/// True or false, in the words of YAML 1.1.
#[derive(Debug)]
pub struct Switch;

impl ScalarForm for Switch {
    type Value = bool;
    const NAME: &'static str = "bool";
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// A time such as `90s` or `1h`.
#[derive(Debug)]
pub struct TimeSpan;

impl ScalarForm for TimeSpan {
    type Value = Duration;
    const NAME: &'static str = "time";
    const EXPECTED: &'static str = "a time such as 90s or 1h";

    fn parse(text: &str) -> Option<Duration> {
        let time = humantime::parse_duration(text).ok();
        time.map(|time| time.min(LONGEST))
    }
}

/// A size such as `64MiB`, in bytes.
#[derive(Debug)]
pub struct ByteSize;

impl ScalarForm for ByteSize {
    type Value = u64;
    const NAME: &'static str = "size";
    const EXPECTED: &'static str = "a size such as 64MiB";

    fn parse(text: &str) -> Option<u64> {
        let size: Option<bytesize::ByteSize> = text.parse().ok();
        size.map(|size| size.as_u64())
    }
}
