//! Node sets: from a text to the nodes it selects, in the file's order.
//!
//! The grammar is ClusterShell's (nodeset(1)): `n[01-10,15]`, steps `[0-8/2]`, several
//! dimensions, `,` or a space for union, `!` difference, `&` intersection, `^` symmetric
//! difference, all from left to right; `@group`, `@*` for all, and besides it globs `cnode*`
//! and attributes `rank=aws`. The brackets are expanded by the `nodeset` crate.

use std::collections::BTreeSet;

use thiserror::Error;

use self::brackets::{count, expand};
use super::node::Nodes;

mod brackets;

/// The longest node set text, in bytes.
const TEXT_LIMIT: usize = 16 * 1024;

/// How many names a text may spell out for each node that it may select: what it takes away again
/// with `!`, and some repetition.
const NAMED_PER_SELECTED: usize = 4;

/// How many groups, patterns and attributes a text may have: each is looked for among all nodes.
const SEARCHES: usize = 64;

/// Why a text selects no nodes.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SelectionError {
    /// Nothing was asked for: never taken for "all".
    #[error("the node set is empty; name a node, or @* for all")]
    Empty,
    /// Everything cancelled out, as in `n1!n1`.
    #[error("the node set {0:?} selects no node")]
    SelectsNothing(String),
    /// A name, group, glob or attribute that is not there.
    #[error("no such {kind}: {names}")]
    Unknown {
        /// What was named: "node", "group" ..
        kind: &'static str,
        /// The names, folded where they are many.
        names: String,
    },
    /// The text breaks the grammar.
    #[error("cannot read the node set {text:?}: {reason}")]
    Malformed {
        /// The part that cannot be read.
        text: String,
        /// Why.
        reason: &'static str,
    },
    /// More than the server allows at once.
    #[error("the node set names {count} nodes, more than the limit of {limit} (limits.nodes)")]
    TooMany {
        /// How many, or `usize::MAX` where they cannot be counted.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// More to look for than anybody needs.
    #[error("the node set has {0} groups, patterns and attributes, more than {SEARCHES}")]
    TooManySearches(usize),
    /// A text beyond all reason.
    #[error("the node set has {0} bytes, more than {TEXT_LIMIT}")]
    TooLong(usize),
    /// An attribute that callers may not select by.
    #[error("cannot select by {0}: the server's visible_metadata does not list it")]
    NotVisible(String),
}

/// The positions in `nodes` that `text` selects, ascending.
///
/// # Errors
/// A name that matches nothing, an empty set, more than `limit` nodes, or a malformed text.
/// Sizes are counted before anything is expanded.
pub(super) fn select(
    nodes: &Nodes,
    text: &str,
    limit: usize,
) -> Result<Vec<usize>, SelectionError> {
    let mut unknown = Vec::new();
    let selected = evaluate(nodes, text, limit, |kind, names| {
        // Gather the unknown nodes of all terms, so that one message names them.
        if kind != "node" {
            return Err(SelectionError::Unknown { kind, names });
        }
        unknown.push(names);
        Ok(())
    })?;
    if !unknown.is_empty() {
        return Err(SelectionError::Unknown {
            kind: "node",
            names: shortened(unknown.join(",")),
        });
    }
    if selected.is_empty() {
        return Err(SelectionError::SelectsNothing(shortened(text.to_owned())));
    }
    if selected.len() > limit {
        return Err(SelectionError::TooMany {
            count: selected.len(),
            limit,
        });
    }
    Ok(selected.into_iter().collect())
}

/// For each position in `nodes` whether `text` covers it. Nodes that are not there are none: a rule
/// may speak of one that is gone, or yet to come. A group that is not there is an error, since what
/// was meant by it is not known.
///
/// # Errors
/// An unknown group, or a malformed text.
pub(super) fn cover(nodes: &Nodes, text: &str, limit: usize) -> Result<Vec<bool>, SelectionError> {
    let limit = limit.max(nodes.list().len());
    let selected = evaluate(nodes, text, limit, |kind, names| match kind {
        "group" => Err(SelectionError::Unknown { kind, names }),
        _ => Ok(()),
    })?;
    let mut covered = vec![false; nodes.list().len()];
    selected.into_iter().for_each(|at| covered[at] = true);
    Ok(covered)
}

/// What the terms of a text come to; `missing` is told of each that names something unknown.
fn evaluate(
    nodes: &Nodes,
    text: &str,
    limit: usize,
    mut missing: impl FnMut(&'static str, String) -> Result<(), SelectionError>,
) -> Result<BTreeSet<usize>, SelectionError> {
    if text.len() > TEXT_LIMIT {
        return Err(SelectionError::TooLong(text.len()));
    }
    let terms = split(text)?;
    if terms.is_empty() {
        return Err(SelectionError::Empty);
    }
    // Over all terms, so that many small ones cost no more than one large one.
    let named = terms.iter().fold(0_usize, |sum, (_, term)| {
        sum.saturating_add(count(term).unwrap_or(1))
    });
    if named > limit.saturating_mul(NAMED_PER_SELECTED) {
        return Err(SelectionError::TooMany {
            count: named,
            limit,
        });
    }
    let is_search = |term: &str| term.starts_with('@') || term.contains(['*', '?', '=']);
    let searches = terms.iter().filter(|(_, term)| is_search(term)).count();
    if searches > SEARCHES {
        return Err(SelectionError::TooManySearches(searches));
    }
    let mut selected = BTreeSet::new();
    for (operator, term) in terms {
        let Found { members, unknown } = resolve(nodes, term, limit)?;
        if let Some((kind, names)) = unknown {
            missing(kind, names)?;
        }
        // In place: thousands of small terms must not copy a large set thousands of times.
        match operator {
            '!' => members.iter().for_each(|at| _ = selected.remove(at)),
            '&' => selected.retain(|at| members.contains(at)),
            '^' => members.into_iter().for_each(|at| toggle(&mut selected, at)),
            _ => selected.extend(members),
        }
    }
    Ok(selected)
}

/// What a term stands for, and what it names that is not there: its kind, and the names.
struct Found {
    members: BTreeSet<usize>,
    unknown: Option<(&'static str, String)>,
}

fn toggle(selected: &mut BTreeSet<usize>, at: usize) {
    if !selected.remove(&at) {
        selected.insert(at);
    }
}

/// Cuts a text into terms, each with the operator before it (`,` for the first).
fn split(text: &str) -> Result<Vec<(char, &str)>, SelectionError> {
    let malformed = |reason| SelectionError::Malformed {
        text: shortened(text.to_owned()),
        reason,
    };
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

fn resolve(nodes: &Nodes, term: &str, limit: usize) -> Result<Found, SelectionError> {
    if term == "@*" {
        return Ok(Found {
            members: (0..nodes.list().len()).collect(),
            unknown: None,
        });
    }
    if let Some(group) = term.strip_prefix('@') {
        return resolve_group(nodes, group, limit);
    }
    if let Some((key, value)) = term.split_once('=') {
        return resolve_attribute(nodes, key, value);
    }
    if term.contains(['*', '?']) {
        let glob = glob(term)?;
        let names = nodes
            .list()
            .iter()
            .enumerate()
            .filter(|(_, node)| glob.is_match(&node.name));
        return Ok(found(names.map(|(at, _)| at).collect(), "node", term));
    }
    let mut members = BTreeSet::new();
    let mut unknown = Vec::new();
    for name in expand(term, limit)? {
        match nodes.position(&name) {
            Some(at) => _ = members.insert(at),
            None => unknown.push(name),
        }
    }
    let names = action_proto::fold(unknown.iter().map(String::as_str));
    Ok(Found {
        members,
        unknown: (!unknown.is_empty()).then(|| ("node", shortened(names))),
    })
}

fn resolve_group(nodes: &Nodes, group: &str, limit: usize) -> Result<Found, SelectionError> {
    let mut members = BTreeSet::new();
    if group.contains(['*', '?']) {
        let glob = glob(group)?;
        let names: Vec<_> = nodes
            .group_names()
            .filter(|name| glob.is_match(name))
            .collect();
        for name in &names {
            members.extend(nodes.group(name).unwrap_or_default());
        }
        return Ok(found(members, "group", &format!("@{group}")));
    }
    for name in expand(group, limit)? {
        match nodes.group(&name) {
            Some(places) => members.extend(places),
            None => {
                return Ok(Found {
                    members,
                    unknown: Some(("group", shortened(format!("@{name}")))),
                });
            }
        }
    }
    Ok(Found {
        members,
        unknown: None,
    })
}

fn resolve_attribute(nodes: &Nodes, key: &str, value: &str) -> Result<Found, SelectionError> {
    let glob = glob(value)?;
    if key != "rank" && !nodes.is_visible(key) {
        return Err(SelectionError::NotVisible(shortened(key.to_owned())));
    }
    let matches = |node: &super::Node| match key {
        "rank" => node.ranks.iter().any(|rank| glob.is_match(rank)),
        _ => nodes
            .visible_metadata(node)
            .any(|(known, text)| known == key && glob.is_match(text)),
    };
    let places = nodes
        .list()
        .iter()
        .enumerate()
        .filter(|(_, node)| matches(node));
    Ok(found(
        places.map(|(at, _)| at).collect(),
        "node with",
        &format!("{key}={value}"),
    ))
}

/// What matches; a pattern that matches nothing is unknown.
fn found(members: BTreeSet<usize>, kind: &'static str, names: &str) -> Found {
    let unknown = members
        .is_empty()
        .then(|| (kind, shortened(names.to_owned())));
    Found { members, unknown }
}

fn glob(text: &str) -> Result<globset::GlobMatcher, SelectionError> {
    let reason = "the pattern is not one (* and ? are known)";
    let malformed = |_| SelectionError::Malformed {
        text: shortened(text.to_owned()),
        reason,
    };
    globset::GlobBuilder::new(text)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(malformed)
}

/// A text as short as an error may hold it.
pub(super) fn shortened(mut text: String) -> String {
    if text.len() > 200 {
        let cut = (0..=200)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(cut);
        text.push_str("..");
    }
    text
}

#[cfg(test)]
mod tests;
