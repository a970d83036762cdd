//! Which nodes a caller may see: those that its commands and rules reach.

use std::collections::BTreeSet;

use super::{
    Right, Rule, RuleEffect,
    cover::{NodeScope, PolicyTarget},
    decide::Authorizer,
};

/// The caller's rules about seeing some command, by their place among the caller's.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ListRules {
    allow: Vec<usize>,
    deny: Vec<usize>,
}

impl Authorizer {
    /// For each node whether the caller may see it: there is a command that takes nodes and that the
    /// token and the rules let it see on that node. Commands that are not there yet count where
    /// neither the token nor the rule names commands.
    pub fn listed_nodes(&self) -> Vec<bool> {
        let own: Vec<(&Rule, &NodeScope)> = self.own_rules().collect();
        let names = self.rules.node_commands.iter();
        let names = names.filter(|name| self.grant.allows_command(name));
        let unnamed = self.grant.commands.is_none().then_some(None);
        // Many commands have the same rules.
        let kinds: BTreeSet<ListRules> = names
            .map(|name| Some(name.as_str()))
            .chain(unnamed)
            .map(|name| ListRules {
                allow: list_rules(&own, RuleEffect::Allow, name),
                deny: list_rules(&own, RuleEffect::Deny, name),
            })
            .collect();
        let covers = |rules: &[usize], effect, on| {
            let mut covers = rules.iter().map(|&at| own[at].1);
            covers.any(|cover| cover.covers_target(on, effect))
        };
        (0..self.rules.nodes)
            .map(|at| {
                let on = PolicyTarget::Node(Some(at));
                let is_listed = |kind: &ListRules| {
                    covers(&kind.allow, RuleEffect::Allow, on)
                        && !covers(&kind.deny, RuleEffect::Deny, on)
                };
                self.grant_nodes.covers_target(on, RuleEffect::Allow) && kinds.iter().any(is_listed)
            })
            .collect()
    }
}

/// The rules about seeing a command, or one that no rule names.
fn list_rules(
    own: &[(&Rule, &NodeScope)],
    effect: RuleEffect,
    command: Option<&str>,
) -> Vec<usize> {
    let is_about = |rule: &Rule| {
        let is_of_kind = rule.effect == effect && rule.rights.contains(&Right::List);
        is_of_kind
            && match command {
                Some(name) => rule.is_about_command(name),
                None => rule.commands.is_none(),
            }
    };
    let own = own.iter().enumerate();
    own.filter(|(_, (rule, _))| is_about(rule))
        .map(|(at, _)| at)
        .collect()
}
