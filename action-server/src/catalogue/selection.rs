//! Node sets: from a text to the nodes it selects, in the file's order.
//!
//! The grammar is ClusterShell's (nodeset(1)): `n[01-10,15]`, steps `[0-8/2]`, several
//! dimensions, `,` or a space for union, `!` difference, `&` intersection, `^` symmetric
//! difference, all from left to right; `@group`, `@*` for all, and besides it wildcards `cnode*`
//! and attributes `rank=aws`. Brackets are expanded before `*` and `?` match; every other
//! character stands for itself.

use std::{cell::Cell, collections::BTreeSet, sync::Arc};

use action_proto::input::{shown_name, shown_set};

use self::{
    missing::MissingNames,
    size::{ExpansionLimit, SetSize},
    terms::{SetTerm, TermKind, malformed_set},
};
use super::{
    SelectionError,
    names::NAME_LIMIT,
    node::Node,
    nodes::Nodes,
    selected::{BrokenGroups, SelectedNodes},
    selection_error::{SEARCHES, TEXT_LIMIT, shortened_text},
    visible_nodes::VisibleNodes,
};
use crate::pattern::NamePattern;

mod missing;
mod size;
mod terms;

pub(super) use missing::UndefinedNames;

/// How many places of names and values may be tried for all patterns of a text. A pattern such as
/// `cnode*` takes one for each node, `*[1-9]*x` one for each character of its name.
const STEPS: u64 = 20_000_000;

/// What a rule's or token's node set covers, for each node of [`Nodes::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCoverage {
    /// The nodes that the set surely has: what an allow rule or a token may grant.
    pub sure: Vec<bool>,
    /// Those, and the nodes that it may have: what a deny rule must deny. They differ where the set
    /// selects by rank or attribute and the definition of a node is broken.
    pub possible: Vec<bool>,
    /// What the set names and no node has, folded; empty where there is nothing of that sort.
    pub undefined: String,
    /// The parts of the set that are groups without members; empty where there are none.
    pub empty: String,
}

impl Nodes {
    /// Selects among all nodes: see [`VisibleNodes::select`](super::VisibleNodes::select).
    ///
    /// # Errors
    /// Either set selects nothing, or nothing is left.
    pub fn select(
        &self,
        set: &str,
        exclude: &str,
        limit: usize,
    ) -> Result<Vec<Arc<Node>>, SelectionError> {
        self.visible(None).select(set, exclude, limit)
    }

    /// What `set` covers, for rules and tokens: any number of nodes. Those that it names and that are
    /// not defined are left out.
    ///
    /// # Errors
    /// An undefined or broken group, or a text that is no node set.
    pub fn cover(&self, set: &str) -> Result<NodeCoverage, SelectionError> {
        cover_nodes(self, set)
    }
}

impl VisibleNodes<'_> {
    /// Selects the nodes of `set` that are not in `exclude`, where that is not empty; see
    /// [`selection`].
    ///
    /// # Errors
    /// The set selects nothing, either names what is not there, or nothing is left.
    pub fn select(
        self,
        set: &str,
        exclude: &str,
        limit: usize,
    ) -> Result<Vec<Arc<Node>>, SelectionError> {
        let mut positions = select_positions(self, set, limit)?;
        if !exclude.is_empty() {
            let left_out = match select_positions(self, exclude, limit) {
                // An empty group excludes nothing.
                Err(SelectionError::SelectsNothing(_)) => Vec::new(),
                left_out => left_out?,
            };
            positions.retain(|at| left_out.binary_search(at).is_err());
            if positions.is_empty() {
                return Err(SelectionError::SelectsNothing(shortened_text(format!(
                    "{set} without {exclude}"
                ))));
            }
        }
        let nodes = positions.into_iter();
        Ok(nodes
            .filter_map(|at| self.all.list().get(at).cloned())
            .collect())
    }
}

/// The positions in `nodes` that `text` selects, ascending.
///
/// # Errors
/// A name that matches nothing, an empty set, more than `limit` nodes, or a malformed text.
/// Sizes are counted before anything is expanded.
pub(super) fn select_positions(
    nodes: VisibleNodes<'_>,
    text: &str,
    limit: usize,
) -> Result<Vec<usize>, SelectionError> {
    let size = SetSize::AtMost(limit);
    let (selected, missing) = evaluate_terms(nodes, text, size, BrokenGroups::UseLastGood)?;
    if let Some(error) = missing.into_error() {
        return Err(error);
    }
    let count = selected.members.len();
    match count {
        0 => Err(SelectionError::SelectsNothing(shortened_text(shown_set(
            text,
        )))),
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
) -> Result<(SelectedNodes, UndefinedNames), SelectionError> {
    let (selected, missing) = evaluate_terms(nodes.visible(None), text, SetSize::Any, broken)?;
    if missing.groups.is_empty() {
        Ok((selected, missing.into_undefined()))
    } else {
        Err(missing.unknown_groups())
    }
}

/// What `text` covers, as a rule's or token's node set.
///
/// # Errors
/// An undefined or broken group, or a malformed text.
fn cover_nodes(nodes: &Nodes, text: &str) -> Result<NodeCoverage, SelectionError> {
    let (selected, undefined) = select_defined(nodes, text, BrokenGroups::Refuse)?;
    let SelectedNodes { members, unsure } = selected;
    let has = |is: &dyn Fn(&usize) -> bool| (0..nodes.list().len()).map(|at| is(&at)).collect();
    Ok(NodeCoverage {
        sure: has(&|at| members.contains(at) && !unsure.contains(at)),
        possible: has(&|at| members.contains(at) || unsure.contains(at)),
        undefined: undefined.names,
        empty: undefined.empty,
    })
}

/// What the terms of a text come to, and what they name that is not there.
fn evaluate_terms(
    nodes: VisibleNodes<'_>,
    text: &str,
    size: SetSize,
    broken: BrokenGroups,
) -> Result<(SelectedNodes, MissingNames), SelectionError> {
    if text.len() > TEXT_LIMIT {
        return Err(SelectionError::TooLong(text.len()));
    }
    let terms = terms::parse_terms(text)?;
    if terms.is_empty() {
        return Err(SelectionError::Empty);
    }
    let expanded = size.expanded(terms.iter().map(SetTerm::spelled_count))?;
    let searches = terms.iter().filter(|term| term.is_search()).count();
    if searches > SEARCHES {
        return Err(SelectionError::TooManySearches(searches));
    }
    let mut selected = SelectedNodes::default();
    let mut resolver = TermResolver {
        nodes,
        expanded,
        broken,
        missing: MissingNames::default(),
        work: Cell::new(0),
    };
    for term in &terms {
        let found = resolver.resolve_term(term)?;
        selected.apply_term(term.operator, found);
    }
    Ok((selected, resolver.missing))
}

/// Resolves the terms of one text.
struct TermResolver<'a> {
    nodes: VisibleNodes<'a>,
    expanded: ExpansionLimit,
    broken: BrokenGroups,
    missing: MissingNames,
    /// How many places of names and values were compared.
    work: Cell<u64>,
}

impl TermResolver<'_> {
    /// The nodes that a term stands for.
    fn resolve_term(&mut self, term: &SetTerm<'_>) -> Result<SelectedNodes, SelectionError> {
        let nodes = self.nodes;
        match &term.kind {
            TermKind::All => Ok(SelectedNodes::sure(nodes.iter().map(|(at, _)| at))),
            TermKind::Groups(names) => self.resolve_groups(term, names),
            TermKind::Attribute(key, value) => {
                let members = with_attribute(nodes, term.text, key, value, &self.work)?;
                if members.is_empty() {
                    self.missing.attributes.insert(term.text.to_owned());
                }
                Ok(SelectedNodes {
                    members,
                    unsure: nodes.all.broken.clone(),
                })
            }
            TermKind::Nodes(names) => self.resolve_nodes(term, names),
        }
    }

    fn resolve_groups(
        &mut self,
        term: &SetTerm<'_>,
        names: &NamePattern,
    ) -> Result<SelectedNodes, SelectionError> {
        let found: Vec<String> = if self.expanded.is_searched(names) {
            let groups = self.nodes.group_names();
            groups.filter(|name| names.matches(name)).cloned().collect()
        } else {
            expand_names(term.text, names, self.expanded.limit)?
        };
        let is_whole = names.has_wildcards() || found.len() >= names.count();
        if found.is_empty() || !is_whole {
            let pattern = term.text.strip_prefix('@');
            self.missing.groups.extend(pattern.map(str::to_owned));
        }
        let mut selected = SelectedNodes::default();
        for name in found {
            match self.nodes.group(&name, self.broken)? {
                Some(group) => selected.apply_term(',', group),
                None => _ = self.missing.groups.insert(name),
            }
        }
        let is_empty = selected.members.is_empty() && selected.unsure.is_empty();
        // Taking away nothing is what an empty group is for.
        if is_empty && term.operator != '!' {
            self.missing.empty.insert(term.text.to_owned());
        }
        Ok(selected)
    }

    fn resolve_nodes(
        &mut self,
        term: &SetTerm<'_>,
        names: &NamePattern,
    ) -> Result<SelectedNodes, SelectionError> {
        let mut members = BTreeSet::new();
        if self.expanded.is_searched(names) {
            let work = &self.work;
            members = search_nodes(self.nodes, work, |node| {
                names.matches_counting(&node.name, work)
            })?;
            let is_whole = names.has_wildcards() || members.len() >= names.count();
            if members.is_empty() {
                self.missing.nodes.insert(term.text.to_owned());
            } else if !is_whole {
                self.missing.nodes.insert(format!("some of {}", term.text));
            }
        } else {
            for name in expand_names(term.text, names, self.expanded.limit)? {
                match self.nodes.position(&name) {
                    Some(at) => _ = members.insert(at),
                    None => _ = self.missing.nodes.insert(name),
                }
            }
        }
        Ok(SelectedNodes::sure(members))
    }
}

/// The names that a term without wildcards stands for.
fn expand_names(
    text: &str,
    names: &NamePattern,
    limit: usize,
) -> Result<Vec<String>, SelectionError> {
    let count = names.count();
    if count > limit {
        return Err(SelectionError::TooMany { count, limit });
    }
    // The text around brackets is in each of the names.
    if names.has_brackets() && names.longest() > NAME_LIMIT {
        return Err(malformed_set(
            text,
            "its names are longer than any name can be",
        ));
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
        return search_nodes(nodes, work, |node| {
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
        return Err(SelectionError::NotVisible(shortened_text(key)));
    }
    search_nodes(nodes, work, |node| {
        let mut metadata = nodes.all.visible_metadata(node);
        metadata.any(|(known, text)| known == key && value.matches_counting(text, work))
    })
}

/// The nodes that are meant. Gives up once the searches of a text have taken too many steps.
fn search_nodes(
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

#[cfg(test)]
mod definition_tests;
#[cfg(test)]
mod hidden_tests;
#[cfg(test)]
mod tests;
