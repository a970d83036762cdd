//! What a node set names that is not there: an error for runs and lists, a warning for definitions.

use action_proto::input::shown_set;

use std::collections::BTreeSet;

use super::{SelectionError, terms};
use crate::catalogue::selection_error::{cut, shortened};

/// How much a warning shows, in bytes.
const WARNING_SHOWN: usize = 2000;

/// What a text names that is not there.
#[derive(Debug, Default)]
pub(super) struct MissingNames {
    pub(super) nodes: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) attributes: BTreeSet<String>,
    /// The terms of groups that have no members. To select none of them is no error.
    pub(super) empty: BTreeSet<String>,
}

/// What a definition names and no node has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::catalogue) struct UndefinedNames {
    /// Names and attributes, folded.
    pub(in crate::catalogue) names: String,
    /// Terms of groups without members.
    pub(in crate::catalogue) empty: String,
}

impl MissingNames {
    /// The error about what is missing, of one kind only.
    pub(super) fn into_error(self) -> Option<SelectionError> {
        if !self.groups.is_empty() {
            return Some(self.unknown_groups());
        }
        let (kind, names) = match self.attributes.is_empty() {
            true => ("node", fold(&self.nodes, "")),
            false => ("node with", joined(self.attributes)),
        };
        (!names.is_empty()).then(|| SelectionError::Unknown {
            kind,
            names: shortened(shown_set(&names)),
            hint: "",
        })
    }

    pub(super) fn unknown_groups(&self) -> SelectionError {
        SelectionError::Unknown {
            kind: "group",
            names: shortened(shown_set(&fold(&self.groups, "@"))),
            hint: match self.groups.contains("all") {
                true => "; for all nodes, write @*",
                false => "",
            },
        }
    }

    /// The same for warnings.
    pub(super) fn into_undefined(self) -> UndefinedNames {
        let nodes = Some(fold(&self.nodes, "")).filter(|nodes| !nodes.is_empty());
        let all = joined(nodes.into_iter().chain(self.attributes));
        UndefinedNames {
            names: cut(all, WARNING_SHOWN),
            empty: cut(joined(self.empty), WARNING_SHOWN),
        }
    }
}

fn joined(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(",")
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
    joined(terms.map(|term| format!("{prefix}{term}")))
}
