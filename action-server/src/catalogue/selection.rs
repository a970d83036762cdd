//! Node sets: from a text to the nodes it selects, in the file's order.
//!
//! The grammar is ClusterShell's (nodeset(1)): `n[01-10,15]`, steps `[0-8/2]`, several
//! dimensions, `,` or a space for union, `!` difference, `&` intersection, `^` symmetric
//! difference, all from left to right; `@group`, `@*` for all, and besides it wildcards `cnode*`
//! and attributes `rank=aws`. Brackets are expanded before `*` and `?` match; every other
//! character stands for itself.

use std::{cell::Cell, collections::BTreeSet};

use action_proto::input::{shown_name, shown_set};
use thiserror::Error;

use self::{
    missing::Missing,
    size::{Expanded, Size},
    terms::{Term, TermKind, malformed},
};
use super::{
    names::NAME_LIMIT,
    node::{Coverage, Node, Nodes},
    visible_nodes::VisibleNodes,
};
use crate::pattern::NamePattern;

mod missing;
mod selected;
mod size;
mod terms;

pub(super) use missing::Undefined;
pub(super) use selected::{BrokenGroups, Selected};

/// The longest node set text, in bytes.
const TEXT_LIMIT: usize = 16 * 1024;

/// How many groups, patterns and attributes a text may have: each is looked for among all nodes.
const SEARCHES: usize = 64;

/// How many places of names and values may be tried for all patterns of a text. A pattern such as
/// `cnode*` takes one for each node, `*[1-9]*x` one for each character of its name.
const STEPS: u64 = 20_000_000;

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
    /// More to look for than anybody needs.
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

/// The positions in `nodes` that `text` selects, ascending.
///
/// # Errors
/// A name that matches nothing, an empty set, more than `limit` nodes, or a malformed text.
/// Sizes are counted before anything is expanded.
pub(super) fn select(
    nodes: VisibleNodes<'_>,
    text: &str,
    limit: usize,
) -> Result<Vec<usize>, SelectionError> {
    let size = Size::AtMost(limit);
    let (selected, missing) = evaluate(nodes, text, size, BrokenGroups::UseLastGood)?;
    if let Some(error) = missing.into_error() {
        return Err(error);
    }
    let count = selected.members.len();
    match count {
        0 => Err(SelectionError::SelectsNothing(shortened(shown_set(text)))),
        _ if count > limit => Err(SelectionError::TooMany { count, limit }),
        _ => Ok(selected.members.into_iter().collect()),
    }
}

/// What `text` selects of the nodes that are defined, as a definition, and what it names that no node
/// has. It may have any size: limits are for runs, not for rights.
///
/// # Errors
/// An undefined group, a broken one that may not be, or a malformed text.
pub(super) fn select_defined(
    nodes: &Nodes,
    text: &str,
    broken: BrokenGroups,
) -> Result<(Selected, Undefined), SelectionError> {
    let (selected, missing) = evaluate(nodes.visible(None), text, Size::Any, broken)?;
    match missing.groups.is_empty() {
        true => Ok((selected, missing.into_undefined())),
        false => Err(missing.unknown_groups()),
    }
}

/// What `text` covers, as a rule's or token's node set.
///
/// # Errors
/// An undefined or broken group, or a malformed text.
pub(super) fn cover(nodes: &Nodes, text: &str) -> Result<Coverage, SelectionError> {
    let (selected, undefined) = select_defined(nodes, text, BrokenGroups::Refuse)?;
    let Selected { members, unsure } = selected;
    let has = |is: &dyn Fn(&usize) -> bool| (0..nodes.list().len()).map(|at| is(&at)).collect();
    Ok(Coverage {
        sure: has(&|at| members.contains(at) && !unsure.contains(at)),
        possible: has(&|at| members.contains(at) || unsure.contains(at)),
        undefined: undefined.names,
        empty: undefined.empty,
    })
}

/// What the terms of a text come to, and what they name that is not there.
fn evaluate(
    nodes: VisibleNodes<'_>,
    text: &str,
    size: Size,
    broken: BrokenGroups,
) -> Result<(Selected, Missing), SelectionError> {
    if text.len() > TEXT_LIMIT {
        return Err(SelectionError::TooLong(text.len()));
    }
    let terms = terms::parse(text)?;
    if terms.is_empty() {
        return Err(SelectionError::Empty);
    }
    let expanded = size.expanded(terms.iter().map(Term::spelled))?;
    let searches = terms.iter().filter(|term| term.is_search()).count();
    if searches > SEARCHES {
        return Err(SelectionError::TooManySearches(searches));
    }
    let mut selected = Selected::default();
    let mut missing = Missing::default();
    let work = Cell::new(0);
    for term in &terms {
        let found = resolve(nodes, term, expanded, broken, &mut missing, &work)?;
        selected.join(term.operator, found);
    }
    Ok((selected, missing))
}

/// The nodes that a term stands for.
fn resolve(
    nodes: VisibleNodes<'_>,
    term: &Term<'_>,
    expanded: Expanded,
    broken: BrokenGroups,
    missing: &mut Missing,
    work: &Cell<u64>,
) -> Result<Selected, SelectionError> {
    match &term.kind {
        TermKind::All => Ok(Selected::sure(nodes.iter().map(|(at, _)| at))),
        TermKind::Groups(names) => {
            let found: Vec<String> = match expanded.is_searched(names) {
                true => {
                    let known = nodes.group_names();
                    known.filter(|name| names.matches(name)).cloned().collect()
                }
                false => expand(term.text, names, expanded.limit)?,
            };
            let is_whole = names.has_wildcards() || found.len() >= names.count();
            if found.is_empty() || !is_whole {
                let pattern = term.text.strip_prefix('@');
                missing.groups.extend(pattern.map(str::to_owned));
            }
            let mut selected = Selected::default();
            for name in found {
                match nodes.group(&name, broken)? {
                    Some(group) => selected.join(',', group),
                    None => _ = missing.groups.insert(name),
                }
            }
            let is_empty = selected.members.is_empty() && selected.unsure.is_empty();
            // Taking away nothing is what an empty group is for.
            if is_empty && term.operator != '!' {
                missing.empty.insert(term.text.to_owned());
            }
            Ok(selected)
        }
        TermKind::Attribute(key, value) => {
            let members = with_attribute(nodes, term.text, key, value, work)?;
            if members.is_empty() {
                missing.attributes.insert(term.text.to_owned());
            }
            Ok(Selected {
                members,
                unsure: nodes.all.broken.clone(),
            })
        }
        TermKind::Nodes(names) if expanded.is_searched(names) => {
            let members = search(nodes, work, |node| names.matches_counting(&node.name, work))?;
            let is_whole = names.has_wildcards() || members.len() >= names.count();
            match members.is_empty() {
                true => _ = missing.nodes.insert(term.text.to_owned()),
                false if is_whole => {}
                false => _ = missing.nodes.insert(format!("some of {}", term.text)),
            }
            Ok(Selected::sure(members))
        }
        TermKind::Nodes(names) => {
            let mut members = BTreeSet::new();
            for name in expand(term.text, names, expanded.limit)? {
                match nodes.position(&name) {
                    Some(at) => _ = members.insert(at),
                    None => _ = missing.nodes.insert(name),
                }
            }
            Ok(Selected::sure(members))
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
    nodes: VisibleNodes<'_>,
    text: &str,
    key: &str,
    value: &NamePattern,
    work: &Cell<u64>,
) -> Result<BTreeSet<usize>, SelectionError> {
    if key == "rank" {
        return search(nodes, work, |node| {
            let mut ranks = node.ranks.iter();
            ranks.any(|rank| value.matches_counting(rank, work))
        });
    }
    if !nodes.all.is_visible(key) {
        // A secret with a = in it: its first part alone may look like a key.
        let shown = shown_set(text);
        let key = if shown == text {
            shown_name(key)
        } else {
            shown
        };
        return Err(SelectionError::NotVisible(shortened(key)));
    }
    search(nodes, work, |node| {
        let mut metadata = nodes.all.visible_metadata(node);
        metadata.any(|(known, text)| known == key && value.matches_counting(text, work))
    })
}

/// The nodes that are meant. Gives up once the searches of a text have taken too many steps.
fn search(
    nodes: VisibleNodes<'_>,
    work: &Cell<u64>,
    is_meant: impl Fn(&Node) -> bool,
) -> Result<BTreeSet<usize>, SelectionError> {
    let mut members = BTreeSet::new();
    for (at, node) in nodes.iter() {
        if is_meant(node) {
            members.insert(at);
        }
        work.set(work.get() + 1);
        if work.get() > STEPS {
            return Err(SelectionError::TooManySteps);
        }
    }
    Ok(members)
}

/// A text as short as an error may hold it.
pub(super) fn shortened(text: String) -> String {
    cut(text, ERROR_SHOWN)
}

/// A text cut to `limit` bytes.
pub(super) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let cut = (0..=limit).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(cut.unwrap_or(0));
        text.push_str("..");
    }
    text
}

#[cfg(test)]
mod tests;
