//! Which records are old or large enough to go. Pure; the store removes them.

use std::time::Duration;

/// The most records that go for their age at once, or a twentieth of all if that is more.
const AGED_AT_ONCE: usize = 1000;

/// How long and how much is kept.
#[derive(Debug, Clone, Copy)]
pub struct RetentionLimits {
    /// Records older than this go, some at a time.
    pub age: Duration,
    /// The oldest go until all take no more than this, in bytes.
    pub size: u64,
}

/// A record, as far as retention cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetainedRecord {
    /// When the run was accepted, in milliseconds since 1970.
    pub(super) time: u64,
    /// The record's size in bytes.
    pub(super) size: u64,
    /// True for a run that lives or is watched: it stays.
    pub(super) in_use: bool,
}

impl RetentionLimits {
    /// Which of the records go, as positions. `records` are the newest first; `now` is in
    /// milliseconds since 1970. Of those that are too old only some go at once, the oldest.
    pub(super) fn expired(&self, records: &[RetainedRecord], now: u64) -> Vec<usize> {
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        let mut total: u64 = 0;
        let (mut old, mut too_much) = (Vec::new(), Vec::new());
        for (at, record) in records.iter().enumerate() {
            let size = total.saturating_add(record.size);
            if !record.in_use && size > self.size {
                too_much.push(at);
                continue;
            }
            total = size;
            if !record.in_use && now.saturating_sub(record.time) > age {
                old.push(at);
            }
        }
        let most = AGED_AT_ONCE.max(records.len() / 20);
        old.drain(..old.len().saturating_sub(most));
        old.extend(too_much);
        old.sort_unstable();
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_and_the_too_much_go_and_what_is_used_stays() {
        let retention = RetentionLimits {
            age: Duration::from_millis(100),
            size: 10,
        };
        let record = |time, size, in_use| RetainedRecord { time, size, in_use };
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
    #[test]
    fn few_go_at_once_for_their_age_and_the_oldest_first() {
        let retention = RetentionLimits {
            age: Duration::from_millis(100),
            size: 30_000,
        };
        let kept = |count: usize| {
            let record = |time| RetainedRecord {
                time,
                size: 1,
                in_use: false,
            };
            (0..count as u64).rev().map(record).collect::<Vec<_>>()
        };
        let expired = |count| retention.expired(&kept(count), 1_000_000);
        assert_eq!(expired(900), (0..900).collect::<Vec<_>>());
        assert_eq!(expired(5_000), (4_000..5_000).collect::<Vec<_>>());
        assert_eq!(expired(30_000), (28_500..30_000).collect::<Vec<_>>());
        // No limit holds for what is too much.
        let retention = RetentionLimits {
            size: 10,
            ..retention
        };
        assert_eq!(retention.expired(&kept(5_000), 0).len(), 4_990);
    }
}
