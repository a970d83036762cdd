//! `explain` says what the server does, also where rules take something away again.

use std::collections::{BTreeMap, BTreeSet};

use action_tests::{Chance, Site, rounds};

/// What `explain` says of bob with some rules.
fn explained(rules: &[&str]) -> String {
    let site = Site::new();
    site.nodes("__groups__: {compute: 'c[1-3]'}\nc1:\nc2:\nc3:\nh1:\n");
    site.command("change", "echo done");
    let rules = rules
        .iter()
        .map(|rule| format!("- {{{rule}, subjects: [bob]}}\n"));
    site.write(
        "policy.yaml",
        format!("rules:\n{}", rules.collect::<String>()),
    );
    site.settings("policy_path: policy.yaml");
    let words = ["explain", "--subject", "bob"];
    site.server_verb(&words).ok().stdout()
}

#[test]
fn what_is_taken_away_is_not_promised() {
    for (rules, said, unsaid) in [
        (
            &[
                "name: a, allow: [run], nodes: '@compute'",
                "name: b, deny: [list], nodes: c1",
            ][..],
            &["run on c[2-3] (a)", "not even see c1,h1"][..],
            &["run on c[1-3]"][..],
        ),
        (
            &[
                "name: a, allow: [all]",
                "name: b, deny: ['read:own', 'cancel:own']",
            ],
            &["see others' runs;", "cancel others' runs"],
            &["everybody's runs;", "see its own runs;"],
        ),
        (
            &[
                "name: a, allow: [list]",
                "name: b, allow: ['read:any'], nodes: h1",
            ],
            &["see everybody's runs on h1"],
            &["see everybody's runs\n"],
        ),
        (
            &[
                "name: a, allow: [run]",
                "name: b, deny: ['read:own'], nodes: c1",
            ],
            &["see its own runs on c[2-3],h1"],
            &["see its own runs;"],
        ),
        (
            &["name: a, allow: [all], arguments: [x]"],
            &[
                "do everything with every command on all nodes, runs only with arguments that are each like \"x\"",
            ],
            &[],
        ),
        (
            &["name: a, allow: [run], arguments: [x]"],
            &["run every command on all nodes with arguments that are each like \"x\""],
            &["runs only"],
        ),
        (
            &[
                "name: a, allow: [all]",
                "name: b, deny: [run, list], nodes: h1, arguments: [x]",
            ],
            &["on h1 (1 node), runs only with an argument like \"x\""],
            &[],
        ),
    ] {
        let text = explained(rules);
        for part in said {
            assert!(text.contains(part), "{rules:?}: {part}\n{text}");
        }
        for part in unsaid {
            assert!(!text.contains(part), "{rules:?}: {part}\n{text}");
        }
    }
}

const PATTERNS: [&str; 12] = [
    "a", "ab", "b", "??", "a*", "*a", "*b*", "a?*", "?*", "a*b", "*", "ci-*",
];
/// The last is one that only tokens say.
const ROLES: [&str; 3] = ["red", "green", "blue"];

/// A rule, as far as it says to whom.
#[derive(Debug)]
struct Named {
    name: String,
    subjects: Vec<&'static str>,
    roles: Vec<&'static str>,
}

/// A policy, as far as it says to whom.
#[derive(Debug)]
struct Names {
    rules: Vec<Named>,
    members: BTreeMap<&'static str, Vec<&'static str>>,
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, text) || (!text.is_empty() && matches(pattern, &text[1..]))
        }
        ([b'?', rest @ ..], [_, after @ ..]) => matches(rest, after),
        ([one, rest @ ..], [other, after @ ..]) => one == other && matches(rest, after),
        _ => false,
    }
}

fn is_named(patterns: &[&str], subject: &str) -> bool {
    let mut patterns = patterns.iter();
    patterns.any(|pattern| matches(pattern.as_bytes(), subject.as_bytes()))
}

/// Subjects of all short forms, and long ones.
fn subjects() -> Vec<String> {
    let long = "z".repeat(20);
    let mut all = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..4 {
        let longer = last.iter().flat_map(|text| {
            let letters = ["a", "b", "z"];
            letters.map(|letter| format!("{text}{letter}"))
        });
        last = longer.collect();
        all.extend(last.iter().cloned());
    }
    let others = ["", "a", "b", "ab"].map(|end| format!("{end}{long}"));
    all.extend(others);
    all.extend([format!("a{long}b"), format!("{long}a")]);
    let after: Vec<String> = all.iter().map(|text| format!("ci-{text}")).collect();
    all.extend(after);
    all.push("ci-".to_owned());
    all
}

impl Names {
    fn random(chance: &mut Chance) -> Names {
        let mut some = |all: &[&'static str]| {
            let count = 1 + chance.below(3);
            let picked = (0..count).map(|_| all[chance.below(all.len() as u64) as usize]);
            picked.collect::<Vec<_>>()
        };
        let mut rules = Vec::new();
        for at in 0..6 {
            let (subjects, roles) = match at % 3 {
                0 => (some(&PATTERNS), Vec::new()),
                1 => (Vec::new(), some(&ROLES)),
                _ => (some(&PATTERNS[..3]), some(&ROLES)),
            };
            rules.push(Named {
                name: format!("r{at}"),
                subjects,
                roles,
            });
        }
        let members = ROLES[..2].iter().map(|role| (*role, some(&PATTERNS)));
        Names {
            members: members.collect(),
            rules,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("roles: {:?}\nrules:\n", self.members);
        for (at, rule) in self.rules.iter().enumerate() {
            let effect = ["allow", "deny"][at % 2];
            text += &format!("- name: {}\n  {effect}: [list]\n", rule.name);
            for (key, list) in [("subjects", &rule.subjects), ("roles", &rule.roles)] {
                if !list.is_empty() {
                    text += &format!("  {key}: {list:?}\n");
                }
            }
        }
        text
    }

    /// The rules about a subject whose token says these roles.
    fn about(&self, subject: &str, roles: &[&str]) -> BTreeSet<&str> {
        let is_about = |rule: &&Named| {
            let has_role = |role: &&str| {
                let members = self.members.get(role);
                roles.contains(role) || members.is_some_and(|them| is_named(them, subject))
            };
            is_named(&rule.subjects, subject) || rule.roles.iter().any(has_role)
        };
        let rules = self.rules.iter().filter(is_about);
        rules.map(|rule| rule.name.as_str()).collect()
    }

    /// Who is told of: a heading, the pattern, and the roles that tokens say.
    fn audiences(&self) -> Vec<(String, &'static str, Vec<&'static str>)> {
        let of_rules = self.rules.iter().map(|rule| &rule.subjects);
        let named = of_rules.chain(self.members.values()).flatten();
        let named: BTreeSet<&'static str> = named.copied().filter(|it| *it != "*").collect();
        let subjects = named.into_iter().map(|pattern| {
            let heading = match pattern.contains(['*', '?']) {
                true => format!("subjects like {pattern}"),
                false => pattern.to_owned(),
            };
            (heading, pattern, Vec::new())
        });
        let of_rules = self.rules.iter().flat_map(|rule| &rule.roles);
        let roles = of_rules.chain(self.members.keys());
        let roles: BTreeSet<&'static str> = roles.copied().collect();
        let roles = roles
            .into_iter()
            .map(|role| (format!("whoever has the role {role}"), "*", vec![role]));
        let others = ("anybody else with a token".to_owned(), "*", Vec::new());
        subjects.chain(roles).chain([others]).collect()
    }
}

/// The names of rules in a line, each in quotes.
fn quoted<'a>(block: &[&'a str], start: &str) -> BTreeSet<&'a str> {
    let lines = block.iter().filter_map(|line| line.strip_prefix(start));
    lines
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect()
}

#[test]
fn each_heading_tells_of_the_rules_that_name_all_of_its_subjects() {
    let mut chance = Chance::new();
    let all = subjects();
    let site = Site::new();
    site.nodes("n1:\n");
    site.settings("policy_path: policy.yaml");
    let mut told_of_some = 0;
    for _ in 0..rounds(20) {
        let names = Names::random(&mut chance);
        site.write("policy.yaml", names.text());
        let text = site.server_verb(&["explain"]).ok().stdout();
        let audiences = names.audiences();
        let headings = text.lines().filter(|line| !line.starts_with([' ', '/']));
        let headings = headings.filter(|line| !line.contains("warning: "));
        let headings: Vec<&str> = headings
            .map(|line| line.split_once(" (roles: ").map_or(line, |it| it.0))
            .collect();
        let expected: Vec<&str> = audiences.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(headings, expected, "{}\n{text}", names.text());
        for (heading, pattern, roles) in &audiences {
            let told = || format!("{heading} of\n{}\n{text}", names.text());
            let mut lines = text.lines();
            _ = lines.find(|line| *line == heading || line.starts_with(&format!("{heading} (")));
            let block: Vec<&str> = lines.take_while(|line| line.starts_with("  ")).collect();
            let sentences = block.iter().filter(|line| line.starts_with("  may"));
            let decided: BTreeSet<&str> = sentences
                .filter_map(|line| Some(line.strip_suffix(')')?.rsplit_once(" (")?.1))
                .collect();
            let also = quoted(&block, "  some of them are also named by the rule");
            let not_all = quoted(&block, "  some of them are not named by the rule");
            let these = all.iter().filter(|it| is_named(&[pattern], it));
            let each: Vec<BTreeSet<&str>> = these.map(|it| names.about(it, roles)).collect();
            let of_all = |name: &&str| each.iter().all(|rules| rules.contains(name));
            let of_some = |name: &&str| each.iter().any(|rules| rules.contains(name));
            let rules = || names.rules.iter().map(|rule| rule.name.as_str());
            let by_all: BTreeSet<&str> = rules().filter(of_all).collect();
            let by_some: BTreeSet<&str> = rules().filter(of_some).collect();
            assert_eq!(&decided - &not_all, by_all, "{}", told());
            if each.contains(&by_all) {
                assert_eq!(decided, by_all, "{}", told());
            }
            assert!(also.is_disjoint(&decided), "{}", told());
            if *pattern != "*" {
                assert_eq!(&decided | &also, by_some, "{}", told());
            }
            told_of_some += also.len();
        }
    }
    assert!(told_of_some > 0);
}

#[test]
fn a_pattern_is_no_subject_and_what_is_neither_is_refused() {
    let site = Site::new();
    site.nodes("n1:\n");
    site.command("change", "echo done");
    site.write(
        "policy.yaml",
        "roles: {ops: ['ci-*'], all: ['*']}\nrules:\n- {name: two, allow: [run], subjects: ['??']}\n- {name: starts, allow: [list], subjects: ['a*']}\n- {name: no ops, deny: [run], roles: [ops, all]}\n- {name: deploys, allow: [run], subjects: [ci-deploy]}\n",
    );
    site.settings("policy_path: policy.yaml");
    let told = site.server_verb(&["explain"]).ok().stdout();
    for part in [
        "subjects like a*\n  may list every command on all nodes (starts)\n  may not run any command on all nodes (no ops)\n  some of them are also named by the rule \"two\"\n",
        "subjects like ci-*\n  may not run any command on all nodes (no ops)\n  some of them are also named by the rule \"deploys\"\n",
        "whoever has the role all\n  may not run",
        "whoever has the role ops\n  may not run",
        "anybody else with a token\n  may not run",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let one = site.server_verb(&["explain", "--subject", "ci-*", "--command", "change"]);
    assert!(
        one.ok().stdout().starts_with("subjects like ci-*\n"),
        "{told}"
    );
    for words in [
        &["--subject", ""][..],
        &["--subject", "ops-[1-3]"],
        &["--subject", "-x"],
        &["--subject", "bob", "--role", ""],
    ] {
        let ran = site.server_verb(&[&["explain"], words].concat());
        assert_eq!(ran.code(), 64, "{words:?}: {ran}");
    }
    let made = site.server_verb(&["generate-token", "--role", ""]);
    assert_eq!(made.code(), 64, "{made}");
}

/// What is missing or broken is told of, and hides nothing else.
#[test]
fn sites_without_nodes_and_broken_definitions_are_explained() {
    let site = Site::new();
    site.nodes("{}\n");
    site.command_with("once", "help: {summary: s, has_context: false}\n", "true");
    site.command_with("broken", "help: {}\n", "true");
    let rules = "rules:\n- {name: a, allow: [run], subjects: [bob]}\n";
    site.write("policy.yaml", rules);
    site.settings("policy_path: policy.yaml");
    let told = site.server_verb(&["explain", "--subject", "bob"]).ok();
    let (text, beside) = (told.stdout(), told.stderr());
    assert!(text.contains("    once    run it (a)"), "{told}");
    assert!(
        text.contains("    broken  broken: help.summary is missing"),
        "{told}"
    );
    assert!(
        beside.contains("warning: SITE/libexec/broken/metadata.yaml:1: help.summary is missing"),
        "{told}"
    );
    let words = ["explain", "--subject", "bob", "--command"];
    let one = site.server_verb(&[&words[..], &["broken"]].concat()).ok();
    assert!(one.stdout().contains("    broken  broken: "), "{one}");
    let none = site.server_verb(&[&words[..], &["nothing"]].concat());
    assert_eq!(none.code(), 64, "{none}");
    let set = site.server_verb(&["explain", "-g", "n1"]);
    assert_eq!(set.code(), 64, "{set}");
}
