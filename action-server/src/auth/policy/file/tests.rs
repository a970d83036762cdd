//! Policies that cannot be used, and what is said of them.

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
            "p.yaml:2: rule 1 (\"a\"): say to whom",
        ),
        (
            "rules:\n- {name: a, allow: [fly], roles: [x]}\n",
            "p.yaml:2: rule 1 (\"a\"): there is no right \"fly\"",
        ),
        (
            "rules:\n- {name: a, allow: [run], deny: [run]}\n",
            "p.yaml:2: rule 1 (\"a\"): a rule has either",
        ),
        (
            "rules:\n- {name: a, deny: []}\n",
            "p.yaml:2: rule 1 (\"a\"): deny is empty: a rule without rights",
        ),
        (
            "rules:\n- {name: a, deny: [run]}\n- {name: a, deny: [run]}\n",
            "p.yaml:3: rule 2 (\"a\"): another rule",
        ),
        (
            "rules:\n- name: a\n  allow: [run]\n  subjects: [x]\n  nodes:\n",
            "p.yaml:5: rule 1 (\"a\"): nodes is empty",
        ),
        (
            "rules:\n- name: a\n  allow: [run]\n  subjects: [x]\n  commands: ~\n",
            "p.yaml:5: rule 1 (\"a\"): commands is nothing: write a list",
        ),
        (
            "rules:\n- {name: '', deny: [run]}\n",
            "p.yaml:2: rule 1 (\"\"): a rule's name",
        ),
    ] {
        let error = parse(Path::new("p.yaml"), text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn an_empty_list_is_an_error_with_its_line_and_what_to_write() {
    let others = [
        ("allow", "[run]"),
        ("subjects", "[x]"),
        ("roles", "[x]"),
        ("commands", "[x]"),
        ("nodes", "n1"),
        ("arguments", "[x]"),
        ("require", "[reason]"),
    ];
    let error_of = |rule: &str| {
        let text =
            format!("roles: {{r: [x]}}\nrules:\n- {{name: b, deny: [run]}}\n- name: a\n{rule}");
        let error = parse(Path::new("p.yaml"), &text).unwrap_err().to_string();
        (error, text)
    };
    for (at, (empty, _)) in others.into_iter().enumerate() {
        let written = |(key, value)| {
            if key == empty {
                format!("  {key}: []\n")
            } else {
                format!("  {key}: {value}\n")
            }
        };
        let (error, text) = error_of(&others.into_iter().map(written).collect::<String>());
        let start = format!("p.yaml:{}: rule 2 (\"a\"): {empty} is ", 5 + at);
        assert!(error.starts_with(&start), "{error}\n{text}");
        let remedy = error.rsplit([';', ':']).next().unwrap();
        assert!(
            ["name ", "write "].iter().any(|it| remedy.contains(it)),
            "{error}"
        );
    }
    // To leave the only key out that says to whom would make a deny rule one for everybody.
    for key in ["subjects", "roles"] {
        for effect in ["allow", "deny"] {
            let (error, _) = error_of(&format!("  {effect}: [run]\n  {key}: []\n"));
            assert!(
                error.contains("remove the rule") && !error.contains("leave it out"),
                "{error}"
            );
        }
    }
    let (error, _) = error_of("  deny: []\n");
    assert!(
        error.starts_with("p.yaml:5: rule 2 (\"a\"): deny is empty"),
        "{error}"
    );
}

#[test]
fn what_names_nobody_is_an_error() {
    let rule = "rules:\n- name: a\n  deny: [run]\n";
    for (text, expected) in [
        (
            format!("{rule}  subjects: [bob, '']\n"),
            "p.yaml:4: rule 1 (\"a\"): subjects has an empty text, which no subject is; write '*'",
        ),
        (
            format!("{rule}  roles: ['']\n"),
            "p.yaml:4: rule 1 (\"a\"): roles has an empty text, which no role is; name a role",
        ),
        (
            format!("{rule}  commands: ['', x]\n"),
            "p.yaml:4: rule 1 (\"a\"): commands has an empty text, which no command is; name one",
        ),
        (
            format!("{rule}roles:\n  op: [x]\n  ops: []\n"),
            "p.yaml:6: roles: ops is empty: it names nobody; name a subject, or remove the role",
        ),
        (
            format!("roles:\n  ops: [x, '']\n{rule}"),
            "p.yaml:2: roles: ops has an empty text, which no subject is; name a subject",
        ),
        (
            format!("roles: {{'': [x]}}\n{rule}"),
            "p.yaml:1: roles: the name of a role is empty; name it, or remove it",
        ),
    ] {
        let error = parse(Path::new("p.yaml"), &text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let text = format!("{rule}  arguments: ['']\nroles: {{}}\n");
    assert!(parse(Path::new("p.yaml"), &text).is_ok());
}

/// In a map of roles the last definition would win, and a rule that denies it to the first be open.
#[test]
fn a_key_that_is_given_twice_is_an_error() {
    for (text, expected) in [
        (
            "roles:\n  banned: [mallory]\n  op: [x]\n  banned: [bob]\nrules:\n- {name: a, deny: [run], roles: [banned]}\n",
            "p.yaml:4: roles: banned is given twice",
        ),
        (
            "roles: {op: [x]}\nrules:\n- {name: a, deny: [run]}\nroles: {op: [y]}\n",
            "p.yaml:4: roles is given twice",
        ),
        (
            "rules:\n- name: a\n  deny: [run]\n  subjects: [x]\n  subjects: [y]\n",
            "p.yaml:5: rules[0]: subjects is given twice",
        ),
        (
            "rules:\n- {name: a, deny: [run]}\nrules: []\n",
            "p.yaml:3: rules is given twice",
        ),
    ] {
        let error = parse(Path::new("p.yaml"), text).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
    let text =
        "roles:\n  <<: {op: [x]}\n  op: [y]\nrules:\n- {name: a, deny: [run], roles: [op]}\n";
    assert!(parse(Path::new("p.yaml"), text).is_ok(), "own keys win");
}

/// It would count as an empty text, which in `arguments` grants runs without any.
#[test]
fn an_entry_of_a_list_that_is_null_is_an_error_with_its_line() {
    for key in LISTS {
        for null in ["", " ~", " null", " NULL", " # none", " !!null ''"] {
            let text = format!(
                "rules:\n- {{name: b, deny: [run]}}\n- name: a\n  {key}:\n  - run\n  -{null}\n  x: 1\n"
            );
            let error = parse(Path::new("p.yaml"), &text).unwrap_err().to_string();
            let is_tag = null.contains('!');
            let expected = format!("p.yaml:6: rules[1].{key}[1]: nothing stands here; remove");
            assert!(is_tag || error.starts_with(&expected), "{error}\n{text}");
        }
    }
    for text in [
        "roles: {op: [x, ~]}\nrules: []\n",
        "rules:\n- {name: b, deny: [run]}\n-\n",
        "rules:\n- {name: b, deny: [run], arguments: [null]}\n",
    ] {
        let error = parse(Path::new("p.yaml"), text).unwrap_err().to_string();
        assert!(error.contains("nothing stands here"), "{error}");
    }
    let text = "rules:\n- {name: b, deny: [run], arguments: ['', 'null', \"~\"]}\n";
    assert!(parse(Path::new("p.yaml"), text).is_ok());
}

#[test]
fn a_list_in_place_of_a_text_and_a_text_in_place_of_a_list() {
    for (rule, expected) in [
        (
            "nodes: [n1, n2]",
            ":3: rule 1 (\"a\"): nodes is a list: write one node set as a text",
        ),
        ("nodes: {a: b}", ":3: rule 1 (\"a\"): nodes is a map"),
        (
            "commands: power-on",
            ":3: rule 1 (\"a\"): commands is a text: write a list",
        ),
        (
            "arguments: {}",
            ":3: rule 1 (\"a\"): arguments is a map: write a list",
        ),
        (
            "require: reason",
            ":3: rule 1 (\"a\"): require is a text: write a list",
        ),
    ] {
        let text = format!("rules:\n- name: a\n  {rule}\n  allow: [run]\n  subjects: [x]\n");
        let error = parse(Path::new("p.yaml"), &text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("p.yaml{expected}")), "{error}");
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
                    prop_assert!(says_to_whom || rule.effect == RuleEffect::Deny, "{rule:?}");
                    prop_assert!(!rule.rights.is_empty());
                    let patterns = [&rule.subjects, &rule.commands, &rule.arguments];
                    let mut patterns = patterns.into_iter().flatten();
                    prop_assert!(patterns.all(|them| !them.texts().is_empty()), "{rule:?}");
                }
            }
        }
    }
}
