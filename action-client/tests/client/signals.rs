//! Ctrl-C and SIGTERM.

use crate::harness::Running;
use crate::script::state_of;
use crate::server::{RUN_ID, Server, State};
use action_proto::v1::Outcome;
use rustix::process::Signal;

#[tokio::test]
async fn the_first_interrupt_cancels_and_the_run_is_shown_to_its_end() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
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
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains("cancelled n1 (1)"), "{}", ran.stderr);
        assert!(server.state().seen.contains(&format!("CancelRun {RUN_ID}")));
    }
}

/// A CI system kills what does not end soon after SIGTERM.
#[tokio::test]
async fn a_client_that_is_terminated_does_not_wait_for_a_run_that_goes_on() {
    let state = state_of(&[("n1", Outcome::Cancelled, 0)], &[("n1", "a\n")]);
    let server = Server::start(State {
        waits_for_cancel: true,
        ..state
    })
    .await;
    for words in [&["usage", "n1", "x"][..], &["attach", RUN_ID]] {
        let mut client = Running::start(&server, words);
        assert_eq!(client.line().await, "a");
        client.signal(Signal::TERM);
        let ran = client.end().await;
        assert_eq!(ran.code, Some(143), "{}", ran.stderr);
    }
    let cancels = server
        .state()
        .seen
        .iter()
        .filter(|call| call.starts_with("CancelRun"))
        .count();
    assert_eq!(cancels, 1, "attach leaves the run alone");
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
