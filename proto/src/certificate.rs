//! When a certificate (RFC 5280) can be used, and in words why it cannot now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::der::{Element, Elements};

const DAY: u64 = 24 * 3600;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const VERSION: u8 = 0xa0;

/// From when to when a certificate can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then.
    pub begins: SystemTime,
    /// Until then.
    pub ends: SystemTime,
}

impl Validity {
    /// Reads a certificate's DER; `None` for what is none.
    pub fn read(certificate: &[u8]) -> Option<Validity> {
        let signed = Elements(certificate).next_of(SEQUENCE)?;
        let mut fields = signed.elements().next_of(SEQUENCE)?.elements();
        _ = fields.next_of(VERSION);
        // Serial number, algorithm and issuer.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            fields.next_of(tag)?;
        }
        Validity::of(fields.next_of(SEQUENCE)?)
    }

    /// Reads the field of that name.
    pub fn of(field: Element<'_>) -> Option<Validity> {
        let mut times = field.elements();
        Some(Validity {
            begins: time(times.next()?)?,
            ends: time(times.next()?)?,
        })
    }

    /// Why it cannot be used at `now`.
    pub fn fault(&self, now: SystemTime) -> Option<String> {
        if let Ok(over) = now.duration_since(self.ends) {
            let ended = shown(self.ends);
            return Some(format!("it expired on {ended} ({} ago)", days(over)));
        }
        let is_early = self.begins > now;
        is_early.then(|| format!("it is not valid before {}", shown(self.begins)))
    }

    /// That it ends within `soon`.
    pub fn warning(&self, now: SystemTime, soon: Duration) -> Option<String> {
        let left = self.ends.duration_since(now).ok()?;
        let ends = shown(self.ends);
        (left < soon).then(|| format!("it expires on {ends} (in {})", days(left)))
    }
}

fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn days(time: Duration) -> String {
    match time.as_secs() / DAY {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// UTCTime or GeneralizedTime as RFC 5280, section 4.1.2.5, has them: to the second, and in UTC.
fn time(element: Element<'_>) -> Option<SystemTime> {
    let text = str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let century = match element.tag {
        UTC_TIME if text.get(..2)? < "50" => "20",
        UTC_TIME => "19",
        _ => "",
    };
    let text = format!("{century}{text}");
    let part = |from: usize, to: usize| text.get(from..to);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    match humantime::parse_rfc3339(&written) {
        Ok(time) => Some(time),
        // Before 1970 nothing can be told, and it is long ago.
        Err(_) if text.get(..4)? < "1970" => Some(UNIX_EPOCH),
        Err(_) => None,
    }
}
