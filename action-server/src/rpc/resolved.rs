//! The policy with the nodes that its rules mean now, and what is wrong with their node sets.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    auth::policy::{Cover, Effect, Policy, Rules},
    catalogue::{Catalogue, Coverage},
};

/// The policy as the catalogue resolves it, kept until either is another one.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    policy: Arc<Policy>,
    catalogue: Arc<Catalogue>,
    rules: Arc<Rules>,
    /// What is wrong, and told.
    faults: Vec<RuleFault>,
}

impl Resolved {
    /// The rules with their nodes.
    pub(super) fn rules(&self, policy: &Arc<Policy>, catalogue: &Arc<Catalogue>) -> Arc<Rules> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |last: &Last| {
            Arc::ptr_eq(&last.policy, policy) && Arc::ptr_eq(&last.catalogue, catalogue)
        };
        match &*last {
            Some(current) if is_current(current) => Arc::clone(&current.rules),
            before => {
                let (rules, faults) = resolve(policy, catalogue);
                let told = before.as_ref().map_or(&[][..], |last| &last.faults);
                tell(&faults, told);
                let rules = Arc::new(rules);
                *last = Some(Last {
                    policy: Arc::clone(policy),
                    catalogue: Arc::clone(catalogue),
                    rules: Arc::clone(&rules),
                    faults,
                });
                rules
            }
        }
    }
}

/// Logs the faults that are new, and those that are gone.
fn tell(faults: &[RuleFault], told: &[RuleFault]) {
    for fault in faults.iter().filter(|fault| !told.contains(fault)) {
        match fault.is_error {
            true => tracing::error!("{fault}"),
            false => tracing::warn!("{fault}"),
        }
    }
    for fault in told.iter().filter(|fault| !faults.contains(fault)) {
        tracing::info!("mended: {fault}");
    }
}

/// What is wrong with a rule's node set. Displays as a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleFault {
    rule: String,
    /// True where the set cannot be resolved, false where it only names what is not defined.
    pub(crate) is_error: bool,
    reason: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_error { "" } else { "warning: " };
        write!(f, "policy: rule {:?}: {kind}{}", self.rule, self.reason)
    }
}

/// Resolves the node sets of a policy, and says what is wrong with them.
pub(crate) fn resolve(policy: &Arc<Policy>, catalogue: &Catalogue) -> (Rules, Vec<RuleFault>) {
    let with_nodes = catalogue.commands.values();
    let with_nodes: Vec<&str> = with_nodes
        .filter(|command| command.has_context)
        .map(|command| command.name.as_str())
        .collect();
    let mut faults = Vec::new();
    let rules = Rules::new(Arc::clone(policy), &with_nodes, |rule, set| {
        let mut fault = |is_error, reason| {
            faults.push(RuleFault {
                rule: rule.name.clone(),
                is_error,
                reason,
            });
        };
        match catalogue.nodes.cover(set, catalogue.node_limit) {
            Ok(coverage) => {
                let undefined = &coverage.undefined;
                if !undefined.is_empty() {
                    let reason = format!("nodes that are not defined are left out: {undefined}");
                    fault(false, reason);
                }
                covering(coverage)
            }
            Err(error) => {
                let comes_of_it = match rule.effect {
                    Effect::Allow => "allows nothing",
                    Effect::Deny => "denies everything",
                };
                fault(true, format!("{error}; until then the rule {comes_of_it}"));
                Cover::Unknown(error.brief())
            }
        }
    });
    (rules, faults)
}

/// What a node set covers, as the decider takes it.
pub(super) fn covering(coverage: Coverage) -> Cover {
    let Coverage { sure, possible, .. } = coverage;
    Cover::Nodes { sure, possible }
}
