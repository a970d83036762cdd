//! The nodes and groups of one caller's sight. Selections go over these, so that nothing else can
//! influence an answer.

use std::sync::Arc;

use super::{
    SelectionError,
    node::Node,
    nodes::Nodes,
    selected::{BrokenGroups, SelectedNodes},
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
    ) -> Result<Option<SelectedNodes>, SelectionError> {
        if self.mask.is_none() {
            let group = self.all.group(name, broken)?;
            return Ok(group.map(|group| group.selected()));
        }
        let members = self.all.groups.get(name).map(|group| &group.members);
        let members = members.into_iter().flatten().copied();
        let selected = SelectedNodes::sure(members.filter(|at| self.has(*at)));
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
