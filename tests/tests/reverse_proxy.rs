//! The real client through the real web servers with the shipped examples, to the real server.

use action_proto::v1::ListRunsRequest;
use action_tests::{CEILING, Client, Front, Gate, Kind, Server, Site, wait_until};
use serde_json::Value;

const TALK: &str = r#"
trap 'echo "$name puts things in order"; exit 1' TERM
echo "$name begins"
read -r < "$SCRIPT_ROOT/../gate.$name" & wait $!
head -c 300000 /dev/urandom | base64; printf 'the end'; exit 3
"#;

pub(crate) const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Apache];

pub(crate) fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command("talk", TALK);
    site.command("hello", "echo hello $name");
    site.start()
}

/// The client of a user who trusts the authority.
pub(crate) fn trusting(front: &Front, server: &Server) -> Client {
    let client = front.client(server);
    client.variable("ACTION_CLIENT_CA_PATH", front.authority())
}

/// The id of the newest run.
pub(crate) fn newest(server: &Server) -> String {
    let runs = server.api().list_runs(ListRunsRequest::default()).unwrap();
    runs.runs[0].run_id.clone()
}

/// What the newest run's watcher sees without a web server: stdout to the byte.
pub(crate) fn straight(server: &Server) -> Vec<u8> {
    let id = newest(server);
    server.client().run(&["attach", &id]).stdout
}

#[test]
fn a_client_lists_runs_streams_and_cancels() {
    for kind in KINDS {
        let server = serving();
        let front = Front::start(kind, &server, &[], "");
        let client = trusting(&front, &server);
        let nodes = client.run(&["nodes"]).ok();
        assert!(nodes.stdout().contains("n2"), "{kind:?} {nodes}");
        let gates = ["gate.n1", "gate.n2"].map(|name| server.gate(name));
        let start = || {
            // Each line comes while its script still waits.
            let mut running = client.start(&["run", "talk", "-g", "n[1-2]"]);
            running.wait_for("n1: n1 begins\n");
            running.wait_for("n2: n2 begins\n");
            running
        };
        let running = start();
        gates.iter().for_each(Gate::open);
        let ran = running.finish();
        let end = "failed n[1-2] (2): exit 3\n";
        assert_eq!(ran.code(), 3, "{kind:?} {ran}");
        assert!(ran.stderr().ends_with(end), "{kind:?} {ran}");

        let running = start();
        _ = client.run(&["cancel", &newest(&server)]).ok();
        let ran = running.finish();
        assert_eq!(ran.code(), 252, "{kind:?} {ran}");
        let last_words = "n2: n2 puts things in order\n";
        assert!(ran.stdout().contains(last_words), "{kind:?} {ran}");
        // The server's own errors come through.
        let unknown = client.run(&["show", "zzzzzz"]).to_string();
        assert!(
            unknown.contains("no such run: zzzzzz"),
            "{kind:?} {unknown}"
        );
    }
}

#[test]
fn who_does_not_know_the_authority_is_told_and_can_do_without() {
    let server = serving();
    let front = Front::nginx(&server);
    let client = front.client(&server);
    let text = failed(&client, &["hello", "n1"]);
    for part in ["UnknownIssuer", "ca_path", "verify_ssl: false"] {
        assert!(text.contains(part), "{text}");
    }
    let client = client.variable("ACTION_CLIENT_VERIFY_SSL", "false");
    let ran = client.run(&["hello", "n1"]).ok();
    assert_eq!(ran.stdout(), "hello n1\n");
    assert!(ran.stderr().contains("verify_ssl"), "{ran}");
}

#[test]
fn a_stream_that_nginx_cuts_for_its_silence_goes_on() {
    let server = serving();
    let gate = server.gate("gate.n1");
    let limit = ("grpc_read_timeout 2m", "grpc_read_timeout 2s");
    let front = Front::start(Kind::Nginx, &server, &[limit], "");
    let mut running = trusting(&front, &server).start(&["run", "talk", "n1"]);
    running.wait_for("n1 begins\n");
    // Cut as RunCommand, and once more as WatchRun.
    wait_until("the stream to be cut twice", CEILING, || {
        (front.calls("RunCommand") + front.calls("WatchRun") >= 2).then_some(())
    });
    assert!(running.is_running());
    gate.open();
    let ran = running.finish();
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(ran.stderr().contains("reconnected to run"), "{ran}");
    assert!(ran.stdout == straight(&server), "not what the record has");
}

#[test]
fn a_web_server_that_is_started_anew_costs_no_byte() {
    for kind in KINDS {
        let server = serving();
        let gate = server.gate("gate.n1");
        let mut front = Front::start(kind, &server, &[], "");
        let mut running = trusting(&front, &server).start(&["run", "talk", "n1"]);
        running.wait_for("n1 begins\n");
        front.restart();
        gate.open();
        let ran = running.finish();
        assert_eq!(ran.code(), 3, "{kind:?} {ran}");
        assert!(ran.stdout == straight(&server), "not what the record has");
    }
}

#[test]
fn connections_that_the_web_server_ends_after_a_call_are_made_again() {
    let server = serving();
    let front = Front::start(Kind::Nginx, &server, &[], "keepalive_requests 1;");
    let client = trusting(&front, &server);
    let words = ["run", "hello", "-g", "n[1-2]", "--output", "json"];
    let ran = client.run(&words).ok();
    assert_eq!(ran.stdout().matches("hello n").count(), 2, "{ran}");
    // It was more than one call.
    assert_eq!(front.calls("ListCommands") + front.calls("RunCommand"), 2);
}

/// Runs the client where it must fail: what it says.
#[track_caller]
pub(crate) fn failed(client: &Client, words: &[&str]) -> String {
    let ran = client.run(words);
    assert_eq!(ran.code(), 255, "{ran}");
    ran.stderr()
}

#[test]
fn what_nginx_refuses_itself_is_said_in_words() {
    let server = serving();
    let small = ("client_max_body_size 1m", "client_max_body_size 1k");
    let front = Front::start(Kind::Nginx, &server, &[small], "");
    let client = trusting(&front, &server);
    let long = "x".repeat(5000);
    let text = failed(&client, &["run", "hello", "n1", &long]);
    assert!(text.contains("larger than the web server takes"), "{text}");

    let _site = server.stop();
    let text = failed(&client, &["nodes"]);
    assert!(text.contains("cannot reach the Action server"), "{text}");
}

#[test]
fn a_rate_limit_of_nginx_is_said_in_words() {
    let server = serving();
    let limit = "limit_req_zone $server_name zone=calls:1m rate=1r/m; limit_req zone=calls;";
    let front = Front::start(Kind::Nginx, &server, &[], limit);
    let client = trusting(&front, &server);
    _ = client.run(&["nodes"]).ok();
    let text = failed(&client, &["nodes"]);
    let told = "a limit of the web server is reached; try again later";
    assert!(text.contains(told), "{text}");
    let refused = |line: &Value| line["event"] == "token_refused";
    assert!(!server.audit().iter().any(refused));
}
