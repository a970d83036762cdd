//! What a web server says in the server's place, through the real ones: the client tells it from the
//! server's word, and never takes a run that may have been started for one that was not.

use action_tests::{CEILING, Client, Front, Kind, Server, Site, on, processes, wait_until};
use rustix::process::Signal;

use crate::reverse_proxy::{KINDS, failed, serving, straight, trusting};

/// The client for another address of that web server.
fn at(client: &Client, url: &str) -> Client {
    client.clone().variable("ACTION_CLIENT_BASE_URL", url)
}

/// What must be said of an answer that is no gRPC.
#[track_caller]
fn tells(text: &str, came: &str, hint: &str) {
    let told = format!("is not gRPC: HTTP {came}, text/html");
    assert!(text.contains(&told), "{text}");
    assert!(text.contains("hint: ") && text.contains(hint), "{text}");
}

#[test]
fn a_wrong_path_is_said_to_be_one() {
    for kind in KINDS {
        let server = serving();
        let front = Front::start(kind, &server, &[], "");
        let client = trusting(&front, &server);
        let elsewhere = at(&client, &front.url().replace("/action", "/other"));
        let text = failed(&elsewhere, &["run", "hello", "n1"]);
        tells(
            &text,
            "404 Not Found",
            "`base_url` may be wrong, also in its path",
        );
    }
}

#[test]
fn a_web_server_without_its_server_says_so_in_html_or_in_words() {
    let alone = |kind, changes: &[(&str, &str)]| {
        let server = serving();
        let front = Front::start(kind, &server, changes, "");
        let client = trusting(&front, &server);
        let _site = server.stop();
        failed(&client, &["nodes"])
    };
    let text = alone(Kind::Nginx, &[]);
    assert!(text.contains("cannot reach the Action server"), "{text}");
    let hint = "the Action server behind it may not be running";
    // As an nginx that was not told to answer in gRPC's way.
    let plain = ("error_page 502 = @action_unreachable;", "");
    tells(&alone(Kind::Nginx, &[plain]), "502 Bad Gateway", hint);
    tells(&alone(Kind::Apache, &[]), "503 Service Unavailable", hint);
}

#[test]
fn a_server_that_does_not_speak_http2_is_said_to_be_one() {
    for (listen, scheme) in [(";", "http"), (";", "https"), (" ssl;", "https")] {
        let server = serving();
        let front = Front::start(Kind::Nginx, &server, &[(" ssl http2;", listen)], "");
        let url = front.url().replace("https", scheme);
        let text = failed(&at(&trusting(&front, &server), &url), &["nodes"]);
        let hint = "hint: what answers there may not speak HTTP/2 as `base_url` has it";
        assert!(text.contains(hint), "{listen} {scheme} {text}");
    }
}

#[test]
fn a_run_that_may_have_been_started_is_told_as_such_and_not_repeated() {
    for kind in KINDS {
        let site = Site::new();
        site.nodes("n1:\n");
        site.command("hello", "echo hello");
        // The run is on the disk, and its caller gets no answer.
        let server = Server::start(site, |command| {
            command.env("ACTION_CRASH_AT", "after-intent");
        });
        let front = Front::start(kind, &server, &[], "");
        let ran = trusting(&front, &server).run(&["hello", "n1"]);
        assert_eq!(ran.code(), 254, "{kind:?} {ran}");
        let said = ran.stderr();
        assert!(said.contains("it may or may not run"), "{kind:?} {said}");
        assert!(
            said.contains("hint: `action-client runs` lists"),
            "{kind:?} {said}"
        );
        assert_eq!(front.calls("RunCommand"), 1, "{kind:?}");
        // And it was one.
        let server = server.kill().start();
        let runs = server.client().run(&["runs", "--output", "json"]).ok();
        assert_eq!(runs.stdout().lines().count(), 1, "{kind:?} {runs}");
    }
}

#[test]
fn what_was_surely_not_started_is_told_as_such() {
    let site = Site::new();
    site.nodes("n1:\n");
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.set("drain_timeout", "1h");
    let mut server = site.start();
    let once = "map $uri $call { default ''; ~RunCommand run; }\n\
                limit_req_zone $call zone=runs:1m rate=1r/m; limit_req zone=runs;";
    let limited = Front::start(Kind::Nginx, &server, &[], once);
    let limited = trusting(&limited, &server);
    _ = limited.run(&["hello", "n1"]).ok();
    let text = failed(&limited, &["hello", "n1"]);
    assert!(
        text.contains("a limit of the web server is reached"),
        "{text}"
    );
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let free = Front::start(Kind::Apache, &server, &[], "");
    server.terminate();
    server.wait_for_log("stopping");
    let text = failed(&trusting(&free, &server), &["hello", "n1"]);
    assert!(
        text.contains("the server is stopping; try again later"),
        "{text}"
    );
    assert!(!text.contains("may or may not"), "{text}");
    server.api().cancel(&run.id, false).unwrap();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn html_in_the_middle_of_a_stream_is_a_lost_connection() {
    let server = serving();
    let gate = server.gate("gate.n1");
    let limit = (" timeout=120", " timeout=1");
    let apache = Front::start(Kind::Apache, &server, &[limit], "");
    let mut running = trusting(&apache, &server).start(&["run", "talk", "n1"]);
    running.wait_for("n1 begins\n");
    wait_until("Apache to end the stream twice", CEILING, || {
        (apache.calls("RunCommand") + apache.calls("WatchRun") >= 2).then_some(())
    });
    gate.open();
    let ran = running.finish();
    assert_eq!(ran.code(), 3, "{ran}");
    assert!(ran.stderr().contains("reconnected to run"), "{ran}");
    assert!(ran.stdout == straight(&server), "not what the record has");
}

#[test]
fn html_in_place_of_a_resumed_stream_is_tried_again() {
    let server = serving();
    let gate = server.gate("gate.n1");
    let mut front = Front::nginx(&server);
    let mut running = trusting(&front, &server).start(&["run", "talk", "n1"]);
    running.wait_for("n1 begins\n");
    front.change("location /action/", "location /elsewhere/");
    // Its first try must not come while no web server listens: that is what it would tell.
    processes::signal(running.id(), Signal::STOP);
    front.restart();
    processes::signal(running.id(), Signal::CONT);
    wait_until("the client to come back", CEILING, || {
        (front.calls("WatchRun") > 0).then_some(())
    });
    front.change("location /elsewhere/", "location /action/");
    front.restart();
    gate.open();
    let ran = running.finish();
    assert_eq!(ran.code(), 3, "{ran}");
    let told = "is not gRPC: HTTP 404 Not Found, text/html; trying for 5m";
    assert!(ran.stderr().contains(told), "{ran}");
    assert!(ran.stdout == straight(&server), "not what the record has");
}
