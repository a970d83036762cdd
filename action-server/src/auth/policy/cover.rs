//! What a node set covers, where it is known and where it is not.

use super::RuleEffect;

/// What a node set covers of the nodes that are there, by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeScope {
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

impl NodeScope {
    pub(super) fn covers_target(&self, on: PolicyTarget, effect: RuleEffect) -> bool {
        match (self, on) {
            (NodeScope::Everything, _) => true,
            (NodeScope::Nodes { sure, possible }, PolicyTarget::Node(Some(at))) => {
                let nodes = match effect {
                    RuleEffect::Allow => sure,
                    RuleEffect::Deny => possible,
                };
                nodes.get(at).copied().unwrap_or(false)
            }
            // Whether it was one of them is not known any more.
            (NodeScope::Nodes { .. }, PolicyTarget::Node(None)) => effect == RuleEffect::Deny,
            // Its caller was let run on it, and has seen the run.
            (NodeScope::Nodes { .. }, PolicyTarget::OwnGone) => effect == RuleEffect::Allow,
            (NodeScope::Nodes { .. }, _) => false,
            (NodeScope::Unknown(_), _) => effect == RuleEffect::Deny,
        }
    }

    /// Why it cannot be resolved, where it cannot.
    pub(super) fn unresolved_reason(&self) -> Option<&str> {
        match self {
            NodeScope::Unknown(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What something is done on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyTarget {
    /// No node: a command without nodes.
    Nothing,
    /// The node at this position; `None` for one that is there no more.
    Node(Option<usize>),
    /// A node that is there no more, in a run that the caller has started.
    OwnGone,
}
