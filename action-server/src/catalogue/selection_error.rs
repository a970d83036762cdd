//! Why a node set selects no nodes.

use thiserror::Error;

/// The longest node set text, in bytes.
pub(super) const TEXT_LIMIT: usize = 16 * 1024;

/// How many groups, patterns and attributes a text may have: each is looked for among all nodes.
pub(super) const SEARCHES: usize = 64;

/// How much an error shows of a text, in bytes.
const ERROR_SHOWN: usize = 200;

/// Why a text selects no nodes.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SelectionError {
    /// Nothing was asked for: never taken for "all".
    #[error("the node set is empty; name a node, or @* for all")]
    Empty,
    /// Everything cancelled out, as in `n1!n1`.
    #[error("the node set {0:?} selects no node")]
    SelectsNothing(String),
    /// A name, group, pattern or attribute that is not there.
    #[error("no such {kind}: {names}{hint}")]
    Unknown {
        /// What was named: "node", "group" ..
        kind: &'static str,
        /// The names, folded, each once.
        names: String,
        /// What to write instead, or nothing.
        hint: &'static str,
    },
    /// A group whose current definition cannot be used.
    #[error("the group {group} is broken: {reason}")]
    BrokenGroup {
        /// The group, with its `@`.
        group: String,
        /// What is wrong with its definition.
        reason: String,
    },
    /// A group whose definition is not evaluated yet: only while groups are.
    #[error("it names {0}, whose definition leads in a circle")]
    Circle(String),
    /// The text breaks the grammar.
    #[error("cannot read the node set {text:?}: {reason}")]
    Malformed {
        /// The part that cannot be read.
        text: String,
        /// Why, and what to write instead.
        reason: String,
    },
    /// More than the server allows at once.
    #[error("the node set names {count} nodes, more than the limit of {limit} (limits.nodes)")]
    TooMany {
        /// How many, or `usize::MAX` where they cannot be counted.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// More searches than one set may have.
    #[error("the node set has {0} groups, patterns and attributes, more than {SEARCHES}")]
    TooManySearches(usize),
    /// Patterns that take too long to compare with all nodes.
    #[error("the patterns of the node set take too many steps to compare; use fewer wildcards")]
    TooManySteps,
    /// A text beyond all reason.
    #[error("the node set has {0} bytes, more than {TEXT_LIMIT}")]
    TooLong(usize),
    /// An attribute that callers may not select by.
    #[error("cannot select by {0}: the server's visible_metadata does not list it")]
    NotVisible(String),
}

impl SelectionError {
    /// The same for callers who may not know how groups are defined.
    pub fn brief(&self) -> String {
        match self {
            SelectionError::BrokenGroup { group, .. } => format!("the group {group} is broken"),
            SelectionError::Unknown { .. } => self.to_string(),
            _ => "its node set cannot be read".to_owned(),
        }
    }
}

/// A text as short as an error may hold it.
pub(super) fn shortened_text(text: String) -> String {
    cut_text(text, ERROR_SHOWN)
}

/// A text cut to `limit` bytes.
pub(super) fn cut_text(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let cut = (0..=limit).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(cut.unwrap_or(0));
        text.push_str("..");
    }
    text
}
