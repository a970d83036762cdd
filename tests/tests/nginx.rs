//! The real client through the real nginx with the shipped example, to the real server.

use action_proto::v1::ListRunsRequest;
use action_tests::{CEILING, Client, Nginx, Server, Site, wait_until};
use serde_json::Value;

const TALK: &str = r#"
trap 'echo "$name puts things in order"; exit 1' TERM
echo "$name begins"
read -r < "$SCRIPT_ROOT/../gate.$name" & wait $!
head -c 300000 /dev/urandom | base64; printf 'the end'; exit 3
"#;

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command("talk", TALK);
    site.command("hello", "echo hello $name");
    site.start()
}

/// The client of a user who trusts the authority.
fn trusting(nginx: &Nginx, server: &Server) -> Client {
    let authority = server.path("nginx/ca.pem");
    nginx
        .client(server)
        .variable("ACTION_CLIENT_CA_PATH", authority)
}

/// The id of the newest run.
fn newest(server: &Server) -> String {
    let runs = server.api().list_runs(ListRunsRequest::default()).unwrap();
    runs.runs[0].run_id.clone()
}

#[test]
fn a_client_lists_runs_streams_and_cancels() {
    let server = serving();
    let nginx = Nginx::start(&server, &[], "");
    let client = trusting(&nginx, &server);
    let nodes = client.run(&["nodes"]).ok();
    assert!(nodes.stdout().contains("n2"), "{nodes}");
    let gates = ["gate.n1", "gate.n2"].map(|name| server.gate(name));
    // Each line comes while its script still waits.
    let mut running = client.start(&["run", "talk", "-g", "n[1-2]"]);
    running.wait_for("n1: n1 begins\n");
    running.wait_for("n2: n2 begins\n");
    gates.iter().for_each(action_tests::Gate::open);
    let ran = running.finish();
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(
        ran.stderr().ends_with("failed n[1-2] (2): exit 3\n"),
        "{ran}"
    );

    let mut running = client.start(&["run", "talk", "-g", "n[1-2]"]);
    running.wait_for("n1: n1 begins\n");
    running.wait_for("n2: n2 begins\n");
    let id = newest(&server);
    _ = client.run(&["cancel", &id]).ok();
    let ran = running.finish();
    assert_eq!(ran.code(), 252, "{ran}");
    assert!(
        ran.stdout().contains("n2: n2 puts things in order\n"),
        "{ran}"
    );
    assert_eq!(server.scripts(), []);
    // The server's own errors come through.
    let unknown = client.run(&["show", "zzzzzz"]);
    assert!(
        unknown.stderr().contains("no such run: zzzzzz"),
        "{unknown}"
    );
}

#[test]
fn who_does_not_know_the_authority_is_told_and_can_do_without() {
    let server = serving();
    let nginx = Nginx::start(&server, &[], "");
    let refused = nginx.client(&server).run(&["hello", "n1"]);
    assert_eq!(refused.code(), 255, "{refused}");
    for text in ["UnknownIssuer", "ca_path", "verify_ssl: false"] {
        assert!(refused.stderr().contains(text), "{refused}");
    }
    let client = nginx.client(&server);
    let client = client.variable("ACTION_CLIENT_VERIFY_SSL", "false");
    let ran = client.run(&["hello", "n1"]).ok();
    assert_eq!(ran.stdout(), "hello n1\n");
    assert!(ran.stderr().contains("verify_ssl"), "{ran}");
}

/// What a watcher from the start sees, straight from the server: stdout to the byte.
fn straight(server: &Server) -> Vec<u8> {
    let id = newest(server);
    server.client().run(&["attach", &id]).stdout
}

#[test]
fn a_stream_that_the_proxy_cuts_for_its_silence_goes_on() {
    let server = serving();
    let gate = server.gate("gate.n1");
    let nginx = Nginx::start(
        &server,
        &[("grpc_read_timeout 1d", "grpc_read_timeout 2s")],
        "",
    );
    let mut running = trusting(&nginx, &server).start(&["run", "talk", "n1"]);
    running.wait_for("n1 begins\n");
    // Cut as RunCommand, and once more as WatchRun.
    wait_until("nginx to cut the stream twice", CEILING, || {
        let log = server.read("nginx/error.log");
        (log.matches("upstream timed out").count() >= 2).then_some(())
    });
    assert!(running.is_running());
    gate.open();
    let ran = running.finish();
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(ran.stderr().contains("reconnected to run"), "{ran}");
    assert!(ran.stdout == straight(&server), "not what the record has");
}

#[test]
fn a_proxy_that_is_started_anew_costs_no_byte() {
    let server = serving();
    let gate = server.gate("gate.n1");
    let mut nginx = Nginx::start(&server, &[], "");
    let mut running = trusting(&nginx, &server).start(&["run", "talk", "n1"]);
    running.wait_for("n1 begins\n");
    nginx.restart(&server);
    gate.open();
    let ran = running.finish();
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(ran.stdout == straight(&server), "not what the record has");
}

#[test]
fn connections_that_the_proxy_ends_after_a_few_calls_are_made_again() {
    let server = serving();
    let nginx = Nginx::start(&server, &[], "keepalive_requests 1;");
    let client = trusting(&nginx, &server);
    // Lists the commands, plans, and runs: three calls.
    let ran = client
        .run(&["run", "hello", "-g", "n[1-2]", "--output", "json"])
        .ok();
    let hellos = ran.stdout().matches("hello n").count();
    assert_eq!(hellos, 2, "{ran}");
    let calls = server.read("nginx/access.log").lines().count();
    assert!(calls >= 2, "{calls} calls");
}

/// Runs `hello` where it must fail: what the client says.
#[track_caller]
fn failed(client: &Client, words: &[&str]) -> String {
    let ran = client.run(words);
    assert_eq!(ran.code(), 255, "{ran}");
    ran.stderr()
}

#[test]
fn what_the_proxy_refuses_itself_is_said_in_words() {
    let server = serving();
    let changes = [("client_max_body_size 1m", "client_max_body_size 1k")];
    let nginx = Nginx::start(&server, &changes, "");
    let client = trusting(&nginx, &server);
    let long = "x".repeat(5000);
    let text = failed(&client, &["run", "hello", "n1", &long]);
    assert!(text.contains("larger than the web server takes"), "{text}");

    let elsewhere = nginx.url().replace("/action", "/other");
    let elsewhere = client.clone().variable("ACTION_CLIENT_BASE_URL", elsewhere);
    let text = failed(&elsewhere, &["nodes"]);
    assert!(text.contains("404"), "{text}");

    let _site = server.stop();
    let text = failed(&client, &["nodes"]);
    assert!(text.contains("cannot reach the Action server"), "{text}");
    drop(nginx);
}

#[test]
fn a_rate_limit_of_the_proxy_is_said_in_words() {
    let server = serving();
    let limit = "limit_req_zone $server_name zone=calls:1m rate=1r/m; limit_req zone=calls;";
    let nginx = Nginx::start(&server, &[], limit);
    let client = trusting(&nginx, &server);
    _ = client.run(&["nodes"]).ok();
    let text = failed(&client, &["nodes"]);
    assert!(
        text.contains("a limit of the web server is reached; try again later"),
        "{text}"
    );
    let log: Vec<_> = server.audit();
    assert!(
        log.iter()
            .all(|line: &Value| line["event"] != "token_refused")
    );
}
