//! The nodes and groups of one caller's sight. Selections go over these, so that nothing else can
//! influence an answer.

use std::sync::Arc;

use super::{
    SelectionError,
    node::{Node, Nodes},
    selection::{self, BrokenGroups, Selected},
};

/// The nodes that a caller may see: for it there are no others, and no groups but those that have
/// some of them. Positions are those of [`Nodes::list`].
#[derive(Debug, Clone, Copy)]
pub struct VisibleNodes<'a> {
    pub(super) all: &'a Nodes,
    /// For each node whether it is visible; `None` for all.
    mask: Option<&'a [bool]>,
}

impl Nodes {
    /// The nodes at the positions that `mask` has, or all.
    pub fn visible<'a>(&'a self, mask: Option<&'a [bool]>) -> VisibleNodes<'a> {
        VisibleNodes { all: self, mask }
    }
}

impl<'a> VisibleNodes<'a> {
    /// The nodes with their positions, in the file's order.
    pub fn iter(self) -> impl Iterator<Item = (usize, &'a Arc<Node>)> {
        let all = self.all.list().iter().enumerate();
        all.filter(move |(at, _)| self.has(*at))
    }

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
        let mut positions = selection::select(self, set, limit)?;
        if !exclude.is_empty() {
            let left_out = match selection::select(self, exclude, limit) {
                // An empty group excludes nothing.
                Err(SelectionError::SelectsNothing(_)) => Vec::new(),
                left_out => left_out?,
            };
            positions.retain(|at| left_out.binary_search(at).is_err());
            if positions.is_empty() {
                return Err(SelectionError::SelectsNothing(selection::shortened(
                    format!("{set} without {exclude}"),
                )));
            }
        }
        let nodes = positions.into_iter();
        Ok(nodes
            .filter_map(|at| self.all.list().get(at).cloned())
            .collect())
    }

    /// Where the node of that name stands.
    pub(super) fn position(self, name: &str) -> Option<usize> {
        self.all.position(name).filter(|at| self.has(*at))
    }

    /// What the group of that name selects; `None` for one that is not defined.
    ///
    /// # Errors
    /// It is broken and may not be, or is not evaluated yet. Of one with hidden nodes nothing is
    /// told: its definition may name them.
    pub(super) fn group(
        self,
        name: &str,
        broken: BrokenGroups,
    ) -> Result<Option<Selected>, SelectionError> {
        if self.mask.is_none() {
            let group = self.all.group(name, broken)?;
            return Ok(group.map(|group| group.selected()));
        }
        let members = self.all.groups.get(name).map(|group| &group.members);
        let members = members.into_iter().flatten().copied();
        let selected = Selected::sure(members.filter(|at| self.has(*at)));
        Ok((!selected.members.is_empty()).then_some(selected))
    }

    /// The names of the groups, sorted.
    pub(super) fn group_names(self) -> impl Iterator<Item = &'a String> {
        self.all.group_names().filter(move |name| {
            let group = self.all.groups.get(*name);
            let mut members = group.into_iter().flat_map(|group| &group.members);
            self.mask.is_none() || members.any(|at| self.has(*at))
        })
    }

    /// True for the position of a visible node.
    pub fn has(self, at: usize) -> bool {
        self.mask
            .is_none_or(|mask| mask.get(at).copied().unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::catalogue::read_nodes;

    const NAMES: [&str; 6] = ["c1", "c2", "c3", "h1", "h2", "v1"];
    const TERMS: [&str; 23] = [
        "c1",
        "c3",
        "h1",
        "v1",
        "x1",
        "c[1-3]",
        "[ch]*",
        "c[1-2],h1",
        "*1",
        "h*",
        "x*",
        "@*",
        "@g0",
        "@g1",
        "@g*",
        "@last",
        "@bad",
        "@rank",
        "rank=r0",
        "rank=r*",
        "rank=r2",
        "site=s1",
        "site=s*",
    ];

    fn build(text: &str) -> Nodes {
        let (file, _) = read_nodes(Path::new("f"), text).unwrap();
        Nodes::build(file, None, BTreeSet::from(["site".to_owned()])).0
    }

    /// What a caller learns about a selection.
    fn told(nodes: VisibleNodes<'_>, set: &str, exclude: &str) -> Result<Vec<String>, String> {
        let selected = nodes.select(set, exclude, 4);
        let names = |nodes: Vec<Arc<Node>>| nodes.iter().map(|node| node.name.clone()).collect();
        selected.map(names).map_err(|error| error.to_string())
    }

    fn set() -> impl Strategy<Value = String> {
        let terms = vec(
            (select(&[",", "!", "&", "^"][..]), select(&TERMS[..])),
            1..4,
        );
        terms.prop_map(|terms| {
            let joined: String = terms
                .iter()
                .map(|(operator, term)| format!("{operator}{term}"))
                .collect();
            joined[1..].to_owned()
        })
    }

    proptest! {
        /// Hidden nodes, and groups of nothing else, have no part in a selection: it is as in a
        /// nodes file without them.
        #[test]
        fn hidden_nodes_might_as_well_not_be_there(
            mask in vec(any::<bool>(), NAMES.len()),
            ranks in vec(0..3, NAMES.len()),
            groups in vec(vec(any::<bool>(), NAMES.len()), 2),
            set in set(),
            exclude in prop_oneof![Just(String::new()), set()],
        ) {
            let node = |at: usize| format!("{}: {{ranks: r{}, site: s{}}}\n", NAMES[at], ranks[at], ranks[at]);
            let members = |group: &[bool], mask: &[bool]| {
                let in_both = |at: &usize| group[*at] && mask[*at];
                let names = (0..NAMES.len()).filter(in_both).map(|at| NAMES[at]);
                names.collect::<Vec<_>>().join(",")
            };
            let file = |groups: &[(String, String)], mask: &[bool]| {
                let groups = groups.iter().map(|(name, set)| format!("  {name}: '{set}',\n"));
                let nodes = (0..NAMES.len()).filter(|at| mask[*at]).map(node);
                format!("__groups__: {{\n{}}}\n{}", groups.collect::<String>(), nodes.collect::<String>())
            };
            let named = |mask: &[bool]| {
                let groups = groups.iter().enumerate();
                groups.map(|(at, group)| (format!("g{at}"), members(group, mask))).collect::<Vec<_>>()
            };
            let everything = vec![true; NAMES.len()];
            let mut all = named(&everything);
            // Broken ones, which say more than a limited caller may know.
            all.push(("bad".into(), "@nosuch,c1".into()));
            all.push(("rank".into(), "rank=nosuch,@bad".into()));
            let all = build(&file(&all, &everything));
            let mut seen = named(&mask);
            seen.retain(|(_, members)| !members.is_empty());
            let without = build(&file(&seen, &mask));
            let limited = told(all.visible(Some(&mask)), &set, &exclude);
            prop_assert_eq!(&limited, &told(without.visible(None), &set, &exclude));
        }
    }
}
