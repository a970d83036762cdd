//! Rules that do not do what they look like: a run without arguments needs a rule that says so, empty lists
//! are errors, what can never apply is told of by `check`, `explain` and the log, and the size of a set limits no right.

use action_tests::{Api, CEILING, Server, Site, on, token, wait_until, with_arguments};
use jsonwebtoken::Algorithm;

const NODES: &str = "__groups__: {spare: ''}\nlogin1:\nlogin2:\nlogin3:\nlogin4:\nc1:\n";

fn site(policy: &str) -> Site {
    let site = Site::new();
    site.nodes(NODES);
    for name in ["power-on", "power-off"] {
        site.command(name, "echo done");
    }
    site.command_with(
        "ask",
        "help: {summary: s, has_context: false}",
        "echo asked",
    );
    site.write("policy.yaml", policy);
    site.settings("policy_path: policy.yaml");
    site
}

fn as_(server: &Server, claims: &[(&str, &str)]) -> Api {
    let claims = claims
        .iter()
        .fold(token::claims(), |claims, (name, value)| {
            token::with(claims, name, *value)
        });
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

const IDLE: &str = r#"roles:
  operators: [olga, "ops [1-3]"]
  nurses: [ned]
rules:
- name: ops
  allow: [run]
  roles: [operators]
  commands: ["power-*", power-of]
  nodes: "c1,@spare,x9"
- name: logins are left alone
  deny: [run]
  nodes: "login[01-04]"
- {name: no asking, deny: [run], commands: [ask], nodes: "@*"}
- {name: nothing to spare, deny: [run], nodes: '@spare'}
- {name: none, deny: [run], commands: [none, "no*"]}
"#;

#[test]
fn rules_that_can_never_apply_are_told_of() {
    let site = site(IDLE);
    insta::assert_snapshot!(site.server_verb(&["check"]), @r#"
    SITE/policy.yaml:2: warning: role "operators": no token has a subject like "ops [1-3]": subjects are letters, digits, and _ . @ - after the first, at most 64; only * and ? are special
    SITE/policy.yaml:3: warning: roles: no rule names "nurses"
    SITE/policy.yaml:8: warning: rule "ops": "power-of" matches no command
    SITE/policy.yaml:9: warning: rule "ops": nodes that are not defined are left out: x9
    SITE/policy.yaml:9: warning: rule "ops": groups without members are left out: @spare
    SITE/policy.yaml:12: warning: rule "logins are left alone": the node set "login[01-04]" matches no node, so the rule denies nothing
    SITE/policy.yaml:13: warning: rule "no asking": "ask" takes no nodes, and a rule with nodes is not about it, so the rule denies nothing
    SITE/policy.yaml:14: warning: rule "nothing to spare": the node set "@spare" matches no node, so the rule denies nothing
    SITE/policy.yaml:15: warning: rule "none": "none" and "no*" match no command, so the rule denies nothing
    ------- stderr -------
    5 nodes and 3 commands can be used; 0 errors, 9 warnings
    ------- exit 0 -------
    "#);
    let explained = site.server_verb(&["explain", "--subject", "olga"]).ok();
    for line in site.server_verb(&["check"]).stdout().lines() {
        assert!(explained.stdout().contains(line), "{line}: {explained}");
    }
    let checked = site.server_verb(&["check"]).stdout();
    let server = site.start();
    for line in checked.lines() {
        server.wait_for_log(line.trim_start_matches("SITE"));
    }
}

#[test]
fn the_log_tells_of_a_warning_when_it_comes_and_when_it_goes() {
    let server = site(IDLE).start();
    let logins = "rule \"logins are left alone\": the node set \"login[01-04]\" matches no node, so the rule denies nothing";
    let count = |text: &str| server.log().matches(text).count();
    server.wait_for_log(logins);
    // Edits of either file repeat nothing: not where the rule has moved, nor where a node is new.
    server.write(
        "policy.yaml",
        format!("# moved\n{IDLE}- {{name: a, deny: [run], commands: [one]}}\n"),
    );
    server.wait_for_log("rule \"a\": \"one\" matches no command");
    server.nodes(&format!("{NODES}c2:\n"));
    let seen = || as_(&server, &[("sub", "olga")]).node_names();
    wait_until("the log of the edit", CEILING, || {
        (seen() == ["c1"]).then_some(())
    });
    server.command("one", "echo one");
    wait_until("the command that is there now", CEILING, || {
        (count("rule \"a\": \"one\" matches no command") == 2).then_some(())
    });
    assert_eq!(count(logins), 1, "{}", server.log());
    // The nodes are there, and the warning is not true any more.
    server.nodes(&format!("{NODES}login01:\n"));
    server.wait_for_log(
        "rule \"logins are left alone\": nodes that are not defined are left out: login[02-04]",
    );
    wait_until("the mended warning", CEILING, || {
        (count(logins) == 2).then_some(())
    });
    // They are gone again.
    server.nodes(NODES);
    wait_until("the warning again", CEILING, || {
        (count(logins) == 3).then_some(())
    });
}

#[test]
fn an_empty_list_is_an_error_at_every_door() {
    for (key, remedy) in [
        ("allow", "name a right, or remove the rule"),
        (
            "subjects",
            "name a subject, write ['*'] for everybody, or remove the rule",
        ),
        ("roles", "name a role, or remove the rule"),
        ("commands", "name one, or leave it out for all commands"),
        ("nodes", "write one node set as a text"),
        (
            "arguments",
            "name one, write [''] for runs without arguments, or leave it out for any",
        ),
        ("require", "name reason or plan, or leave it out"),
    ] {
        let mut rule = format!("  {key}: []\n");
        if key != "allow" {
            rule += "  allow: [run]\n";
        }
        if !["subjects", "roles"].contains(&key) {
            rule += "  subjects: ['*']\n";
        }
        let site = site(&format!(
            "rules:\n- {{name: b, deny: [run]}}\n- name: mine\n{rule}"
        ));
        for ran in [
            site.server_verb(&["check"]),
            site.server_verb(&["explain"]),
            site.refused(),
        ] {
            assert_eq!(ran.code(), 78, "{ran}");
            let text = ran.stderr();
            assert!(text.contains("policy.yaml:4: rule 2 (\"mine\"): "), "{ran}");
            assert!(text.contains(key) && text.contains(remedy), "{ran}");
        }
    }
}

#[test]
fn a_limit_on_runs_is_no_limit_on_rights() {
    let policy = "\
rules:
- {name: all, allow: [run], subjects: [olga], nodes: 'login[1-40],c[1-99999]'}
- {name: group, allow: [run], subjects: [greta], nodes: '@many'}
- {name: heads, deny: [run], nodes: 'login[4-99999]'}
- {name: ned, allow: [run], subjects: [ned]}
";
    let site = site(policy);
    site.nodes(&NODES.replace("spare: ''", "many: '@*!x[1-99999]'"));
    site.settings("limits: {nodes: 2}");
    let server = site.start();
    for subject in ["olga", "greta", "ned"] {
        let api = as_(&server, &[("sub", subject)]);
        assert_eq!(api.run(on("power-on", "login1,c1")).nodes().len(), 2);
        let (_, text) = api.refused(on("power-on", "login4"));
        assert!(text.contains("(heads)"), "{text}");
    }
    // Runs have their limit.
    let ned = as_(&server, &[("sub", "ned")]);
    let (_, text) = ned.refused(on("power-on", "login[1-3]"));
    assert!(text.contains("limits.nodes"), "{text}");
    for nodes in ["@*", "login[1-99999],c1", "@many", "*"] {
        let api = as_(&server, &[("sub", "ned"), ("nodes", nodes)]);
        assert_eq!(
            api.run(on("power-on", "login1,c1")).nodes().len(),
            2,
            "{nodes}"
        );
    }
    let all = ["generate-token", "--subject", "ned", "--nodes", "@*"];
    _ = server.server_verb(&all).ok();
    let checked = server.server_verb(&["check"]).ok();
    assert!(
        checked
            .stdout()
            .contains("left out: login[5-40],some of c[1-99999]\n"),
        "{checked}"
    );
}

#[test]
fn a_command_that_is_denied_everywhere_is_not_listed() {
    for (right, set) in [
        ("run", "@*"),
        ("list", "@*"),
        ("all", "@*"),
        ("run", "login[1-4],c*"),
        ("run", "@nosuch"),
        ("list", "@nosuch"),
        ("all", "@nosuch"),
    ] {
        let policy = format!(
            "rules:\n- {{name: ops, allow: [run], subjects: [olga]}}\n- {{name: admins, allow: [all], subjects: [root]}}\n- {{name: d, deny: [{right}], commands: [power-off], nodes: '{set}'}}\n"
        );
        let server = site(&policy).start();
        for subject in ["olga", "root"] {
            let api = as_(&server, &[("sub", subject)]);
            assert_eq!(
                api.command_names(),
                ["ask", "power-on"],
                "{subject}, deny {right} on {set}"
            );
            let (code, text) = api.refused(on("power-off", "c1"));
            assert_eq!(code, tonic::Code::PermissionDenied, "{text}");
        }
        // One node that is left is enough.
        server.nodes(&format!("{NODES}d1:\n"));
        if set.contains("c*") {
            let api = as_(&server, &[("sub", "olga")]);
            wait_until("the new node", CEILING, || {
                (api.command_names() == ["ask", "power-off", "power-on"]).then_some(())
            });
        }
    }
}

#[test]
fn a_run_without_arguments_needs_a_rule_that_says_so() {
    let site = Site::new();
    site.nodes("n1:\n");
    site.command("change", "echo \"${1:-large}\"");
    site.write(
        "policy.yaml",
        "rules:\n- {name: small, allow: [run], subjects: [carol], arguments: ['*-small']}\n- {name: any, allow: [run], subjects: [dora], arguments: ['', '*-small']}\n- {name: all, allow: [run], subjects: [erik]}\n- {name: not large, deny: [run], subjects: [erik], arguments: ['', '*-large']}\n",
    );
    site.settings("policy_path: policy.yaml");
    let server = site.start();
    for (subject, arguments, expected) in [
        ("carol", &[][..], None),
        ("carol", &["x-small"], Some("x-small\n")),
        ("carol", &[""], None),
        ("dora", &[], Some("large\n")),
        ("dora", &["x-small"], Some("x-small\n")),
        ("dora", &["x-large"], None),
        ("erik", &[], None),
        ("erik", &["x-large"], None),
        ("erik", &["x-small"], Some("x-small\n")),
    ] {
        let api = as_(&server, &[("sub", subject)]);
        let request = with_arguments("change", "n1", arguments);
        match expected {
            Some(output) => assert_eq!(api.run(request).answer_of("n1"), output),
            None => {
                let (code, text) = api.refused(request);
                assert_eq!(
                    code,
                    tonic::Code::PermissionDenied,
                    "{subject} {arguments:?}: {text}"
                );
            }
        }
    }
    // It is listed all the same: the caller may run it, with the right arguments.
    assert_eq!(
        as_(&server, &[("sub", "carol")]).command_names(),
        ["change"]
    );
    let refused = as_(&server, &[("sub", "carol")])
        .refused(on("change", "n1"))
        .1;
    assert!(
        refused.contains("(no rule allows it without arguments)"),
        "{refused}"
    );
}
