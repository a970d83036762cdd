//! Old and new together: this client with the last release's server, the last release's client with
//! this server, and a state directory that goes from one to the other and back.

use std::{fs, path::Path};

use action_proto::v1::ListRunsRequest;
use action_tests::{
    Server, Site, on,
    program::{hermetic, of_previous_release, run},
};

fn site() -> Site {
    let site = Site::new();
    site.nodes("__groups__: {pair: 'n[1-2]'}\nn1:\nn2:\n");
    let metadata = "help: {summary: s}\nconfirmation: 'Mark %{nodes} [y/n]?'\n";
    let script = "touch \"$SCRIPT_ROOT/../touched.$name\"; echo marked";
    site.command_with("mark", metadata, script);
    site.command("ask", "echo answer");
    site
}

fn touched(site: &Site) -> bool {
    site.has("touched.n1") || site.has("touched.n2")
}

#[test]
fn a_server_that_does_not_know_an_option_is_sent_nothing() {
    let Some(old) = of_previous_release("action-server") else {
        return;
    };
    let server = Server::start_other(site(), &old);
    let client = server.client();
    let digest = format!("p1:{0}.{0}.{0}.{0}", "A".repeat(22));
    for (option, value) in [("--plan", &*digest), ("--reason", "repair")] {
        for words in [
            &["mark", "-g", "@pair", "--confirm", option, value][..],
            &["--confirm", option, value, "run", "mark", "n1"],
            &["mark", "n1", "--confirm", "--detach", option, value],
        ] {
            let ran = client.run(words);
            assert_eq!(ran.code(), 255, "{words:?}: {ran}");
            let refusal =
                format!("error: this server does not support {option}; nothing was run\n");
            assert!(ran.stderr().starts_with(&refusal), "{ran}");
        }
    }
    assert!(!touched(&server));
    let runs = server.api().list_runs(ListRunsRequest::default()).unwrap();
    assert_eq!(
        runs.runs,
        [],
        "the server was sent nothing that it would have run"
    );
    // All that needs no such option goes on, a question too.
    assert_eq!(client.run(&["ask", "n1"]).ok().stdout(), "answer\n");
    let shown = client.run_on_terminal(&["mark", "-g", "@pair"], "y\n").ok();
    assert!(shown.stdout().contains("Mark n[1-2] [y/n]?"), "{shown}");
    assert!(server.has("touched.n1") && server.has("touched.n2"));
}

#[test]
fn an_older_client_goes_on_with_this_server() {
    let Some(old) = of_previous_release("action-client") else {
        return;
    };
    let server = site().start();
    let client = |words: &[&str]| {
        let mut command = hermetic(&old, &server.path("home"));
        command.args(words);
        command.env("ACTION_CLIENT_CONFIG", server.path("client.yaml"));
        command.env(
            "ACTION_CLIENT_BASE_URL",
            format!("http://{}", server.address()),
        );
        run(command)
    };
    assert!(client(&["help"]).ok().stdout().contains("  mark "));
    assert_eq!(
        client(&["ask", "-g", "@pair&n2"]).ok().stdout(),
        "n2: answer\n"
    );
    assert_eq!(
        client(&["mark", "n1", "--confirm"]).ok().stdout(),
        "marked\n"
    );
    assert_eq!(client(&["mark", "n1"]).code(), 64);
    _ = client(&["mark", "n2", "--dry-run"]).ok();
    assert!(!server.has("touched.n2"));
    assert!(client(&["runs"]).ok().stdout().contains("mark"));
    assert_eq!(client(&["can-i", "mark", "n2"]).code(), 0);
}

#[test]
fn a_state_directory_goes_to_the_last_release_and_back() {
    let Some(old) = of_previous_release("action-server") else {
        return;
    };
    let ran = |server: &Server| {
        assert_eq!(
            server.api().run(on("ask", "@pair")).answer_of("n2"),
            "answer\n"
        );
        let runs = server.api().list_runs(ListRunsRequest::default()).unwrap();
        runs.runs.len()
    };
    let server = site().start();
    assert_eq!(ran(&server), 1);
    let site = server.stop();
    assert_eq!(version(&site.path("state")), "1\n");
    let server = Server::start_other(site, &old);
    assert_eq!(ran(&server), 2);
    let server = server.stop().start();
    assert_eq!(ran(&server), 3);
    assert_eq!(version(&server.path("state")), "1\n");
}

fn version(state: &Path) -> String {
    fs::read_to_string(state.join("version")).unwrap()
}
