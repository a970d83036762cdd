//! The nodes and groups that are defined: the index over them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    SelectionError,
    node::Node,
    selected::{BrokenGroups, SelectedNodes},
};

/// The nodes in the file's order, with the groups.
#[derive(Debug, Default)]
pub struct Nodes {
    pub(super) list: Vec<Arc<Node>>,
    pub(super) index: HashMap<String, usize>,
    pub(super) groups: BTreeMap<String, NodeGroup>,
    /// The nodes whose current definition is broken, by position: what ranks and metadata they
    /// should have is not known.
    pub(super) broken: BTreeSet<usize>,
    pub(super) visible: BTreeSet<String>,
}

impl Nodes {
    /// The names of the nodes whose current definition is broken, in the file's order.
    pub fn broken_names(&self) -> impl Iterator<Item = &str> {
        self.names_at(&self.broken)
    }

    /// The names of the nodes at these positions of [`Nodes::list`].
    pub(super) fn names_at<'a>(
        &'a self,
        positions: impl IntoIterator<Item = &'a usize>,
    ) -> impl Iterator<Item = &'a str> {
        let positions = positions.into_iter();
        let nodes = positions.filter_map(|&at| self.list.get(at));
        nodes.map(|node| node.name.as_str())
    }

    /// All nodes, in the file's order.
    pub fn list(&self) -> &[Arc<Node>] {
        &self.list
    }

    /// The node of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Node>> {
        self.index.get(name).and_then(|&at| self.list.get(at))
    }

    /// Where the node of that name stands in [`Nodes::list`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The groups that a node is in, sorted.
    pub fn groups_of(&self, node: &Node) -> Vec<String> {
        let Some(at) = self.position(&node.name) else {
            return Vec::new();
        };
        let member = self
            .groups
            .iter()
            .filter(|(_, group)| group.members.binary_search(&at).is_ok());
        member.map(|(name, _)| name.clone()).collect()
    }

    /// True for a metadata key that callers may see and select by.
    pub(super) fn is_visible(&self, key: &str) -> bool {
        self.visible.contains(key)
    }

    /// Those metadata of a node that callers may see: what the admin lists, and never a secret.
    pub fn visible_metadata<'a>(
        &'a self,
        node: &'a Node,
    ) -> impl Iterator<Item = (&'a String, &'a String)> {
        let visible = node.metadata.iter();
        let visible = visible.filter(|(key, _)| self.is_visible(key) && !node.is_secret(key));
        visible.map(|(key, value)| (key, value))
    }

    /// The group of that name; `None` for one that is not defined.
    ///
    /// # Errors
    /// It is broken and may not be, or is not evaluated yet.
    pub(super) fn group(
        &self,
        name: &str,
        broken: BrokenGroups,
    ) -> Result<Option<&NodeGroup>, SelectionError> {
        let Some(group) = self.groups.get(name) else {
            return Ok(None);
        };
        match &group.state {
            GroupState::Good => Ok(Some(group)),
            GroupState::LastGood(_) if broken == BrokenGroups::UseLastGood => Ok(Some(group)),
            GroupState::LastGood(reason) | GroupState::Broken(reason) => {
                Err(SelectionError::BrokenGroup {
                    group: format!("@{name}"),
                    reason: reason.clone(),
                })
            }
            GroupState::Waiting | GroupState::Current => {
                Err(SelectionError::Circle(format!("@{name}")))
            }
        }
    }

    /// The names of the groups, sorted, but for one that is being evaluated: its definition may mean
    /// all groups of a pattern, and never means itself.
    pub(super) fn group_names(&self) -> impl Iterator<Item = &String> {
        let others = self.groups.iter();
        let others = others.filter(|(_, group)| group.state != GroupState::Current);
        others.map(|(name, _)| name)
    }

    pub(super) fn set_group_state(&mut self, name: &str, state: GroupState) {
        if let Some(group) = self.groups.get_mut(name) {
            group.state = state;
        }
    }

    pub(super) fn set_group_members(&mut self, name: &str, selected: SelectedNodes) {
        if let Some(group) = self.groups.get_mut(name) {
            group.members = selected.members.into_iter().collect();
            group.unsure = selected.unsure.into_iter().collect();
            group.state = GroupState::Good;
        }
    }
}

/// A group.
#[derive(Debug, Default, Clone)]
pub(super) struct NodeGroup {
    /// The members, as ascending positions in [`Nodes::list`].
    pub(super) members: Vec<usize>,
    /// The nodes that may be members or not: the definition selects by rank or attribute, and
    /// their own definition is broken. A part of them is in `members` too.
    pub(super) unsure: Vec<usize>,
    /// The last good definition, also one that cannot be evaluated now.
    pub(super) definition: Option<String>,
    pub(super) state: GroupState,
}

/// What a group's members follow from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum GroupState {
    /// Not evaluated yet.
    #[default]
    Waiting,
    /// Being evaluated.
    Current,
    /// The current definition.
    Good,
    /// The last good definition: the current one is broken, for this reason.
    LastGood(String),
    /// Nothing: the current definition is broken, for this reason, and no good one is known.
    Broken(String),
}

impl NodeGroup {
    /// The members, as a term that names the group selects them.
    pub(super) fn selected(&self) -> SelectedNodes {
        SelectedNodes {
            members: self.members.iter().copied().collect(),
            unsure: self.unsure.iter().copied().collect(),
        }
    }

    /// Why the current definition is broken, if it is.
    pub(super) fn broken(&self) -> Option<&str> {
        match &self.state {
            GroupState::LastGood(reason) | GroupState::Broken(reason) => Some(reason),
            _ => None,
        }
    }
}
