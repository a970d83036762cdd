//! How many names a node set may spell out: as many as its caller may select, or any number for an
//! admin's definition.

use super::SelectionError;
use crate::{catalogue::DEFAULT_NODE_LIMIT, pattern::NamePattern};

/// How many names a text may spell out for each node that it may select: what it takes away again
/// with `!`, and some repetition.
const NAMED_PER_SELECTED: usize = 4;

/// How many nodes a text may select.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// What a caller asks for: more is an error.
    AtMost(usize),
    /// What an admin defines.
    Any,
}

impl Size {
    /// How a text is read whose terms spell out so many names.
    ///
    /// # Errors
    /// A caller spells out too many.
    pub(super) fn expanded(self, spelled: usize) -> Result<Expanded, SelectionError> {
        let is_too_long = |limit: usize| spelled > limit.saturating_mul(NAMED_PER_SELECTED);
        match self {
            Size::AtMost(limit) if is_too_long(limit) => Err(SelectionError::TooMany {
                count: spelled,
                limit,
            }),
            Size::AtMost(limit) => Ok(Expanded {
                limit,
                is_strict: true,
            }),
            Size::Any => Ok(Expanded {
                limit: match is_too_long(DEFAULT_NODE_LIMIT) {
                    true => 1,
                    false => DEFAULT_NODE_LIMIT,
                },
                is_strict: false,
            }),
        }
    }
}

/// How many names of a term are spelled out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expanded {
    pub(super) limit: usize,
    /// True where more are an error. Otherwise nothing is spelled out then, and the nodes that there
    /// are get compared with the term, as with one that has wildcards.
    is_strict: bool,
}

impl Expanded {
    pub(super) fn is_searched(self, names: &NamePattern) -> bool {
        names.has_wildcards() || (!self.is_strict && names.count() > self.limit)
    }
}
