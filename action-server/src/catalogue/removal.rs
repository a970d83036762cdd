//! Which nodes an edit of the nodes file removes, and whether these are too many for an accident.

use std::fmt;

use super::{Nodes, NodesFile};

/// So many nodes may always be removed, and a quarter of those that there are.
const FEW: usize = 10;
const QUARTER: usize = 4;
/// How much is shown of the names, in bytes.
const SHOWN: usize = 2000;

/// What an edit of the nodes file removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many nodes were accepted before.
    pub accepted: usize,
    /// How many nodes the file has, also those whose definition is broken.
    pub in_file: usize,
    /// The accepted nodes that the file does not have.
    pub missing: Vec<String>,
}

impl Removal {
    /// What the file removes of the nodes that were accepted before.
    pub fn new(accepted: &Nodes, file: &NodesFile) -> Removal {
        let named = file.names();
        let accepted_names = accepted.list().iter().map(|node| node.name.as_str());
        let missing = accepted_names.filter(|name| !named.contains(name));
        Removal {
            accepted: accepted.list().len(),
            in_file: named.len(),
            missing: missing.map(str::to_owned).collect(),
        }
    }

    /// True where the file may have been written in part only: more than ten nodes are missing, and
    /// more than a quarter of all.
    pub fn is_large(&self) -> bool {
        let missing = self.missing.len();
        missing > FEW && missing.saturating_mul(QUARTER) > self.accepted
    }

    /// The missing nodes, folded.
    pub fn missing_set(&self) -> String {
        let folded = action_proto::fold(self.missing.iter().map(String::as_str));
        super::selection::cut(folded, SHOWN)
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Removal {
            accepted, in_file, ..
        } = self;
        let missing = self.missing.len();
        write!(
            f,
            "{accepted} nodes are accepted and the file has {in_file}; {missing} are missing: {}",
            self.missing_set()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_ten_and_more_than_a_quarter_are_too_many() {
        let is_large = |missing: usize, accepted| {
            let missing = (0..missing).map(|number| format!("n{number}")).collect();
            let removal = Removal {
                accepted,
                in_file: 0,
                missing,
            };
            removal.is_large()
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
