//! The one decider: may this caller do that, with this command, on that node? Pure.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    Effect, Policy, Requirements, Right, Rule,
    cover::{Cover, On},
};
use crate::auth::{Caller, patterns::Patterns};

/// What a caller wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Which right it takes.
    pub right: Right,
    /// With which command.
    pub command: &'a str,
    /// With which arguments: only for [`Right::Run`].
    pub arguments: &'a [String],
    /// What the run brings: only for [`Right::Run`].
    pub brings: Requirements,
}

/// An answer, with what decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Whether the caller may.
    pub allowed: bool,
    /// The rule's name; of two that say the same the first in the file.
    pub rule: &'a str,
    /// What the run must bring beside what it brings, so that the rule allows it.
    pub missing: Requirements,
    /// The node set that it follows from and that cannot be resolved, if there is one.
    pub unresolved: Option<Unresolved<'a>>,
}

impl<'a> Verdict<'a> {
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
pub struct Unresolved<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl fmt::Display for Unresolved<'_> {
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
pub struct Rules {
    policy: Arc<Policy>,
    covers: Vec<Cover>,
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// The commands that take nodes: others show none.
    pub(super) node_commands: Vec<String>,
}

impl Rules {
    /// Resolves the node sets of a policy with `cover`, which gets a rule's place and its set;
    /// `commands` are those that take nodes, of which there are `nodes`.
    pub fn new(
        policy: Arc<Policy>,
        commands: &[&str],
        nodes: usize,
        mut cover: impl FnMut(usize, &str) -> Cover,
    ) -> Rules {
        let rules = policy.rules().iter().enumerate();
        let covers = rules.map(|(at, rule)| match &rule.nodes {
            Some(set) => cover(at, set),
            None => Cover::Everything,
        });
        Rules {
            covers: covers.collect(),
            nodes,
            node_commands: commands.iter().map(ToString::to_string).collect(),
            policy,
        }
    }
}

/// What one caller may do.
#[derive(Debug)]
pub struct Decider {
    pub(super) rules: Arc<Rules>,
    /// The rules that concern the caller, by their place in the policy.
    own: Vec<usize>,
    pub(super) grant: crate::auth::Grant,
    pub(super) grant_nodes: Arc<Cover>,
}

impl Decider {
    /// A decider for one caller; `grant_nodes` is what its token's node set covers.
    pub fn new(rules: Arc<Rules>, caller: &Caller, grant_nodes: impl Into<Arc<Cover>>) -> Decider {
        let grant_nodes = grant_nodes.into();
        let roles = rules.policy.roles_of(caller);
        let concerned = rules.policy.rules().iter().enumerate();
        let own = concerned
            .filter(|(_, rule)| rule.concerns(&caller.subject, &roles))
            .map(|(at, _)| at)
            .collect();
        Decider {
            own,
            grant: caller.grant.clone(),
            grant_nodes,
            rules,
        }
    }

    /// Prepares the answer to a question that is asked of many nodes.
    pub fn question<'a>(&'a self, ask: Ask<'_>) -> Question<'a> {
        let of = |effect| self.about(effect, ask).collect();
        Question {
            // Rules require something of runs alone.
            brings: match ask.right {
                Right::Run => ask.brings,
                _ => Requirements {
                    reason: true,
                    plan: true,
                },
            },
            token_allows: self.grant.allows_command(ask.command),
            grant_nodes: &self.grant_nodes,
            allow: of(Effect::Allow),
            deny: of(Effect::Deny),
            with_others: self.with_other_arguments(ask),
            has_arguments: !ask.arguments.is_empty(),
        }
    }

    /// What the caller lacks a right for, where it may be: the token's node set, or that of a rule
    /// about the right, cannot be resolved. `command` is the one that it is about, if there is one.
    pub fn unresolved(&self, right: Right, command: Option<&str>) -> Option<Unresolved<'_>> {
        let token = self.grant_nodes.unknown();
        let token = token.map(|reason| Unresolved {
            rule: TOKEN,
            reason,
        });
        let mut about = self.own().filter(|(rule, _)| {
            let is_about = command.is_none_or(|name| rule.is_about_command(name));
            is_about && rule.rights.contains(&right)
        });
        token.or_else(|| about.find_map(unresolved))
    }

    /// What decides which nodes the caller may see: two callers with the same see the same.
    pub fn sight(&self) -> (&[usize], &crate::auth::Grant) {
        (&self.own, &self.grant)
    }

    /// True when the caller has the right to everything: what it may list, an error may name.
    pub fn has_all(&self, right: Right) -> bool {
        let has = move |rule: &Rule| rule.rights.contains(&right);
        let whole = |(rule, cover): (&Rule, &Cover)| {
            rule.effect == Effect::Allow
                && rule.commands.is_none()
                && rule.arguments.is_none()
                && *cover == Cover::Everything
        };
        self.grant.commands.is_none()
            && *self.grant_nodes == Cover::Everything
            && self.matching(has).any(whole)
            && self
                .matching(has)
                .all(|(rule, _)| rule.effect == Effect::Allow)
    }

    /// The caller's rules, with what they cover.
    pub fn own(&self) -> impl Iterator<Item = (&Rule, &Cover)> {
        self.own.iter().map(|&at| self.rule(at))
    }

    /// The caller's rules of one effect that are about a question.
    fn about(&self, effect: Effect, ask: Ask<'_>) -> impl Iterator<Item = (&Rule, &Cover)> {
        self.own()
            .filter(move |(rule, _)| is_about(rule, effect, ask))
    }

    /// What the caller's rules allow with other arguments.
    fn with_other_arguments(&self, ask: Ask<'_>) -> Vec<&Cover> {
        let allows =
            |rule: &Rule| rule.effect == Effect::Allow && !is_about(rule, Effect::Allow, ask);
        let others = self.own().filter(|(rule, _)| {
            allows(rule) && rule.rights.contains(&ask.right) && rule.is_about_command(ask.command)
        });
        others.map(|(_, cover)| cover).collect()
    }

    fn matching<'a>(
        &'a self,
        matches: impl Fn(&Rule) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a Rule, &'a Cover)> {
        self.own().filter(move |(rule, _)| matches(rule))
    }

    fn rule(&self, at: usize) -> (&Rule, &Cover) {
        (&self.rules.policy.rules()[at], &self.rules.covers[at])
    }
}

/// A question of one caller, to be answered for each node.
#[derive(Debug)]
pub struct Question<'a> {
    brings: Requirements,
    token_allows: bool,
    grant_nodes: &'a Cover,
    allow: Vec<(&'a Rule, &'a Cover)>,
    deny: Vec<(&'a Rule, &'a Cover)>,
    /// What rules cover that allow it with other arguments.
    with_others: Vec<&'a Cover>,
    has_arguments: bool,
}

impl<'a> Question<'a> {
    /// The answer.
    pub fn verdict(&self, on: On) -> Verdict<'a> {
        let refused = |rule, unresolved| Verdict {
            allowed: false,
            rule,
            missing: Requirements::NONE,
            unresolved,
        };
        if !self.token_allows || !self.grant_nodes.covers(on, Effect::Allow) {
            let reason = self.grant_nodes.unknown().filter(|_| self.token_allows);
            let unresolved = reason.map(|reason| Unresolved {
                rule: TOKEN,
                reason,
            });
            return refused(TOKEN, unresolved);
        }
        let denies = |(_, cover): &&(&Rule, &Cover)| cover.covers(on, Effect::Deny);
        if let Some(found) = self.deny.iter().copied().find(|it| denies(&it)) {
            return refused(&found.0.name, unresolved(found));
        }
        let allows = self
            .allow
            .iter()
            .filter(|(_, cover)| cover.covers(on, Effect::Allow))
            .map(|(rule, _)| (rule.name.as_str(), rule.require.without(self.brings)));
        // The first of those that require least.
        match allows.min_by_key(|(_, missing)| missing.count()) {
            Some((rule, missing)) => Verdict {
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

    fn why_not_allowed(&self, on: On) -> &'static str {
        let mut others = self.with_others.iter();
        match others.any(|cover| cover.covers(on, Effect::Allow)) {
            true if self.has_arguments => OTHER_ARGUMENTS,
            true => NOT_BARE,
            false => NO_RULE,
        }
    }
}

fn unresolved<'a>((rule, cover): (&'a Rule, &'a Cover)) -> Option<Unresolved<'a>> {
    let reason = cover.unknown()?;
    let rule = &rule.name;
    Some(Unresolved { rule, reason })
}

fn is_about(rule: &Rule, effect: Effect, ask: Ask<'_>) -> bool {
    rule.effect == effect
        && rule.rights.contains(&ask.right)
        && rule.is_about_command(ask.command)
        && (ask.right != Right::Run || are_meant(rule.arguments.as_ref(), effect, ask.arguments))
}

/// What is allowed is allowed with arguments that are all named; what is denied is denied with any
/// that is. A run without arguments is named by the empty text and by no other pattern: what a
/// script does without arguments is no special case of what it does with some.
fn are_meant(patterns: Option<&Patterns>, effect: Effect, arguments: &[String]) -> bool {
    let Some(patterns) = patterns else {
        return true;
    };
    if arguments.is_empty() {
        return patterns.match_absence();
    }
    match effect {
        Effect::Allow => arguments.iter().all(|text| patterns.match_any(text)),
        Effect::Deny => arguments.iter().any(|text| patterns.match_any(text)),
    }
}

#[cfg(test)]
mod tests;
