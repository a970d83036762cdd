//! Connections that break.

use crate::harness::{Running, finish};
use crate::script::state_of;
use crate::server::{RUN_ID, Server, State};
use action_proto::v1::Outcome;

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
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = Server::start(State {
        answers_late: true,
        ..State::default()
    })
    .await;
    let mut client = server.client("action-client", &["usage", "n1", "x"]);
    client.env("ACTION_CLIENT_TIMEOUT", "2s");
    let ran = finish(client).await;
    assert_eq!(ran.code, Some(254), "{}", ran.stderr);
    let part = "no answer within 2s";
    assert!(ran.stderr.contains(part), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("it may or may not run"),
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
