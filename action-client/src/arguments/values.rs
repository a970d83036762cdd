//! Parsers of option values. Each error has an example that is taken. Pure.

use crate::error::{CliError, WrongValue};
use std::time::Duration;

type ParsedValue<T> = Result<T, WrongValue>;

/// Where the value of `--plan` is from.
pub(crate) const PLAN_SOURCE: &str =
    "the same command with `--dry-run` prints the digest behind `plan:`";

/// Whether a node set has no term: a shell variable without a value leaves one.
pub(crate) fn is_empty_set(set: &str) -> bool {
    set.chars().all(|c| c.is_whitespace() || c == ',')
}

/// The error for an empty value of an option or a word.
pub(crate) fn empty_value(what: &str) -> CliError {
    let error = CliError::usage(format!("{what} is empty"));
    error.hint("a shell variable that is not set gives an empty value")
}

/// A number of things.
pub(crate) fn parse_count(text: &str) -> ParsedValue<u32> {
    parse_whole(text).ok_or(WrongValue {
        allowed: "a whole number from 0 to 4294967295",
        example: "20",
    })
}

/// A number of things, at least one.
pub(crate) fn parse_count_from_one(text: &str) -> ParsedValue<u32> {
    parse_whole(text)
        .filter(|number| *number > 0)
        .ok_or(WrongValue {
            allowed: "a whole number from 1 to 4294967295",
            example: "8",
        })
}

fn parse_whole(text: &str) -> Option<u32> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// A length of time.
pub(crate) fn parse_time_span(text: &str) -> ParsedValue<Duration> {
    parse_span(text).ok_or(WrongValue {
        allowed: "a number with a unit: ms, s, m, h or d",
        example: "90s",
    })
}

/// A length of time in which something can be done.
pub(crate) fn parse_time_from_one(text: &str) -> ParsedValue<Duration> {
    parse_span(text)
        .filter(|time| !time.is_zero())
        .ok_or(WrongValue {
            allowed: "a number larger than 0 with a unit: ms, s, m, h or d",
            example: "90s",
        })
}

/// A time that the API's Duration can hold: its seconds are signed.
fn parse_span(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text).ok()?;
    i64::try_from(time.as_secs()).ok().map(|_| time)
}

/// The digest of a plan. Only the server knows what its parts mean.
pub(crate) fn parse_plan_digest(text: &str) -> ParsedValue<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts = text.strip_prefix('p').and_then(|text| text.split_once(':'));
    let is_digest = parts.is_some_and(|(version, parts)| {
        let is_number = |c: char| c.is_ascii_digit();
        let has_both = !version.is_empty() && !parts.is_empty();
        has_both && version.chars().all(is_number) && parts.chars().all(is_allowed)
    });
    is_digest.then(|| text.to_owned()).ok_or(WrongValue {
        allowed: "the whole digest that `--dry-run` prints behind `plan:`",
        example: "p1:qN0c...",
    })
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
