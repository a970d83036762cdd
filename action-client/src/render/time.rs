//! Formats of times and durations.

use crate::error::WrongValue;
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn timestamp(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A time as RFC 3339 in UTC; empty for one that no calendar has.
pub(crate) fn rfc3339(time: &prost_types::Timestamp) -> String {
    timestamp(time)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// A time as people read it here, to the second.
pub(crate) fn local_time(time: &prost_types::Timestamp) -> String {
    let Some(time) = timestamp(time) else {
        return "-".to_owned();
    };
    TimeZone::system()
        .to_datetime(time)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A duration as protobuf's JSON writes it: seconds with an `s`, as in `1.5s`.
pub(crate) fn duration_seconds(duration: &prost_types::Duration) -> String {
    let sign = if duration.seconds < 0 || duration.nanos < 0 {
        "-"
    } else {
        ""
    };
    let (seconds, nanos) = (
        duration.seconds.unsigned_abs(),
        duration.nanos.unsigned_abs(),
    );
    let fraction = format!("{nanos:09}");
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{seconds}s"),
        fraction => format!("{sign}{seconds}.{fraction}s"),
    }
}

/// A duration as people read it, as in `1h 30m`; empty for one that is negative.
pub(crate) fn human_duration(duration: &prost_types::Duration) -> String {
    let duration = std::time::Duration::try_from(*duration).unwrap_or_default();
    humantime::format_duration(duration).to_string()
}

/// The time between two, to a tenth of a second, as in `1m 3.2s`.
pub(crate) fn time_between(start: &prost_types::Timestamp, end: &prost_types::Timestamp) -> String {
    let (Some(start), Some(end)) = (timestamp(start), timestamp(end)) else {
        return "-".to_owned();
    };
    let tenths = u64::try_from(end.duration_since(start).as_millis() / 100).unwrap_or(0);
    let (whole, tenth) = (tenths / 10, tenths % 10);
    match whole {
        0..60 => format!("{whole}.{tenth}s"),
        _ => humantime::format_duration(std::time::Duration::from_secs(whole)).to_string(),
    }
}

/// A date, RFC 3339 with or without a zone, or how long ago, as in `2h`.
pub(crate) fn parse_time(text: &str) -> Result<prost_types::Timestamp, WrongValue> {
    let time = point_in_time(text).ok_or(WrongValue {
        allowed: "how long ago, as in `2h`, or a date with or without a time of day",
        example: "2026-11-24T10:00",
    })?;
    Ok(prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    })
}

fn point_in_time(text: &str) -> Option<Timestamp> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Timestamp::now().checked_sub(ago).ok();
    }
    text.parse().ok().or_else(|| {
        let civil = text.parse().ok()?;
        TimeZone::system().to_timestamp(civil).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Duration;

    #[test]
    fn durations_are_written() {
        let table = [
            (1, 500_000_000, "1.5s"),
            (3600, 0, "3600s"),
            (0, 1, "0.000000001s"),
        ];
        for (s, nanos, text) in table {
            assert_eq!(duration_seconds(&Duration { seconds: s, nanos }), text);
        }
        assert_eq!(
            human_duration(&Duration {
                seconds: 5400,
                nanos: 0
            }),
            "1h 30m"
        );
    }

    #[test]
    fn times_are_read_and_written() {
        let time = parse_time("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(rfc3339(&time), "2026-01-01T00:00:00Z");
        assert!(parse_time("2h").unwrap().seconds > time.seconds - 1_000_000_000);
        assert!(parse_time("2026-01-01").is_ok());
        assert!(parse_time("yesterday").is_err());
        let later = prost_types::Timestamp {
            seconds: time.seconds + 3,
            nanos: 250_000_000,
        };
        assert_eq!(time_between(&time, &later), "3.2s");
    }
}
