//! Abuse: connections without number. Those that are there go on, the log tells of it now and
//! then, and all is well when the others have gone.

use std::{
    io::Read,
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use action_proto::v1::{Outcome, RunCommandRequest};
use action_tests::{
    Base, CEILING, Server, Site, http2, on, program::through_shell, usage, wait_until,
};
use tonic::Code;

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site
}

/// So many connections from one address of this machine that say nothing.
fn crowd(server: &Server, last: u8, count: usize) -> Vec<TcpStream> {
    let own = Ipv4Addr::new(127, 0, 0, last);
    (0..count)
        .map(|_| http2::connect_from(own, server.address()))
        .collect()
}

/// How many of them the server has closed.
fn closed(crowd: &[TcpStream]) -> usize {
    let is_closed = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        match stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    crowd.iter().filter(|stream| is_closed(stream)).count()
}

#[track_caller]
fn wait_for_closed(crowd: &[TcpStream], count: usize) {
    wait_until(&format!("{count} to be closed"), CEILING, || {
        (closed(crowd) >= count).then_some(())
    });
}

/// Refused connections are logged every 5 s and no more often.
#[track_caller]
fn assert_told_now_and_then(server: &Server, began: Instant) {
    let told = refusals(server);
    let most = 2 + began.elapsed().as_secs() / 5;
    assert!(
        told >= 1 && told as u64 <= most,
        "{told} lines, not 1 to {most}"
    );
}

fn refusals(server: &Server) -> usize {
    server.log().matches("refused connections").count()
}

#[test]
fn more_connections_than_an_address_or_all_may_have() {
    let site = site();
    site.settings("limits: {connections: 30, connections_per_address: 10}");
    let server = site.start();
    let base = Base::of(&server);
    let api = server.api();
    assert_eq!(api.node_names(), ["n1"]);
    let began = Instant::now();
    let one = crowd(&server, 2, 200);
    wait_for_closed(&one, 190);
    // Others have their own share.
    assert_eq!(server.api().node_names(), ["n1"]);
    // With ours, and 10 of the first, 19 places are left for these.
    let more: Vec<_> = [3, 4]
        .into_iter()
        .flat_map(|last| crowd(&server, last, 200))
        .collect();
    wait_for_closed(&more, 400 - 19);
    // Who is there already stays.
    assert_eq!(api.node_names(), ["n1"]);
    assert_told_now_and_then(&server, began);
    drop((one, more, api));
    base.is_kept(&server);
}

/// EMFILE: the kernel gives no more descriptors. The server waits and does not spin.
#[test]
fn more_connections_than_there_are_descriptors() {
    let server = Server::start(site(), |command| {
        *command = through_shell(command, "ulimit -n 64; exec \"$@\"");
    });
    let base = Base::of(&server);
    let api = server.api();
    assert_eq!(api.node_names(), ["n1"]);
    let (began, ticks) = (Instant::now(), usage::ticks(server.id()));
    let crowd = crowd(&server, 1, 200);
    wait_until("two lines of it in the log", CEILING, || {
        (refusals(&server) >= 2).then_some(())
    });
    let (elapsed, spent) = (began.elapsed(), usage::ticks(server.id()) - ticks);
    // A tick is a hundredth of a second.
    let share = Duration::from_millis(spent * 10).as_secs_f64() / elapsed.as_secs_f64();
    assert!(
        share < 0.25,
        "it took {share:.2} of a processor for {elapsed:?}"
    );
    assert!(
        server.log().contains("Too many open files"),
        "{}",
        server.log()
    );
    assert_told_now_and_then(&server, began);
    // Who is there already is answered, and a run is told that it cannot be now, or cannot start.
    assert_eq!(api.node_names(), ["n1"]);
    match api.start(on("hello", "n1")) {
        Ok(run) => _ = run.finish(),
        Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
    }
    drop((crowd, api));
    base.is_kept(&server);
}

/// EMFILE for a script: its job is not started, which is on record, and the run ends.
#[test]
fn scripts_for_which_there_are_no_descriptors() {
    let site = site();
    site.nodes("n1: {}\nn2: {}\n");
    site.command("gate", "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"");
    let gate = site.gate("gate");
    let server = site.start();
    let base = Base::of(&server);
    let api = server.api();
    let request = RunCommandRequest {
        fanout: 1,
        ..on("gate", "n[1-2]")
    };
    let mut run = api.start(request).unwrap();
    run.wait_for("n1", "ready\n");
    let usual = usage::limit_descriptors(server.id(), 3);
    gate.open();
    let refused = run.wait_for_end_of("n2");
    let ended = run.finish();
    usage::limit_descriptors(server.id(), usual);
    assert_eq!(ended.end_of("n1").outcome(), Outcome::Ok);
    assert_eq!(refused.outcome(), Outcome::NotStarted);
    assert!(
        refused.message.contains("Too many open files"),
        "{refused:?}"
    );
    assert_eq!(api.ended(&ended.id).events, ended.events);
    drop(api);
    base.is_kept(&server);
}
