//! What is wrong with the rules of a policy that can be used, with lines: rules, and parts of rules,
//! that can never apply. Such a rule looks like one that protects something.

use action_proto::input::shown_set;

use super::{Policy, Right, Rule, RuleEffect, subject_patterns::can_be_subject};
use crate::{
    auth::patterns::PatternList,
    yaml::{Fault, Lines, ListLines, Severity, Step},
};

/// A command, as far as rules are about it.
#[derive(Debug, Clone, Copy)]
pub struct KnownCommand<'a> {
    /// The name.
    pub name: &'a str,
    /// Whether it takes nodes; `None` where its definition is broken.
    pub takes_nodes: Option<bool>,
}

/// What is wrong with a policy's rules.
#[derive(Debug)]
pub struct PolicyFaults<'a> {
    policy: &'a Policy,
    lines: ListLines<'a>,
    found: Vec<Fault>,
}

impl<'a> PolicyFaults<'a> {
    /// Starts with the warnings that need only the policy and the commands.
    pub fn new(policy: &'a Policy, commands: &[KnownCommand<'_>]) -> PolicyFaults<'a> {
        let mut faults = PolicyFaults {
            policy,
            lines: ListLines::new(&policy.text, "rules"),
            found: Vec::new(),
        };
        faults.find_idle_roles();
        for (at, rule) in policy.rules.iter().enumerate() {
            let warnings = [
                never_subjects(rule.subjects.as_ref()),
                role_patterns(rule),
                roles_beside_everybody(rule),
                denied_whole(rule, policy),
                idle_arguments(rule),
                absent_commands(rule, commands),
                commands_without_nodes(rule, commands),
            ];
            for (key, reason) in warnings.into_iter().flatten() {
                faults.add_fault(at, key, Severity::Warning, &reason);
            }
        }
        faults
    }

    /// Adds what is wrong with a key of the rule at a place in the policy.
    pub fn add_fault(&mut self, at: usize, key: &str, severity: Severity, reason: &str) {
        let name = self.policy.rules.get(at).map_or("", |rule| &rule.name);
        self.found.push(Fault {
            file: self.policy.path.clone(),
            line: self.lines.line_of(at, key),
            reason: format!("rule {name:?}: {reason}"),
            brief: None,
            severity,
            is_transient: false,
        });
    }

    /// All of it, in the file's order.
    pub fn into_faults(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }

    /// Roles that the policy gives and no rule names, and roles that no subject can have.
    fn find_idle_roles(&mut self) {
        let policy = self.policy;
        let is_idle = |role: &str| {
            let mut named = policy.rules.iter().filter_map(|rule| rule.roles.as_ref());
            !named.any(|roles| roles.iter().any(|name| name == role))
        };
        let idle = policy.roles.iter().map(|(role, _)| role.as_str());
        let idle: Vec<&str> = idle.filter(|role| is_idle(role)).collect();
        if let [first, ..] = idle.as_slice() {
            let reason = format!("roles: no rule names {}", quote_list(&idle));
            self.add_role_warning(first, reason);
        }
        for (role, members) in &policy.roles {
            if let Some((_, reason)) = never_subjects(Some(members)) {
                self.add_role_warning(role, format!("role {role:?}: {reason}"));
            }
        }
    }

    fn add_role_warning(&mut self, role: &str, reason: String) {
        let lines = Lines::new(&self.policy.text);
        let line = lines.line_of(&[Step::Key("roles"), Step::Key(role)]);
        let fault = Fault::warning(&self.policy.path, line, reason);
        self.found.push(fault);
    }
}

/// A key of a rule, and what is wrong with it.
type RuleWarning = Option<(&'static str, String)>;

fn never_subjects(subjects: Option<&PatternList>) -> RuleWarning {
    let texts = subjects?.texts().iter().map(String::as_str);
    let never: Vec<&str> = texts.filter(|text| !can_be_subject(text)).collect();
    let reason = no_such_subject(&quote_list(&never));
    (!never.is_empty()).then_some(("subjects", reason))
}

/// Why no token can have a subject like these, which are quoted.
pub fn no_such_subject(quoted: &str) -> String {
    format!(
        "no token has a subject like {quoted}: subjects are letters, digits, and _ . @ - after the first, at most 64; only * and ? are special"
    )
}

/// Roles beside `subjects: ["*"]`: one of the two is enough, so they limit nothing.
fn roles_beside_everybody(rule: &Rule) -> RuleWarning {
    let is_everybody = rule.subjects.as_ref().is_some_and(PatternList::match_all);
    let reason = "roles has no effect: subjects names everybody, and a rule is about those whom either names";
    (is_everybody && rule.roles.is_some()).then(|| ("roles", reason.to_owned()))
}

/// A rule that denies all that this one allows, in each case that it is about.
fn denied_whole(rule: &Rule, policy: &Policy) -> RuleWarning {
    let mut others = policy.rules.iter();
    let denier =
        others.find(|other| rule.effect == RuleEffect::Allow && denies_whole(other, rule))?;
    let reason = format!(
        "the rule {:?} denies all that this one allows, so the rule {}",
        denier.name,
        rule.effect.of_nothing()
    );
    Some(("allow", reason))
}

fn denies_whole(denier: &Rule, rule: &Rule) -> bool {
    let has_all = |ours: &Option<PatternList>, theirs: &Option<PatternList>| match (ours, theirs) {
        (None, _) => true,
        (Some(ours), Some(theirs)) => has_each(ours.texts(), theirs.texts()),
        (Some(_), None) => false,
    };
    let names_everybody = denier.subjects.is_none() && denier.roles.is_none()
        || denier.subjects.as_ref().is_some_and(PatternList::match_all);
    let texts = |subjects: &'_ Option<PatternList>| {
        let texts = subjects.as_ref().map(PatternList::texts);
        texts.unwrap_or_default().to_vec()
    };
    let roles = |rule: &Rule| rule.roles.clone().unwrap_or_default();
    // An allow rule names subjects: those of either list.
    let is_named = names_everybody
        || (has_each(&texts(&denier.subjects), &texts(&rule.subjects))
            && has_each(&roles(denier), &roles(rule)));
    let of_arguments = denier.arguments.as_ref();
    let all_arguments = of_arguments.is_some_and(|it| it.match_all() && it.match_absence());
    denier.effect == RuleEffect::Deny
        && is_named
        && rule.rights.iter().all(|it| denier.rights.contains(it))
        && has_all(&denier.commands, &rule.commands)
        // Callers keep their own runs on nodes that are gone from a node set.
        && denier.nodes.is_none()
        && (all_arguments || has_all(&denier.arguments, &rule.arguments))
}

/// Whether a list has each text of another one.
fn has_each(ours: &[String], theirs: &[String]) -> bool {
    theirs.iter().all(|text| ours.contains(text))
}

fn role_patterns(rule: &Rule) -> RuleWarning {
    let roles = rule.roles.iter().flatten().map(String::as_str);
    let patterns: Vec<&str> = roles.filter(|role| role.contains(['*', '?'])).collect();
    let reason = format!(
        "{} is taken as it is written: roles are no patterns",
        quote_list(&patterns)
    );
    (!patterns.is_empty()).then_some(("roles", reason))
}

fn idle_arguments(rule: &Rule) -> RuleWarning {
    let is_idle = rule.arguments.is_some() && !rule.rights.contains(&Right::Run);
    let reason = "arguments has no effect: the rule is not about `run`";
    is_idle.then(|| ("arguments", reason.to_owned()))
}

/// The patterns of a rule's commands that `is_idle` holds for, and whether these are all.
fn idle_commands(
    rule: &Rule,
    commands: &[KnownCommand<'_>],
    is_idle: fn(&[KnownCommand<'_>]) -> bool,
) -> Option<(String, usize, bool)> {
    let patterns = rule.commands.as_ref()?;
    let mut idle = Vec::new();
    for (text, pattern) in patterns.each() {
        let meant = commands.iter().filter(|it| pattern.matches(it.name));
        let meant: Vec<KnownCommand<'_>> = meant.copied().collect();
        if is_idle(&meant) {
            idle.push(text);
        }
    }
    let count = idle.len();
    (count > 0).then(|| (quote_list(&idle), count, count == patterns.texts().len()))
}

fn absent_commands(rule: &Rule, commands: &[KnownCommand<'_>]) -> RuleWarning {
    let (names, count, is_all) = idle_commands(rule, commands, |meant| meant.is_empty())?;
    let matches = if count == 1 { "matches" } else { "match" };
    let mut reason = format!("{names} {matches} no command");
    if is_all {
        reason += &format!(", so the rule {}", rule.effect.of_nothing());
    }
    Some(("commands", reason))
}

fn commands_without_nodes(rule: &Rule, commands: &[KnownCommand<'_>]) -> RuleWarning {
    rule.nodes.as_ref()?;
    let (names, count, is_all) = idle_commands(rule, commands, |meant| {
        let mut all = meant.iter();
        !meant.is_empty() && all.all(|command| command.takes_nodes == Some(false))
    })?;
    let (take, them) = match count {
        1 => ("takes", "it"),
        _ => ("take", "them"),
    };
    let mut reason = format!("{names} {take} no nodes, and a rule with nodes is not about {them}");
    if is_all {
        reason += &format!(", so the rule {}", rule.effect.of_nothing());
    }
    Some(("nodes", reason))
}

/// Texts as they are written, with `and` before the last.
fn quote_list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts
        .iter()
        .map(|text| format!("{:?}", shown_set(text)))
        .collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
