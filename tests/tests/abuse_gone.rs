//! Abuse: callers who are there and are not: stopped in the middle, or with no room for an answer.
//! Their connections end, and their runs do not.

use std::{io::Write, net::TcpStream};

use action_tests::{
    Base, CEILING, Server, Site,
    http2::{self, PREFACE, Wire, frame, kind},
    on, processes, usage, wait_until,
};
use rustix::process::Signal;

/// How much a script pours: far more than connections and windows hold.
const POURED: usize = 40_000_000;

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command(
        "wait",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"; echo done",
    );
    site.command(
        "pour",
        &format!("head -c {POURED} /dev/zero; touch \"$SCRIPT_ROOT/../poured\""),
    );
    site
}

/// A connection with room for all of an answer, and nobody who takes it.
fn deaf(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE, and as much for the connection.
    let most = 0x7fff_0000_u32.to_be_bytes();
    let settings = frame(kind::SETTINGS, 0, 0, &[&[0, 4][..], &most].concat());
    let window = frame(kind::WINDOW_UPDATE, 0, 0, &most);
    let headers = http2::headers(1, "RunCommand", Some(&server.token()), &[]);
    let message = http2::message(1, &on("pour", "n1"));
    let all = [PREFACE, &settings, &window, &headers, &message].concat();
    stream.write_all(&all).unwrap();
    stream
}

/// Two who are stopped, as a machine that is put to sleep, and one whose connection is full. Pings
/// find those, and that nothing is taken this one.
#[test]
fn callers_that_are_stopped_are_let_go_and_come_back() {
    let site = site();
    let gate = site.gate("gate");
    let server = site.start();
    let mut waiting = server.client().start(&["run", "wait", "n1"]);
    waiting.wait_for("ready\n");
    let mut pouring = server.client().start(&["run", "pour", "n1"]);
    pouring.wait_for("\0");
    let clients = [waiting.id(), pouring.id()];
    clients
        .iter()
        .for_each(|&id| processes::signal(id, Signal::STOP));
    let deaf = deaf(&server);
    wait_until("the script of the third", CEILING, || {
        let three = usage::connections(server.id()) == 3;
        (three && server.has("poured")).then_some(())
    });
    // Pings go out every 30 s and have 20 s.
    wait_until("the connections to end", 4 * CEILING, || {
        (usage::connections(server.id()) == 0).then_some(())
    });
    gate.open();
    drop(deaf);
    clients
        .iter()
        .for_each(|&id| processes::signal(id, Signal::CONT));
    let (waiting, pouring) = (waiting.finish().ok(), pouring.finish().ok());
    assert_eq!(waiting.stdout(), "ready\ndone\n");
    assert!(
        pouring.stdout == vec![0; POURED],
        "{} bytes",
        pouring.stdout.len()
    );
}

/// A caller that reads and answers pings, and never makes room for more of its answer.
#[test]
fn a_caller_that_makes_no_room() {
    let server: Server = site().start();
    let base = Base::of(&server);
    let before = usage::memory(server.id(), "VmRSS");
    let mut wire = Wire::open(server.address());
    wire.send(&http2::headers(1, "RunCommand", Some(&server.token()), &[]));
    wire.send(&http2::message(1, &on("pour", "n1")));
    wait_until("the script's end", CEILING, || {
        server.has("poured").then_some(())
    });
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
    assert!(wire.is_answered());
    let after = usage::memory(server.id(), "VmRSS");
    assert!(
        after < before + 8 * 1024,
        "{before} KiB before, {after} KiB after"
    );
    drop(wire);
    base.is_kept(&server);
}
