//! Groups and rules over nodes that are gone or broken: what is undefined is left out, what is broken
//! is unknown, and a reload, a start and `check` say and do the same.

mod agreement;

use action_proto::v1::PlanRunRequest;
use action_tests::{Api, CEILING, Server, Site, on, token, wait_until};
use jsonwebtoken::Algorithm;
use tonic::Code;

fn compute(nodes: impl IntoIterator<Item = usize>) -> String {
    nodes
        .into_iter()
        .map(|number| format!("cnode{number:03}: {{}}\n"))
        .collect()
}

fn site(nodes: &str, policy: &str) -> Site {
    let site = Site::new();
    site.nodes(nodes);
    for name in ["power-off", "power-on"] {
        site.command(name, "touch \"$SCRIPT_ROOT/../ran.$name\"; echo done");
    }
    site.write("policy.yaml", policy);
    site.settings("policy_path: policy.yaml");
    site
}

fn claims_of(subject: &str) -> serde_json::Value {
    token::with(token::claims(), "sub", subject)
}

fn as_(server: &Server, subject: &str) -> Api {
    let token = token::signed(&claims_of(subject), &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

/// A caller whose token is for some nodes only.
fn narrowed(server: &Server, nodes: &str) -> Api {
    let claims = token::with(claims_of("root"), "nodes", nodes);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

fn planned(api: &Api, nodes: &str) -> Result<action_proto::v1::PlanRunResponse, String> {
    let request = PlanRunRequest {
        command: "power-off".into(),
        nodes: nodes.into(),
        report_forbidden: true,
        ..PlanRunRequest::default()
    };
    api.plan(request)
        .map_err(|status| status.message().to_owned())
}

/// Which of these nodes may be run on, which not, and by which rules; or why there is no plan.
fn allowed(api: &Api, nodes: &str) -> String {
    match planned(api, nodes) {
        Err(text) => text,
        Ok(plan) => format!(
            "run on [{}], not on [{}] by {}",
            plan.nodes,
            plan.forbidden_nodes,
            plan.rules.join(", ")
        ),
    }
}

const ON_COMPUTE: &str = "\
rules:
- {name: ops, allow: [run], subjects: [olga], nodes: '@compute'}
- {name: spared, deny: [run], nodes: '@spare'}
- {name: admins, allow: [all], subjects: [root]}
";

#[test]
fn a_node_that_is_removed_takes_nothing_else_along() {
    let groups = "__groups__: {compute: 'cnode[001-288]', spare: '@compute&cnode[071-073]', all: '@compute'}\n";
    let server = site(&format!("{groups}{}", compute(1..=288)), ON_COMPUTE).start();
    let warning =
        "nodes.yaml:1: warning: group compute: nodes that are not defined are left out: cnode073";
    let olga = as_(&server, "olga");
    assert_eq!(planned(&olga, "@compute").unwrap().jobs.len(), 285);
    let without = (1..=288).filter(|number| *number != 73);
    server.nodes(&format!("{groups}{}", compute(without)));
    server.wait_for_log(warning);
    let seen = |server: &Server| {
        let (olga, root) = (as_(server, "olga"), as_(server, "root"));
        let plan = planned(&olga, "@all").unwrap();
        assert_eq!(
            (plan.jobs.len(), plan.forbidden_nodes.as_str()),
            (285, "cnode[071-072]")
        );
        assert_eq!(plan.rules, ["ops", "spared"]);
        let token = narrowed(server, "@compute,cnode[900-901],x*");
        assert_eq!(planned(&token, "@*").unwrap().jobs.len(), 285);
        let (_, text) = root.refused(on("power-off", "cnode073"));
        assert_eq!(text, "no such node: cnode073");
        // One warning for each group that names it, and none for those that name such a group.
        let log = server.log();
        assert_eq!(log.matches("left out: cnode073").count(), 2, "{log}");
    };
    seen(&server);
    let checked = server.server_verb(&["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
    assert!(checked.stdout().contains(warning), "{checked}");
    let server = server.stop().start();
    server.wait_for_log(warning);
    seen(&server);
    assert_eq!(server.server_verb(&["check"]).stdout(), checked.stdout());
}

const HEADS: &str = "\
rules:
- {name: ops, allow: [run], subjects: [olga]}
- {name: heads are left alone, deny: [run], nodes: '@head'}
- {name: admins, allow: [all], subjects: [root]}
";

#[test]
fn a_node_that_comes_with_a_mistake_in_its_group_is_not_let_through() {
    let nodes = "c1:\nhead1:\nhead2:\nhead3:\n";
    let site = site(
        &format!("__groups__: {{head: 'head[1-3]'}}\n{nodes}"),
        HEADS,
    );
    let server = site.start();
    let olga = as_(&server, "olga");
    _ = olga.run(on("power-off", "c1"));
    server.nodes(&format!(
        "__groups__: {{head: 'head[1-4'}}\n{nodes}head4:\n"
    ));
    let rule = "policy.yaml:3: rule \"heads are left alone\": the group @head is broken: cannot read the node set \"head[1-4\": [ without ]; until then the rule denies everything";
    server.wait_for_log(rule);
    let group = "group head is broken: cannot read the node set \"head[1-4\": [ without ]; -g @head selects its last good definition, and rules and tokens that name it allow nothing or deny everything";
    server.wait_for_log(group);
    let seen = |server: &Server| {
        let olga = as_(server, "olga");
        for node in ["head4", "head1", "c1"] {
            let (code, text) = olga.refused(on("power-off", node));
            assert_eq!(code, Code::PermissionDenied, "{text}");
            assert_eq!(
                text,
                format!(
                    "you may not run power-off on {node} (heads are left alone: the group @head is broken); nothing was run"
                )
            );
            assert!(!server.has(format!("ran.{node}")) || node == "c1");
        }
        // Nobody is excepted, and what is selected is the last good definition.
        assert_eq!(
            allowed(&as_(server, "root"), "@head"),
            "run on [], not on [head[1-3]] by heads are left alone: the group @head is broken"
        );
        let denied = server.audited("denied", &serde_json::json!({"nodes": "head4"}));
        assert_eq!(
            denied["rule"],
            "heads are left alone: the group @head is broken"
        );
    };
    seen(&server);
    let checked = server.server_verb(&["check"]);
    assert_eq!(checked.code(), 78, "{checked}");
    for line in [rule, group] {
        assert!(checked.stdout().contains(line), "{checked}");
    }
    let explained = server.server_verb(&["explain", "--subject", "olga"]).ok();
    let server = server.stop().start();
    for line in [rule, group] {
        server.wait_for_log(line);
    }
    seen(&server);
    assert_eq!(server.server_verb(&["check"]).stdout(), checked.stdout());
    let again = server.server_verb(&["explain", "--subject", "olga"]).ok();
    assert_eq!(again.stdout(), explained.stdout());
    assert!(
        again
            .stdout()
            .contains("not run on c1,head[1-4] (heads are left alone: the group @head is broken)"),
        "{again}"
    );
    // Mended, it counts again.
    server.nodes(&format!(
        "__groups__: {{head: 'head[1-4]'}}\n{nodes}head4:\n"
    ));
    let mended = server.path(rule);
    server.wait_for_log(&format!("mended: {}", mended.display()));
    assert_eq!(
        allowed(&as_(&server, "olga"), "@*"),
        "run on [c1], not on [head[1-4]] by ops, heads are left alone"
    );
}

#[test]
fn a_broken_group_grants_nothing_and_the_denial_names_it() {
    let policy = "\
rules:
- {name: ops, allow: [run], subjects: [olga], nodes: '@compute'}
- {name: helpers, allow: [run], subjects: [hal], nodes: '@compute'}
- {name: hal sees, allow: [list], subjects: [hal]}
- {name: nobody looks, deny: [list], subjects: [ned], nodes: '@nosuch'}
- {name: ned, allow: [run], subjects: [ned]}
- {name: no cancels, deny: ['cancel:own', 'cancel:any'], subjects: [root], nodes: '@nosuch'}
- {name: admins, allow: [all], subjects: [root]}
";
    let server = site("__groups__: {compute: 'c[1-2'}\nc1:\nc2:\n", policy).start();
    let (code, text) = as_(&server, "hal").refused(on("power-off", "c1"));
    assert_eq!(code, Code::PermissionDenied);
    assert_eq!(
        text,
        "you may not run power-off on c1 (no rule allows it; helpers: the group @compute is broken); nothing was run"
    );
    // Who may not see it is told as much, of what is there and of what is not.
    for (command, node) in [("power-off", "c1"), ("power-off", "c9"), ("none", "c1")] {
        let (code, text) = as_(&server, "olga").refused(on(command, node));
        assert_eq!(code, Code::PermissionDenied);
        assert_eq!(
            text,
            "you may not run this command, or there is none of that name (ops: the group @compute is broken)"
        );
        let (code, text) = as_(&server, "ned").refused(on(command, node));
        assert_eq!(code, Code::PermissionDenied);
        assert_eq!(
            text,
            "you may not run this command, or there is none of that name (nobody looks: no such group: @nosuch)"
        );
    }
    let token = narrowed(&server, "@compute");
    let (code, text) = token.refused(on("power-off", "c1"));
    assert_eq!(code, Code::PermissionDenied);
    assert_eq!(
        text,
        "you may not run this command, or there is none of that name (the token's own limits: the group @compute is broken)"
    );
    // So it is for runs, and for those that there are none of.
    let run = as_(&server, "root").run(on("power-off", "c2"));
    let refused = as_(&server, "root").cancel(&run.id, false).unwrap_err();
    assert_eq!(
        refused.message(),
        format!(
            "you may see run {} but not cancel it (no cancels: no such group: @nosuch)",
            run.id
        )
    );
    for id in [run.id.as_str(), "zzzzzzzzzzzzzzzz"] {
        assert_eq!(
            as_(&server, "olga").refused_run(id).1,
            format!("no such run: {id} (ops: the group @compute is broken)")
        );
    }
    // Without a last good definition the selection is refused as well, with the reason.
    let (code, text) = as_(&server, "root").refused(on("power-off", "c1,@compute"));
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(
        text,
        "the group @compute is broken: cannot read the node set \"c[1-2\": [ without ]"
    );
    let refused = server.server_verb(&["generate-token", "--nodes", "@compute"]);
    assert_eq!(refused.code(), 64, "{refused}");
    assert!(
        refused.stderr().contains("the group @compute is broken"),
        "{refused}"
    );
}

#[test]
fn the_client_shows_why_a_command_is_not_listed() {
    let policy = "\
rules:
- {name: ops, allow: [run], subjects: [olga], nodes: '@compute'}
- {name: all, allow: [run], subjects: [hal, sam]}
- {name: heads alone, deny: [run], subjects: [hal], nodes: '@head'}
- {name: no power, deny: [all], subjects: [sam], commands: ['power-*']}
- {name: admins, allow: [all], subjects: [root]}
";
    let nodes = "__groups__: {compute: 'c[1-2', head: '@nosuch'}\nc1:\nc2:\n";
    let site = site(nodes, policy);
    let alone = "help: {summary: s, has_context: false}\n";
    site.command_with("alone", alone, "echo done");
    let server = site.start();
    let as_ = |subject: &str| {
        let token = token::signed(&claims_of(subject), &server.secret(), Algorithm::HS256);
        server.client().variable("ACTION_CLIENT_JWT_TOKEN", token)
    };
    for (subject, reason) in [
        ("hal", "(heads alone: the group @head is broken)"),
        ("olga", "(ops: the group @compute is broken)"),
    ] {
        for words in [
            &["power-off", "c1"][..],
            &["run", "power-off", "-g", "c[1-2]", "a"],
            &["power-off"],
            &["alone", "a"],
            &["help", "power-off"],
            &["power-off", "--help"],
        ] {
            let ran = as_(subject).run(words);
            assert_eq!((ran.code(), ran.stdout().as_str()), (255, ""), "{ran}");
            let text = ran.stderr();
            assert!(text.starts_with("error: you may not run "), "{ran}");
            assert!(text.contains(reason), "{ran}");
        }
        let help = as_(subject).run(&["help"]).ok().stdout();
        assert!(help.contains("broken or missing"), "{help}");
    }
    // What is hidden on purpose is not there.
    for (subject, command) in [("sam", "power-off"), ("sam", "nosuch"), ("root", "nosuch")] {
        for words in [&[command, "c1"][..], &["help", command]] {
            let ran = as_(subject).run(words);
            assert_eq!(ran.code(), 64, "{ran}");
            assert!(
                ran.stderr().starts_with("error: there is no command"),
                "{ran}"
            );
        }
    }
}

#[test]
fn a_broken_node_is_covered_by_what_denies_its_rank_and_by_nothing_that_allows_it() {
    let policy = "\
rules:
- {name: by rank, allow: [run], subjects: [olga], nodes: 'rank=compute'}
- {name: by site, allow: [run], subjects: [sam], nodes: 'site=north'}
- {name: all, allow: [run], subjects: [carl]}
- {name: heads are left alone, deny: [run], nodes: '@heads'}
- {name: admins, allow: [list], subjects: [root]}
";
    let good = "\
__groups__: {heads: rank=head}
c1: {ranks: compute, site: north}
c2: {ranks: compute, site: north}
c3: {ranks: compute, site: north}
h1: {ranks: head, site: south}
";
    let site = site(good, policy);
    site.settings("visible_metadata: [site]");
    let server = site.start();
    let seen = |server: &Server, carl: &str, olga: &str| {
        assert_eq!(allowed(&as_(server, "carl"), "@*"), carl);
        for subject in ["olga", "sam"] {
            assert_eq!(as_(server, subject).node_names().join(" "), olga);
        }
    };
    let denied = "by all, heads are left alone";
    seen(
        &server,
        &format!("run on [c[1-3]], not on [h1] {denied}"),
        "c1 c2 c3",
    );
    // One as a whole, and one in a single key: which ranks were meant is not known.
    let broken = good
        .replace("c1: {ranks: compute,", "c1: {ranks: 'a head',")
        .replace("c2: {ranks: compute,", "c2: {ranks: head, PATH: x,");
    server.nodes(&broken);
    server.wait_for_log("the last good definitions of broken nodes stay in use: c[1-2]");
    let broken = format!("run on [c3], not on [c[1-2],h1] {denied}");
    seen(&server, &broken, "c3");
    let checked = server.server_verb(&["check"]);
    let server = server.stop().start();
    seen(&server, &broken, "c3");
    assert_eq!(server.server_verb(&["check"]).stdout(), checked.stdout());
    assert_eq!(as_(&server, "root").node_names(), ["c1", "c2", "c3", "h1"]);
    server.nodes(good);
    wait_until("the mended nodes", CEILING, || {
        (as_(&server, "olga").node_names().len() == 3).then_some(())
    });
}

#[test]
fn undefined_nodes_of_rules_are_left_out_with_one_warning() {
    let policy = "\
rules:
- {name: ops, allow: [run], subjects: [olga], nodes: 'n[1-4],x9,x[7-8],rank=gone,y*'}
- {name: heads, deny: [run], nodes: 'head[1-2]'}
";
    let server = site("n1:\nn2:\n", policy).start();
    let ops = "policy.yaml:2: warning: rule \"ops\": nodes that are not defined are left out: n[3-4],x[7-9],y*,rank=gone";
    let heads = "policy.yaml:3: warning: rule \"heads\": the node set \"head[1-2]\" matches no node, so the rule denies nothing";
    for line in [ops, heads] {
        server.wait_for_log(line);
    }
    let olga = as_(&server, "olga");
    assert_eq!(allowed(&olga, "@*"), "run on [n[1-2]], not on [] by ops");
    // An edit of something else repeats nothing.
    server.nodes("n1:\nn2:\nn3:\n");
    server.wait_for_log("left out: n4,x[7-9]");
    assert_eq!(server.log().matches(heads).count(), 1, "{}", server.log());
    let checked = server.server_verb(&["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
    assert_eq!(checked.stdout().lines().count(), 2, "{checked}");
}
