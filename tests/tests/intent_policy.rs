//! Policies over random node sets: the plan, the run and `explain` give the answer of a model that
//! tries each rule on each node.

use std::collections::BTreeSet;

use action_proto::v1::{PlanRunRequest, RunCommandRequest};
use action_tests::{Api, Chance, Server, Site, rounds, token, with_arguments};
use jsonwebtoken::Algorithm;
use tonic::Code;

use crate::intent::Model;

/// The most nodes of one run: some sets of rules name more.
const LIMIT: usize = 20;
const SUBJECTS: [&str; 2] = ["alice", "bob"];
const COMMANDS: [&str; 2] = ["touch", "touch-two"];
const ARGUMENTS: [&str; 3] = ["small", "large", ""];
const UNKNOWN: &str = "@nosuch";

/// A rule about runs. A list that is not there is no limit.
#[derive(Debug)]
struct Rule {
    name: String,
    allow: bool,
    subjects: Option<Vec<&'static str>>,
    commands: Option<Vec<&'static str>>,
    arguments: Option<Vec<&'static str>>,
    nodes: Option<String>,
    needs_reason: bool,
}

impl Rule {
    fn random(number: usize, model: &Model, chance: &mut Chance) -> Rule {
        let allow = chance.below(3) > 0;
        let everybody = &["alice", "bob", "*", "b*"];
        let subjects = some(chance, everybody);
        let nodes = match chance.below(7) {
            0 | 1 => None,
            2 => Some(format!("n[0-{}]", 30_000 + chance.below(9))),
            3 if chance.below(3) == 0 => Some(format!("{UNKNOWN},{}", model.nodes[0])),
            4 => Some("@*".to_owned()),
            _ => Some(model.set(chance, true)),
        };
        Rule {
            name: format!("r{number}"),
            subjects: subjects.or_else(|| allow.then(|| vec!["*"])),
            commands: some(chance, &["touch", "touch-*", "*", "none"]),
            arguments: some(chance, &["small", "lar*", "", "*"]),
            nodes,
            needs_reason: allow && chance.below(4) == 0,
            allow,
        }
    }

    fn text(&self) -> String {
        let effect = if self.allow { "allow" } else { "deny" };
        let mut text = format!("- name: {}\n  {effect}: [run]\n", self.name);
        for (key, list) in [
            ("subjects", &self.subjects),
            ("commands", &self.commands),
            ("arguments", &self.arguments),
        ] {
            if let Some(list) = list {
                text += &format!("  {key}: {list:?}\n");
            }
        }
        if let Some(set) = &self.nodes {
            text += &format!("  nodes: {set:?}\n");
        }
        if self.needs_reason {
            text += "  require: [reason]\n";
        }
        text
    }

    /// Whether the rule is about the caller and the command.
    fn concerns(&self, asked: &Asked) -> bool {
        is_in(self.subjects.as_ref(), asked.subject) && is_in(self.commands.as_ref(), asked.command)
    }

    /// Whether it is about the arguments: all of them for what is allowed, one for what is denied, and
    /// for a run without any, the empty one.
    fn has_arguments(&self, asked: &Asked) -> bool {
        let Some(known) = &self.arguments else {
            return true;
        };
        let mut given = asked.arguments.iter();
        match self.allow {
            _ if asked.arguments.is_empty() => known.contains(&""),
            true => given.all(|text| is_in(Some(known), text)),
            false => given.any(|text| is_in(Some(known), text)),
        }
    }

    /// The nodes that it is about; `None` where its set names a group that is not there.
    fn members(&self, model: &Model) -> Option<BTreeSet<String>> {
        match self.nodes.as_deref() {
            None | Some("@*") => Some(model.nodes.iter().cloned().collect()),
            Some(set) if set.contains(UNKNOWN) => None,
            Some(set) => model.select(set, false),
        }
    }
}

/// Some of the texts, or no limit.
fn some(chance: &mut Chance, all: &[&'static str]) -> Option<Vec<&'static str>> {
    let mut kept = all.to_vec();
    kept.retain(|_| chance.below(2) == 0);
    (!kept.is_empty()).then_some(kept)
}

fn is_in(patterns: Option<&Vec<&str>>, text: &str) -> bool {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    };
    patterns.is_none_or(|all| all.iter().any(|pattern| matches(pattern)))
}

#[derive(Debug)]
struct Asked {
    subject: &'static str,
    command: &'static str,
    arguments: Vec<&'static str>,
    has_reason: bool,
}

impl Asked {
    fn random(chance: &mut Chance) -> Asked {
        let mut arguments = Vec::new();
        for _ in 0..chance.below(3) {
            arguments.push(ARGUMENTS[chance.below(3) as usize]);
        }
        Asked {
            subject: SUBJECTS[chance.below(2) as usize],
            command: COMMANDS[chance.below(2) as usize],
            arguments,
            has_reason: chance.below(2) == 0,
        }
    }

    fn run(&self, set: &str) -> RunCommandRequest {
        RunCommandRequest {
            reason: if self.has_reason { "a test" } else { "" }.to_owned(),
            ..with_arguments(self.command, set, &self.arguments)
        }
    }

    fn plan(&self, set: &str) -> PlanRunRequest {
        let run = self.run(set);
        PlanRunRequest {
            command: run.command,
            nodes: run.nodes,
            arguments: run.arguments,
            reason: run.reason,
            report_forbidden: true,
            ..PlanRunRequest::default()
        }
    }
}

/// What becomes of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Allowed,
    NeedsReason,
    Denied,
}

fn answer(rules: &[Rule], model: &Model, asked: &Asked, node: &str) -> Answer {
    let holds = |rule: &&Rule| {
        let members = rule.members(model);
        let has_node = members.map_or(!rule.allow, |members| members.contains(node));
        rule.concerns(asked) && rule.has_arguments(asked) && has_node
    };
    let holding: Vec<&Rule> = rules.iter().filter(holds).collect();
    if holding.iter().any(|rule| !rule.allow) || holding.is_empty() {
        return Answer::Denied;
    }
    let is_free = |rule: &&Rule| !rule.needs_reason;
    match holding.iter().any(is_free) {
        true => Answer::Allowed,
        false => Answer::NeedsReason,
    }
}

fn as_(server: &Server, subject: &str) -> Api {
    let claims = token::with(token::claims(), "sub", subject);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

/// A folded list of nodes, as a set.
fn unfolded(model: &Model, nodes: &str) -> BTreeSet<String> {
    match nodes {
        "" => BTreeSet::new(),
        nodes => model.select(nodes, true).unwrap(),
    }
}

/// What `explain` says of each node, and its sentences.
fn explained(server: &Server, asked: &Asked, set: &str) -> (Vec<(Answer, String)>, String) {
    let mut words = vec![
        "explain",
        "--subject",
        asked.subject,
        "--command",
        asked.command,
    ];
    words.extend(["-g", set]);
    words.extend(&asked.arguments);
    let text = server.server_verb(&words).ok().stdout();
    let (sentences, table) = text.split_once("  by command, with").unwrap();
    let start = format!("    {}  ", asked.command);
    let line = table.lines().find_map(|line| line.strip_prefix(&start));
    let parts = line.unwrap().split("; ").filter_map(|part| {
        let (kind, rest) = match part.strip_prefix("not run on ") {
            Some(rest) => (Answer::Denied, rest),
            None => (Answer::Allowed, part.strip_prefix("run on ")?),
        };
        let (nodes, rest) = rest.split_once(' ').unwrap();
        let kind = match rest.starts_with("with --reason ") {
            true => Answer::NeedsReason,
            false => kind,
        };
        Some((kind, nodes.to_owned()))
    });
    (parts.collect(), sentences.to_owned())
}

/// Each rule about the caller and the command has its sentence, with its nodes counted.
fn check_sentences(rules: &[Rule], model: &Model, asked: &Asked, sentences: &str) {
    for rule in rules {
        let end = format!(" ({})", rule.name);
        let sentence = sentences
            .lines()
            .find(|line| line.ends_with(&end) && line.starts_with("  may"));
        assert_eq!(
            sentence.is_some(),
            rule.concerns(asked),
            "{rule:?} in\n{sentences}"
        );
        let (Some(sentence), Some(set)) = (sentence, &rule.nodes) else {
            continue;
        };
        let count = match rule.members(model).map(|members| members.len()) {
            None => "no such group: @nosuch".to_owned(),
            Some(0) => "no node".to_owned(),
            Some(1) => "1 node".to_owned(),
            Some(count) => format!("{count} nodes"),
        };
        let expected = format!(" on {set} ({count})");
        assert!(sentence.contains(&expected), "{expected}: {sentence}");
        assert_eq!(
            sentence.starts_with("  may not run "),
            !rule.allow,
            "{sentence}"
        );
    }
}

#[test]
fn plans_runs_and_explanations_follow_the_rules() {
    let mut chance = Chance::new();
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..rounds(6) {
        let model = Model::random(&mut chance);
        let count = 2 + chance.below(5) as usize;
        let rules: Vec<Rule> = (0..count)
            .map(|number| Rule::random(number, &model, &mut chance))
            .collect();
        let site = Site::new();
        site.nodes(&model.file());
        for command in COMMANDS {
            site.command(command, ": > \"$SCRIPT_ROOT/../touched.$run_id.$name\"");
        }
        let texts: String = rules.iter().map(Rule::text).collect();
        let policy = format!("rules:\n- {{name: sight, allow: [list], subjects: ['*']}}\n{texts}");
        site.write("policy.yaml", &policy);
        site.settings(&format!(
            "policy_path: policy.yaml\nlimits: {{nodes: {LIMIT}}}"
        ));
        let server = site.start();
        for _ in 0..8 {
            let asked = Asked::random(&mut chance);
            let set = model.set(&mut chance, true);
            let Some(nodes) = model.select(&set, true).filter(|nodes| !nodes.is_empty()) else {
                continue;
            };
            let told = || format!("{asked:?} on {set} of\n{}\n{policy}", model.file());
            let those = |answers: &[Answer], asked: &Asked| -> BTreeSet<String> {
                let all = nodes.iter();
                let is_one =
                    |node: &&String| answers.contains(&answer(&rules, &model, asked, node));
                all.filter(is_one).cloned().collect()
            };
            let (denied, unreasoned) = (
                those(&[Answer::Denied], &asked),
                those(&[Answer::NeedsReason], &asked),
            );
            let allowed = those(&[Answer::Allowed, Answer::NeedsReason], &asked);

            let api = as_(&server, asked.subject);
            let plan = api.plan(asked.plan(&set)).unwrap();
            assert_eq!(unfolded(&model, &plan.nodes), allowed, "{}", told());
            assert_eq!(
                unfolded(&model, &plan.forbidden_nodes),
                denied,
                "{}",
                told()
            );
            let lacks_reason = !unreasoned.is_empty() && !asked.has_reason;
            assert_eq!(
                plan.requires.is_empty(),
                unreasoned.is_empty(),
                "{}",
                told()
            );

            let (parts, sentences) = explained(&server, &asked, &set);
            for kind in [Answer::Allowed, Answer::NeedsReason, Answer::Denied] {
                let named = parts.iter().filter(|(it, _)| *it == kind);
                let named: BTreeSet<String> = named
                    .flat_map(|(_, nodes)| unfolded(&model, nodes))
                    .collect();
                assert_eq!(
                    named,
                    those(&[kind], &asked),
                    "{kind:?}: {parts:?} {}",
                    told()
                );
            }
            check_sentences(&rules, &model, &asked, &sentences);

            if denied.is_empty() && !lacks_reason {
                let ended = api.run(asked.run(&set));
                let ran_on: BTreeSet<_> = ended.nodes().iter().map(ToString::to_string).collect();
                assert_eq!(ran_on, nodes, "{}", told());
                let is_touched = |node: &String| server.has(format!("touched.{}.{node}", ended.id));
                assert!(nodes.iter().all(is_touched), "{}", told());
                ran += 1;
            } else {
                let (code, text) = api.refused(asked.run(&set));
                assert_eq!(code, Code::PermissionDenied, "{text}: {}", told());
                refused += 1;
            }
        }
    }
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
}
