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
            "subjects: [' ', '-*']",
            Some(
                "no token has a subject like \" \" and \"-*\": subjects are letters, digits, and _ . @ - after the first, at most 64; only * and ? are special",
            ),
        ),
        (
            "subjects: ['*', bob], roles: [op]",
            Some(
                "roles has no effect: subjects names everybody, and a rule is about those whom either names",
            ),
        ),
        ("subjects: ['b*'], roles: [op]", None),
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

/// `*` may be no text at all.
#[test]
fn the_longest_subject_and_a_star() {
    let long = "a".repeat(64);
    for (pattern, is_told) in [
        (format!("{long}*"), false),
        (format!("*{long}*"), false),
        (format!("{long}?"), true),
        (format!("{long}a*"), true),
    ] {
        for rules in [
            format!("rules:\n- {{name: d, deny: [run], subjects: ['{pattern}']}}\n"),
            format!(
                "roles: {{op: ['{pattern}']}}\nrules:\n- {{name: d, deny: [run], roles: [op]}}\n"
            ),
        ] {
            assert_eq!(warnings(&rules).len(), usize::from(is_told), "{rules}");
        }
    }
}

#[test]
fn a_rule_whose_all_another_denies() {
    let told = |allow: &str, deny: &str| {
        let found = warnings(&format!(
            "rules:\n- {{name: d, {deny}}}\n- {{name: a, {allow}}}\n"
        ));
        let reason = "p:3: warning: rule \"a\": the rule \"d\" denies all that this one allows, so the rule allows nothing";
        found.iter().any(|it| it == reason)
    };
    for (allow, deny, expected) in [
        ("allow: [run], subjects: [bob]", "deny: [all]", true),
        ("allow: [run], subjects: [bob]", "deny: [run]", false),
        ("allow: [list], subjects: [bob]", "deny: [list]", true),
        (
            "allow: [all], subjects: [bob]",
            "deny: [all], subjects: ['*']",
            true,
        ),
        (
            "allow: [all], subjects: [bob]",
            "deny: [all], subjects: [bob]",
            true,
        ),
        (
            "allow: [all], subjects: [bob]",
            "deny: [all], subjects: [eve]",
            false,
        ),
        (
            "allow: [all], subjects: [bob], roles: [op]",
            "deny: [all], subjects: [bob]",
            false,
        ),
        (
            "allow: [all], subjects: [bob]",
            "deny: [all], commands: [ask]",
            false,
        ),
        (
            "allow: [all], subjects: [bob], commands: [ask]",
            "deny: [all], commands: [ask]",
            true,
        ),
        (
            "allow: [all], subjects: [bob], nodes: n1",
            "deny: [all], nodes: n1",
            false,
        ),
        (
            "allow: [all], subjects: [bob]",
            "deny: [all], arguments: ['*']",
            false,
        ),
        (
            "allow: [all], subjects: [bob]",
            "deny: [all], arguments: ['*', '']",
            true,
        ),
        (
            "allow: [all], subjects: [bob, eve], commands: [ask, power-on]",
            "deny: [all], subjects: [eve, bob], commands: [power-on, ask]",
            true,
        ),
        (
            "allow: [all], subjects: [bob], commands: [ask]",
            "deny: [all], subjects: [al, bob], commands: [power-on, ask]",
            true,
        ),
        (
            "allow: [all], subjects: [bob, eve]",
            "deny: [all], subjects: [bob]",
            false,
        ),
        (
            "allow: [all], subjects: [bob], commands: [ask, power-on]",
            "deny: [all], commands: [ask]",
            false,
        ),
        (
            "allow: [all], roles: [op]",
            "deny: [all], subjects: [bob], roles: [admin, op]",
            true,
        ),
        (
            "allow: [all], subjects: [bob], roles: [op]",
            "deny: [all], roles: [op]",
            false,
        ),
        (
            "allow: [all], subjects: [bob], arguments: [a, b]",
            "deny: [all], arguments: [b, c, a]",
            true,
        ),
    ] {
        assert_eq!(told(allow, deny), expected, "{allow}; {deny}");
    }
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
