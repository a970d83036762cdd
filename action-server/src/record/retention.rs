//! Which records are old or large enough to go. Pure; the store removes them.

use std::time::Duration;

/// How long and how much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Records older than this go.
    pub age: Duration,
    /// The oldest go until all take no more than this, in bytes.
    pub size: u64,
}

/// A record, as far as retention cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// When the run was accepted, in milliseconds since 1970.
    pub(super) time: u64,
    /// The record's size in bytes.
    pub(super) size: u64,
    /// True for a run that lives or is watched: it stays.
    pub(super) in_use: bool,
}

impl Retention {
    /// Which of the records go, as positions. `records` are the newest first; `now` is in
    /// milliseconds since 1970.
    pub(super) fn expired(&self, records: &[Kept], now: u64) -> Vec<usize> {
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        let mut total: u64 = 0;
        let mut expired = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let size = total.saturating_add(record.size);
            let old = now.saturating_sub(record.time) > age;
            if !record.in_use && (old || size > self.size) {
                expired.push(at);
            } else {
                total = size;
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_and_the_too_much_go_and_what_is_used_stays() {
        let retention = Retention {
            age: Duration::from_millis(100),
            size: 10,
        };
        let record = |time, size, in_use| Kept { time, size, in_use };
        let records = [
            record(1000, 4, true),
            record(990, 4, false),
            record(980, 4, false),
            record(970, 1, false),
            record(800, 1, false),
            record(700, 1, true),
        ];
        assert_eq!(retention.expired(&records, 1000), [2, 4]);
        // A clock that went back makes nothing old.
        assert_eq!(retention.expired(&records[3..], 0), [0_usize; 0]);
    }
}
