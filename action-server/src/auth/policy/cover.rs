//! What a node set covers, where it is known and where it is not.

use super::Effect;

/// What a node set covers of the nodes that are there, by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cover {
    /// All nodes, also those that are there no more, and commands without nodes.
    Everything,
    /// The nodes at some positions.
    Nodes {
        /// Those that it surely has: what an allow rule or a token grants.
        sure: Vec<bool>,
        /// Those, and the ones that it may have: what a deny rule denies.
        possible: Vec<bool>,
    },
    /// It cannot be resolved, for this reason: it allows nothing, and denies everything.
    Unknown(String),
}

impl Cover {
    pub(super) fn covers(&self, on: On, effect: Effect) -> bool {
        match (self, on) {
            (Cover::Everything, _) => true,
            (Cover::Nodes { sure, possible }, On::Node(Some(at))) => {
                let nodes = match effect {
                    Effect::Allow => sure,
                    Effect::Deny => possible,
                };
                nodes.get(at).copied().unwrap_or(false)
            }
            // Whether it was one of them is not known any more.
            (Cover::Nodes { .. }, On::Node(None)) => effect == Effect::Deny,
            // Its caller was let run on it, and has seen the run.
            (Cover::Nodes { .. }, On::OwnGone) => effect == Effect::Allow,
            (Cover::Nodes { .. }, _) => false,
            (Cover::Unknown(_), _) => effect == Effect::Deny,
        }
    }

    /// Why it cannot be resolved, where it cannot.
    pub(super) fn unknown(&self) -> Option<&str> {
        match self {
            Cover::Unknown(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What something is done on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// No node: a command without nodes.
    Nothing,
    /// The node at this position; `None` for one that is there no more.
    Node(Option<usize>),
    /// A node that is there no more, in a run that the caller has started.
    OwnGone,
}
