//! The policy file: YAML to checked rules, with the place of what is wrong.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use action_proto::input::shown_name;
use serde::Deserialize;
use thiserror::Error;

use super::{Policy, Right, Rule, RuleEffect, RunRequirements};
use crate::{
    auth::patterns::PatternList,
    yaml::{self, ListLines, Step, Yaml, line_of},
};

/// The keys of a rule that are lists.
const LISTS: [&str; 7] = [
    "allow",
    "deny",
    "subjects",
    "roles",
    "commands",
    "arguments",
    "require",
];

/// Why a policy cannot be used.
#[derive(Debug, Error)]
#[error("{}:{line}: {reason}", crate::shown::file(path))]
pub struct PolicyError {
    path: PathBuf,
    line: usize,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    #[serde(default)]
    roles: BTreeMap<String, Vec<String>>,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    allow: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    deny: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    subjects: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    roles: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    commands: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    nodes: Option<String>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    arguments: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::deserialize_present")]
    require: Option<Vec<String>>,
}

/// A name in a rule that is not defined.
#[derive(Debug, Error)]
pub(super) enum NameError {
    #[error("there is no right {:?}; there are {}, and all", shown_name(.0), Right::ALL.map(Right::label).join(", "))]
    Right(String),
    #[error("a rule cannot require {:?}; it can require reason and plan", shown_name(.0))]
    Requirement(String),
}

/// What is wrong with a rule, and the key that it is about.
type RuleError = (&'static str, String);

pub(super) fn parse(path: &Path, text: &str) -> Result<Policy, PolicyError> {
    let text = yaml::without_mark(text);
    let lines = ListLines::new(text, "rules");
    let fault = |line: usize, reason: String| PolicyError {
        path: path.to_owned(),
        line: line.max(1),
        reason,
    };
    let in_rule = |at: usize, name: &str, (key, reason): RuleError| {
        let reason = format!("rule {} ({:?}): {reason}", at + 1, shown_name(name));
        fault(lines.line_of(at, key), reason)
    };
    let raw: RawPolicy =
        yaml::read(text).map_err(|(line, reason)| match find_wrong_shape(text) {
            Some((at, name, wrong)) => in_rule(at, &name, wrong),
            None => fault(line, reason),
        })?;
    if let Some((role, reason)) = raw.roles.iter().find_map(wrong_role) {
        let line = line_of(text, &[Step::Key("roles"), Step::Key(role)]);
        return Err(fault(line, format!("roles: {reason}")));
    }
    let mut names = HashSet::new();
    let mut rules = Vec::new();
    for (at, raw) in raw.rules.into_iter().enumerate() {
        let name = raw.name.clone();
        if !names.insert(name.clone()) {
            let wrong = ("name", "another rule has this name".to_owned());
            return Err(in_rule(at, &name, wrong));
        }
        rules.push(check_rule(raw).map_err(|wrong| in_rule(at, &name, wrong))?);
    }
    let roles = raw.roles.into_iter();
    Ok(Policy {
        rules,
        roles: roles
            .map(|(role, members)| (role, PatternList::new(members)))
            .collect(),
        path: path.to_owned(),
        text: text.to_owned(),
    })
}

fn check_rule(raw: RawRule) -> Result<Rule, RuleError> {
    if raw.name.is_empty() || raw.name.len() > 64 || raw.name.chars().any(char::is_control) {
        let reason = "a rule's name is 1 to 64 characters of one line";
        return Err(("name", reason.into()));
    }
    check_lists(&raw)?;
    let (effect, key, rights) = match (raw.allow, raw.deny) {
        (Some(rights), None) => (RuleEffect::Allow, "allow", rights),
        (None, Some(rights)) => (RuleEffect::Deny, "deny", rights),
        _ => {
            let reason = "a rule has either `allow` or `deny`, with a list of rights";
            return Err(("deny", reason.into()));
        }
    };
    // A rule that gives something to everybody says so: forgetting the line must not do it.
    if effect == RuleEffect::Allow && raw.subjects.is_none() && raw.roles.is_none() {
        let reason = "say to whom: `subjects` or `roles`; `subjects: ['*']` is everybody";
        return Err(("name", reason.into()));
    }
    if raw.nodes.as_ref().is_some_and(|set| set.trim().is_empty()) {
        let reason = "nodes is empty; leave it out for all nodes";
        return Err(("nodes", reason.into()));
    }
    let rights = read_rights(&rights, effect).map_err(|error| (key, error.to_string()))?;
    let require = raw
        .require
        .as_deref()
        .map(RunRequirements::parse)
        .transpose();
    let require = require.map_err(|error| ("require", error.to_string()))?;
    if require.is_some() && (effect == RuleEffect::Deny || !rights.contains(&Right::Run)) {
        let reason = "require is for rules that allow `run`";
        return Err(("require", reason.into()));
    }
    let commands = raw.commands.map(PatternList::new);
    Ok(Rule {
        require: require.unwrap_or_default(),
        rights,
        subjects: raw.subjects.map(PatternList::new),
        roles: raw.roles,
        // Everything is no limit.
        commands: commands.filter(|them| !them.match_all()),
        arguments: raw.arguments.map(PatternList::new),
        nodes: raw.nodes,
        name: raw.name,
        effect,
    })
}

/// Refuses empty lists, and empty texts that can never match: a rule that has one does not do what it
/// looks like.
fn check_lists(raw: &RawRule) -> Result<(), RuleError> {
    let lists = [
        &raw.allow,
        &raw.deny,
        &raw.subjects,
        &raw.roles,
        &raw.commands,
        &raw.arguments,
        &raw.require,
    ];
    for (key, list) in LISTS.into_iter().zip(lists) {
        let list = list.as_deref();
        if list.is_some_and(<[String]>::is_empty) {
            let says_to_whom = raw.subjects.is_some() && raw.roles.is_some();
            return Err((key, empty_list(key, says_to_whom)));
        }
        let has_empty_text = list.is_some_and(|list| list.iter().any(String::is_empty));
        if let Some(reason) = empty_text(key).filter(|_| has_empty_text) {
            return Err((key, reason));
        }
    }
    Ok(())
}

/// What is wrong with who has a role.
fn wrong_role<'a>((role, members): (&'a String, &Vec<String>)) -> Option<(&'a str, String)> {
    let shown = shown_name(role);
    let reason = if role.is_empty() {
        "the name of a role is empty; name it, or remove it".to_owned()
    } else if members.is_empty() {
        format!("{shown} is empty: it names nobody; name a subject, or remove the role")
    } else if members.iter().any(String::is_empty) {
        format!("{shown} has an empty text, which no subject is; name a subject, or remove it")
    } else {
        return None;
    };
    Some((role, reason))
}

/// What to write in place of an empty text in a list. In `arguments` it stands for runs without any.
fn empty_text(key: &str) -> Option<String> {
    let remedy = match key {
        "subjects" => "which no subject is; write '*' for everybody, or remove it",
        "roles" => "which no role is; name a role, or remove it",
        "commands" => "which no command is; name one, or remove it",
        _ => return None,
    };
    Some(format!("{key} has an empty text, {remedy}"))
}

/// What to write in place of an empty list. Where `both` is set, `subjects` and `roles` are there.
fn empty_list(key: &str, both: bool) -> String {
    let remedy = match key {
        "allow" | "deny" => "a rule without rights does nothing; name a right, or remove the rule",
        "subjects" if both => "it names nobody; name a subject, or leave it out",
        "subjects" => {
            "it names nobody; name a subject, write ['*'] for everybody, or remove the rule"
        }
        "roles" if both => "it names nobody; name a role, or leave it out",
        "roles" => "it names nobody; name a role, or remove the rule",
        "commands" => "it names no command; name one, or leave it out for all commands",
        "arguments" => {
            "it names no argument; name one, write [''] for runs without arguments, or leave it out for any"
        }
        _ => "it requires nothing; name reason or plan, or leave it out",
    };
    format!("{key} is empty: {remedy}")
}

/// The first key of a rule that is a list where a text must be, or the other way round. Names the
/// rule, which the deserializer's own message does not.
fn find_wrong_shape(text: &str) -> Option<(usize, String, RuleError)> {
    let entry = |map: &[(String, Yaml)], key: &str| {
        let mut entries = map.iter();
        entries
            .find(|(known, _)| known == key)
            .map(|it| it.1.clone())
    };
    let Yaml::Map(top) = yaml::parse(text).ok()? else {
        return None;
    };
    let Yaml::List(rules) = entry(&top, "rules")? else {
        return None;
    };
    rules.iter().enumerate().find_map(|(at, rule)| {
        let Yaml::Map(keys) = rule else { return None };
        let name = entry(keys, "name").map(|name| name.to_text());
        let wrong = keys.iter().find_map(|(key, value)| wrong_shape(key, value));
        Some((at, name.unwrap_or_default(), wrong?))
    })
}

fn wrong_shape(key: &str, value: &Yaml) -> Option<RuleError> {
    let kind = value.kind();
    if key == "nodes" && !matches!(value, Yaml::Scalar(_)) {
        let remedy =
            "write one node set as a text, such as 'n[1-4],n7', or leave it out for all nodes";
        return Some(("nodes", format!("nodes is {kind}: {remedy}")));
    }
    let list = LISTS.into_iter().find(|list| *list == key)?;
    let remedy = "write a list, such as [a, b]";
    (!matches!(value, Yaml::List(_))).then(|| (list, format!("{list} is {kind}: {remedy}")))
}

fn read_rights(names: &[String], effect: RuleEffect) -> Result<Vec<Right>, NameError> {
    let mut rights = Vec::new();
    for name in names {
        if name == "all" {
            rights.extend(Right::ALL);
            continue;
        }
        let right = Right::ALL.into_iter().find(|right| right.label() == name);
        let right = right.ok_or_else(|| NameError::Right(name.clone()))?;
        rights.push(right);
        if effect == RuleEffect::Allow {
            rights.extend(right.implied_rights());
        }
    }
    Ok(rights)
}

#[cfg(test)]
mod tests;
