//! The one decider: may this caller do that, with this command, on that node? Pure.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    Policy, Right, Rule, RuleEffect, RunRequirements,
    cover::{NodeScope, PolicyTarget},
};
use crate::auth::{Caller, patterns::PatternList};

/// What a caller wants to do.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// Which right it takes.
    pub right: Right,
    /// With which command.
    pub command: &'a str,
    /// With which arguments: only for [`Right::Run`].
    pub arguments: &'a [String],
    /// What the run brings: only for [`Right::Run`].
    pub brings: RunRequirements,
}

/// An answer, with what decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyVerdict<'a> {
    /// Whether the caller may.
    pub allowed: bool,
    /// The rule's name; of two that say the same the first in the file.
    pub rule: &'a str,
    /// What the run must bring beside what it brings, so that the rule allows it.
    pub missing: RunRequirements,
    /// The node set that it follows from and that cannot be resolved, if there is one.
    pub unresolved: Option<UnresolvedRule<'a>>,
}

impl<'a> PolicyVerdict<'a> {
    /// Whether the caller may, or could with what is missing.
    pub fn is_possible(&self) -> bool {
        self.allowed || !self.missing.is_empty()
    }

    /// The rule, and why its node set cannot be resolved, where that decided.
    pub fn reason(&self) -> Cow<'a, str> {
        match self.unresolved {
            None => self.rule.into(),
            Some(unresolved) if unresolved.rule == self.rule => unresolved.to_string().into(),
            Some(unresolved) => format!("{}; {unresolved}", self.rule).into(),
        }
    }
}

/// A rule, or the token, whose node set cannot be resolved. Displays as `rule: reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnresolvedRule<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl fmt::Display for UnresolvedRule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)
    }
}

/// What decides where no rule does.
const NO_RULE: &str = "no rule allows it";
const NOT_BARE: &str = "no rule allows it without arguments";
const OTHER_ARGUMENTS: &str = "no rule allows it with these arguments";
const TOKEN: &str = "the token's own limits";

/// A policy whose node sets are resolved.
#[derive(Debug)]
pub struct ResolvedRules {
    policy: Arc<Policy>,
    covers: Vec<NodeScope>,
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// The commands that take nodes: others show none.
    pub(super) node_commands: Vec<String>,
}

impl ResolvedRules {
    /// Resolves the node sets of a policy with `cover`, which gets a rule's place and its set;
    /// `commands` are those that take nodes, of which there are `nodes`.
    pub fn new(
        policy: Arc<Policy>,
        commands: &[&str],
        nodes: usize,
        mut cover: impl FnMut(usize, &str) -> NodeScope,
    ) -> ResolvedRules {
        let rules = policy.rules().iter().enumerate();
        let covers = rules.map(|(at, rule)| match &rule.nodes {
            Some(set) => cover(at, set),
            None => NodeScope::Everything,
        });
        ResolvedRules {
            covers: covers.collect(),
            nodes,
            node_commands: commands.iter().map(ToString::to_string).collect(),
            policy,
        }
    }
}

/// What one caller may do.
#[derive(Debug)]
pub struct Authorizer {
    pub(super) rules: Arc<ResolvedRules>,
    /// The rules that concern the caller, by their place in the policy.
    own: Vec<usize>,
    pub(super) grant: crate::auth::TokenGrant,
    pub(super) grant_nodes: Arc<NodeScope>,
}

impl Authorizer {
    /// A decider for one caller; `grant_nodes` is what its token's node set covers.
    pub fn new(
        rules: Arc<ResolvedRules>,
        caller: &Caller,
        grant_nodes: impl Into<Arc<NodeScope>>,
    ) -> Authorizer {
        let grant_nodes = grant_nodes.into();
        let roles = rules.policy.roles_of(caller);
        let concerned = rules.policy.rules().iter().enumerate();
        let own = concerned
            .filter(|(_, rule)| rule.concerns_caller(&caller.subject, &roles))
            .map(|(at, _)| at)
            .collect();
        Authorizer {
            own,
            grant: caller.grant.clone(),
            grant_nodes,
            rules,
        }
    }

    /// Prepares the answer to a question that is asked of many nodes.
    pub fn prepare_question<'a>(&'a self, ask: AccessRequest<'_>) -> PolicyQuestion<'a> {
        let of = |effect| self.own_rules_about(effect, ask).collect();
        PolicyQuestion {
            // Rules require something of runs alone.
            brings: match ask.right {
                Right::Run => ask.brings,
                _ => RunRequirements {
                    reason: true,
                    plan: true,
                },
            },
            token_allows: self.grant.allows_command(ask.command),
            grant_nodes: &self.grant_nodes,
            allow: of(RuleEffect::Allow),
            deny: of(RuleEffect::Deny),
            with_others: self.with_other_arguments(ask),
            has_arguments: !ask.arguments.is_empty(),
        }
    }

    /// What the caller lacks a right for, where it may be: the token's node set, or that of a rule
    /// about the right, cannot be resolved. `command` is the one that it is about, if there is one.
    pub fn unresolved(&self, right: Right, command: Option<&str>) -> Option<UnresolvedRule<'_>> {
        let token = self.grant_nodes.unresolved_reason();
        let token = token.map(|reason| UnresolvedRule {
            rule: TOKEN,
            reason,
        });
        let mut about = self.own_rules().filter(|(rule, _)| {
            let is_about = command.is_none_or(|name| rule.is_about_command(name));
            is_about && rule.rights.contains(&right)
        });
        token.or_else(|| about.find_map(unresolved))
    }

    /// What decides which nodes the caller may see: two callers with the same see the same.
    pub fn visibility_key(&self) -> (&[usize], &crate::auth::TokenGrant) {
        (&self.own, &self.grant)
    }

    /// True when the caller has the right to everything: what it may list, an error may name.
    pub fn has_all(&self, right: Right) -> bool {
        let has = move |rule: &Rule| rule.rights.contains(&right);
        let whole = |(rule, cover): (&Rule, &NodeScope)| {
            rule.effect == RuleEffect::Allow
                && rule.commands.is_none()
                && rule.arguments.is_none()
                && *cover == NodeScope::Everything
        };
        self.grant.commands.is_none()
            && *self.grant_nodes == NodeScope::Everything
            && self.own_rules_where(has).any(whole)
            && self
                .own_rules_where(has)
                .all(|(rule, _)| rule.effect == RuleEffect::Allow)
    }

    /// The caller's rules, with what they cover.
    pub fn own_rules(&self) -> impl Iterator<Item = (&Rule, &NodeScope)> {
        self.own.iter().map(|&at| self.rule_at(at))
    }

    /// The caller's rules of one effect that are about a question.
    fn own_rules_about(
        &self,
        effect: RuleEffect,
        ask: AccessRequest<'_>,
    ) -> impl Iterator<Item = (&Rule, &NodeScope)> {
        self.own_rules()
            .filter(move |(rule, _)| is_about(rule, effect, ask))
    }

    /// What the caller's rules allow with other arguments.
    fn with_other_arguments(&self, ask: AccessRequest<'_>) -> Vec<&NodeScope> {
        let allows = |rule: &Rule| {
            rule.effect == RuleEffect::Allow && !is_about(rule, RuleEffect::Allow, ask)
        };
        let others = self.own_rules().filter(|(rule, _)| {
            allows(rule) && rule.rights.contains(&ask.right) && rule.is_about_command(ask.command)
        });
        others.map(|(_, cover)| cover).collect()
    }

    fn own_rules_where<'a>(
        &'a self,
        matches: impl Fn(&Rule) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a Rule, &'a NodeScope)> {
        self.own_rules().filter(move |(rule, _)| matches(rule))
    }

    fn rule_at(&self, at: usize) -> (&Rule, &NodeScope) {
        (&self.rules.policy.rules()[at], &self.rules.covers[at])
    }
}

/// A question of one caller, to be answered for each node.
#[derive(Debug)]
pub struct PolicyQuestion<'a> {
    brings: RunRequirements,
    token_allows: bool,
    grant_nodes: &'a NodeScope,
    allow: Vec<(&'a Rule, &'a NodeScope)>,
    deny: Vec<(&'a Rule, &'a NodeScope)>,
    /// What rules cover that allow it with other arguments.
    with_others: Vec<&'a NodeScope>,
    has_arguments: bool,
}

impl<'a> PolicyQuestion<'a> {
    /// The answer.
    pub fn decide(&self, on: PolicyTarget) -> PolicyVerdict<'a> {
        let refused = |rule, unresolved| PolicyVerdict {
            allowed: false,
            rule,
            missing: RunRequirements::NONE,
            unresolved,
        };
        if !self.token_allows || !self.grant_nodes.covers_target(on, RuleEffect::Allow) {
            let reason = self
                .grant_nodes
                .unresolved_reason()
                .filter(|_| self.token_allows);
            let unresolved = reason.map(|reason| UnresolvedRule {
                rule: TOKEN,
                reason,
            });
            return refused(TOKEN, unresolved);
        }
        let denies = |(_, cover): &&(&Rule, &NodeScope)| cover.covers_target(on, RuleEffect::Deny);
        if let Some(found) = self.deny.iter().copied().find(|it| denies(&it)) {
            return refused(&found.0.name, unresolved(found));
        }
        let allows = self
            .allow
            .iter()
            .filter(|(_, cover)| cover.covers_target(on, RuleEffect::Allow))
            .map(|(rule, _)| (rule.name.as_str(), rule.require.not_among(self.brings)));
        // The first of those that require least.
        match allows.min_by_key(|(_, missing)| missing.count()) {
            Some((rule, missing)) => PolicyVerdict {
                allowed: missing.is_empty(),
                rule,
                missing,
                unresolved: None,
            },
            None => refused(
                self.why_not_allowed(on),
                self.allow.iter().copied().find_map(unresolved),
            ),
        }
    }

    fn why_not_allowed(&self, on: PolicyTarget) -> &'static str {
        let mut others = self.with_others.iter();
        match others.any(|cover| cover.covers_target(on, RuleEffect::Allow)) {
            true if self.has_arguments => OTHER_ARGUMENTS,
            true => NOT_BARE,
            false => NO_RULE,
        }
    }
}

fn unresolved<'a>((rule, cover): (&'a Rule, &'a NodeScope)) -> Option<UnresolvedRule<'a>> {
    let reason = cover.unresolved_reason()?;
    let rule = &rule.name;
    Some(UnresolvedRule { rule, reason })
}

fn is_about(rule: &Rule, effect: RuleEffect, ask: AccessRequest<'_>) -> bool {
    rule.effect == effect
        && rule.rights.contains(&ask.right)
        && rule.is_about_command(ask.command)
        && (ask.right != Right::Run
            || match_arguments(rule.arguments.as_ref(), effect, ask.arguments))
}

/// What is allowed is allowed with arguments that are all named; what is denied is denied with any
/// that is. A run without arguments is named by the empty text and by no other pattern: what a
/// script does without arguments is no special case of what it does with some.
fn match_arguments(
    patterns: Option<&PatternList>,
    effect: RuleEffect,
    arguments: &[String],
) -> bool {
    let Some(patterns) = patterns else {
        return true;
    };
    if arguments.is_empty() {
        return patterns.match_absence();
    }
    match effect {
        RuleEffect::Allow => arguments.iter().all(|text| patterns.match_any(text)),
        RuleEffect::Deny => arguments.iter().any(|text| patterns.match_any(text)),
    }
}

#[cfg(test)]
mod tests;
