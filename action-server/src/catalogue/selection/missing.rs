//! What a node set names that is not there: an error for runs and lists, a warning for definitions.

use action_proto::input::shown_set;

use std::collections::BTreeSet;

use super::{SelectionError, terms};
use crate::catalogue::selection_error::{cut_text, shortened_text};

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
        let (kind, names) = if self.attributes.is_empty() {
            ("node", fold_names(&self.nodes, ""))
        } else {
            ("node with", join_terms(self.attributes))
        };
        (!names.is_empty()).then(|| SelectionError::Unknown {
            kind,
            names: shortened_text(shown_set(&names)),
            hint: "",
        })
    }

    pub(super) fn unknown_groups(&self) -> SelectionError {
        SelectionError::Unknown {
            kind: "group",
            names: shortened_text(shown_set(&fold_names(&self.groups, "@"))),
            hint: if self.groups.contains("all") {
                "; for all nodes, write @*"
            } else {
                ""
            },
        }
    }

    /// The same for warnings.
    pub(super) fn into_undefined(self) -> UndefinedNames {
        let nodes = Some(fold_names(&self.nodes, "")).filter(|nodes| !nodes.is_empty());
        let all = join_terms(nodes.into_iter().chain(self.attributes));
        UndefinedNames {
            names: cut_text(all, WARNING_SHOWN),
            empty: cut_text(join_terms(self.empty), WARNING_SHOWN),
        }
    }
}

fn join_terms(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(",")
}

/// Names as one node set, with `prefix` before each of its terms. Patterns stay as they are.
fn fold_names(names: &BTreeSet<String>, prefix: &str) -> String {
    let (patterns, names): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| name.contains(['[', '*', '?']));
    let folded = action_proto::fold(names);
    let terms = terms::split_terms(&folded).unwrap_or_default();
    let terms = terms.into_iter().map(|(_, term)| term).chain(patterns);
    join_terms(terms.map(|term| format!("{prefix}{term}")))
}
