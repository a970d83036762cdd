//! Which nodes and members of groups an edit of the nodes file removes, and whether these are too many
//! for an accident.

use std::{collections::BTreeSet, fmt};

use super::Nodes;

/// So many may always be removed, and a quarter of those that there are.
const FEW: usize = 10;
const QUARTER: usize = 4;
/// How much is shown of the names, in bytes.
const SHOWN: usize = 2000;

/// What an edit of the nodes file removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodesRemoval {
    /// The accepted nodes, and those of them that the file does not have.
    pub nodes: NodesLoss,
    /// How many nodes the file has, also those whose definition is broken.
    pub in_file: usize,
    /// The groups that lose so many of their members that their list may have been written in part
    /// only, also those that are gone: a pattern such as `@rack*` would mean less without a word. A
    /// member whose node is removed is not counted, nor is a group that is broken: it keeps its members, or who
    /// names it is refused.
    pub groups: Vec<(String, NodesLoss)>,
}

/// What is missing of what was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodesLoss {
    /// How many were accepted.
    pub accepted: usize,
    /// The names of those that are missing.
    pub missing: Vec<String>,
}

impl NodesRemoval {
    /// What is removed of the nodes and groups that were accepted before. `in_file` is how many nodes
    /// the file has.
    pub fn new(accepted: &Nodes, now: &Nodes, in_file: usize) -> NodesRemoval {
        let names = accepted.list().iter().map(|node| node.name.as_str());
        let nodes = NodesLoss::new(names, |name| now.get(name).is_some());
        let groups = accepted.groups.iter().filter_map(|(name, before)| {
            let group = now.groups.get(name);
            if group.is_some_and(|group| group.broken().is_some()) {
                return None;
            }
            let members = group
                .into_iter()
                .flat_map(|group| now.names_at(&group.members));
            let members: BTreeSet<&str> = members.collect();
            let before = accepted.names_at(&before.members);
            let is_kept = |name: &str| members.contains(name) || now.get(name).is_none();
            let loss = NodesLoss::new(before, is_kept);
            loss.is_large().then(|| (name.clone(), loss))
        });
        let groups = groups.collect();
        NodesRemoval {
            nodes,
            in_file,
            groups,
        }
    }

    /// True where the file may have been written in part only: more than ten nodes are missing and more
    /// than a quarter of all, or so many members of a group.
    pub fn is_large(&self) -> bool {
        self.nodes.is_large() || !self.groups.is_empty()
    }

    /// The nodes that are missing, in the file or in groups of it.
    pub fn missing(&self) -> BTreeSet<&str> {
        let groups = self.groups.iter().flat_map(|(_, loss)| &loss.missing);
        let missing = self.nodes.missing.iter().chain(groups);
        missing.map(String::as_str).collect()
    }
}

impl NodesLoss {
    fn new<'a>(
        accepted: impl Iterator<Item = &'a str>,
        is_kept: impl Fn(&str) -> bool,
    ) -> NodesLoss {
        let mut loss = NodesLoss::default();
        for name in accepted {
            loss.accepted += 1;
            if !is_kept(name) {
                loss.missing.push(name.to_owned());
            }
        }
        loss
    }

    fn is_large(&self) -> bool {
        let missing = self.missing.len();
        missing > FEW && missing.saturating_mul(QUARTER) > self.accepted
    }

    /// The names of what is missing, folded.
    pub fn missing_set(&self) -> String {
        let folded = action_proto::fold(self.missing.iter().map(String::as_str));
        super::selection_error::cut_text(folded, SHOWN)
    }
}

impl fmt::Display for NodesRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodesLoss { accepted, missing } = &self.nodes;
        let in_file = self.in_file;
        write!(
            f,
            "{accepted} nodes are accepted and the file has {in_file}"
        )?;
        if !missing.is_empty() {
            let (missing, set) = (missing.len(), self.nodes.missing_set());
            write!(f, "; {missing} are missing: {set}")?;
        }
        for (name, loss) in &self.groups {
            let (missing, of, set) = (loss.missing.len(), loss.accepted, loss.missing_set());
            write!(
                f,
                "; {missing} of {of} members are missing in group {name}: {set}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_ten_and_more_than_a_quarter_are_too_many() {
        let is_large = |missing: usize, accepted| {
            let missing = (0..missing).map(|number| format!("n{number}")).collect();
            NodesLoss { accepted, missing }.is_large()
        };
        for (missing, accepted, expected) in [
            (0, 0, false),
            (10, 12, false),
            (10, 10, false),
            (11, 11, true),
            (11, 43, true),
            (11, 44, false),
            (11, 45, false),
            (72, 288, false),
            (73, 288, true),
            (288, 288, true),
        ] {
            assert_eq!(
                is_large(missing, accepted),
                expected,
                "{missing} of {accepted}"
            );
        }
    }
}
