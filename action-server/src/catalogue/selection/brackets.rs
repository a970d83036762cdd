//! Brackets of node sets: how many names they stand for, counted before any is made, and which.

use nodeset::{IdRangeList, NodeSet, Parser};

use super::{SelectionError, shortened};
use crate::catalogue::names::NAME_LIMIT;

/// The names that a term without operators stands for.
pub(super) fn expand(term: &str, limit: usize) -> Result<Vec<String>, SelectionError> {
    if !term.contains('[') {
        // A plain name is taken as it is, also where it looks like a range, as 10-3 does.
        return Ok(vec![term.to_owned()]);
    }
    let malformed = |reason| SelectionError::Malformed {
        text: shortened(term.to_owned()),
        reason,
    };
    let count = count(term).ok_or_else(|| {
        malformed("a range is a number, or two with - between, the smaller first")
    })?;
    if count > limit {
        return Err(SelectionError::TooMany { count, limit });
    }
    // Zeroes in front, or a text around the brackets, are in each of the names.
    if longest(term) > NAME_LIMIT {
        return Err(malformed("its names are longer than any name can be"));
    }
    let set: NodeSet<IdRangeList> = Parser::default()
        .parse(term)
        .map_err(|_| malformed("not a node set"))?;
    Ok(set.iter().collect())
}

/// How many names a term stands for, without expanding it; `None` when a range is none.
pub(super) fn count(term: &str) -> Option<usize> {
    let mut total = 1_usize;
    let mut rest = term;
    while let Some((_, after)) = rest.split_once('[') {
        let (ranges, after) = after.split_once(']')?;
        rest = after;
        let mut size = 0_usize;
        for range in ranges.split(',') {
            size = size.saturating_add(range_len(range.trim())?);
        }
        total = total.saturating_mul(size);
    }
    Some(total)
}

/// How long the longest name is that a term stands for, or more.
pub(super) fn longest(term: &str) -> usize {
    let mut total = 0_usize;
    let mut rest = term;
    while let Some((text, after)) = rest.split_once('[') {
        let (ranges, after) = after.split_once(']').unwrap_or((after, ""));
        let numbers = ranges
            .split([',', '-', '/'])
            .map(|number| number.trim().len());
        total += text.len() + numbers.max().unwrap_or(0);
        rest = after;
    }
    total + rest.len()
}

fn range_len(range: &str) -> Option<usize> {
    let (ends, step) = range.split_once('/').unwrap_or((range, "1"));
    let (first, last) = ends.split_once('-').unwrap_or((ends, ends));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Anything longer is past counting, and leading zeroes are no number of nodes.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (first, last, step) = (number(first)?, number(last)?, number(step)?);
    if last < first || step == 0 {
        return None;
    }
    usize::try_from((last - first) / step)
        .ok()?
        .checked_add(1)
        .or(Some(usize::MAX))
}
