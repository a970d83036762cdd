//! `explain` says what the server does, also where rules take something away again.

use action_tests::Site;

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
