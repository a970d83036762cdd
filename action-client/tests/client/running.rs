//! What is asked of the server, and what is shown.

use crate::harness::{CEILING, Ran, finish};
use crate::script::state_of;
use crate::server::{RUN_ID, Server, State};
use action_proto::v1::Outcome;

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
    // A command that is not listed may be a broken one: its plan tells.
    let harmless = |call: &String| call == "ListCommands" || call == "PlanRun";
    assert!(seen.iter().all(harmless), "{seen:?}");
    let ran = server.run(&["usge", "n1"]).await;
    assert!(
        ran.stderr.contains("hint: did you mean `usage`?"),
        "{}",
        ran.stderr
    );
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
    // Ours wherever it stands, and the script's behind --.
    let ran = server.run(&["usage", "n1", "x", "--exit", "zero"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = server
        .run(&["usage", "n1", "--", "x", "--exit", "zero"])
        .await;
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

#[tokio::test]
async fn a_list_goes_on_behind_pages_that_are_empty() {
    let server = Server::start(State {
        empty_pages: 3,
        ..State::default()
    })
    .await;
    let ran = server.run(&["runs", "--command", "usage"]).await;
    assert!(ran.stdout.contains(RUN_ID), "{}", ran.stdout);
    // What completes the ids of runs asks for them in the background.
    let refreshed = server.run(&["__refresh"]).await;
    assert_eq!(refreshed.code, Some(0), "{}", refreshed.stderr);
    let calls = server.state().seen.clone();
    let lists = calls.iter().filter(|call| call.starts_with("ListRuns"));
    assert_eq!(lists.count(), 8, "{calls:?}");
}
