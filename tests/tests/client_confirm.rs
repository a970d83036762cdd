//! Commands that ask before they run: asked on a terminal, refused without one, never assumed.

use action_tests::{Client, Ran, Server, Site};

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    let metadata =
        "help: {summary: s}\nconfirmation: 'Power off %{nodes}, confirm to proceed [y/n]?'";
    site.command_with(
        "power-off",
        metadata,
        "touch \"$SCRIPT_ROOT/../ran.$name\"; echo off",
    );
    site.start()
}

fn ran(server: &Server) -> bool {
    server.has("ran.n1") || server.has("ran.n2")
}

#[test]
fn without_a_terminal_it_is_refused() {
    let server = serving();
    let client = server.client();
    insta::assert_snapshot!(client.run(&["run", "power-off", "-g", "n[1-2]"]), @"
    ------- stderr -------
    error: `power-off` asks before it runs, and there is no terminal to ask on
    hint: give --confirm before the node to answer yes
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(client.called("power").run(&["off", "n1"]), @"
    ------- stderr -------
    error: `power-off` asks before it runs, and there is no terminal to ask on
    hint: give --confirm before the node to answer yes
    ------- exit 64 -------
    ");
    assert!(!ran(&server));
}

#[test]
fn with_confirm_it_runs() {
    let server = serving();
    let client = server.client();
    for words in [
        &["--confirm", "run", "power-off", "n1"][..],
        &["run", "--confirm", "power-off", "n1"],
        &["run", "power-off", "--confirm", "n1"],
        &["power-off", "--confirm", "n1"],
    ] {
        assert_eq!(client.run(words).ok().stdout(), "off\n", "{words:?}");
    }
}

fn asked(client: &Client, typed: &str) -> Ran {
    let client = client.clone().variable("NO_COLOR", "1");
    client.run_on_terminal(&["power-off", "-g", "n1,n2"], typed)
}

#[test]
fn on_a_terminal_it_asks_and_yes_runs_it() {
    let server = serving();
    let shown = asked(&server.client(), "y\n").ok();
    let question = "Power off n[1-2] (2 nodes), confirm to proceed [y/n]? ";
    assert!(shown.stdout().contains(question), "{shown}");
    assert!(shown.stdout().contains("n1: off\n"), "{shown}");
    assert!(server.has("ran.n1") && server.has("ran.n2"));
}

#[test]
fn on_a_terminal_no_and_nothing_run_nothing() {
    let server = serving();
    let client = server.client();
    // The last is the end of input: ^D.
    for typed in ["n\n", "N\n", "no\n", "\n", "maybe\n1\nx\n", "\u{4}"] {
        let shown = asked(&client, typed);
        assert_eq!(shown.code(), 255, "{typed:?}: nothing ran: {shown}");
        assert!(shown.stdout().contains("Power off n[1-2]"), "{shown}");
        assert!(!ran(&server), "{typed:?}");
    }
}

#[test]
fn a_question_is_not_asked_about_nodes_that_are_not_there() {
    let server = serving();
    let client = server.client();
    let shown = client.run_on_terminal(&["power-off", "-g", "n[1-3]"], "y\n");
    assert!(shown.stdout().contains("no such node: n3"), "{shown}");
    assert!(!shown.stdout().contains("proceed"), "{shown}");
    assert!(!ran(&server));
}
