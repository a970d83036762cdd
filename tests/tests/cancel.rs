//! Runs that are made to end: by those who may, and by their time.

use std::thread;

use action_proto::v1::{Outcome, RunCommandRequest};
use action_tests::{Server, Site, on};
use prost_types::Duration;
use tonic::Code;

fn serving(settings: &str) -> Server {
    let site = Site::new();
    site.settings(settings);
    site.nodes("n1:\nn2:\nn3:\n");
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.start()
}

#[test]
fn a_run_is_cancelled_once_however_often_and_by_whom() {
    let server = serving("");
    let api = server.api();
    let mut run = api.start(on("wait", "@*")).unwrap();
    for node in ["n1", "n2", "n3"] {
        run.wait_for(node, "ready\n");
    }
    let id = run.id.clone();
    thread::scope(|scope| {
        for at in 0..8 {
            let (api, id) = (server.api(), id.as_str());
            scope.spawn(move || {
                for _ in 0..5 {
                    api.cancel(id, at % 2 == 0).unwrap();
                }
            });
        }
    });
    let run = run.finish();
    assert_eq!(run.summary().outcome(), Outcome::Cancelled);
    // After the end it changes nothing.
    for force in [false, true] {
        let was = api.cancel(&id, force).unwrap();
        assert_eq!(was.outcome(), Outcome::Cancelled);
    }
    assert_eq!(api.ended(&id).events, run.events);
    let ended = api.run(on("hello", "n1"));
    assert_eq!(api.cancel(&ended.id, true).unwrap().outcome(), Outcome::Ok);
    assert_eq!(api.ended(&ended.id).events, ended.events);
}

#[test]
fn a_run_that_is_cancelled_at_its_very_start_has_one_end() {
    let server = serving("");
    let api = server.api();
    for _ in 0..60 {
        let run = api.start(on("hello", "@*")).unwrap();
        api.cancel(&run.id, false).unwrap();
        let run = run.finish();
        let outcome = run.summary().outcome();
        assert!(
            matches!(outcome, Outcome::Cancelled | Outcome::Ok),
            "{outcome:?}"
        );
    }
    assert_eq!(server.scripts(), []);
}

fn within(command: &str, seconds: i64, nanos: i32) -> RunCommandRequest {
    RunCommandRequest {
        timeout: Some(Duration { seconds, nanos }),
        ..on(command, "n1")
    }
}

#[test]
fn a_caller_may_lower_the_time_and_not_raise_it() {
    let server = serving("");
    let api = server.api();
    for (seconds, nanos) in [(0, 0), (-1, 0), (0, -1), (i64::MIN, 0), (1, -1_000_000_000)] {
        let (code, text) = api.refused(within("hello", seconds, nanos));
        assert_eq!(code, Code::InvalidArgument, "{seconds} {nanos} {text}");
    }
    let run = api.run(within("wait", 0, 300_000_000));
    assert_eq!(run.end_of("n1").outcome(), Outcome::TimedOut);
    assert!(
        run.end_of("n1").message.contains("300ms"),
        "{:?}",
        run.end_of("n1")
    );
    for seconds in [3601, 100_000, i64::MAX] {
        let run = api.run(within("hello", seconds, 0));
        assert_eq!(
            run.started().timeout,
            Some(Duration {
                seconds: 3600,
                nanos: 0
            })
        );
    }
}

#[test]
fn a_run_as_a_whole_has_its_time() {
    let server = serving("run_timeout: 400ms\njob_threads: 1");
    let run = server.api().run(on("wait", "@*"));
    assert_eq!(run.summary().outcome(), Outcome::TimedOut);
    for node in ["n1", "n2", "n3"] {
        let end = run.end_of(node);
        assert_eq!(end.outcome(), Outcome::TimedOut, "{node}");
        assert!(
            end.message.starts_with("the run was not done after 400ms"),
            "{}",
            end.message
        );
    }
    assert!(run.end_of("n3").message.ends_with("before it was started"));
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}
