//! Servers that stop while others are connected, and while callers go on asking for runs.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use action_proto::v1::Outcome;
use action_tests::{Proxy, Server, Site, on, program::AT_ONCE};
use tonic::Code;

/// What opens an HTTP/2 connection: RFC 9113, 3.4, and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.command("pour", "head -c 30000000 /dev/zero");
    site
}

/// A connection of its own that has sent this much.
fn connected(server: &Server, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(sent).unwrap();
    stream
}

/// The server ends by itself, with 0, and soon.
#[track_caller]
fn ends_at_once(mut server: Server) {
    let begin = Instant::now();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let took = begin.elapsed();
    assert!(took < AT_ONCE, "it took {took:?} to stop");
}

#[test]
fn connections_that_say_nothing_do_not_hold_up_the_end() {
    let server = site().start();
    let idle = server.api();
    assert_eq!(idle.node_names(), ["n1"]);
    let silent: Vec<_> = (0..20).map(|_| connected(&server, b"")).collect();
    let half = connected(&server, &PREFACE[..10]);
    let mut opened = connected(&server, PREFACE);
    // It has been answered, so that the server knows it; and never says a word again.
    assert!(opened.read(&mut [0; 64]).unwrap() > 0);
    let garbage = connected(&server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ends_at_once(server);
    drop((idle, silent, half, opened, garbage));
}

#[test]
fn a_caller_that_does_not_read_does_not_hold_up_the_end() {
    let server = site().start();
    let proxy = Proxy::new(server.address());
    let slow = action_tests::Api::connect(proxy.address(), Some(&server.token()));
    let mut run = slow.start(on("pour", "n1")).unwrap();
    _ = run.read();
    proxy.hold(true);
    let over = || server.api().run_now(&run.id).outcome() == Outcome::Ok;
    action_tests::wait_until("the run's end", action_tests::CEILING, || {
        over().then_some(())
    });
    ends_at_once(server);
    proxy.hold(false);
}

#[test]
fn a_watcher_is_told_the_end_of_a_run_that_the_stop_cancelled() {
    let server = site().start();
    let api = server.api();
    let mut run = api.start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let watch = server.api().watch(&run.id, 0).unwrap();
    ends_at_once(server);
    let run = run.finish();
    assert_eq!(run.end_of("n1").outcome(), Outcome::Cancelled);
    let message = &run.end_of("n1").message;
    assert!(message.contains("the server is stopping"), "{message}");
    let (events, error) = watch.rest();
    assert!(error.is_none(), "{error:?}");
    assert_eq!(events, run.events);
}

#[test]
fn a_second_signal_changes_nothing() {
    let mut server = site().start();
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    server.terminate();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(run.finish().end_of("n1").outcome(), Outcome::Cancelled);
    assert_eq!(server.scripts(), []);
}

#[test]
fn while_it_stops_runs_can_be_seen_and_cancelled_and_none_begins() {
    let site = site();
    site.set("drain_timeout", "1h");
    let mut server = site.start();
    let api = server.api();
    let mut run = api.start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    server.terminate();
    server.wait_for_log("stopping");
    // From an old connection and from a new one.
    for api in [api.clone(), server.api()] {
        let (code, text) = api.refused(on("hello", "n1"));
        assert_eq!(
            (code, text.contains("stopping")),
            (Code::Unavailable, true),
            "{text}"
        );
        assert_eq!(api.run_now(&run.id).running_jobs, 1);
    }
    let watch = api.watch(&run.id, 0).unwrap();
    api.cancel(&run.id, false).unwrap();
    let run = run.finish();
    assert_eq!(run.end_of("n1").outcome(), Outcome::Cancelled);
    assert_eq!(watch.rest().0, run.events);
    assert_eq!(server.wait().code(), Some(0));
}

/// Callers start runs all the time. Each run that was accepted has its end, and none is lost.
#[test]
fn no_run_is_accepted_and_then_forgotten() {
    let mut site = site();
    for round in 0..action_tests::rounds(6) {
        let mut server = site.start();
        let stop = AtomicBool::new(false);
        let accepted = Mutex::new(Vec::new());
        let apis: Vec<_> = (0..8).map(|_| server.api()).collect();
        thread::scope(|scope| {
            for api in &apis {
                let (stop, accepted) = (&stop, &accepted);
                scope.spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        match api.start(on("hello", "n1")) {
                            Ok(run) => accepted.lock().unwrap().push(run.id),
                            Err(_) => break,
                        }
                    }
                });
            }
            action_tests::wait_until("the first run", action_tests::CEILING, || {
                (!accepted.lock().unwrap().is_empty()).then_some(())
            });
            thread::park_timeout(Duration::from_millis(30 + 10 * round));
            server.terminate();
            assert_eq!(server.wait().code(), Some(0));
            stop.store(true, Ordering::Release);
        });
        assert_eq!(server.scripts(), []);
        site = server.stop();
        let server = site.start();
        assert!(
            !server.log().contains("the last server died"),
            "{}",
            server.log()
        );
        let accepted = accepted.into_inner().unwrap();
        for id in accepted {
            let outcome = server.api().ended(&id).summary().outcome();
            assert!(
                matches!(outcome, Outcome::Ok | Outcome::Cancelled),
                "{id}: {outcome:?}"
            );
        }
        site = server.stop();
    }
}
