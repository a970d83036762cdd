//! Times as the files of this room have them.

use std::time::UNIX_EPOCH;

use action_proto::input::shown_value;

/// Seconds since 1970 of a time as RFC 3339 writes it.
pub(super) fn seconds(time: &str) -> Result<u64, String> {
    let parsed = humantime::parse_rfc3339_weak(time).ok();
    let since = parsed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map(|since| since.as_secs()).ok_or_else(|| {
        format!(
            "{} is not a time such as 2027-01-31T00:00:00Z",
            shown_value(time)
        )
    })
}
