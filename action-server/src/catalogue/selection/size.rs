//! How many names a node set may spell out: as many as its caller may select, or any number for an
//! admin's definition.

use super::SelectionError;
use crate::{catalogue::DEFAULT_NODE_LIMIT, pattern::NamePattern};

/// How many names a text may spell out for each node that it may select: what it takes away again
/// with `!`, and some repetition.
const NAMED_PER_SELECTED: usize = 4;

/// How many nodes a text may select.
#[derive(Debug, Clone, Copy)]
pub(super) enum SetSize {
    /// What a caller asks for: more is an error.
    AtMost(usize),
    /// What an admin defines.
    Any,
}

impl SetSize {
    /// How a text is read whose terms spell out so many names each.
    ///
    /// # Errors
    /// A caller spells out too many: over all terms, so that many small ones cost no more than one
    /// large one.
    pub(super) fn expanded(
        self,
        spelled: impl Iterator<Item = usize>,
    ) -> Result<ExpansionLimit, SelectionError> {
        let (limit, is_strict) = match self {
            SetSize::AtMost(limit) => (limit, true),
            SetSize::Any => (DEFAULT_NODE_LIMIT, false),
        };
        // What is searched for is not spelled out.
        let spelled = spelled.filter(|count| is_strict || *count <= limit);
        let count = spelled.fold(0, usize::saturating_add);
        let is_too_long = count > limit.saturating_mul(NAMED_PER_SELECTED);
        if is_too_long && is_strict {
            return Err(SelectionError::TooMany { count, limit });
        }
        let limit = if is_too_long { 1 } else { limit };
        Ok(ExpansionLimit { limit, is_strict })
    }
}

/// How many names of a term are spelled out.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpansionLimit {
    pub(super) limit: usize,
    /// True where more are an error. Otherwise nothing is spelled out then, and the nodes that there
    /// are get compared with the term, as with one that has wildcards.
    is_strict: bool,
}

impl ExpansionLimit {
    pub(super) fn is_searched(self, names: &NamePattern) -> bool {
        names.has_wildcards() || (!self.is_strict && names.count() > self.limit)
    }
}
