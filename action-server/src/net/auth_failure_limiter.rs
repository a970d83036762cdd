//! Calls without a valid token, by address: which get a line in the audit log, and which a delayed
//! answer.
//!
//! No address is refused: all callers of a web server in front have one. The table has a fixed size, so
//! that no number of addresses takes more memory.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::locks::lock;

/// How long an address is remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// So many calls of one address have a line of their own; the rest is summed up.
const SINGLY: u64 = 5;
/// An address has so many prompt answers; later ones are delayed.
const PROMPT: u64 = 20;
/// How many lines there are in a window, whatever the number of addresses.
const LINES: u32 = 300;
/// The most addresses in the table.
const ADDRESSES: usize = 1024;

/// Where calls come from: an IPv6 host has a network of its own
/// (RFC 6177), a /64 at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOrigin {
    /// An IPv4 address, or the first of a /64 of IPv6.
    Of(IpAddr),
    /// All that do not fit in the table.
    Others,
}

impl CallOrigin {
    /// The origin of calls from an address.
    pub fn new(address: IpAddr) -> CallOrigin {
        CallOrigin::Of(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address => address,
        })
    }
}

impl fmt::Display for CallOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallOrigin::Of(IpAddr::V4(address)) => address.fmt(f),
            CallOrigin::Of(IpAddr::V6(network)) => write!(f, "{network}/64"),
            CallOrigin::Others => f.write_str("others"),
        }
    }
}

/// What to do with a call without a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureDecision {
    /// Write a line of its own.
    pub has_line: bool,
    /// Delay the answer.
    pub is_delayed: bool,
}

/// The addresses that calls without a valid token came from. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct AuthFailureLimiter {
    table: Arc<Mutex<OriginTable>>,
}

impl AuthFailureLimiter {
    /// Takes note of a call.
    pub fn note(&self, address: IpAddr) -> FailureDecision {
        let mut table = lock(&self.table);
        table.note(CallOrigin::new(address), Instant::now())
    }

    /// Removes the origins whose window is over. Returns each with its number of calls without a line.
    pub fn sum_up(&self) -> Vec<(CallOrigin, u64)> {
        let mut table = lock(&self.table);
        table.sum_up(Instant::now())
    }
}

#[derive(Debug, Default)]
struct OriginTable {
    entries: HashMap<CallOrigin, OriginCalls>,
    /// How many lines there were, and since when.
    lines: (u32, Option<Instant>),
}

#[derive(Debug)]
struct OriginCalls {
    since: Instant,
    calls: u64,
    unlogged: u64,
}

impl OriginTable {
    fn note(&mut self, origin: CallOrigin, now: Instant) -> FailureDecision {
        let has_place = self.entries.contains_key(&origin) || self.entries.len() < ADDRESSES;
        let origin = if has_place {
            origin
        } else {
            CallOrigin::Others
        };
        let calls = self.entry(origin, now).calls + 1;
        let has_line = calls <= SINGLY && self.take_line(now);
        let entry = self.entry(origin, now);
        entry.calls = calls;
        entry.unlogged += u64::from(!has_line);
        FailureDecision {
            has_line,
            is_delayed: calls > PROMPT,
        }
    }

    fn sum_up(&mut self, now: Instant) -> Vec<(CallOrigin, u64)> {
        let over: Vec<_> = self
            .entries
            .extract_if(|_, entry| now.duration_since(entry.since) >= WINDOW)
            .filter(|(_, entry)| entry.unlogged > 0)
            .collect();
        let mut summed = Vec::new();
        for (origin, entry) in over {
            // The others have the one line that is always there.
            if origin == CallOrigin::Others || self.take_line(now) {
                summed.push((origin, entry.unlogged));
            } else {
                self.entry(CallOrigin::Others, now).unlogged += entry.unlogged;
            }
        }
        summed
    }

    fn entry(&mut self, origin: CallOrigin, now: Instant) -> &mut OriginCalls {
        self.entries.entry(origin).or_insert(OriginCalls {
            since: now,
            calls: 0,
            unlogged: 0,
        })
    }

    fn take_line(&mut self, now: Instant) -> bool {
        let (count, since) = &mut self.lines;
        if since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            (*count, *since) = (0, Some(now));
        }
        *count += u32::from(*count <= LINES);
        *count <= LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u32) -> CallOrigin {
        CallOrigin::new(IpAddr::V4(number.into()))
    }

    fn decisions(verdict: FailureDecision) -> (bool, bool) {
        (verdict.has_line, verdict.is_delayed)
    }

    #[test]
    fn the_first_are_told_singly_and_the_many_answered_late() {
        let (mut table, start) = (OriginTable::default(), Instant::now());
        for call in 1..=30 {
            let verdict = table.note(host(1), start);
            assert_eq!(decisions(verdict), (call <= 5, call > 20), "{call}");
        }
        assert_eq!(
            decisions(table.note(host(2), start)),
            (true, false),
            "another"
        );
        assert_eq!(table.sum_up(start + WINDOW / 2), []);
        assert_eq!(table.sum_up(start + WINDOW), [(host(1), 25)]);
        assert!(table.entries.is_empty());
        let verdict = table.note(host(1), start + WINDOW);
        assert_eq!(decisions(verdict), (true, false), "forgotten");
    }

    #[test]
    fn any_number_of_addresses_takes_so_much_memory_and_so_many_lines() {
        let (mut table, start) = (OriginTable::default(), Instant::now());
        let calls = 100_000;
        let mut singly = 0;
        let mut late = 0;
        for number in 0..calls {
            let verdict = table.note(host(number), start);
            singly += u32::from(verdict.has_line);
            late += u32::from(verdict.is_delayed);
        }
        assert_eq!((singly, table.entries.len()), (LINES, ADDRESSES + 1));
        assert!(late > calls / 2, "those without a place share one");
        let mut lines = 0;
        let mut counted = 0;
        for minute in 1..=20 {
            let summed = table.sum_up(start + minute * WINDOW);
            assert!(summed.len() <= LINES as usize + 1);
            lines += summed.len();
            counted += summed.iter().map(|(_, unlogged)| unlogged).sum::<u64>();
        }
        assert!(table.entries.is_empty());
        assert!(lines > 1);
        assert_eq!(
            counted + u64::from(singly),
            u64::from(calls),
            "none is forgotten"
        );
    }

    #[test]
    fn an_ipv6_host_is_its_network() {
        let origin = |text: &str| CallOrigin::new(text.parse().unwrap());
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
        assert_eq!(origin("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(origin("10.0.0.1").to_string(), "10.0.0.1");
    }
}
