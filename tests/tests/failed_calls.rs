//! A caller who is told that a call failed has not started anything: calls of RunCommand that are
//! malformed, cut off or late, frame by frame.

use std::fs;

use action_tests::{
    CEILING, Server, Site,
    http2::{self, END_HEADERS, END_STREAM, Frame, Wire, frame, kind},
    on, rounds, usage, wait_until,
};
use prost::Message;

fn serving() -> Server {
    let site = Site::new();
    site.command("leave", "echo ran >> \"$SCRIPT_ROOT/../ran\"");
    site.start()
}

/// A good request as gRPC frames it.
fn request() -> Vec<u8> {
    let message = on("leave", "n1").encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// The HEADERS of a call with a good token, and more fields.
fn open(server: &Server, more: &[(&str, &str)]) -> Vec<u8> {
    http2::headers(1, "RunCommand", Some(&server.token()), more)
}

fn data(flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::DATA, flags, 1, payload)
}

/// How many runs are on record, once each has run its script.
fn runs(server: &Server) -> usize {
    wait_until("the runs to end", CEILING, || {
        let records = fs::read_dir(server.path("state/runs")).unwrap().count();
        let ran = match server.has("ran") {
            true => server.read("ran").lines().count(),
            false => 0,
        };
        (records == ran).then_some(ran)
    })
}

/// Whether the answer is that of a run: headers that are not the end.
fn is_run(wire: &Wire) -> bool {
    let of_the_call = |frame: &Frame| {
        frame.stream == 1 && [kind::HEADERS, kind::RST_STREAM].contains(&frame.kind)
    };
    let answer = wire.find(of_the_call);
    answer.is_some_and(|answer| answer.kind == kind::HEADERS && answer.flags & END_STREAM == 0)
}

#[test]
fn malformed_requests() {
    let server = serving();
    let request = request();
    let (half, rest) = request.split_at(7);
    let end = |payload: &[u8]| data(END_STREAM, payload);
    let flag = |flag: u8| end(&[&[flag], &request[1..]].concat());
    let [longer, shorter] = [1, -1].map(|more| request.len().wrapping_add_signed(more).to_string());
    let fields = http2::fields(&[("x", "y")]);
    let trailers = &*frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &fields);
    let whole = end(&request);
    let behind = |more: &[u8]| end(&[&request, more].concat());
    let good = [
        ("", "", whole.clone()),
        ("", "", [data(0, half), end(rest)].concat()),
        ("", "", [&data(0, &request), trailers].concat()),
        ("grpc-encoding", "identity", whole.clone()),
    ];
    let bad = [
        ("grpc-encoding", "gzip", whole.clone()),
        ("grpc-encoding", "gzip", flag(1)),
        ("grpc-encoding", "identity", flag(1)),
        ("", "", flag(1)),
        ("", "", flag(2)),
        ("", "", end(b"")),
        ("", "", end(half)),
        ("", "", [&data(0, half), trailers].concat()),
        ("", "", behind(b"\0\0")),
        ("", "", behind(b"\0\0\0\0\x02\xff\xff")),
        ("content-length", &longer, whole.clone()),
        ("content-length", &shorter, whole.clone()),
        ("", "", [&*whole, &whole].concat()),
    ];
    let mut before = 0;
    let good = good.into_iter().map(|case| (case, true));
    let bad = bad.into_iter().map(|case| (case, false));
    for ((name, value, body), expected) in good.chain(bad) {
        let what = format!("{name} {value} {body:?}");
        let fields = [(name, value)];
        let fields = fields.iter().filter(|(name, _)| !name.is_empty());
        let fields: Vec<_> = fields.copied().collect();
        let mut wire = Wire::open(server.address());
        wire.send(&[open(&server, &fields), body].concat());
        assert_eq!(is_run(&wire), expected, "{what}");
        let now = runs(&server);
        assert_eq!(now - before, usize::from(expected), "{what}");
        before = now;
    }
}

/// A caller whose request has not come to its end, or who takes it back. One that was whole may have
/// been begun by the time it is taken back; the server looks before it begins, so few are.
#[test]
fn requests_that_are_reset_or_cut_off() {
    let server = serving();
    let api = server.api();
    let mut whole = 0;
    for end in [0, END_STREAM] {
        if end == END_STREAM {
            _ = api.run(on("leave", "n1"));
            assert_eq!(runs(&server), 1, "requests that were not whole");
        }
        // NO_ERROR, INTERNAL_ERROR and CANCEL; and the end of the connection.
        for error in [Some(0_u32), Some(2), Some(8), None] {
            // A request that is taken back before its end is never begun, however the race goes.
            let times = if end == END_STREAM { 10 } else { 40 };
            for _ in 0..rounds(times) {
                let mut wire = Wire::open(server.address());
                let call = [open(&server, &[]), data(end, &request())].concat();
                let reset = |error: u32| frame(kind::RST_STREAM, 0, 1, &error.to_be_bytes());
                let reset = error.map(reset).unwrap_or_default();
                if error.is_none() && end == END_STREAM {
                    // It cannot be told from one that waits for its answer.
                    continue;
                }
                whole += usize::from(end == END_STREAM);
                wire.send(&[call, reset].concat());
                assert!(error.is_none() || wire.is_answered());
            }
        }
    }
    wait_until("the connections to be closed", CEILING, || {
        (usage::connections(server.id()) == 1).then_some(())
    });
    // Behind what those calls began.
    _ = api.run(on("leave", "n1"));
    let begun = runs(&server) - 2;
    assert!(begun * 4 < whole, "{begun} of {whole}");
}

/// The deadline passes before, while and after the run is prepared: who gets an error has no run.
#[test]
fn deadlines_that_pass() {
    let server = serving();
    let mut told = 0;
    for deadline in ["0n", "1n", "1u", "1m", "3m", "5m", "10m", "20m", "10S"] {
        for _ in 0..rounds(10) {
            let mut wire = Wire::open(server.address());
            let call = open(&server, &[("grpc-timeout", deadline)]);
            wire.send(&[call, data(END_STREAM, &request())].concat());
            told += usize::from(is_run(&wire));
        }
    }
    assert_eq!(runs(&server), told);
    assert!(told > 0, "none was in time");
}
