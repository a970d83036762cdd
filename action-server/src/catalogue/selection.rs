//! Node sets: from a text to the nodes it selects, in the file's order.
//!
//! The grammar is ClusterShell's (nodeset(1)): `n[01-10,15]`, steps `[0-8/2]`, several
//! dimensions, `,` or a space for union, `!` difference, `&` intersection, `^` symmetric
//! difference, all from left to right; `@group`, `@*` for all, and besides it wildcards `cnode*`
//! and attributes `rank=aws`. Brackets are expanded before `*` and `?` match; every other
//! character stands for itself.

use std::collections::BTreeSet;

use thiserror::Error;

use self::terms::{Term, TermKind, malformed};
use super::{
    names::NAME_LIMIT,
    node::{Node, Nodes},
};
use crate::pattern::NamePattern;

mod terms;

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
    #[error("no such {kind}: {names}{hint}")]
    Unknown {
        /// What was named: "node", "group" ..
        kind: &'static str,
        /// The names, folded, each once.
        names: String,
        /// What to write instead, or nothing.
        hint: &'static str,
    },
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
    let (selected, missing) = evaluate(nodes, text, limit)?;
    if let Some(error) = missing.into_error() {
        return Err(error);
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
    let (selected, missing) = evaluate(nodes, text, limit)?;
    if !missing.groups.is_empty() {
        return Err(missing.unknown_groups());
    }
    let mut covered = vec![false; nodes.list().len()];
    selected.into_iter().for_each(|at| covered[at] = true);
    Ok(covered)
}

/// What a text names that is not there.
#[derive(Debug, Default)]
struct Missing {
    nodes: BTreeSet<String>,
    groups: BTreeSet<String>,
    attributes: BTreeSet<String>,
}

impl Missing {
    /// The error about what is missing, of one kind only.
    fn into_error(self) -> Option<SelectionError> {
        if !self.groups.is_empty() {
            return Some(self.unknown_groups());
        }
        let (kind, names) = match self.attributes.is_empty() {
            true => ("node", fold(&self.nodes, "")),
            false => (
                "node with",
                self.attributes.into_iter().collect::<Vec<_>>().join(","),
            ),
        };
        (!names.is_empty()).then(|| SelectionError::Unknown {
            kind,
            names: shortened(names),
            hint: "",
        })
    }

    fn unknown_groups(&self) -> SelectionError {
        SelectionError::Unknown {
            kind: "group",
            names: shortened(fold(&self.groups, "@")),
            hint: match self.groups.contains("all") {
                true => "; for all nodes, write @*",
                false => "",
            },
        }
    }
}

/// Names as one node set, with `prefix` before each of its terms. Patterns stay as they are.
fn fold(names: &BTreeSet<String>, prefix: &str) -> String {
    let (patterns, names): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| name.contains(['[', '*', '?']));
    let folded = action_proto::fold(names);
    let terms = terms::split(&folded).unwrap_or_default();
    let terms = terms.into_iter().map(|(_, term)| term).chain(patterns);
    let terms: Vec<String> = terms.map(|term| format!("{prefix}{term}")).collect();
    terms.join(",")
}

/// What the terms of a text come to, and what they name that is not there.
fn evaluate(
    nodes: &Nodes,
    text: &str,
    limit: usize,
) -> Result<(BTreeSet<usize>, Missing), SelectionError> {
    if text.len() > TEXT_LIMIT {
        return Err(SelectionError::TooLong(text.len()));
    }
    let terms = terms::parse(text)?;
    if terms.is_empty() {
        return Err(SelectionError::Empty);
    }
    // Over all terms, so that many small ones cost no more than one large one.
    let spelled = terms
        .iter()
        .fold(0_usize, |sum, term| sum.saturating_add(term.spelled()));
    if spelled > limit.saturating_mul(NAMED_PER_SELECTED) {
        return Err(SelectionError::TooMany {
            count: spelled,
            limit,
        });
    }
    let searches = terms.iter().filter(|term| term.is_search()).count();
    if searches > SEARCHES {
        return Err(SelectionError::TooManySearches(searches));
    }
    let mut selected = BTreeSet::new();
    let mut missing = Missing::default();
    for term in &terms {
        let members = resolve(nodes, term, limit, &mut missing)?;
        // In place: thousands of small terms must not copy a large set thousands of times.
        match term.operator {
            '!' => members.iter().for_each(|at| _ = selected.remove(at)),
            '&' => selected.retain(|at| members.contains(at)),
            '^' => members.into_iter().for_each(|at| toggle(&mut selected, at)),
            _ => selected.extend(members),
        }
    }
    Ok((selected, missing))
}

fn toggle(selected: &mut BTreeSet<usize>, at: usize) {
    if !selected.remove(&at) {
        selected.insert(at);
    }
}

/// The nodes that a term stands for.
fn resolve(
    nodes: &Nodes,
    term: &Term<'_>,
    limit: usize,
    missing: &mut Missing,
) -> Result<BTreeSet<usize>, SelectionError> {
    match &term.kind {
        TermKind::All => Ok((0..nodes.list().len()).collect()),
        TermKind::Groups(names) if names.has_wildcards() => {
            let known = nodes.group_names();
            let found: Vec<&String> = known.filter(|name| names.matches(name)).collect();
            if found.is_empty() {
                missing
                    .groups
                    .extend(term.text.strip_prefix('@').map(str::to_owned));
            }
            let members = found.into_iter().filter_map(|name| nodes.group(name));
            Ok(members.flatten().copied().collect())
        }
        TermKind::Groups(names) => {
            let mut members = BTreeSet::new();
            for name in expand(term.text, names, limit)? {
                match nodes.group(&name) {
                    Some(known) => members.extend(known),
                    None => _ = missing.groups.insert(name),
                }
            }
            Ok(members)
        }
        TermKind::Attribute(key, value) => {
            let members = with_attribute(nodes, key, value)?;
            if members.is_empty() {
                missing.attributes.insert(term.text.to_owned());
            }
            Ok(members)
        }
        TermKind::Nodes(names) if names.has_wildcards() => {
            let members = search(nodes, |node| names.matches(&node.name));
            if members.is_empty() {
                missing.nodes.insert(term.text.to_owned());
            }
            Ok(members)
        }
        TermKind::Nodes(names) => {
            let mut members = BTreeSet::new();
            for name in expand(term.text, names, limit)? {
                match nodes.position(&name) {
                    Some(at) => _ = members.insert(at),
                    None => _ = missing.nodes.insert(name),
                }
            }
            Ok(members)
        }
    }
}

/// The names that a term without wildcards stands for.
fn expand(text: &str, names: &NamePattern, limit: usize) -> Result<Vec<String>, SelectionError> {
    let count = names.count();
    if count > limit {
        return Err(SelectionError::TooMany { count, limit });
    }
    // The text around brackets is in each of the names.
    if names.has_brackets() && names.longest() > NAME_LIMIT {
        return Err(malformed(text, "its names are longer than any name can be"));
    }
    Ok(names.expand())
}

fn with_attribute(
    nodes: &Nodes,
    key: &str,
    value: &NamePattern,
) -> Result<BTreeSet<usize>, SelectionError> {
    if key == "rank" {
        return Ok(search(nodes, |node| {
            node.ranks.iter().any(|rank| value.matches(rank))
        }));
    }
    if !nodes.is_visible(key) {
        return Err(SelectionError::NotVisible(shortened(key.to_owned())));
    }
    Ok(search(nodes, |node| {
        let mut metadata = nodes.visible_metadata(node);
        metadata.any(|(known, text)| known == key && value.matches(text))
    }))
}

fn search(nodes: &Nodes, is_meant: impl Fn(&Node) -> bool) -> BTreeSet<usize> {
    let list = nodes.list().iter().enumerate();
    list.filter(|(_, node)| is_meant(node))
        .map(|(at, _)| at)
        .collect()
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
