//! Times as the files of this room have them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use action_proto::input::shown_value;
use thiserror::Error;

/// A text is not a time.
#[derive(Debug, Error)]
#[error("{} is not a time such as 2027-01-31T00:00:00Z", shown_value(.0))]
pub(super) struct TimeError(String);

/// Seconds since 1970 of a time as RFC 3339 writes it.
pub(super) fn parse_time(time: &str) -> Result<u64, TimeError> {
    let parsed = humantime::parse_rfc3339_weak(time).ok();
    let since = parsed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since
        .map(|since| since.as_secs())
        .ok_or_else(|| TimeError(time.to_owned()))
}

/// The same time as RFC 3339 writes it.
pub fn format_time(seconds: u64) -> String {
    // humantime writes times up to the year 9999, and panics beyond it.
    let seconds = seconds.min(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// Now, in seconds since 1970.
pub(super) fn now() -> u64 {
    // A clock before 1970 makes every token too new, and none valid.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A time in seconds since 1970, written as RFC 3339 does it.
pub(super) mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::auth) fn serialize<S: Serializer>(
        seconds: &u64,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format_time(*seconds))
    }

    pub(in crate::auth) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<u64, D::Error> {
        super::parse_time(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}
