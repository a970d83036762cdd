//! Groups: from the definitions of the nodes file to members.
//!
//! A definition is evaluated over the nodes that are defined. One that cannot be evaluated is broken:
//! `-g` goes on with the last good one, rules and tokens do not know the group.

use std::collections::{BTreeMap, BTreeSet};

use action_proto::input::shown_set;

use super::{
    SelectionError,
    node::Nodes,
    nodes_file::GroupEntry,
    selection::{self, BrokenGroups, Selected, Undefined},
};

/// A group.
#[derive(Debug, Default, Clone)]
pub(super) struct Group {
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

impl Group {
    /// The members, as a term that names the group selects them.
    pub(super) fn selected(&self) -> Selected {
        Selected {
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

/// What is wrong with a group.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupFault {
    /// The group.
    pub group: String,
    /// True where the group is broken, false where it only names what is not defined.
    pub is_error: bool,
    /// What is wrong, and what comes of it.
    pub reason: String,
}

/// Evaluates the definitions of all groups.
pub(super) fn resolve(
    nodes: &mut Nodes,
    entries: Vec<GroupEntry>,
    all_broken: Option<String>,
    before: Option<&Nodes>,
) -> Vec<GroupFault> {
    let is_whole = all_broken.is_none();
    let mut waiting = Vec::new();
    let mut broken = BTreeMap::new();
    for entry in with_those_before(entries, all_broken, before) {
        let known = before.and_then(|before| before.groups.get(&entry.name));
        let group = Group {
            definition: entry
                .last_good
                .or(known.and_then(|it| it.definition.clone())),
            ..Group::default()
        };
        nodes.groups.insert(entry.name.clone(), group);
        match entry.definition {
            Ok(definition) => waiting.push((entry.name, definition)),
            Err(reason) => {
                nodes.set_group_state(&entry.name, GroupState::Broken(reason.clone()));
                broken.insert(entry.name, reason);
            }
        }
    }
    let mut faults = Vec::new();
    for (name, definition, result) in evaluate(nodes, waiting, BrokenGroups::Refuse) {
        match result {
            Ok(undefined) => {
                if let Some(group) = nodes.groups.get_mut(&name) {
                    group.definition = Some(definition);
                }
                faults.extend(undefined_nodes(name, &undefined.names));
            }
            Err(error) => _ = broken.insert(name, within_definition(&error)),
        }
    }
    use_last_good(nodes, &broken);
    if is_whole {
        let broken = broken.into_iter();
        faults.extend(broken.map(|(name, reason)| broken_group(nodes, name, &reason)));
    }
    faults
}

/// The groups of the file. Where all are broken, those that were known before are too.
fn with_those_before(
    mut entries: Vec<GroupEntry>,
    all_broken: Option<String>,
    before: Option<&Nodes>,
) -> Vec<GroupEntry> {
    let Some(reason) = all_broken else {
        return entries;
    };
    let mut known: BTreeSet<String> = entries.drain(..).map(|entry| entry.name).collect();
    known.extend(
        before
            .into_iter()
            .flat_map(|before| before.groups.keys().cloned()),
    );
    let broken = |name: String| GroupEntry::new(&name, Err(reason.clone()));
    known.into_iter().map(broken).collect()
}

/// A group and the definition to evaluate.
type Waiting = (String, String);
/// What came of it: what the definition names and no node has, or why it cannot be evaluated.
type Evaluated = (String, String, Result<Undefined, SelectionError>);

/// Evaluates definitions, which may name each other in any order.
fn evaluate(nodes: &mut Nodes, mut waiting: Vec<Waiting>, broken: BrokenGroups) -> Vec<Evaluated> {
    let mut done = Vec::new();
    loop {
        let count = waiting.len();
        let mut left = Vec::new();
        for (name, definition) in waiting {
            nodes.set_group_state(&name, GroupState::Current);
            let selected = match definition.trim() {
                "" => Ok(Default::default()),
                _ => selection::select_defined(nodes, &definition, broken),
            };
            match selected {
                Ok((selected, undefined)) => {
                    nodes.set_group_members(&name, selected);
                    done.push((name, definition, Ok(undefined)));
                }
                Err(error @ SelectionError::Circle(_)) => {
                    nodes.set_group_state(&name, GroupState::Waiting);
                    left.push((name, definition, error));
                }
                Err(error) => {
                    nodes.set_group_state(&name, GroupState::Broken(error.to_string()));
                    done.push((name, definition, Err(error)));
                }
            }
        }
        // Nothing would come of another round: what is left leads in a circle.
        if left.len() == count {
            let circles = left.into_iter();
            done.extend(circles.map(|(name, definition, error)| (name, definition, Err(error))));
            return done;
        }
        let left = left.into_iter();
        waiting = left
            .map(|(name, definition, _)| (name, definition))
            .collect();
    }
}

/// Gives broken groups the members that their last good definition has now, where there is one.
fn use_last_good(nodes: &mut Nodes, broken: &BTreeMap<String, String>) {
    let mut waiting = Vec::new();
    for (name, reason) in broken {
        let last_good = nodes.groups.get(name).and_then(|it| it.definition.clone());
        let state = match &last_good {
            Some(_) => GroupState::Waiting,
            None => GroupState::Broken(reason.clone()),
        };
        nodes.set_group_state(name, state);
        waiting.extend(last_good.map(|definition| (name.clone(), definition)));
    }
    for (name, _, result) in evaluate(nodes, waiting, BrokenGroups::UseLastGood) {
        let reason = broken.get(&name).cloned().unwrap_or_default();
        let state = match result {
            Ok(_) => GroupState::LastGood(reason),
            Err(_) => GroupState::Broken(reason),
        };
        nodes.set_group_state(&name, state);
    }
}

/// Why a definition is broken, in words that follow the group's name.
fn within_definition(error: &SelectionError) -> String {
    match error {
        SelectionError::BrokenGroup { group, .. } => format!("it names {group}, which is broken"),
        other => other.to_string(),
    }
}

fn undefined_nodes(group: String, undefined: &str) -> Option<GroupFault> {
    (!undefined.is_empty()).then(|| GroupFault {
        reason: format!(
            "group {group}: nodes that are not defined are left out: {}",
            shown_set(undefined)
        ),
        group,
        is_error: false,
    })
}

fn broken_group(nodes: &Nodes, group: String, reason: &str) -> GroupFault {
    let state = nodes.groups.get(&group).map(|it| &it.state);
    let comes_of_it = match state {
        Some(GroupState::LastGood(_)) => "selects its last good definition",
        _ => "is refused",
    };
    GroupFault {
        reason: format!(
            "group {group} is broken: {reason}; -g @{group} {comes_of_it}, and rules and tokens that name it allow nothing or deny everything"
        ),
        group,
        is_error: true,
    }
}

impl Nodes {
    /// The group of that name; `None` for one that is not defined.
    ///
    /// # Errors
    /// It is broken and may not be, or is not evaluated yet.
    pub(super) fn group(
        &self,
        name: &str,
        broken: BrokenGroups,
    ) -> Result<Option<&Group>, SelectionError> {
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

    fn set_group_state(&mut self, name: &str, state: GroupState) {
        if let Some(group) = self.groups.get_mut(name) {
            group.state = state;
        }
    }

    fn set_group_members(&mut self, name: &str, selected: Selected) {
        if let Some(group) = self.groups.get_mut(name) {
            group.members = selected.members.into_iter().collect();
            group.unsure = selected.unsure.into_iter().collect();
            group.state = GroupState::Good;
        }
    }
}

#[cfg(test)]
mod tests;
