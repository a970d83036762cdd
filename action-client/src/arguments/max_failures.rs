//! Owns the value of `--max-failures`: a number of nodes, or a part of them. Pure.

use crate::error::WrongValue;
use std::str::FromStr;

/// How many jobs may end other than ok before no more are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxFailures {
    Count(u32),
    /// So many in a hundred of the planned jobs, 1 to 100.
    Percent(u32),
}

impl FromStr for MaxFailures {
    type Err = WrongValue;

    fn from_str(text: &str) -> Result<Self, WrongValue> {
        let wrong = || WrongValue {
            allowed: "a number of nodes from 1 up, or a part of them from 1% to 100%",
            example: "10%",
        };
        let (digits, is_percent) = match text.strip_suffix('%') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        match digits.parse() {
            Ok(number @ 1..) if !is_percent => Ok(Self::Count(number)),
            Ok(number @ 1..=100) => Ok(Self::Percent(number)),
            _ => Err(wrong()),
        }
    }
}

impl MaxFailures {
    /// The number for so many planned jobs: a part is rounded up, and is at least one.
    pub(crate) fn of(self, jobs: usize) -> u32 {
        match self {
            Self::Count(number) => number,
            Self::Percent(percent) => {
                let jobs = u64::try_from(jobs).unwrap_or(u64::MAX);
                let number = jobs.saturating_mul(percent.into()).div_ceil(100).max(1);
                u32::try_from(number).unwrap_or(u32::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_parts_are_read() {
        let table = [
            ("5", 10, Ok(5)),
            ("10%", 1000, Ok(100)),
            ("10%", 1, Ok(1)),
            ("10%", 11, Ok(2)),
            ("100%", 7, Ok(7)),
            ("1%", 0, Ok(1)),
            ("0", 1, Err(())),
            ("0%", 1, Err(())),
            ("101%", 1, Err(())),
            ("", 1, Err(())),
            ("%", 1, Err(())),
            ("-1", 1, Err(())),
            ("+1", 1, Err(())),
            ("1.5%", 1, Err(())),
            ("99999999999", 1, Err(())),
        ];
        for (text, jobs, expected) in table {
            let got = text.parse::<MaxFailures>().map(|limit| limit.of(jobs));
            assert_eq!(got.map_err(|_| ()), expected, "{text} of {jobs}");
        }
    }
}
