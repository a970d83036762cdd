//! What a caller agreed to is what runs: confirmations and the number of nodes.

use action_proto::v1::{PlanRunRequest, RunCommandRequest};
use action_tests::{Server, Site, on};
use tonic::Code;

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\nn3:\nother:\n");
    let metadata =
        "help: {summary: s}\nconfirmation: 'Power off %{nodes}, confirm to proceed [y/n]?'";
    site.command_with(
        "off",
        metadata,
        "touch \"$SCRIPT_ROOT/../ran.$name\"; echo off",
    );
    site.command("on", "touch \"$SCRIPT_ROOT/../ran.$name\"; echo on");
    site.start()
}

fn nothing_ran(server: &Server) -> bool {
    !["n1", "n2", "n3"]
        .iter()
        .any(|node| server.has(format!("ran.{node}")))
}

#[test]
fn a_command_that_asks_is_refused_until_the_caller_confirms() {
    let server = serving();
    let api = server.api();
    let (code, text) = api.refused(on("off", "n[1-3]"));
    assert_eq!(code, Code::FailedPrecondition);
    assert_eq!(
        text,
        "the command asks for a confirmation: Power off n[1-3], confirm to proceed [y/n]?"
    );
    assert!(nothing_ran(&server));
    let confirmed = RunCommandRequest {
        confirmed: true,
        ..on("off", "n[1-3]")
    };
    assert_eq!(api.run(confirmed).answer_of("n3"), "off\n");
}

#[test]
fn the_plan_has_the_question_to_ask() {
    let server = serving();
    let plan = |command: &str| {
        let request = PlanRunRequest {
            command: command.into(),
            nodes: "n2,other,n1".into(),
            ..PlanRunRequest::default()
        };
        server.api().plan(request).unwrap()
    };
    assert_eq!(
        plan("off").confirmation,
        "Power off n[1-2],other, confirm to proceed [y/n]?"
    );
    assert_eq!(plan("off").nodes, "n[1-2],other");
    assert_eq!(plan("on").confirmation, "");
    assert!(nothing_ran(&server), "a plan starts nothing");
}

#[test]
fn a_number_of_nodes_that_is_not_the_expected_one_is_refused() {
    let server = serving();
    let api = server.api();
    let expecting = |nodes: &str, count| RunCommandRequest {
        expected_nodes: Some(count),
        ..on("on", nodes)
    };
    for count in [0, 2, 4] {
        let (code, text) = api.refused(expecting("n[1-3]", count));
        assert_eq!(code, Code::FailedPrecondition, "{text}");
        assert_eq!(
            text,
            format!("{count} nodes were expected and 3 are selected; nothing was run")
        );
    }
    assert!(nothing_ran(&server));
    assert_eq!(api.run(expecting("n[1-3]", 3)).nodes().len(), 3);
}
