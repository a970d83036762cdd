//! Which commands a caller may know of, and which are listed.

use super::{Authorizer, PolicyTarget, Right, Rule, RuleEffect, cover::NodeScope};

/// Rules with what they cover.
type ScopedRules<'a> = Vec<(&'a Rule, &'a NodeScope)>;

impl Authorizer {
    /// True when the caller may know of the command: on some node that there is, or without one if
    /// it takes none, some rule lists it, so does the token, and none denies that.
    pub fn sees_command(&self, command: &str, takes_nodes: bool) -> bool {
        self.shows_command(command, takes_nodes, false)
    }

    /// True when the caller sees the command and it is of use. What a rule lets the caller run is of
    /// no use where rules deny each run of it; what a rule lists and does not let run is.
    pub fn lists_command(&self, command: &str, takes_nodes: bool) -> bool {
        self.shows_command(command, takes_nodes, true)
    }

    fn shows_command(&self, command: &str, takes_nodes: bool, must_be_of_use: bool) -> bool {
        if !self.grant.allows_command(command) {
            return false;
        }
        let rules = |effect, right| -> ScopedRules<'_> {
            let about = |rule: &Rule| {
                let is_of_kind = rule.effect == effect && rule.rights.contains(&right);
                is_of_kind && rule.is_about_command(command)
            };
            self.own_rules().filter(|(rule, _)| about(rule)).collect()
        };
        let listing = rules(RuleEffect::Allow, Right::List);
        let hiding = rules(RuleEffect::Deny, Right::List);
        let mut refusing = rules(RuleEffect::Deny, Right::Run);
        refusing.retain(|(rule, _)| must_be_of_use && rule.is_about_all_arguments());
        let covers = |rules: &ScopedRules<'_>, on| {
            let mut rules = rules.iter();
            rules.any(|(rule, cover)| cover.covers_target(on, rule.effect))
        };
        let is_shown = |on| {
            let is_refused = covers(&refusing, on);
            let mut listing = listing.iter();
            self.grant_nodes.covers_target(on, RuleEffect::Allow)
                && listing.any(|(rule, cover)| {
                    let is_of_use = !is_refused || !rule.rights.contains(&Right::Run);
                    is_of_use && cover.covers_target(on, RuleEffect::Allow)
                })
                && !covers(&hiding, on)
        };
        if listing.is_empty() {
            return false;
        }
        match takes_nodes {
            // As where all nodes are hidden: whether there are any must stay hidden.
            true if self.rules.nodes == 0 => is_shown(PolicyTarget::Node(None)),
            true => (0..self.rules.nodes).any(|at| is_shown(PolicyTarget::Node(Some(at)))),
            false => is_shown(PolicyTarget::Nothing),
        }
    }
}

impl Rule {
    /// True where a run has no arguments with which the rule is not about it.
    fn is_about_all_arguments(&self) -> bool {
        let arguments = self.arguments.as_ref();
        arguments.is_none_or(|them| them.match_all() && them.match_absence())
    }
}
