//! Groups: from the definitions of the nodes file to members.
//!
//! A definition is evaluated over the nodes that are defined. One that cannot be evaluated is broken:
//! `-g` goes on with the last good one, rules and tokens do not know the group.

use std::collections::{BTreeMap, BTreeSet};

use action_proto::input::shown_set;

use super::{
    SelectionError,
    nodes::{GroupState, NodeGroup, Nodes},
    nodes_file::GroupEntry,
    selected::BrokenGroups,
    selection::{self, UndefinedNames},
};

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
pub(super) fn resolve_groups(
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
        let group = NodeGroup {
            definition: entry
                .last_good
                .or(known.and_then(|it| it.definition.clone())),
            ..NodeGroup::default()
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
    for (name, definition, result) in evaluate_groups(nodes, waiting, BrokenGroups::Refuse) {
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
type PendingGroup = (String, String);
/// What came of it: what the definition names and no node has, or why it cannot be evaluated.
type EvaluatedGroup = (String, String, Result<UndefinedNames, SelectionError>);

/// Evaluates definitions, which may name each other in any order.
fn evaluate_groups(
    nodes: &mut Nodes,
    mut waiting: Vec<PendingGroup>,
    broken: BrokenGroups,
) -> Vec<EvaluatedGroup> {
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
    for (name, _, result) in evaluate_groups(nodes, waiting, BrokenGroups::UseLastGood) {
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

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
