//! Single cases beside the property test.

use super::*;

#[test]
fn a_run_without_arguments_is_named_by_the_empty_text_alone() {
    for (effect, arguments, given, expected) in [
        ("allow", "['*-small']", &[][..], false),
        ("allow", "['*-small']", &["x-small"], true),
        ("allow", "['*-small', '']", &[], true),
        ("allow", "['*-small', '']", &["large"], false),
        ("allow", "['']", &[], true),
        ("allow", "['']", &["x"], false),
        ("allow", "['*']", &[], false),
        ("allow", "['*']", &["x"], true),
        ("allow", "['*', '']", &[], true),
        ("deny", "['*-large']", &[], true),
        ("deny", "['*-large']", &["x-large"], false),
        ("deny", "['*-large', '']", &[], false),
        ("deny", "['*-large', '']", &["x-small"], true),
        ("deny", "['']", &[], false),
        ("deny", "['*']", &[], true),
        ("deny", "['*']", &["x"], false),
        ("deny", "['*', '']", &[], false),
    ] {
        let mut text = format!(
            "rules:\n- {{name: r, {effect}: [run], subjects: [alice], arguments: {arguments}}}\n"
        );
        if effect == "deny" {
            text += "- {name: all, allow: [run], subjects: [alice]}\n";
        }
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        let ask = AccessRequest {
            right: Right::Run,
            command: "usage",
            arguments: &given,
            brings: RunRequirements::NONE,
        };
        let decider = decider(&text, &[]);
        let verdict = decider.prepare_question(ask).decide(PolicyTarget::Nothing);
        assert_eq!(verdict.allowed, expected, "{effect} {arguments} {given:?}");
    }
}

#[test]
fn a_command_that_rules_deny_everywhere_is_not_listed() {
    let unknown = || NodeScope::Unknown("no such group: @x".into());
    let everything = || NodeScope::Everything;
    for (allowed, denied, cover, seen, listed) in [
        ("run", "run", nodes([true; NODES]), true, false),
        ("run", "list", nodes([true; NODES]), false, false),
        ("all", "all", nodes([true; NODES]), false, false),
        ("all", "run", unknown(), true, false),
        ("run", "list", unknown(), false, false),
        ("run", "run", nodes([true, false, true]), true, true),
        ("run", "list", nodes([true, false, true]), true, true),
        ("run", "run", everything(), true, false),
        // A right of its own: whoever may see and not run goes on seeing.
        ("list", "run", nodes([true; NODES]), true, true),
        ("list", "run", everything(), true, true),
        ("run", "read:own", nodes([true; NODES]), true, true),
    ] {
        let text = format!(
            "rules:\n- {{name: a, allow: [{allowed}], subjects: [alice]}}\n- {{name: d, deny: ['{denied}'], nodes: x}}\n"
        );
        let decider = decider(&text, &[everything(), cover.clone()]);
        let found = (
            decider.sees_command("usage", true),
            decider.lists_command("usage", true),
        );
        assert_eq!(
            found,
            (seen, listed),
            "allow {allowed}, deny {denied} on {cover:?}"
        );
    }
    // Two rules together, and one that is about some arguments only.
    let text = "rules:\n- {name: a, allow: [run], subjects: [alice]}\n- {name: b, deny: [run], nodes: x}\n- {name: c, deny: [run], nodes: y, ARGS}\n";
    let covers = [
        everything(),
        nodes([true, true, false]),
        nodes([false, false, true]),
    ];
    for (arguments, listed) in [
        ("commands: ['*']", false),
        ("arguments: ['-f']", true),
        ("arguments: ['*', '']", false),
    ] {
        let decider = decider(&text.replace("ARGS", arguments), &covers);
        assert_eq!(decider.lists_command("usage", true), listed, "{arguments}");
    }
}

#[test]
fn no_nodes_and_hidden_nodes_show_the_same_commands() {
    let none = || NodeScope::Nodes {
        sure: Vec::new(),
        possible: Vec::new(),
    };
    let all = || nodes([true; NODES]);
    for (rules, covers, hidden) in [
        ("- {name: d, deny: [list], nodes: x}\n", none(), all()),
        ("- {name: d, deny: [all], nodes: x}\n", none(), all()),
        ("", none(), none()),
    ] {
        let text = format!("rules:\n- {{name: a, allow: [run], subjects: [alice]}}\n{rules}");
        let seen = |count, cover: &NodeScope| {
            let policy = Policy::parse(Path::new("p"), &text).unwrap();
            let rules =
                ResolvedRules::new(Arc::new(policy), &COMMANDS, count, |_, _| cover.clone());
            let caller = Caller {
                subject: "alice".into(),
                ..Caller::default()
            };
            let decider = Authorizer::new(Arc::new(rules), &caller, NodeScope::Everything);
            decider.sees_command("usage", true)
        };
        assert_eq!(seen(0, &covers), seen(NODES, &hidden), "{rules}");
        assert_eq!(seen(0, &covers), rules.is_empty());
    }
}

#[test]
fn without_a_policy_a_token_may_what_it_says() {
    let rules = ResolvedRules::new(Arc::new(Policy::open()), &[], 0, |_, _| {
        NodeScope::Unknown(String::new())
    });
    let decider = Authorizer::new(Arc::new(rules), &Caller::default(), NodeScope::Everything);
    assert!(decider.has_all(Right::List));
    for right in Right::ALL {
        let ask = AccessRequest {
            right,
            command: "any",
            arguments: &["x".to_owned()],
            brings: RunRequirements::NONE,
        };
        let verdict = decider.prepare_question(ask).decide(PolicyTarget::Nothing);
        assert_eq!((verdict.allowed, verdict.rule), (true, "any token"));
    }
}
