//! The real client against a small server over TCP: addresses, runs, losses of the connection
//! and signals.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod support;

use action_proto::v1::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use support::{CEILING, RUN_ID, Ran, Server, State, bare_client, events, finish};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, ChildStdout};

fn state_of(nodes: &[(&str, Outcome, i32)], texts: &[(&str, &str)]) -> State {
    State {
        events: events(nodes, texts),
        ..State::default()
    }
}

#[tokio::test]
async fn a_path_prefix_goes_before_every_method() {
    let server = Server::start(State::default()).await;
    let ran = server.run(&["estate-list"]).await;
    assert_eq!(ran.stdout, "n3\nn1\nn2\nn10\nlogin\n", "{}", ran.stderr);
    assert_eq!(ran.code, Some(0));
    let ran = server.run(&["nodes", "--json", "-g", "n1"]).await;
    assert!(
        ran.stdout
            .starts_with("{\"event\":\"node\",\"name\":\"n3\","),
        "{}",
        ran.stdout
    );
    assert!(server.state().seen.contains(&"ListNodes n1".to_owned()));
}

#[tokio::test]
async fn https_is_trusted_by_a_given_authority_or_not_at_all() {
    let (server, certificate) = Server::start_with_tls(State::default()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    let run = async |host: &str, lines: &str| {
        let file = folder.path().join("client.yaml");
        let port = server.port();
        let text = format!("base_url: https://{host}:{port}/action\njwt_token: t0ken\n{lines}");
        std::fs::write(&file, text).unwrap();
        let mut client = bare_client("action-client", &["nodes"]);
        client
            .env("ACTION_CLIENT_CONFIG", file)
            .env("ACTION_CLIENT_TIMEOUT", "20s");
        finish(client).await
    };
    let ran = run("localhost", "ca_path: ca.pem\n").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let ran = run("localhost", "").await;
    assert!(
        ran.stderr.contains("UnknownIssuer") && ran.code == Some(255),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: set `ca_path`"), "{}", ran.stderr);
    let ran = run("127.0.0.1", "ca_path: ca.pem\n").await;
    assert!(
        ran.stderr.contains("not valid for name") && ran.code == Some(255),
        "{}",
        ran.stderr
    );
    let ran = run("127.0.0.1", "verify_ssl: false\n").await;
    assert!(
        ran.stderr.starts_with("warning: verify_ssl is false"),
        "{}",
        ran.stderr
    );
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(0), 1));
}

#[tokio::test]
async fn help_lists_every_page_of_commands() {
    let server = Server::start(State::default()).await;
    for words in [["help"].as_slice(), &["--help"], &["run", "--help"]] {
        let ran = server.run(words).await;
        assert!(
            ran.stdout.contains("\n  usage      Do usage\n"),
            "{}",
            ran.stdout
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    }
    let ran = server.run(&["usage", "--help"]).await;
    assert!(
        ran.stdout
            .contains("Usage: action-client usage [OPTIONS] NAME TYPE"),
        "{}",
        ran.stdout
    );
    let ran = finish(server.client("power", &["help"])).await;
    assert!(ran.stdout.contains("\n  off  Do power-off\n") && !ran.stdout.contains("usage "));
}

#[tokio::test]
async fn without_a_server_help_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (word, code) in [("help", 255), ("--help", 0)] {
        let mut client = bare_client("action-client", &[word]);
        client.env("ACTION_CLIENT_BASE_URL", format!("http://{address}"));
        let ran = finish(client).await;
        assert!(ran.stdout.contains("estate-list"), "{}", ran.stdout);
        assert!(
            ran.stderr
                .contains(&format!("cannot reach the server at http://{address}:"))
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert_eq!(ran.code, Some(code));
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = bare_client("action-client", &["nodes"]);
    client.env(
        "ACTION_CLIENT_BASE_URL",
        format!("http://{}", listener.local_addr().unwrap()),
    );
    client.env("ACTION_CLIENT_TIMEOUT", "300ms");
    let ran = finish(client).await;
    assert!(
        ran.stderr.contains("no answer within 300ms"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(255));
}

#[tokio::test]
async fn usage_errors_end_with_64_before_anything_runs() {
    let server = Server::start(State::default()).await;
    for words in [
        ["usge", "n1"].as_slice(),
        &["usage"],
        &["usage", "n1"],
        &["usage", "-g", "n1"],
        &["--nonsense"],
        &["power-off", "n1"],
        &[],
    ] {
        let ran = server.run(words).await;
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(64), ""),
            "{words:?} {}",
            ran.stderr
        );
    }
    let seen = server.state().seen.clone();
    assert!(seen.iter().all(|call| call == "ListCommands"), "{seen:?}");
    let ran = server.run(&["usge", "n1"]).await;
    assert!(
        ran.stderr.contains("hint: did you mean `usage`?"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_bad_token_has_a_remedy() {
    let server = Server::start(State::default()).await;
    let mut client = server.client("action-client", &["usage", "n1", "x"]);
    client.env("ACTION_CLIENT_JWT_TOKEN", "wrong");
    let ran = finish(client).await;
    assert_eq!(ran.code, Some(255));
    assert!(ran.stderr.contains("generate-token") && !ran.stderr.contains("wrong"));
}

#[tokio::test]
async fn a_run_is_asked_for_and_shown() {
    let nodes = [("n1", Outcome::Ok, 0), ("n2", Outcome::Failed, 3)];
    let server = Server::start(state_of(&nodes, &[("n1", "a\n"), ("n2", "b")])).await;
    let ran = server
        .run(&["usage", "-g", "n[1-2]", "x", "--", "-v"])
        .await;
    assert_eq!(ran.stdout, "n1: a\nn2: b\n");
    assert_eq!(ran.stderr, "ok n1 (1)  failed n2 (1): exit 3\n");
    assert_eq!(ran.code, Some(3));
    let request = server.state().request.take().unwrap();
    assert_eq!(
        (request.command.as_str(), request.nodes.as_str()),
        ("usage", "n[1-2]")
    );
    assert_eq!(request.arguments, ["x", "--", "-v"]);
    assert!(!request.confirmed && !request.request_uid.is_empty());
    let ran = finish(server.client("flight-power", &["off", "--confirm", "n1"])).await;
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let request = server.state().request.take().unwrap();
    assert!(request.confirmed && request.command == "power-off");
    let ran = server.run(&["usage", "n1", "x", "--exit", "zero"]).await;
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let ran = server.run(&["--exit", "zero", "usage", "n1", "x"]).await;
    assert_eq!(ran.code, Some(0));
}

#[tokio::test]
async fn a_run_can_be_left_listed_shown_and_cancelled() {
    let state = state_of(&[("n1", Outcome::Failed, 3)], &[("n1", "a\n")]);
    let server = Server::start(state).await;
    let ran = server.run(&["usage", "--detach", "n1", "x"]).await;
    assert_eq!((ran.stdout, ran.code), (format!("{RUN_ID}\n"), Some(0)));
    let ran = server.run(&["runs", "--command", "usage"]).await;
    assert!(
        ran.stdout.lines().nth(1).unwrap().starts_with(RUN_ID),
        "{}",
        ran.stdout
    );
    let ran = server.run(&["show", "r1a"]).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        ("a\n", Some(0)),
        "{}",
        ran.stderr
    );
    let ran = server.run(&["attach", "r1a"]).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        ("a\n", Some(3)),
        "{}",
        ran.stderr
    );
    let ran = server.run(&["cancel", "r1a"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = server.run(&["show", "x"]).await;
    assert_eq!(
        (ran.stderr.as_str(), ran.code),
        ("error: no such run\n", Some(255))
    );
}

#[tokio::test]
async fn a_cut_anywhere_changes_nothing_in_the_transcript() {
    let texts: Vec<String> = (0..20)
        .map(|i| format!("{i}{}", ["", "\n"][i % 2]))
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|text| ("n1", text.as_str())).collect();
    let nodes = [("n1", Outcome::Ok, 0)];
    let words = ["--output", "json", "usage", "n1", "x"];
    let whole = Server::start(state_of(&nodes, &texts))
        .await
        .run(&words)
        .await;
    assert_eq!((whole.code, whole.stdout.lines().count()), (Some(0), 13));
    // Lines are shown at the second event of each pair. Twice at the same place: the second
    // cut hits a stream that has not given anything yet.
    for cuts in [
        vec![1],
        vec![1, 1],
        vec![3, 7, 7, 7, 22],
        (1..23).step_by(2).collect(),
    ] {
        let state = State {
            cuts: cuts.clone().into(),
            ..state_of(&nodes, &texts)
        };
        let server = Server::start(state).await;
        let mut client = Running::start(&server, &words);
        let (mut shown, mut last) = (String::new(), 0);
        for (streams, cut) in (1..).zip(&cuts) {
            server.waits_for_cut(streams).await;
            // What was sent before the cut has come through, headers and all.
            while last < *cut {
                let line = client.line().await;
                let event: serde_json::Value = serde_json::from_str(&line).unwrap();
                last = event["sequence"].as_u64().unwrap();
                shown.push_str(&line);
                shown.push('\n');
            }
            server.cut();
        }
        let ran = client.end().await;
        shown.push_str(&ran.stdout);
        assert_eq!(
            (shown, ran.code),
            (whole.stdout.clone(), Some(0)),
            "{cuts:?} {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains(&format!("reconnected to run {RUN_ID}")),
            "{}",
            ran.stderr
        );
        let seen = server.state().seen.clone();
        let starts = seen
            .iter()
            .filter(|call| call.starts_with("RunCommand"))
            .count();
        assert_eq!(starts, 1, "a run is never started twice: {seen:?}");
    }
}

#[tokio::test]
async fn a_run_that_may_have_started_is_not_started_again() {
    let server = Server::start(State {
        answers_late: true,
        ..State::default()
    })
    .await;
    let client = Running::start(&server, &["usage", "n1", "x"]);
    server.waits_for_cut(1).await;
    server.cut();
    let ran = client.end().await;
    assert_eq!(ran.code, Some(254), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("it may or may not run"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("hint: `action-client runs`"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn it_gives_up_in_the_end_and_says_how_to_go_on() {
    let state = state_of(&[("n1", Outcome::Ok, 0)], &[("n1", "a\n")]);
    let server = Server::start(State {
        waits_for_cancel: true,
        ..state
    })
    .await;
    let words = ["--reconnect-for", "300ms", "usage", "n1", "x"];
    let mut client = Running::start(&server, &words);
    assert_eq!(client.line().await, "a");
    server.close();
    server.cut();
    let ran = client.end().await;
    assert_eq!(ran.code, Some(254), "{}", ran.stderr);
    let hint = format!("hint: the run goes on; `action-client attach {RUN_ID}` shows its output");
    assert!(ran.stderr.contains(&hint), "{}", ran.stderr);
}

#[tokio::test]
async fn the_first_interrupt_cancels_and_the_run_is_shown_to_its_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let state = state_of(&[("n1", Outcome::Cancelled, 0)], &[("n1", "a\n")]);
        let state = State {
            waits_for_cancel: true,
            cancel_works: true,
            ..state
        };
        let server = Server::start(state).await;
        let mut client = Running::start(&server, &["usage", "-g", "n1", "x"]);
        assert_eq!(client.line().await, "n1: a");
        client.signal(signal);
        let ran = client.end().await;
        assert_eq!(ran.code, Some(130), "{}", ran.stderr);
        assert!(ran.stderr.contains("cancelled n1 (1)"), "{}", ran.stderr);
        assert!(server.state().seen.contains(&format!("CancelRun {RUN_ID}")));
    }
}

#[tokio::test]
async fn the_second_interrupt_leaves_at_once() {
    let state = state_of(&[("n1", Outcome::Cancelled, 0)], &[("n1", "a\n")]);
    let server = Server::start(State {
        waits_for_cancel: true,
        ..state
    })
    .await;
    let mut client = Running::start(&server, &["usage", "n1", "x"]);
    assert_eq!(client.line().await, "a");
    client.signal(Signal::INT);
    assert!(client.error_line().await.starts_with("cancelling run"));
    client.signal(Signal::INT);
    assert_eq!(client.end().await.code, Some(130));
}

#[tokio::test]
async fn an_interrupt_of_attach_leaves_the_run_alone() {
    let state = state_of(&[("n1", Outcome::Ok, 0)], &[("n1", "a\n")]);
    let server = Server::start(State {
        waits_for_cancel: true,
        ..state
    })
    .await;
    let mut client = Running::start(&server, &["attach", RUN_ID]);
    assert_eq!(client.line().await, "a");
    client.signal(Signal::INT);
    let ran = client.end().await;
    assert_eq!(ran.code, Some(130));
    assert!(ran.stderr.contains("it goes on"), "{}", ran.stderr);
    assert!(
        !server
            .state()
            .seen
            .iter()
            .any(|call| call.starts_with("CancelRun"))
    );
}

#[tokio::test]
async fn a_reader_that_goes_is_no_error() {
    let texts = vec![("n1", "line\n"); 200];
    let server = Server::start(state_of(&[("n1", Outcome::Ok, 0)], &texts)).await;
    let mut client = server
        .client("action-client", &["usage", "n1", "x"])
        .spawn()
        .unwrap();
    drop(client.stdout.take());
    let output = tokio::time::timeout(CEILING, client.wait_with_output()).await;
    let ran = Ran::from(output.unwrap().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(141), ""));
}

/// A client that is watched while it runs.
struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(server: &Server, words: &[&str]) -> Self {
        let mut child = server.client("action-client", words).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(CEILING, self.stdout.next_line()).await;
        line.expect("a line comes while the run goes on")
            .unwrap()
            .unwrap_or_default()
    }

    async fn error_line(&mut self) -> String {
        let line = tokio::time::timeout(CEILING, self.stderr.next_line()).await;
        line.expect("a line comes while the run goes on")
            .unwrap()
            .unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let id = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        kill_process(id.unwrap(), signal).unwrap();
    }

    async fn end(mut self) -> Ran {
        let limit = CEILING + Duration::from_secs(1);
        let status = tokio::time::timeout(limit, self.child.wait()).await;
        let code = status.expect("the client ends").unwrap().code();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout
            .into_inner()
            .read_to_string(&mut stdout)
            .await
            .unwrap();
        self.stderr
            .into_inner()
            .read_to_string(&mut stderr)
            .await
            .unwrap();
        Ran {
            stdout,
            stderr,
            code,
        }
    }
}
