//! The policy file: YAML to checked rules, with the place of what is wrong.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

use super::{Effect, Policy, Requirements, Right, Rule};
use crate::auth::patterns::Patterns;

/// Why a policy cannot be used.
#[derive(Debug, Error)]
#[error("{path}{place}: {reason}")]
pub struct PolicyError {
    path: PathBuf,
    place: String,
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
    #[serde(default, deserialize_with = "crate::auth::present")]
    allow: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    deny: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    subjects: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    roles: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    commands: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    nodes: Option<String>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    arguments: Option<Vec<String>>,
    #[serde(default, deserialize_with = "crate::auth::present")]
    require: Option<Vec<String>>,
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Policy, PolicyError> {
    let fault = |place: String, reason: String| PolicyError {
        path: path.to_owned(),
        place,
        reason,
    };
    let raw: RawPolicy = serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line());
        fault(format!(":{line}"), error.to_string())
    })?;
    let mut names = HashSet::new();
    let mut rules = Vec::new();
    for (at, raw) in raw.rules.into_iter().enumerate() {
        let place = format!(": rule {} ({:?})", at + 1, raw.name);
        if !names.insert(raw.name.clone()) {
            return Err(fault(place, "another rule has this name".into()));
        }
        rules.push(rule(raw).map_err(|reason| fault(place, reason))?);
    }
    let roles = raw.roles.into_iter();
    Ok(Policy {
        rules,
        roles: roles
            .map(|(role, members)| (role, Patterns::new(members)))
            .collect(),
    })
}

fn rule(raw: RawRule) -> Result<Rule, String> {
    if raw.name.is_empty() || raw.name.len() > 64 || raw.name.chars().any(char::is_control) {
        return Err("a rule's name is 1 to 64 characters of one line".into());
    }
    let (effect, rights) = match (raw.allow, raw.deny) {
        (Some(rights), None) => (Effect::Allow, rights),
        (None, Some(rights)) => (Effect::Deny, rights),
        _ => return Err("a rule has either `allow` or `deny`, with a list of rights".into()),
    };
    // A rule that gives something to everybody says so: forgetting the line must not do it.
    if effect == Effect::Allow && raw.subjects.is_none() && raw.roles.is_none() {
        return Err("say to whom: `subjects` or `roles`; `subjects: ['*']` is everybody".into());
    }
    if raw.nodes.as_ref().is_some_and(|set| set.trim().is_empty()) {
        return Err("nodes is empty; leave it out for all nodes".into());
    }
    let rights = read_rights(&rights, effect)?;
    let require = raw
        .require
        .as_deref()
        .map(Requirements::parse)
        .transpose()?;
    if require.is_some() && (effect == Effect::Deny || !rights.contains(&Right::Run)) {
        return Err("require is for rules that allow `run`".into());
    }
    let commands = raw.commands.map(Patterns::new);
    Ok(Rule {
        require: require.unwrap_or_default(),
        rights,
        subjects: raw.subjects.map(Patterns::new),
        roles: raw.roles,
        // Everything is no limit.
        commands: commands.filter(|them| !them.match_all()),
        arguments: raw.arguments.map(Patterns::new),
        nodes: raw.nodes,
        name: raw.name,
        effect,
    })
}

fn read_rights(names: &[String], effect: Effect) -> Result<Vec<Right>, String> {
    let mut rights = Vec::new();
    for name in names {
        if name == "all" {
            rights.extend(Right::ALL);
            continue;
        }
        let right = Right::ALL.into_iter().find(|right| right.label() == name);
        let right = right.ok_or_else(|| {
            let known = Right::ALL.map(Right::label).join(", ");
            format!("there is no right {name:?}; there are {known}, and all")
        })?;
        rights.push(right);
        if effect == Effect::Allow {
            rights.extend(right.brings());
        }
    }
    match rights.is_empty() {
        true => Err("a rule without rights does nothing".into()),
        false => Ok(rights),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::corruption;

    const GOOD: &str = r#"roles: {operators: [olga, "ops-*"]}
rules:
- name: operators run power
  allow: [run, "read:any"]
  roles: [operators]
  commands: ["power-*"]
  nodes: "n[1-4],gone9"
- {name: not by force, deny: [run], commands: [change], arguments: ["-f"]}
- name: admins
  allow: [all]
  subjects: [root]
"#;
    const WORDS: &[&str] = &[
        "rules:",
        "roles:",
        "\n",
        "\n- ",
        "\n  ",
        "name: ",
        "a",
        "b",
        ", ",
        "allow: ",
        "deny: ",
        "[run]",
        "[all]",
        "subjects: ",
        "nodes: ",
        "[",
        "]",
        "{",
        "}",
        "&x ",
        "*x",
        "<<: ",
        "? ",
        "!t ",
        "'",
        "\"",
        "\0",
        "\u{feff}",
        "\t",
        "|\n",
        "~",
    ];

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("rules: [", "p.yaml:2: "),
            ("rules: []\nrule: 1\n", "p.yaml:2: unknown field"),
            ("", "p.yaml:1: "),
            (
                "rules:\n- {name: a, allow: [run]}\n",
                "p.yaml: rule 1 (\"a\"): say to whom",
            ),
            (
                "rules:\n- {name: a, allow: [fly], roles: [x]}\n",
                "p.yaml: rule 1 (\"a\"): there is no right \"fly\"",
            ),
            (
                "rules:\n- {name: a, allow: [run], deny: [run]}\n",
                "p.yaml: rule 1 (\"a\"): a rule has either",
            ),
            (
                "rules:\n- {name: a, deny: []}\n",
                "p.yaml: rule 1 (\"a\"): a rule without rights",
            ),
            (
                "rules:\n- {name: a, deny: [run]}\n- {name: a, deny: [run]}\n",
                "p.yaml: rule 2 (\"a\"): another rule",
            ),
            (
                "rules:\n- name: a\n  allow: [run]\n  subjects: [x]\n  nodes:\n",
                "p.yaml: rule 1 (\"a\"): nodes is empty",
            ),
            (
                "rules:\n- name: a\n  allow: [run]\n  subjects: [x]\n  commands: ~\n",
                "p.yaml:5: rules[0].commands: ",
            ),
            (
                "rules:\n- {name: '', deny: [run]}\n",
                "p.yaml: rule 1 (\"\"): a rule's name",
            ),
        ] {
            let error = parse(Path::new("p.yaml"), text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn run_brings_what_a_run_needs_and_denying_takes_only_what_it_names() {
        let text = "rules:\n- {name: a, allow: [run], roles: [x]}\n- {name: b, deny: [run]}\n";
        let policy = parse(Path::new("p"), text).unwrap();
        let rights = |at: usize| policy.rules[at].rights.clone();
        assert_eq!(
            rights(0),
            [Right::Run, Right::List, Right::ReadOwn, Right::CancelOwn]
        );
        assert_eq!(rights(1), [Right::Run]);
    }
    proptest! {
        /// Whatever is in the file: a fault that names it, or rules that are what rules must be.
        #[test]
        fn no_text_is_half_a_policy(bytes in corruption::file(GOOD, WORDS)) {
            let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
            let read = || parse(Path::new("p.yaml"), &text);
            prop_assert_eq!(format!("{:?}", read()), format!("{:?}", read()));
            match read() {
                Err(error) => prop_assert!(error.to_string().starts_with("p.yaml:"), "{error}"),
                Ok(policy) => {
                    let names: HashSet<_> = policy.rules.iter().map(|rule| &rule.name).collect();
                    prop_assert_eq!(names.len(), policy.rules.len());
                    for rule in &policy.rules {
                        let says_to_whom = rule.subjects.is_some() || rule.roles.is_some();
                        prop_assert!(says_to_whom || rule.effect == Effect::Deny, "{rule:?}");
                        prop_assert!(!rule.rights.is_empty());
                    }
                }
            }
        }
    }
}
