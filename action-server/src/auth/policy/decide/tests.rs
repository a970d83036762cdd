//! The decider against a model that is as plain as the page that explains policies.

mod cases;

use std::{path::Path, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::auth::TokenGrant;

const SUBJECTS: [&str; 3] = ["alice", "bob", "ci-1"];
const ROLES: [&str; 2] = ["op", "guest"];
const COMMANDS: [&str; 3] = ["power-on", "power-off", "usage"];
const ARGUMENTS: [&str; 4] = ["small", "large", "-f", ""];
const REQUIREMENTS: [&str; 2] = ["reason", "plan"];
const NODES: usize = 3;

/// A rule as the test writes it: an absent list is no limit.
#[derive(Debug, Clone)]
struct Written {
    allow: bool,
    rights: Vec<Right>,
    subjects: Option<Vec<&'static str>>,
    roles: Option<Vec<&'static str>>,
    commands: Option<Vec<&'static str>>,
    arguments: Option<Vec<&'static str>>,
    /// For each node whether the set has it, `None` where that is not known; `Err` for a set that
    /// cannot be resolved.
    nodes: Option<Result<Vec<Option<bool>>, ()>>,
    require: Option<Vec<&'static str>>,
}

#[derive(Debug, Clone)]
struct Asked {
    subject: &'static str,
    roles: Vec<&'static str>,
    token_commands: Option<Vec<&'static str>>,
    token_nodes: Option<Vec<bool>>,
    right: Right,
    command: &'static str,
    arguments: Vec<&'static str>,
    brings: Vec<&'static str>,
    on: PolicyTarget,
}

fn some_of(all: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(all, 0..=all.len())
}

fn limit(all: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<&'static str>>> {
    proptest::option::of(proptest::sample::subsequence(all, 1..=all.len()))
}

fn rule() -> impl Strategy<Value = Written> {
    let nodes = prop_oneof![
        4 => proptest::collection::vec(any::<Option<bool>>(), NODES).prop_map(Ok),
        1 => Just(Err(())),
    ];
    (
        any::<bool>(),
        proptest::sample::subsequence(&Right::ALL[..], 1..=3),
        limit(&SUBJECTS),
        limit(&ROLES),
        limit(&COMMANDS),
        limit(&ARGUMENTS),
        proptest::option::of(nodes),
        limit(&REQUIREMENTS),
    )
        .prop_map(
            |(allow, rights, subjects, roles, commands, arguments, nodes, require)| Written {
                // Only what allows runs can require something of them.
                require: require.filter(|_| allow && rights.contains(&Right::Run)),
                // An allow rule says to whom.
                subjects: subjects.or((allow && roles.is_none()).then(|| SUBJECTS.to_vec())),
                allow,
                rights,
                roles,
                commands,
                arguments,
                nodes,
            },
        )
}

fn asked() -> impl Strategy<Value = Asked> {
    let on = prop_oneof![
        Just(PolicyTarget::Nothing),
        Just(PolicyTarget::Node(None)),
        Just(PolicyTarget::OwnGone),
        (0..NODES).prop_map(|at| PolicyTarget::Node(Some(at))),
    ];
    (
        proptest::sample::select(&SUBJECTS[..]),
        some_of(&ROLES),
        proptest::option::of(some_of(&COMMANDS)),
        proptest::option::of(proptest::collection::vec(any::<bool>(), NODES)),
        proptest::sample::select(&Right::ALL[..]),
        proptest::sample::select(&COMMANDS[..]),
        some_of(&ARGUMENTS),
        some_of(&REQUIREMENTS),
        on,
    )
        .prop_map(
            |(
                subject,
                roles,
                token_commands,
                token_nodes,
                right,
                command,
                arguments,
                brings,
                on,
            )| Asked {
                subject,
                roles,
                token_commands,
                token_nodes,
                right,
                command,
                arguments,
                brings,
                on,
            },
        )
}

/// What the page says, word for word: something is allowed when the token allows it, some rule
/// allows it, and none denies it.
fn model(rules: &[Written], asked: &Asked) -> bool {
    let in_set = |set: &[bool]| match asked.on {
        PolicyTarget::Node(Some(at)) => set[at],
        on => on == PolicyTarget::OwnGone,
    };
    let token = asked
        .token_commands
        .as_ref()
        .is_none_or(|commands| commands.contains(&asked.command))
        && asked.token_nodes.as_ref().is_none_or(|set| in_set(set));
    token
        && rules.iter().any(|rule| rule.allow && holds(rule, asked))
        && !rules.iter().any(|rule| !rule.allow && holds(rule, asked))
}

/// Whether a rule is about what is asked.
fn holds(rule: &Written, asked: &Asked) -> bool {
    let who = match (&rule.subjects, &rule.roles) {
        (None, None) => true,
        (subjects, roles) => {
            subjects.iter().flatten().any(|name| *name == asked.subject)
                || roles
                    .iter()
                    .flatten()
                    .any(|role| asked.roles.contains(role))
        }
    };
    let right = rule.rights.iter().any(|right| {
        *right == asked.right
            || rule.allow
                && matches!(
                    (right, asked.right),
                    (Right::Run, Right::List | Right::ReadOwn | Right::CancelOwn)
                        | (Right::ReadAny, Right::ReadOwn)
                        | (Right::CancelAny, Right::CancelOwn)
                )
    });
    let command = rule
        .commands
        .as_ref()
        .is_none_or(|commands| commands.contains(&asked.command));
    let arguments = match &rule.arguments {
        Some(known) if asked.right == Right::Run => {
            let mut given = asked.arguments.iter();
            match rule.allow {
                _ if asked.arguments.is_empty() => known.contains(&""),
                true => given.all(|it| known.contains(it)),
                false => given.any(|it| known.contains(it)),
            }
        }
        _ => true,
    };
    let nodes = match &rule.nodes {
        None => true,
        // Of a node that is gone it is not known whether it was one of them.
        Some(Ok(set)) => match asked.on {
            // Of a node whose ranks are not known, what denies holds and what allows does not.
            PolicyTarget::Node(Some(at)) => set[at].unwrap_or(!rule.allow),
            PolicyTarget::Node(None) => !rule.allow,
            // Of one in the caller's own run the rules say what they say of others.
            PolicyTarget::OwnGone => rule.allow,
            PolicyTarget::Nothing => false,
        },
        Some(Err(())) => !rule.allow,
    };
    let brings = asked.right != Right::Run
        || rule
            .require
            .iter()
            .flatten()
            .all(|name| asked.brings.contains(name));
    who && right && command && arguments && nodes && brings
}

/// Whether a command is listed: somewhere it may be seen, by a rule that lets it be run only where
/// no rule denies that whatever the arguments are.
fn is_listed(rules: &[Written], asked: &Asked, takes_nodes: bool, must_be_of_use: bool) -> bool {
    let places = if takes_nodes {
        (0..NODES).map(|at| PolicyTarget::Node(Some(at))).collect()
    } else {
        vec![PolicyTarget::Nothing]
    };
    places.into_iter().any(|on| {
        let to = |right| Asked {
            right,
            on,
            ..asked.clone()
        };
        let refuses = |rule: &Written| {
            !rule.allow && rule.arguments.is_none() && holds(rule, &to(Right::Run))
        };
        let is_refused = must_be_of_use && rules.iter().any(refuses);
        let of_use = rules
            .iter()
            .filter(|rule| !(rule.allow && is_refused && rule.rights.contains(&Right::Run)));
        let of_use: Vec<Written> = of_use.cloned().collect();
        model(&of_use, &to(Right::List))
    })
}

/// The rules as a policy file.
fn text(rules: &[Written]) -> String {
    let mut text = String::from("rules:\n");
    if rules.is_empty() {
        text = "rules: []\n".into();
    }
    for (at, rule) in rules.iter().enumerate() {
        let rights: Vec<_> = rule.rights.iter().map(|right| right.label()).collect();
        let effect = if rule.allow { "allow" } else { "deny" };
        text += &format!("- name: r{at}\n  {effect}: {rights:?}\n");
        for (key, list) in [
            ("subjects", &rule.subjects),
            ("roles", &rule.roles),
            ("commands", &rule.commands),
            ("arguments", &rule.arguments),
            ("require", &rule.require),
        ] {
            if let Some(list) = list {
                text += &format!("  {key}: {list:?}\n");
            }
        }
        if rule.nodes.is_some() {
            text += "  nodes: some\n";
        }
    }
    text
}

proptest! {
    #[test]
    fn decides_as_the_model_does(rules in proptest::collection::vec(rule(), 0..6), asked in asked()) {
        let policy = Policy::parse(Path::new("p"), &text(&rules)).unwrap();
        let cover = |at: usize, _: &str| {
            match rules[at].nodes.clone().unwrap() {
                Ok(nodes) => NodeScope::Nodes {
                    sure: nodes.iter().map(|is| *is == Some(true)).collect(),
                    possible: nodes.iter().map(|is| *is != Some(false)).collect(),
                },
                Err(()) => NodeScope::Unknown("no such group".into()),
            }
        };
        let resolved = Arc::new(ResolvedRules::new(Arc::new(policy), &COMMANDS, NODES, cover));
        let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let caller = Caller {
            subject: asked.subject.into(),
            roles: strings(&asked.roles),
            grant: TokenGrant { commands: asked.token_commands.as_deref().map(strings), nodes: None },
            ..Caller::default()
        };
        let own = asked.token_nodes.clone().map_or(NodeScope::Everything, |nodes| NodeScope::Nodes {
            sure: nodes.clone(),
            possible: nodes,
        });
        let decider = Authorizer::new(resolved, &caller, own);
        let arguments = strings(&asked.arguments);
        let brings = RunRequirements {
            reason: asked.brings.contains(&"reason"),
            plan: asked.brings.contains(&"plan"),
        };
        let ask = AccessRequest { right: asked.right, command: asked.command, arguments: &arguments, brings };
        let verdict = decider.prepare_question(ask).decide(asked.on);
        prop_assert_eq!(verdict.allowed, model(&rules, &asked));
        // What is said to be missing is what is missing.
        if !verdict.missing.is_empty() {
            let more = AccessRequest { brings: brings | verdict.missing, ..ask };
            prop_assert!(!verdict.allowed && decider.prepare_question(more).decide(asked.on).allowed);
        } else {
            let brings_all = Asked { brings: REQUIREMENTS.to_vec(), ..asked.clone() };
            prop_assert_eq!(verdict.allowed, model(&rules, &brings_all));
        }
        // What may be done may be seen.
        let takes_away = rules.iter().any(|rule| {
            let takes = [Right::List, Right::Run].iter().any(|right| rule.rights.contains(right));
            !rule.allow && takes
        });
        if let (true, false, Right::Run | Right::List) = (verdict.allowed, takes_away, asked.right) {
            match asked.on {
                PolicyTarget::Node(Some(at)) => prop_assert!(decider.listed_nodes()[at] && decider.lists_command(asked.command, true)),
                PolicyTarget::Node(None) | PolicyTarget::OwnGone => {}
                PolicyTarget::Nothing => prop_assert!(decider.lists_command(asked.command, false)),
            }
        }
        for takes_nodes in [true, false] {
            let listed = |must_be_of_use| is_listed(&rules, &asked, takes_nodes, must_be_of_use);
            prop_assert_eq!(decider.sees_command(asked.command, takes_nodes), listed(false));
            prop_assert_eq!(decider.lists_command(asked.command, takes_nodes), listed(true));
        }
        // A node is seen where some command is, also one that no rule and no token names.
        for (at, is_listed) in decider.listed_nodes().into_iter().enumerate() {
            let mut commands = COMMANDS.into_iter().chain(["another"]);
            let expected = commands.any(|command| model(&rules, &Asked {
                right: Right::List,
                command,
                on: PolicyTarget::Node(Some(at)),
                ..asked.clone()
            }));
            prop_assert_eq!(is_listed, expected, "{}", at);
        }
    }
}

/// A caller of a policy on three nodes, with what the sets of rules cover.
fn decider(rules: &str, covers: &[NodeScope]) -> Authorizer {
    let policy = Policy::parse(Path::new("p"), rules).unwrap();
    let cover = |at: usize, _: &str| covers[at].clone();
    let rules = ResolvedRules::new(Arc::new(policy), &COMMANDS, NODES, cover);
    let caller = Caller {
        subject: "alice".into(),
        ..Caller::default()
    };
    Authorizer::new(Arc::new(rules), &caller, NodeScope::Everything)
}

fn nodes(set: [bool; NODES]) -> NodeScope {
    NodeScope::Nodes {
        sure: set.to_vec(),
        possible: set.to_vec(),
    }
}
