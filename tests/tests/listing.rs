//! ListNodes and ListCommands: what callers see of the definitions.

use action_proto::v1::{ListCommandsRequest, ListNodesRequest};
use action_tests::{Site, on, token};
use jsonwebtoken::Algorithm;
use tonic::Code;

const NODES: &str = "
__meta__: {note: no node}
__groups__: {compute: 'cnode[01-02]', all: '@compute,login1'}
login1: {}
cnode02: {ranks: aws, aws_region: eu-west-2, bmc: 10.0.0.2}
cnode01: {ranks: [metal, aws], aws_region: eu-west-1}
";

fn on_nodes(nodes: &str) -> ListNodesRequest {
    ListNodesRequest {
        nodes: nodes.to_owned(),
        ..ListNodesRequest::default()
    }
}

#[test]
fn nodes_come_in_the_order_of_the_file_with_ranks_and_groups() {
    let site = Site::new();
    site.nodes(NODES);
    let list = site
        .start()
        .api()
        .list_nodes(ListNodesRequest::default())
        .unwrap();
    let shown = list
        .nodes
        .iter()
        .map(|node| format!("{} {:?} {:?}\n", node.name, node.ranks, node.groups));
    insta::assert_snapshot!(shown.collect::<String>(), @r#"
    login1 [] ["all"]
    cnode02 ["aws"] ["all", "compute"]
    cnode01 ["metal", "aws"] ["all", "compute"]
    "#);
}

#[test]
fn only_metadata_that_the_admin_made_visible_is_shown() {
    let site = Site::new();
    site.nodes(NODES);
    let list = |site: Site| {
        let server = site.start();
        let list = server.api().list_nodes(on_nodes("cnode02")).unwrap();
        (list.nodes[0].metadata.clone(), server.stop())
    };
    let (metadata, site) = list(site);
    assert!(metadata.is_empty(), "{metadata:?}");
    site.settings("visible_metadata: [aws_region, absent]");
    let (metadata, _) = list(site);
    assert_eq!(
        Vec::from_iter(metadata),
        [("aws_region".into(), "eu-west-2".into())]
    );
}

#[test]
fn nodes_can_be_selected_in_the_grammar_of_runs() {
    let site = Site::new();
    site.nodes(NODES);
    let server = site.start();
    let api = server.api();
    for (set, names) in [
        ("cnode[01-02]", &["cnode02", "cnode01"][..]),
        ("@all!login1", &["cnode02", "cnode01"]),
        ("rank=metal", &["cnode01"]),
        ("l*", &["login1"]),
    ] {
        let list = api.list_nodes(on_nodes(set)).unwrap();
        let listed: Vec<_> = list.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(listed, names, "{set}");
    }
    let refused = api.list_nodes(on_nodes("cnode[01-03]")).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "no such node: cnode03");
}

#[test]
fn pages_join_to_the_whole_list_however_large() {
    let site = Site::new();
    let names: Vec<String> = (1..=2345).map(|number| format!("n{number}")).collect();
    let text = names
        .iter()
        .map(|name| format!("{name}: {{ranks: [aws], note: {}}}\n", "x".repeat(100)));
    site.nodes(&text.collect::<String>());
    site.settings("visible_metadata: [note]");
    let server = site.start();
    let api = server.api();
    for page_size in [0, 7, 100, 1_000_000] {
        let mut listed = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListNodesRequest {
                page_size,
                page_token,
                ..ListNodesRequest::default()
            };
            let page = api.list_nodes(request).unwrap();
            let bound = if page_size == 0 { 1000 } else { page_size };
            assert!(page.nodes.len() <= usize::try_from(bound).unwrap());
            listed.extend(page.nodes.into_iter().map(|node| node.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert!(
            listed == names,
            "{page_size}: {} of {} nodes",
            listed.len(),
            names.len()
        );
    }
}

#[test]
fn a_page_that_cannot_be_is_refused() {
    let server = Site::new().start();
    let api = server.api();
    let code = |page_size, page_token: &str| {
        let request = ListNodesRequest {
            page_size,
            page_token: page_token.to_owned(),
            ..ListNodesRequest::default()
        };
        api.list_nodes(request).unwrap_err().code()
    };
    assert_eq!(code(-1, ""), Code::InvalidArgument);
    assert_eq!(code(0, "no such place"), Code::InvalidArgument);
}

#[test]
fn commands_are_described_as_their_admin_wrote() {
    let site = Site::new();
    let metadata = "\
help:
  summary: Power off a node
  description: >
    Powers off
    at once.
  syntax: NAME [DELAY]
confirmation: 'Power off %{nodes} [y/n]?'
timeout: 90s
fanout: 3
exit_codes: {123: {state: 'OFF'}}
";
    site.command_with("power-off", metadata, "");
    for rank in ["ipmi", "aws"] {
        site.script(&format!("power-off/{rank}.sh"), "");
    }
    site.command_with("zone", "help: {summary: s, has_context: false}", "");
    site.command("a", "");
    site.write("libexec/notes.txt", "no command");
    site.script("helpers/common.sh", "");
    let server = site.start();
    let list = server
        .api()
        .list_commands(ListCommandsRequest::default())
        .unwrap();
    assert_eq!(list.next_page_token, "");
    let commands = list.commands;
    let names: Vec<_> = commands
        .iter()
        .map(|command| command.name.as_str())
        .collect();
    assert_eq!(names, ["a", "power-off", "zone"]);
    insta::assert_debug_snapshot!(commands[1], @r#"
    Command {
        name: "power-off",
        summary: "Power off a node",
        description: "Powers off at once.",
        syntax: "NAME [DELAY]",
        has_context: true,
        confirmation: "Power off %{nodes} [y/n]?",
        timeout: Some(
            Duration {
                seconds: 90,
                nanos: 0,
            },
        ),
        fanout: 3,
        ranks: [
            "aws",
            "ipmi",
        ],
        exit_codes: [
            ExitState {
                code: 123,
                state: "OFF",
            },
        ],
    }
    "#);
    assert!(!commands[2].has_context);
    assert_eq!(
        commands[0].description, "a test",
        "the summary stands in for it"
    );
}

#[test]
fn a_token_lists_only_what_it_allows() {
    let site = Site::new();
    site.nodes(NODES);
    for command in ["power-on", "power-off", "usage"] {
        site.command(command, "");
    }
    let claims = token::with(token::claims(), "nodes", "@compute");
    let claims = token::with(claims, "commands", vec!["power-*"]);
    let narrow = token::signed(&claims, &site.secret(), Algorithm::HS256);
    let server = site.start();
    let api = server.api_with(Some(&narrow));
    assert_eq!(api.node_names(), ["cnode02", "cnode01"]);
    assert_eq!(api.command_names(), ["power-off", "power-on"]);
}

#[test]
fn commands_that_a_token_lets_be_run_nowhere_are_not_listed() {
    let site = Site::new();
    site.nodes("n1: {}\nn2: {}\n");
    site.command("with", "echo with");
    site.command_with(
        "without",
        "help: {summary: a test, has_context: false}\n",
        "echo without",
    );
    let server = site.start();
    for (nodes, listed) in [
        (None, &["with", "without"][..]),
        (Some("n1"), &["with"]),
        // A node that is gone is left out.
        (Some("n1,n9"), &["with"]),
        (Some("n9"), &[]),
        (Some("n1,@gone"), &[]),
        (Some(""), &[]),
    ] {
        let claims = match nodes {
            Some(nodes) => token::with(token::claims(), "nodes", nodes),
            None => token::claims(),
        };
        let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
        let api = server.api_with(Some(&token));
        assert_eq!(api.command_names(), listed, "{nodes:?}");
        // One that is not listed is as one that is not there.
        if nodes.is_some() {
            let (code, text) = api.refused(on("none", ""));
            assert_eq!(api.refused(on("without", "")), (code, text));
            let client = server.client().variable("ACTION_CLIENT_JWT_TOKEN", &token);
            for command in ["none", "without"] {
                let denied = client.run(&["can-i", command]);
                assert_eq!((denied.stdout().as_str(), denied.code()), ("no\n", 1));
            }
        }
    }
}

#[test]
fn who_may_see_runs_of_a_command_and_not_the_command_is_said_to() {
    let site = Site::new();
    site.command_with(
        "without",
        "help: {summary: a test, has_context: false}\n",
        "echo without",
    );
    let rules = "rules:\n- {name: a, allow: [run], subjects: [bob], nodes: n1}\n- {name: b, allow: ['read:any'], subjects: [bob]}\n";
    site.write("policy.yaml", rules);
    site.settings("policy_path: policy.yaml");
    insta::assert_snapshot!(site.server_verb(&["explain", "--subject", "bob"]), @"
    bob
      may run every command on n1 (1 node) (a)
      may see everybody's runs of every command (b)
      by command, without arguments:
        without  not even see it; see everybody's runs
    ------- stderr -------
    ------- exit 0 -------
    ");
}
