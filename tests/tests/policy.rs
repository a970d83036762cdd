//! Policy: who may do what, at every door, and how it is explained.

mod answers;

use action_proto::v1::{ListNodesRequest, ListRunsRequest, PlanRunRequest};
use action_tests::{Api, CEILING, Client, Server, Site, on, token, wait_until, with_arguments};
use jsonwebtoken::Algorithm;
use tonic::Code;

const POLICY: &str = r#"
roles:
  operators: [olga, "ops-*"]
rules:
- name: operators run power
  allow: [run]
  roles: [operators]
  commands: ["power-*"]
  nodes: "n[1-4],gone9"
- name: heads are left alone
  deny: [run, cancel:own, cancel:any]
  nodes: "n1"
- name: sizes for change
  allow: [run]
  subjects: [carol]
  commands: [change]
  arguments: [small, "medium-*"]
- name: not by force
  deny: [run]
  commands: [change]
  arguments: ["-f"]
- name: auditors see everything
  allow: [list, read:any]
  roles: [auditor]
- name: everybody may ask
  allow: [run]
  subjects: ["*"]
  commands: [ask]
- name: admins
  allow: [all]
  subjects: [root]
"#;

fn site() -> Site {
    let site = Site::new();
    site.nodes("__groups__: {hidden: 'n[5-6]'}\nn1:\nn2:\nn3:\nn4:\nn5: {ranks: x}\nn6:\n");
    for name in ["power-on", "power-off", "change", "secret"] {
        site.command(name, "echo \"$name\" >> \"$SCRIPT_ROOT/../ran\"; echo done");
    }
    site.command(
        "power-wait",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"",
    );
    site.command_with(
        "ask",
        "help: {summary: s, has_context: false}",
        "echo asked",
    );
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml");
    site
}

fn token_of(site: &Site, subject: &str, roles: &[&str]) -> String {
    let claims = token::with(token::claims(), "sub", subject);
    let claims = token::with(claims, "roles", roles.to_vec());
    token::signed(&claims, &site.secret(), Algorithm::HS256)
}

fn as_(server: &Server, subject: &str, roles: &[&str]) -> Api {
    server.api_with(Some(&token_of(server, subject, roles)))
}

fn client_of(server: &Server, subject: &str, roles: &[&str]) -> Client {
    let token = token_of(server, subject, roles);
    server.client().variable("ACTION_CLIENT_JWT_TOKEN", token)
}

#[track_caller]
fn refused(api: &Api, request: action_proto::v1::RunCommandRequest) -> String {
    let (code, text) = api.refused(request);
    assert_eq!(code, Code::PermissionDenied, "{text}");
    text
}

#[test]
fn rules_give_and_take_and_one_forbidden_node_forbids_all() {
    let server = site().start();
    let olga = as_(&server, "olga", &[]);
    assert_eq!(
        olga.run(on("power-off", "n[2-4]")).nodes(),
        ["n2", "n3", "n4"]
    );
    let ran = server.read("ran");
    insta::assert_snapshot!(
        refused(&olga, on("power-off", "n[1-4]")),
        @"you may not run power-off on n1 (heads are left alone); you may on n[2-4]; nothing was run"
    );
    // Roles come from tokens too, and patterns match subjects.
    for (subject, roles) in [("ops-7", &[][..]), ("bob", &["operators"])] {
        let api = as_(&server, subject, roles);
        assert_eq!(api.run(on("power-on", "n2")).nodes(), ["n2"]);
    }
    let bob = as_(&server, "bob", &[]);
    insta::assert_snapshot!(
        refused(&bob, on("power-off", "n2")),
        @"you may not run this command, or there is none of that name"
    );
    assert_eq!(bob.run(on("ask", "")).answer_of(""), "asked\n");
    let root = as_(&server, "root", &[]);
    insta::assert_snapshot!(
        refused(&root, on("power-off", "n[1-6]")),
        @"you may not run power-off on n1 (heads are left alone); you may on n[2-6]; nothing was run"
    );
    assert_eq!(server.read("ran").lines().count(), ran.lines().count() + 2);
}

#[test]
fn arguments_are_all_to_be_allowed_and_none_to_be_denied() {
    let server = site().start();
    let carol = as_(&server, "carol", &[]);
    for good in [&["small"][..], &["medium-2", "small"]] {
        _ = carol.run(with_arguments("change", "n2", good));
    }
    for bad in [&["large"][..], &["small", "large"], &["mediumx"], &[]] {
        let text = refused(&carol, with_arguments("change", "n2", bad));
        assert!(text.contains("(no rule allows it with"), "{text}");
    }
    let root = as_(&server, "root", &[]);
    _ = root.run(with_arguments("change", "n2", &["large"]));
    let text = refused(&root, with_arguments("change", "n2", &["large", "-f"]));
    assert!(text.contains("(not by force)"), "{text}");
}

#[test]
fn of_what_may_not_be_seen_nothing_is_told() {
    let server = site().start();
    let olga = as_(&server, "olga", &[]);
    assert_eq!(olga.node_names(), ["n1", "n2", "n3", "n4"]);
    assert_eq!(
        olga.command_names(),
        ["ask", "power-off", "power-on", "power-wait"]
    );
    let same = |one: &dyn Fn(&str) -> (Code, String)| {
        // One that is there, and one that is not.
        let [there, not] = ["n5", "n9"].map(|name| {
            let (code, text) = one(name);
            (code, text.replace(name, "NODE"))
        });
        assert_eq!(there, not);
        there
    };
    let (code, text) = same(&|name| olga.refused(on("power-off", name)));
    assert_eq!(code, Code::PermissionDenied);
    insta::assert_snapshot!(text, @"you may not run power-off on all of NODE, or not all of it is there; you may on n[2-4]; nothing was run");
    same(&|name| olga.refused(on("power-off", &format!("n2,{name}"))));
    same(&|name| {
        let request = PlanRunRequest {
            command: "power-off".into(),
            nodes: name.into(),
            report_forbidden: true,
            ..PlanRunRequest::default()
        };
        let status = olga.plan(request).unwrap_err();
        (status.code(), status.message().to_owned())
    });
    same(&|name| {
        let request = ListNodesRequest {
            nodes: name.into(),
            ..ListNodesRequest::default()
        };
        let status = olga.list_nodes(request).unwrap_err();
        (status.code(), status.message().to_owned())
    });
    same(&|name| {
        let request = ListRunsRequest {
            nodes: name.into(),
            ..ListRunsRequest::default()
        };
        let status = olga.list_runs(request).unwrap_err();
        (status.code(), status.message().to_owned())
    });
    // Nor by what is left out, taken away, or true of it.
    for set in ["n2!NODE", "n2,NODE&rank=x", "n2^NODE", "NODE,@nosuch"] {
        same(&|name| olga.refused(on("power-off", &set.replace("NODE", name))));
    }
    same(&|name| {
        let request = action_proto::v1::RunCommandRequest {
            exclude: name.into(),
            ..on("power-off", "n[2-3]")
        };
        olga.refused(request)
    });
    let [there, not] = ["n2,@hidden", "n2,@nosuch"].map(|set| {
        let request = ListNodesRequest {
            nodes: set.into(),
            ..ListNodesRequest::default()
        };
        let status = olga.list_nodes(request).unwrap_err();
        (status.code(), status.message().replace(set, "SET"))
    });
    assert_eq!(there, not);
    let [there, not] = ["secret", "nothing"].map(|name| olga.refused(on(name, "n2")));
    assert_eq!(there, not);
    // Whoever may see everything is told what is wrong.
    let (code, text) = as_(&server, "root", &[]).refused(on("power-off", "n9"));
    assert_eq!(
        (code, text.as_str()),
        (Code::InvalidArgument, "no such node: n9")
    );
}

#[test]
fn runs_are_for_those_who_may_see_and_stop_them() {
    let server = site().start();
    let gate = server.gate("gate");
    let (olga, ops) = (as_(&server, "olga", &[]), as_(&server, "ops-1", &[]));
    let mut run = olga.start(on("power-wait", "n2")).unwrap();
    run.wait_for("n2", "ready\n");
    let seen = |api: &Api| {
        api.list_runs(ListRunsRequest::default())
            .unwrap()
            .runs
            .len()
    };
    let unknown = ops.refused_run("zzzzzzzzzzzzzzzz");
    // Another of the same role has no right to it, and is told as of one that is not there.
    assert_eq!(seen(&ops), 0);
    let (code, text) = ops.refused_run(&run.id);
    assert_eq!((code, text.replace(&run.id, "zzzzzzzzzzzzzzzz")), unknown);
    assert_eq!(ops.watch(&run.id, 0).unwrap_err().code(), Code::NotFound);
    assert_eq!(
        ops.cancel(&run.id, true).unwrap_err().code(),
        Code::NotFound
    );
    // Who may see it may not stop it for that.
    let auditor = as_(&server, "ann", &["auditor"]);
    assert_eq!((seen(&auditor), seen(&olga)), (1, 1));
    assert_eq!(auditor.run_now(&run.id).subject, "olga");
    let status = auditor.cancel(&run.id, false).unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(
        server
            .api_with(Some(&token_of(&server, "root", &[])))
            .cancel(&run.id, true)
            .is_ok()
    );
    _ = run.finish();
    drop(gate);
}

#[test]
fn a_right_that_is_taken_away_ends_what_it_had_opened() {
    let server = site().start();
    let _gate = server.gate("gate");
    let mut run = as_(&server, "olga", &[])
        .start(on("power-wait", "n2"))
        .unwrap();
    run.wait_for("n2", "ready\n");
    let auditor = as_(&server, "ann", &["auditor"]);
    let mut watch = auditor.watch(&run.id, 0).unwrap();
    assert!(watch.read().unwrap().is_some());
    server.write("policy.yaml", POLICY.replace("[list, read:any]", "[list]"));
    let status = wait_until("the watch to end", CEILING, || watch.read().err());
    assert_eq!(status.code(), Code::Unauthenticated);
    let root = as_(&server, "root", &[]);
    root.cancel(&run.id, true).unwrap();
    _ = run.finish();
}

#[test]
fn who_is_denied_a_node_is_denied_what_ran_on_one_that_is_gone() {
    let site = site();
    site.write(
        "policy.yaml",
        "rules:\n- {name: all, allow: [all], subjects: ['*']}\n- {name: heads, deny: ['read:any', 'cancel:any'], subjects: [carl], nodes: n1}\n",
    );
    let server = site.start();
    let run = as_(&server, "olga", &[]).run(on("power-on", "n1"));
    let carl = as_(&server, "carl", &[]);
    assert_eq!(carl.refused_run(&run.id).0, Code::NotFound);
    server.nodes("n2:\n");
    wait_until("n1 to be gone", CEILING, || {
        (carl.node_names() == ["n2"]).then_some(())
    });
    assert_eq!(carl.refused_run(&run.id).0, Code::NotFound);
    assert_eq!(as_(&server, "olga", &[]).run_now(&run.id).subject, "olga");
}

#[test]
fn an_edit_counts_at_once_and_a_broken_one_not_at_all() {
    let server = site().start();
    let bob = as_(&server, "bob", &[]);
    assert!(!bob.command_names().contains(&"change".to_owned()));
    let more =
        format!("{POLICY}- {{name: bob too, allow: [run], subjects: [bob], commands: [change]}}\n");
    server.write("policy.yaml", &more);
    wait_until("bob to be let", CEILING, || {
        bob.command_names()
            .contains(&"change".to_owned())
            .then_some(())
    });
    server.write("policy.yaml", "rules: [");
    server.wait_for_log("the last good policy stays in use");
    assert!(bob.command_names().contains(&"change".to_owned()));
    let site = server.stop();
    let refused = site.refused();
    assert_eq!(refused.code(), 78, "{refused}");
    assert!(refused.stderr().contains("policy.yaml:2: "), "{refused}");
}

#[test]
fn a_group_that_is_gone_opens_no_door() {
    let site = site();
    site.nodes("__groups__: {heads: n1}\nn1:\nn2:\n");
    site.write(
        "policy.yaml",
        "rules:\n- {name: ops, allow: [run], subjects: ['*']}\n- {name: heads, deny: [run], nodes: '@heads'}\n",
    );
    let server = site.start();
    let bob = as_(&server, "bob", &[]);
    _ = bob.run(on("power-on", "n2"));
    assert!(refused(&bob, on("power-on", "n1")).contains("(heads)"));
    server.nodes("n1:\nn2:\n");
    let text = wait_until("the group to be gone", CEILING, || {
        let (code, text) = bob
            .start(on("power-on", "n2"))
            .err()
            .map(|it| (it.code(), it.message().to_owned()))?;
        (code == Code::PermissionDenied).then_some(text)
    });
    assert!(text.contains("(heads: no such group: @heads)"), "{text}");
    let fault = "policy.yaml:3: rule \"heads\": no such group: @heads; until then the rule denies everything";
    server.wait_for_log(fault);
    let checked = server.server_verb(&["check"]);
    assert_eq!(checked.code(), 78, "{checked}");
    assert!(checked.stdout().contains(fault), "{checked}");
}
