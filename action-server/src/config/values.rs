//! The types of single settings: texts, times, sizes.

use std::{fmt, time::Duration};

use action_proto::input::shown_value;
use serde::{Deserialize, Deserializer, de};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
    /// Each event with its fields, to systemd's journal.
    Journald,
}

/// A text exactly as it was written, also where YAML would take it for a number.
#[derive(Debug, Clone)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// No time is longer: clocks overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A time such as `90s` or `1h`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(|time| Time(time.min(LONGEST)))
            .map_err(|_| {
                de::Error::custom(format!(
                    "{} is not a time such as 90s or 1h",
                    shown_value(&text)
                ))
            })
    }
}

/// A size such as `64MiB`, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse::<bytesize::ByteSize>()
            .map(|size| Size(size.as_u64()))
            .map_err(|_| {
                de::Error::custom(format!(
                    "{} is not a size such as 64MiB",
                    shown_value(&text)
                ))
            })
    }
}
