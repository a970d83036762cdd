//! Warnings about rules that can never apply.

use std::path::Path;

use super::*;

fn warnings(rules: &str) -> Vec<String> {
    let policy = Policy::parse(Path::new("p"), rules).unwrap();
    let command = |name, takes_nodes| KnownCommand { name, takes_nodes };
    let commands = [
        command("power-on", Some(true)),
        command("power-off", Some(true)),
        command("ask", Some(false)),
        command("broken", None),
    ];
    let faults = PolicyFaults::new(&policy, &commands).into_faults();
    assert!(faults.iter().all(|fault| !fault.is_error()), "{faults:?}");
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn parts_that_match_nothing() {
    for (rule, expected) in [
        (
            "commands: [power-of]",
            Some("\"power-of\" matches no command, so the rule denies nothing"),
        ),
        (
            "commands: ['power-*', power_off]",
            Some("\"power_off\" matches no command"),
        ),
        (
            "commands: ['']",
            Some("\"\" matches no command, so the rule denies nothing"),
        ),
        (
            "commands: ['x*', 'y?', ask]",
            Some("\"x*\" and \"y?\" match no command"),
        ),
        (
            "commands: ['x*', 'y?']",
            Some("\"x*\" and \"y?\" match no command, so the rule denies nothing"),
        ),
        ("commands: ['power-*', broken]", None),
        ("commands: ['*']", None),
        ("commands: [ask]", None),
        (
            "commands: [ask], nodes: n1",
            Some(
                "\"ask\" takes no nodes, and a rule with nodes is not about it, so the rule denies nothing",
            ),
        ),
        (
            "commands: ['ask*', 'power-*'], nodes: n1",
            Some("\"ask*\" takes no nodes, and a rule with nodes is not about it"),
        ),
        ("commands: [broken], nodes: n1", None),
        ("nodes: n1", None),
        (
            "subjects: ['ops-[1-3]', bob]",
            Some(
                "no token has a subject like \"ops-[1-3]\": subjects are letters, digits, and _ . @ - after the first, at most 64; only * and ? are special",
            ),
        ),
        (
            "subjects: ['']",
            Some(
                "no token has a subject like \"\": subjects are letters, digits, and _ . @ - after the first, at most 64; only * and ? are special",
            ),
        ),
        ("subjects: ['*', 'a?c', '*.example', '?@b', bob]", None),
        (
            "roles: ['op*', op]",
            Some("\"op*\" is taken as it is written: roles are no patterns"),
        ),
        ("roles: [nobody-has-it-here]", None),
        ("arguments: ['-f']", None),
    ] {
        let found = warnings(&format!(
            "rules:\n- name: r\n  deny: [run]\n- {{name: d, deny: [run], {rule}}}\n"
        ));
        let expected = expected.map(|reason| format!("p:4: warning: rule \"d\": {reason}"));
        assert_eq!(found, Vec::from_iter(expected), "{rule}");
    }
    assert_eq!(
        warnings("rules:\n- name: d\n  deny: [list]\n\n  arguments: [x]\n"),
        ["p:5: warning: rule \"d\": arguments has no effect: the rule is not about `run`"]
    );
}

#[test]
fn roles_that_no_rule_names_and_members_that_cannot_be() {
    let rules =
        "rules:\n- {name: d, allow: [run], roles: [op]}\nroles:\n  op: [a]\n  operators: [b]\n";
    assert_eq!(
        warnings(rules),
        ["p:5: warning: roles: no rule names \"operators\""]
    );
    let rules = rules.replace("[a]", "['a b']").replace("operators", "op2");
    let found = warnings(&rules);
    assert!(
        found[0].starts_with("p:4: warning: role \"op\": no token has a subject like \"a b\""),
        "{found:?}"
    );
    assert_eq!(found[1..], ["p:5: warning: roles: no rule names \"op2\""]);
}
