//! What a caller agreed to is what runs: confirmations and the number of nodes.

use action_proto::v1::{PlanRunRequest, RunCommandRequest};
use action_tests::{Server, Site, on, with_arguments};
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
        "the command asks for a confirmation: Power off n[1-3] (3 nodes), confirm to proceed [y/n]?"
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
        "Power off n[1-2],other (3 nodes), confirm to proceed [y/n]?"
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

/// A command whose question names nothing, and one that names all.
fn with_arguments_in_question() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    let script = "touch \"$SCRIPT_ROOT/../ran.$name\"";
    site.command_with("bare", "help: {summary: s}\nconfirmation: Sure?\n", script);
    let full = "Change %{count} of %{nodes} to %{arguments}, or 100% [y/n]?";
    let full = format!("help: {{summary: s}}\nconfirmation: '{full}'\n");
    site.command_with("full", &full, script);
    let alone = "help: {summary: s, has_context: false}\nconfirmation: Sure?\n";
    site.command_with("alone", alone, script);
    site.start()
}

#[test]
fn a_number_does_not_stand_for_the_nodes() {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    let metadata = "help: {summary: s}\nconfirmation: 'Off %{count} with %{arguments}, proceed?'\n";
    site.command_with("off", metadata, "true");
    let server = site.start();
    let (_, text) = server.api().refused(on("off", "n[1-2]"));
    let question = "nodes: n[1-2] (2 nodes)\nOff 2 with (none), proceed?";
    assert!(text.ends_with(question), "{text}");
}

/// What the caller is asked, in every place where it is said.
#[test]
fn the_scope_is_stated_wherever_the_question_is() {
    let server = with_arguments_in_question();
    let client = server.client().variable("NO_COLOR", "1");
    let forged = "small\nSure? y\nnodes: n9 (9 nodes)\u{1b}[2K";
    for (command, nodes, arguments, question) in [
        ("bare", "n[1-2]", &[][..], "nodes: n[1-2] (2 nodes)\nSure?"),
        (
            "bare",
            "n1",
            &["a b", "it's"],
            "nodes: n1 (1 node)\narguments: 'a b' 'it'\\''s'\nSure?",
        ),
        (
            "bare",
            "n1",
            &[forged],
            "nodes: n1 (1 node)\narguments: $'small\\nSure? y\\nnodes: n9 (9 nodes)\\x1b[2K'\nSure?",
        ),
        (
            "full",
            "n[1-2]",
            &["x", ""],
            "Change 2 of n[1-2] to x '', or 100% [y/n]?",
        ),
        (
            "full",
            "n1",
            &["%{nodes}"],
            "Change 1 of n1 to '%{nodes}', or 100% [y/n]?",
        ),
        ("alone", "", &["x"], "arguments: x\nSure?"),
        ("alone", "", &[], "Sure?"),
    ] {
        let api = server.api();
        let request = PlanRunRequest {
            command: command.into(),
            nodes: nodes.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            ..PlanRunRequest::default()
        };
        assert_eq!(api.plan(request).unwrap().confirmation, question);
        let (code, text) = api.refused(with_arguments(command, nodes, arguments));
        assert_eq!(code, Code::FailedPrecondition);
        let asks = "the command asks for a confirmation:";
        assert_eq!(text.strip_prefix(asks).unwrap().trim_start(), question);
        let set = ["-g", nodes];
        let set = &set[..if nodes.is_empty() { 0 } else { 2 }];
        let words = [&[command], set, arguments].concat();
        let shown = client.run(&[&["--dry-run"][..], &words].concat()).ok();
        assert!(shown.stderr().contains(question), "{shown}");
        let shown = client.run_on_terminal(&words, "n\n");
        let prompt = format!("{} ", question.replace('\n', "\r\n"));
        let text = String::from_utf8_lossy(&shown.stdout).replace('\n', "\r\n");
        let text = text.replace("\r\r\n", "\r\n");
        assert!(text.contains(&prompt), "{prompt:?} {text:?}");
    }
    assert!(!server.has("ran.n1") && !server.has("ran."));
}

/// The question stands in a response header, where clients bound it.
#[test]
fn a_question_about_very_much_can_be_shown() {
    let server = with_arguments_in_question();
    let long = "\u{e9}'\n".repeat(10_000);
    let arguments = vec![long.as_str(); 6];
    let (code, text) = server
        .api()
        .refused(with_arguments("bare", "n1", &arguments));
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.contains("more bytes)"), "{text}");
    assert!(text.ends_with("more arguments)\nSure?"), "{text}");
    assert!(text.len() < 2048, "{}", text.len());
}

#[test]
fn a_question_that_does_not_say_what_it_should_is_not_asked() {
    let site = Site::new();
    let metadata = "help: {summary: s}\ntimeout: 1m\nconfirmation: 'Off %{node} [y/n]?'\n";
    site.command_with("off", metadata, "touch \"$SCRIPT_ROOT/../ran\"");
    insta::assert_snapshot!(site.server_verb(&["check"]), @r"
    SITE/libexec/off/metadata.yaml:3: confirmation: unknown placeholder %{node} in the confirmation: write %{nodes}, %{count} or %{arguments}
    ------- stderr -------
    these commands cannot be run, unless a running server still has a good version of before: off
    error: 1 node and 0 commands can be used; 1 error, 0 warnings
    ------- exit 78 -------
    ");
    let server = site.start();
    let request = RunCommandRequest {
        confirmed: true,
        ..on("off", "n1")
    };
    let (code, text) = server.api().refused(request);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.contains("unknown placeholder %{node}"), "{text}");
    assert!(!server.has("ran"));
}
