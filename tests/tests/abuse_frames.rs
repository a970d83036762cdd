//! Abuse: frames without end, of each kind that costs its sender little. The server lives, serves
//! others, and takes no more than before.

use std::{collections::BTreeSet, io::Write, net::TcpStream, time::Duration};

use action_proto::v1::{ListRunsRequest, Outcome, WatchRunRequest};
use action_tests::{
    Base, CEILING, Server, Site,
    http2::{self, END_HEADERS, ENHANCE_YOUR_CALM, PREFACE, REFUSED_STREAM, Wire, frame, kind},
    on, usage, wait_until,
};

/// How many frames a flood has, unless it is ended before.
const FLOOD: u32 = 100_000;

fn serving() -> (Server, Base) {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    let server = site.start();
    let base = Base::of(&server);
    (server, base)
}

/// The streams that a client opens: 1, 3, 5..
fn stream(at: u32) -> u32 {
    2 * at + 1
}

/// CVE-2023-44487, with a token and without.
#[test]
fn streams_that_are_reset_at_once() {
    let (server, base) = serving();
    for token in [None, Some(server.token())] {
        let mut wire = Wire::open(server.address());
        let pair = |at| {
            let call = http2::headers(stream(at), "ListNodes", token.as_deref(), &[]);
            [call, http2::reset(stream(at))].concat()
        };
        wire.flood(FLOOD, pair);
        assert_eq!(wire.last_word(), Some(ENHANCE_YOUR_CALM));
        base.is_kept(&server);
    }
}

/// Each of the runs is on record from its beginning to its end, or there is none.
#[test]
fn runs_that_are_reset_at_once_are_whole_or_not_there() {
    let (server, base) = serving();
    let (token, api) = (server.token(), server.api());
    let before = api
        .list_runs(ListRunsRequest::default())
        .unwrap()
        .runs
        .len();
    for round in 0..20 {
        let mut wire = Wire::open(server.address());
        let call = |at| {
            let headers = http2::headers(stream(at), "RunCommand", Some(&token), &[]);
            let message = http2::message(stream(at), &on("hello", "n1"));
            [headers, message].concat()
        };
        wire.flood(15, call);
        // While the runs are prepared, and when some of them have been answered.
        if round % 2 == 1 {
            wire.find(|frame| frame.kind == kind::HEADERS);
        }
        wire.flood(15, |at| http2::reset(stream(at)));
        wire.is_answered();
    }
    let runs = wait_until("the runs to end", CEILING, || {
        let request = ListRunsRequest {
            page_size: 1000,
            ..ListRunsRequest::default()
        };
        let runs = api.list_runs(request).unwrap().runs;
        let over = runs.iter().all(|run| run.outcome() != Outcome::Unspecified);
        over.then_some(runs)
    });
    for run in &runs {
        let ended = api.ended(&run.run_id);
        assert_eq!(ended.answer_of("n1"), "hello\n", "{}", run.run_id);
    }
    assert!(
        runs.len() > before,
        "none was started, so nothing was tried"
    );
    drop(api);
    base.is_kept(&server);
}

/// RUSTSEC-2024-0003: calls that are wrong, each of which the server resets, and nobody reads.
#[test]
fn streams_that_the_server_must_reset() {
    let (server, base) = serving();
    let wrong = http2::fields(&[(":path", "/without/a/method")]);
    let mut wire = Wire::open(server.address());
    let call = |at| frame(kind::HEADERS, END_HEADERS, stream(at), &wrong);
    let sent = wire.flood(FLOOD, call);
    assert_eq!(wire.last_word(), Some(ENHANCE_YOUR_CALM), "{sent} sent");
    drop(wire);
    base.is_kept(&server);
    // The same from one who takes no answer. It may have sent all of it before it is closed.
    let mut deaf = TcpStream::connect(server.address()).unwrap();
    deaf.set_write_timeout(Some(CEILING)).unwrap();
    deaf.write_all(PREFACE).unwrap();
    deaf.write_all(&frame(kind::SETTINGS, 0, 0, &[])).unwrap();
    _ = (0..FLOOD).any(|at| deaf.write_all(&call(at)).is_err());
    wait_until("the connection to be closed", CEILING, || {
        (usage::connections(server.id()) == 0).then_some(())
    });
    drop(deaf);
    base.is_kept(&server);
}

#[test]
fn more_streams_than_are_allowed() {
    const MOST: u32 = 100;
    let (server, base) = serving();
    let (token, api) = (server.token(), server.api());
    let mut run = api.start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let mut wire = Wire::open(server.address());
    // SETTINGS_MAX_CONCURRENT_STREAMS is the third.
    let settings = wire.find(|frame| frame.kind == kind::SETTINGS).unwrap();
    let values: Vec<_> = settings.payload.chunks(6).collect();
    assert!(values.contains(&&[0, 3, 0, 0, 0, 100][..]), "{values:?}");
    wire.send(&frame(kind::SETTINGS, http2::ACK, 0, &[]));
    // Calls that are waited for: their message has not come yet.
    let open = |at| http2::headers(stream(at), "WatchRun", Some(&token), &[]);
    assert_eq!(wire.flood(MOST + 50, open), MOST + 50);
    let mut refused = BTreeSet::new();
    while refused.len() < 50 {
        let frame = wire.next().expect("the connection goes on");
        assert!(
            ![kind::HEADERS, kind::GOAWAY].contains(&frame.kind),
            "{frame:?}"
        );
        if frame.kind == kind::RST_STREAM {
            assert_eq!(frame.number(0), REFUSED_STREAM);
            refused.insert(frame.stream);
        }
    }
    assert_eq!(refused, (MOST..MOST + 50).map(stream).collect());
    // Those before them are served.
    let request = WatchRunRequest {
        run_id: run.id.clone(),
        after_sequence: 0,
    };
    wire.send(&http2::message(stream(MOST - 1), &request));
    let answer = wire.find(|frame| frame.kind == kind::DATA).unwrap();
    assert_eq!(answer.stream, stream(MOST - 1));
    api.cancel(&run.id, false).unwrap();
    drop((run, wire, api));
    base.is_kept(&server);
}

/// What becomes of a connection with a flood.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Closed,
    Kept,
    /// The h2 library closes a connection with 1 MiB of window when about 2,000 small DATA frames
    /// are unread. A handler that reads keeps their number down, and which of the two is faster
    /// depends on the scheduler. Memory is bounded either way.
    Either,
}

/// Floods of frames that are allowed, one by one, and cost nothing to send. Whether the server
/// closes the connection or keeps it, others are served meanwhile and nothing of it stays.
#[test]
fn frames_that_say_nothing() {
    use Fate::{Closed, Either, Kept};
    let (server, base) = serving();
    let token = server.token();
    let call = || http2::headers(1, "RunCommand", Some(&token), &[]);
    let cut = || {
        frame(
            kind::HEADERS,
            0,
            1,
            &http2::call_fields("ListNodes", Some(&token), &[]),
        )
    };
    let empty = |kind, flags, stream| frame(kind, flags, stream, &[]);
    let field = http2::fields(&[("x", &"y".repeat(500))]);
    let byte = || frame(kind::DATA, 0, 1, b"\0");
    // A message that claims to be compressed: the call fails, and nothing reads the DATA after it.
    let failed = || [call(), frame(kind::DATA, 0, 1, &[1, 0, 0, 0, 9])].concat();
    let window = |stream| frame(kind::WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes());
    let ping = frame(kind::PING, 0, 0, b"12345678");
    // Each with what opens it, what is repeated, and what becomes of it.
    #[rustfmt::skip]
    let floods: [(&str, Vec<u8>, Vec<u8>, Fate); 9] = [
        // CVE-2024-27316.
        ("CONTINUATION without fields", cut(), empty(kind::CONTINUATION, 0, 1), Closed),
        ("CONTINUATION with fields", cut(), frame(kind::CONTINUATION, 0, 1, &field), Closed),
        // RUSTSEC-2026-0258.
        ("empty DATA", call(), empty(kind::DATA, 0, 1), Closed),
        ("DATA of one byte that nothing reads", failed(), byte(), Closed),
        ("DATA of one byte that the call reads", call(), byte(), Either),
        ("PING", call(), ping, Kept),
        ("SETTINGS", call(), empty(kind::SETTINGS, 0, 0), Kept),
        ("WINDOW_UPDATE of the connection", call(), window(0), Kept),
        ("WINDOW_UPDATE of a stream", call(), window(1), Kept),
    ];
    for (name, first, repeated, fate) in floods {
        let mut wire = Wire::open(server.address());
        wire.send(&first);
        let sent = wire.flood(FLOOD, |_| repeated.clone());
        // How much was sent says nothing: a whole flood fits into the buffers of the sockets. The
        // answer to a PING comes after the server has read all of it.
        let found = if wire.is_answered() { Kept } else { Closed };
        assert!(
            [found, Either].contains(&fate),
            "{name}: {found:?} after {sent}"
        );
        drop(wire);
        base.is_kept(&server);
    }
}

/// Who asks for answers and does not take them is ended as one who says nothing is: without a
/// token there is no such waiting.
#[test]
fn pings_whose_answers_nobody_takes() {
    let (server, base) = serving();
    let mut deaf = TcpStream::connect(server.address()).unwrap();
    deaf.write_all(PREFACE).unwrap();
    deaf.write_all(&frame(kind::SETTINGS, 0, 0, &[])).unwrap();
    // Until neither side takes any more.
    deaf.set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let pings = frame(kind::PING, 0, 0, b"12345678").repeat(1000);
    while deaf.write_all(&pings).is_ok() {}
    deaf.set_write_timeout(None).unwrap();
    wait_until("the connection to be closed", CEILING, || {
        (usage::connections(server.id()) == 0).then_some(())
    });
    base.is_kept(&server);
}
