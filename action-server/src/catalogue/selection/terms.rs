//! From the text of a node set to its terms: operators, groups, attributes, names and patterns.
//! Says nothing of the nodes there are.

use action_proto::input::shown_set;

use super::SelectionError;
use crate::{catalogue::selection_error::shortened_text, pattern::NamePattern};

/// A term, with the operator before it.
#[derive(Debug)]
pub(super) struct SetTerm<'a> {
    /// `,` before the first.
    pub(super) operator: char,
    /// As it was written.
    pub(super) text: &'a str,
    pub(super) kind: TermKind<'a>,
}

#[derive(Debug)]
pub(super) enum TermKind<'a> {
    /// `@*`.
    All,
    /// `@rack[1-2]`, `@rack*`.
    Groups(NamePattern),
    /// `rack=r[1-2]*`: key and value.
    Attribute(&'a str, NamePattern),
    /// `n[1-2]`, `n[1-2]*`.
    Nodes(NamePattern),
}

impl SetTerm<'_> {
    /// How many names the term spells out; those that a wildcard finds are not among them.
    pub(super) fn spelled_count(&self) -> usize {
        match &self.kind {
            TermKind::Groups(names) | TermKind::Nodes(names) if !names.has_wildcards() => {
                names.count()
            }
            _ => 1,
        }
    }

    /// True for a term that is looked for among all nodes or groups.
    pub(super) fn is_search(&self) -> bool {
        match &self.kind {
            TermKind::Nodes(names) => names.has_wildcards(),
            _ => true,
        }
    }
}

/// Reads a text.
///
/// # Errors
/// It breaks the grammar.
pub(super) fn parse_terms(text: &str) -> Result<Vec<SetTerm<'_>>, SelectionError> {
    let split = split_terms(text)?.into_iter();
    split
        .map(|(operator, text)| {
            Ok(SetTerm {
                operator,
                text,
                kind: parse_kind(text)?,
            })
        })
        .collect()
}

fn parse_kind(text: &str) -> Result<TermKind<'_>, SelectionError> {
    let pattern = |part: &str| {
        NamePattern::parse(part).map_err(|error| malformed_set(text, &error.to_string()))
    };
    if text == "@*" {
        return Ok(TermKind::All);
    }
    if let Some(group) = text.strip_prefix('@') {
        return Ok(TermKind::Groups(pattern(group)?));
    }
    match text.split_once('=') {
        Some((key, _)) if key.trim().is_empty() => Err(malformed_set(
            text,
            "an attribute needs a name before =; all others are @*!name=value",
        )),
        // In a bracket it is no attribute, and no number either.
        Some((key, value)) if !key.contains('[') => Ok(TermKind::Attribute(key, pattern(value)?)),
        _ => Ok(TermKind::Nodes(pattern(text)?)),
    }
}

pub(super) fn malformed_set(text: &str, reason: &str) -> SelectionError {
    SelectionError::Malformed {
        text: shortened_text(shown_set(text)),
        reason: shortened_text(reason.to_owned()),
    }
}

/// Cuts a text into terms, each with the operator before it (`,` for the first).
pub(super) fn split_terms(text: &str) -> Result<Vec<(char, &str)>, SelectionError> {
    let malformed = |reason| malformed_set(text, reason);
    let mut terms = Vec::new();
    let mut operator = None;
    let mut start = None;
    let mut depth = 0_u32;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return Err(malformed("] without [")),
            ']' => depth -= 1,
            _ => {}
        }
        let ends_term = depth == 0 && (c.is_whitespace() || matches!(c, ',' | '!' | '&' | '^'));
        if !ends_term {
            start.get_or_insert(at);
            continue;
        }
        if let Some(start) = start.take() {
            // A space alone is a union.
            terms.push((operator.take().unwrap_or(','), &text[start..at]));
        }
        if !c.is_whitespace() {
            if operator.is_some() || terms.is_empty() {
                return Err(malformed("an operator needs a node set on each side"));
            }
            operator = Some(c);
        }
    }
    if depth > 0 {
        return Err(malformed("[ without ]"));
    }
    if operator.is_some() {
        return Err(malformed("an operator needs a node set on each side"));
    }
    Ok(terms)
}
