//! Brackets together with `*` and `?`: the same nodes wherever a node set may stand.

use action_proto::v1::{ListNodesRequest, ListRunsRequest, RunCommandRequest};
use action_tests::{Api, Site, on, token};
use jsonwebtoken::Algorithm;
use tonic::Code;

const NODES: &str = "
__groups__: {pair: 'n[10-11]*', rack1: n1, rack10: n10, rack11: 'n11,n11-ib0', rest: '@*!n[10-11]*'}
n1: {rack: 1, ranks: r1}
n2: {rack: 2, ranks: r2}
n10: {rack: 10, ranks: r10}
n11: {rack: 11, ranks: r11}
n11-ib0: {rack: r11, ranks: r11}
";
const PAIR: [&str; 3] = ["n10", "n11", "n11-ib0"];

fn site() -> Site {
    let site = Site::new();
    site.nodes(NODES);
    site.settings("visible_metadata: [rack]");
    site.command("power-off", "echo off");
    site
}

fn listed(api: &Api, set: &str) -> Result<Vec<String>, String> {
    let request = ListNodesRequest {
        nodes: set.into(),
        ..ListNodesRequest::default()
    };
    let listed = api.list_nodes(request);
    let nodes = listed.map_err(|status| status.message().to_owned())?.nodes;
    Ok(nodes.into_iter().map(|node| node.name).collect())
}

#[test]
fn a_run_is_on_these_nodes_and_no_others() {
    let server = site().start();
    let api = server.api();
    assert_eq!(api.run(on("power-off", "n[10-11]*")).nodes(), PAIR);
    assert_eq!(api.run(on("power-off", "n[01,10]*")).nodes(), ["n10"]);
    let excluding = RunCommandRequest {
        exclude: "n[10-11]*".into(),
        ..on("power-off", "@*")
    };
    assert_eq!(api.run(excluding).nodes(), ["n1", "n2"]);
    let (code, text) = api.refused(on("power-off", "n[3-9]*"));
    assert_eq!(
        (code, text.as_str()),
        (Code::InvalidArgument, "no such node: n[3-9]*")
    );
    let ran = server
        .client()
        .run(&["power-off", "--exclude", "*-ib[0-3]", "-g", "n[10-11]*"]);
    assert!(ran.stderr().ends_with("ok n[10-11] (2)\n"), "{ran}");
}

#[test]
fn groups_and_attributes_mean_it_too() {
    let server = site().start();
    let api = server.api();
    for (set, nodes) in [
        ("@pair", &PAIR[..]),
        ("@rest", &["n1", "n2"]),
        ("@rack[10-11]", &PAIR),
        ("@rack[10-11]*", &PAIR),
        ("@rack[1]*", &["n1", "n10", "n11", "n11-ib0"]),
        ("@*[1,0]&n?", &["n1"]),
        ("rack=[10-11]", &["n10", "n11"]),
        ("rack=[1]", &["n1"]),
        ("rack=r[1-11]*", &["n11-ib0"]),
        ("rank=r[10-20]", &PAIR),
        ("rank=r[10-11]&n*-ib[0-1]", &["n11-ib0"]),
    ] {
        assert_eq!(listed(&api, set).unwrap(), nodes, "{set}");
    }
    for (set, error) in [
        ("@rack[12-13]*", "no such group: @rack[12-13]*"),
        ("@rack[10-13]", "no such group: @rack[12-13]"),
        ("rack=[3-9]", "no such node with: rack=[3-9]"),
    ] {
        assert_eq!(listed(&api, set).unwrap_err(), error);
    }
}

#[test]
fn a_rule_allows_these_nodes_and_no_others() {
    let site = site();
    site.write(
        "policy.yaml",
        "rules:\n\
         - {name: pair, allow: [run], subjects: [olga], nodes: 'n[10-11]*'}\n\
         - {name: links, deny: [run], nodes: 'n*-ib[0-1]'}\n",
    );
    site.settings("policy_path: policy.yaml");
    let claims = token::with(token::claims(), "sub", "olga");
    let token = token::signed(&claims, &site.secret(), Algorithm::HS256);
    let server = site.start();
    let api = server.api_with(Some(&token));
    assert_eq!(api.run(on("power-off", "n[10-11]")).nodes(), PAIR[..2]);
    for set in ["n1", "n2", "n[1,10]", "n11-ib0", "@pair"] {
        assert_eq!(
            api.refused(on("power-off", set)).0,
            Code::PermissionDenied,
            "{set}"
        );
    }
}

#[test]
fn a_token_allows_these_nodes_and_no_others() {
    let site = site();
    let words = [
        "generate-token",
        "--subject",
        "olga",
        "--nodes",
        "n[10-11]*",
    ];
    let token = site.server_verb(&words).ok().stdout();
    let server = site.start();
    let api = server.api_with(Some(token.trim()));
    assert_eq!(api.run(on("power-off", "n[10-11]*")).nodes(), PAIR);
    for set in ["n1", "n2", "n[1,10]"] {
        assert_eq!(
            api.refused(on("power-off", set)).0,
            Code::PermissionDenied,
            "{set}"
        );
    }
}

#[test]
fn a_list_of_runs_is_of_these_nodes_and_no_others() {
    let server = site().start();
    let api = server.api();
    for node in ["n1", "n10", "n2", "n11-ib0"] {
        api.run(on("power-off", node));
    }
    let request = ListRunsRequest {
        nodes: "n[10-11]*".into(),
        ..ListRunsRequest::default()
    };
    let runs = api.list_runs(request).unwrap().runs;
    let nodes: Vec<&str> = runs.iter().map(|run| run.nodes.as_str()).collect();
    assert_eq!(nodes, ["n11-ib0", "n10"]);
}

/// Syntax of the libraries that read patterns elsewhere.
#[test]
fn no_other_character_is_special() {
    let server = site().start();
    let api = server.api();
    for set in [
        "n[!2]",
        "n[^2]",
        "n[1-2",
        "n[a-z]*",
        "n{1,2}",
        "n{1}",
        "\\n1",
        "n\\1",
        "n1|n2",
        "n.",
        "n+",
        "(n1)",
        "n1$",
        "^n1",
        "n[[:digit:]]",
        "**/n1",
        "!n1",
        "rack=[!1]",
        "rack={1,2}",
        "@rack{1,10}",
        "@rack[!1]*",
        "n1\\*",
        "rank=r\\?",
    ] {
        let (code, text) = api.refused(on("power-off", set));
        assert_eq!(code, Code::InvalidArgument, "{set}: {text}");
    }
    assert_eq!(listed(&api, "n1,**1,n??"), listed(&api, "n1,*1,n??"));
}
