//! The policy with the current nodes of its rules, and the faults of its rules.

use std::sync::{Arc, Mutex};

use action_proto::input::shown_set;

use super::sights::{NodeSights, to_scope};
use crate::{
    auth::policy::{KnownCommand, NodeScope, Policy, PolicyFaults, ResolvedRules, RuleEffect},
    catalogue::{Catalogue, NodeCoverage},
    definitions::log_fault,
    locks::lock,
    yaml::{Fault, Severity},
};

/// How much a warning shows of a node set, in characters.
const SHOWN: usize = 200;

/// The policy as the catalogue resolves it, cached until either changes.
#[derive(Debug, Default)]
pub(super) struct ResolvedCache {
    last: Mutex<Option<LastResolved>>,
}

#[derive(Debug)]
struct LastResolved {
    policy: Arc<Policy>,
    catalogue: Arc<Catalogue>,
    resolved: ResolvedPolicy,
}

/// A policy with the nodes of one catalogue.
#[derive(Debug, Clone)]
pub(super) struct ResolvedPolicy {
    pub(super) rules: Arc<ResolvedRules>,
    /// What callers may list by these rules.
    pub(super) sights: Arc<NodeSights>,
    /// The faults of the rules.
    pub(super) faults: Arc<Vec<Fault>>,
}

impl ResolvedCache {
    /// The policy with its nodes.
    pub(super) fn current(
        &self,
        policy: &Arc<Policy>,
        catalogue: &Arc<Catalogue>,
    ) -> ResolvedPolicy {
        let mut last = lock(&self.last);
        let is_current = |last: &LastResolved| {
            Arc::ptr_eq(&last.policy, policy) && Arc::ptr_eq(&last.catalogue, catalogue)
        };
        if let Some(current) = last.as_ref().filter(|last| is_current(last)) {
            return current.resolved.clone();
        }
        let (rules, faults) = resolve_policy(policy, catalogue);
        let resolved = ResolvedPolicy {
            rules: Arc::new(rules),
            sights: Arc::default(),
            faults: Arc::new(faults),
        };
        *last = Some(LastResolved {
            policy: Arc::clone(policy),
            catalogue: Arc::clone(catalogue),
            resolved: resolved.clone(),
        });
        resolved
    }
}

/// Logs the faults that are new, and those that are gone. One whose line alone has changed is neither.
pub(super) fn log_changes(faults: &[Fault], logged: &[Fault]) {
    let is_same = |a: &Fault, b: &Fault| a.reason == b.reason && a.severity == b.severity;
    let is_in = |all: &[Fault], fault: &Fault| all.iter().any(|known| is_same(known, fault));
    for fault in faults.iter().filter(|fault| !is_in(logged, fault)) {
        log_fault(fault);
    }
    for fault in logged.iter().filter(|fault| !is_in(faults, fault)) {
        tracing::info!("mended: {fault}");
    }
}

/// Resolves the node sets of a policy, and finds the faults of its rules.
pub(crate) fn resolve_policy(
    policy: &Arc<Policy>,
    catalogue: &Catalogue,
) -> (ResolvedRules, Vec<Fault>) {
    let with_nodes = catalogue.commands.values();
    let with_nodes: Vec<&str> = with_nodes
        .filter(|command| command.help.has_context)
        .map(|command| command.name.as_str())
        .collect();
    let mut faults = PolicyFaults::new(policy, &known_commands(catalogue));
    let nodes = catalogue.nodes.list().len();
    let rules = ResolvedRules::new(Arc::clone(policy), &with_nodes, nodes, |at, set| {
        let effect = policy.rules()[at].effect;
        match catalogue.nodes.cover(set) {
            Ok(coverage) => {
                for reason in idle_parts(&coverage, set, effect) {
                    faults.add_fault(at, "nodes", Severity::Warning, &reason);
                }
                to_scope(coverage)
            }
            Err(error) => {
                let effect_until_then = match effect {
                    RuleEffect::Allow => "allows nothing",
                    RuleEffect::Deny => "denies everything",
                };
                let reason = format!("{error}; until then the rule {effect_until_then}");
                faults.add_fault(at, "nodes", Severity::Error, &reason);
                NodeScope::Unknown(error.brief())
            }
        }
    });
    (rules, faults.into_faults())
}

/// The commands that rules can be about, also broken ones: they may be repaired.
pub(super) fn known_commands(catalogue: &Catalogue) -> Vec<KnownCommand<'_>> {
    let good = catalogue.commands.values().map(|command| KnownCommand {
        name: &command.name,
        takes_nodes: Some(command.help.has_context),
    });
    let broken = catalogue.broken.keys().map(|name| KnownCommand {
        name,
        takes_nodes: None,
    });
    good.chain(broken).collect()
}

/// The parts of a rule's node set that match no node.
fn idle_parts(coverage: &NodeCoverage, set: &str, effect: RuleEffect) -> Vec<String> {
    let NodeCoverage {
        undefined, empty, ..
    } = coverage;
    if !coverage.possible.contains(&true) {
        let shown: String = shown_set(set).chars().take(SHOWN).collect();
        let nothing = effect.of_nothing();
        let mut reason = format!("the node set {shown:?} matches no node, so the rule {nothing}");
        if !undefined.is_empty() && undefined != set {
            reason += &format!("; not defined: {}", shown_set(undefined));
        }
        return vec![reason];
    }
    let mut reasons = Vec::new();
    if !undefined.is_empty() {
        reasons.push(format!(
            "nodes that are not defined are left out: {}",
            shown_set(undefined)
        ));
    }
    if !empty.is_empty() {
        reasons.push(format!("groups without members are left out: {empty}"));
    }
    reasons
}
