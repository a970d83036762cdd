//! Hidden nodes, groups, ranks, values and commands have no part in any answer: two servers that differ
//! in nothing else answer alike.

use action_proto::v1::PlanRunRequest;
use action_tests::{Api, Chance, Server, Site, on, rounds, token};
use jsonwebtoken::Algorithm;
use serde_json::Value;
use tonic::Code;

mod asking;

use asking::{Asker, Asking};

const POLICY: &str = r#"
rules:
- {name: power, allow: [run], subjects: [olga], commands: ["power-*"], nodes: "@compute"}
- {name: everything, allow: [all], subjects: [root, carl, tess, tom]}
- {name: not for carl, deny: [all], subjects: [carl], nodes: "@*!@compute"}
- {name: no wiping, deny: [all], subjects: [carl], commands: ["wipe*", "erase*", state, nothing]}
- {name: audit, allow: [list, "read:any"], subjects: [ann], commands: ["power-*"], nodes: "@compute"}
- {name: stop, allow: ["cancel:any"], subjects: [stan]}
"#;

/// What everybody may see, with what only `root` may.
fn site(groups: &str, hidden: [&str; 3], commands: &[&str], teller: Option<&str>) -> Server {
    let site = Site::new();
    let [first, middle, last] = hidden;
    site.nodes(&format!(
        "__groups__: {{compute: 'c[1-4]', rack1: 'c[1-2]', pair: 'c3,c4', {groups}}}\n\
         {first}c1: {{ranks: aws, site: s1}}\nc2: {{ranks: [aws, gpu], site: s1}}\n\
         {middle}c3: {{site: s2}}\nc4: {{ranks: gpu, site: s2, other: x}}\n{last}"
    ));
    for name in ["power-off", "power-on"] {
        site.command(name, "true");
    }
    site.command_with(
        "power-wait",
        "help: {summary: s}\nverify: {command: state, until: ON}\n",
        "true",
    );
    site.command_with(
        "power-ask",
        "help: {summary: s}\nconfirmation: \"on %{nodes}?\"\n",
        "true",
    );
    site.command_with("once", "help: {summary: s, has_context: false}", "true");
    for name in commands {
        site.command(name, "true");
    }
    if let Some(metadata) = teller {
        site.command_with("state", metadata, "echo ON");
    }
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml\nvisible_metadata: [site]");
    site.start()
}

fn pair() -> [Server; 2] {
    [
        site(
            "vault: 'v1,h1', mixed: 'c1,h1', odd: '@nosuch,c2', hot: 'rank=secret,c2'",
            [
                "h1: {ranks: secret, site: s9}\n",
                "v1: {ranks: aws, site: s1}\n",
                "h2: {ranks: gpu, site: s2}\n",
            ],
            &["wipe", "wipe-now", "nothing"],
            None,
        ),
        site(
            "crypt: 'k1,k2', mixed: 'c1', hot: 'c2'",
            ["", "k1: {ranks: [dark, aws], site: s8}\n", "k2: {}\n"],
            &["erase"],
            Some("help: {summary: s, has_context: false}"),
        ),
    ]
}

/// A caller by its subject and the limits of its token.
const CALLERS: [(&str, Option<&str>, Option<&str>); 6] = [
    ("olga", None, None),
    ("carl", None, None),
    ("tess", Some("power-*"), Some("@compute")),
    ("tom", Some("once"), None),
    ("ann", None, None),
    ("stan", None, None),
];

fn api(server: &Server, (subject, commands, nodes): (&str, Option<&str>, Option<&str>)) -> Api {
    let mut claims = token::with(token::claims(), "sub", subject);
    for (claim, value) in [
        ("commands", commands.map(|it| Value::from(vec![it]))),
        ("nodes", nodes.map(Value::from)),
    ] {
        if let Some(value) = value {
            claims = token::with(claims, claim, value);
        }
    }
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

#[test]
fn two_catalogues_that_differ_in_what_is_hidden_answer_alike() {
    let servers = pair();
    let mut one = Asker::new(&servers[0], "h1", "wipe");
    let mut other = Asker::new(&servers[1], "k1", "erase");
    let mut asking = Asking::new(Chance::new());
    let mut accepted = 0;
    for _ in 0..rounds(1200) {
        let caller = asking.number(CALLERS.len());
        let asked = asking.next(one.runs.len());
        let told = one.ask(caller, &asked);
        assert_eq!(
            told,
            other.ask(caller, &asked),
            "{}: {asked:?}",
            CALLERS[caller].0
        );
        accepted += usize::from(told.starts_with("PlanRunResponse"));
    }
    assert!(rounds(1200) < 1200 || accepted > 5, "{accepted}");
}

#[test]
fn sets_stand_for_what_the_caller_may_list() {
    let [server, _] = pair();
    let olga = api(&server, CALLERS[0]);
    for (set, expected) in [
        ("*", "c[1-4]"),
        ("?[1-3]", "c[1-3]"),
        ("@*", "c[1-4]"),
        ("@mixed", "c1"),
        ("rank=aws", "c[1-2]"),
        ("site=s*!c1", "c[2-4]"),
        ("@*c*", "c[1-4]"),
        ("@v*", ""),
    ] {
        let plan = olga.plan(PlanRunRequest {
            command: "power-on".into(),
            nodes: set.into(),
            ..PlanRunRequest::default()
        });
        let told = plan.map_or_else(|_| String::new(), |plan| plan.nodes);
        assert_eq!(told, expected, "{set}");
    }
    let run = olga.run(on("power-on", "?1"));
    assert_eq!(run.nodes(), ["c1"]);
    // A token for commands alone sees no further than these reach.
    let tom = api(&server, CALLERS[3]);
    assert_eq!(tom.node_names(), Vec::<String>::new());
    assert_eq!(tom.command_names(), ["once"]);
}

#[test]
fn the_right_to_cancel_is_none_to_see() {
    let [server, _] = pair();
    let gate = server.gate("gate");
    server.command(
        "power-slow",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"",
    );
    let olga = api(&server, CALLERS[0]);
    let mut run = action_tests::wait_until("the command", action_tests::CEILING, || {
        olga.start(on("power-slow", "c1")).ok()
    });
    run.wait_for("c1", "ready\n");
    let stan = api(&server, CALLERS[5]);
    // Beginnings of an id list nothing, and find nothing.
    for length in [1, 8, 15] {
        let status = stan.cancel(&run.id[..length], true).unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
    }
    assert_eq!(stan.get_run(&run.id).unwrap_err().code(), Code::NotFound);
    let told = stan.cancel(&run.id, true).unwrap();
    let nothing_more = action_proto::v1::Run {
        run_id: run.id.clone(),
        ..action_proto::v1::Run::default()
    };
    assert_eq!(told, nothing_more);
    let ended = run.finish();
    assert_eq!(
        ended.summary().outcome(),
        action_proto::v1::Outcome::Cancelled
    );
    assert_eq!(stan.cancel(&ended.id, true).unwrap(), nothing_more);
    drop(gate);
}
