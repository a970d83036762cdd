//! Abuse: calls whose messages, headers or deadlines are wrong. Each is answered with a clear
//! error, or with none, and nothing is run by halves.

use action_proto::v1::{ListRunsRequest, Outcome, Run, RunCommandRequest};
use action_tests::{
    Api, Base, CEILING, Chance, Server, Site,
    http2::{self, Wire, frame, kind},
    on, rounds, wait_until,
};
use prost::Message;
use tonic::Code;

const RUN: &str = "/action.v1.ActionService/RunCommand";

fn serving() -> (Server, Base) {
    let site = Site::new();
    site.command("hello", "echo hello");
    let server = site.start();
    let base = Base::of(&server);
    (server, base)
}

/// All runs, when none of them goes on any more.
#[track_caller]
fn all_ended(api: &Api) -> Vec<Run> {
    let request = ListRunsRequest {
        page_size: 1000,
        ..ListRunsRequest::default()
    };
    wait_until("the runs to end", CEILING, || {
        let runs = api.list_runs(request.clone()).unwrap().runs;
        let over = |run: &Run| run.outcome() != Outcome::Unspecified;
        runs.iter().all(over).then_some(runs)
    })
}

#[test]
fn requests_that_are_too_large_or_compressed() {
    let (server, base) = serving();
    let (token, api) = (server.token(), server.api());
    let before = all_ended(&api).len();
    let large = with_claim("x".repeat(600_000)).encode_to_vec();
    let status = api.raw(RUN, &large).unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    // One that says it has 4 GiB, and one that says it is compressed.
    for (head, headers) in [
        (&[0, 255, 255, 255, 255][..], &[][..]),
        (&[1, 0, 0, 0, 9], &[]),
        (&[1, 0, 0, 0, 9], &[("grpc-encoding", "gzip")]),
    ] {
        let mut wire = Wire::open(server.address());
        wire.send(&http2::headers(1, "RunCommand", Some(&token), headers));
        wire.send(&frame(kind::DATA, 0, 1, &[head, &[0; 9]].concat()));
        // The answer comes although more was announced: a status in HEADERS and no message.
        let answer = wire.find(|frame| frame.stream == 1).unwrap();
        assert_eq!(answer.kind, kind::HEADERS, "{answer:?}");
        assert_ne!(answer.flags & http2::END_STREAM, 0, "{answer:?}");
    }
    assert_eq!(all_ended(&api).len(), before, "nothing was run");
    drop(api);
    base.is_kept(&server);
}

fn with_claim(claim: String) -> RunCommandRequest {
    RunCommandRequest {
        request_username: claim,
        ..on("hello", "n1")
    }
}

/// Random bytes, and requests with random bytes changed. What is no message is an error that says
/// so; what is one by chance is answered like any other.
#[test]
fn messages_of_random_bytes() {
    let (server, base) = serving();
    let api = server.api();
    let mut chance = Chance::new();
    let methods = ["ListNodes", "ListCommands", "PlanRun", "ListRuns", "GetRun"];
    let good = with_claim("alice".into()).encode_to_vec();
    let mut refused = 0;
    for _ in 0..rounds(400) {
        let mut byte = || u8::try_from(chance.below(256)).unwrap();
        let mut bytes: Vec<u8> = match byte() % 2 {
            0 => (0..byte() % 64).map(|_| byte()).collect(),
            _ => good.clone(),
        };
        if let Some(at) = usize::from(byte()).checked_rem(bytes.len()) {
            bytes[at] = byte();
        }
        let method = methods[usize::from(byte()) % methods.len()];
        let path = format!("/action.v1.ActionService/{method}");
        if let Err(status) = api.raw(&path, &bytes) {
            refused += 1;
            let ours = [
                Code::Unknown,
                Code::DataLoss,
                Code::Unavailable,
                Code::Cancelled,
            ];
            assert!(
                !ours.contains(&status.code()),
                "{method} {bytes:?}: {status:?}"
            );
        }
    }
    assert!(refused > 0);
    assert!(!server.log().contains("panicked"), "{}", server.log());
    drop(api);
    base.is_kept(&server);
}

#[test]
fn messages_that_nest_have_what_nobody_knows_or_no_text() {
    let (server, base) = serving();
    let api = server.api();
    // Groups in groups, of a field that nobody knows.
    let nested = [0x9b, 0x06].repeat(100_000);
    let status = api.raw(RUN, &nested).unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    // A text that is none, in `command`.
    let status = api.raw(RUN, b"\x0a\x02\xff\xfe").unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    // A field that nobody knows changes nothing.
    let mut unknown = on("hello", "n1").encode_to_vec();
    unknown.extend(b"\xfa\x3f\x05hello");
    let events = api.raw(RUN, &unknown).unwrap();
    assert!(events.len() >= 4, "{events:?}");
    drop(api);
    base.is_kept(&server);
}

/// A deadline ends the call, and not a run that the call has started.
#[test]
fn deadlines_end_calls_and_never_runs() {
    let (server, base) = serving();
    let (token, api) = (server.token(), server.api());
    let before = all_ended(&api).len();
    for deadline in [
        "0n",
        "1n",
        "1u",
        "1m",
        "99999999n",
        "999999999n",
        "99999999H",
        "1",
        "",
        "n",
        "-1S",
        "1.5S",
        "1 S",
        "\u{e9}",
    ] {
        for _ in 0..5 {
            let mut wire = Wire::open(server.address());
            let more = [("grpc-timeout", deadline)];
            wire.send(&http2::headers(1, "RunCommand", Some(&token), &more));
            wire.send(&http2::message(1, &on("hello", "n1")));
            let end = |frame: &http2::Frame| frame.flags & http2::END_STREAM != 0;
            let ended = wire
                .find(|frame| frame.stream == 1 && (end(frame) || frame.kind == kind::RST_STREAM));
            assert!(ended.is_some(), "{deadline:?}: the connection ended");
        }
    }
    let runs = all_ended(&api);
    assert!(runs.len() > before, "some were begun");
    for run in &runs {
        assert_eq!(api.ended(&run.run_id).answer_of("n1"), "hello\n");
    }
    drop(api);
    base.is_kept(&server);
}

#[test]
fn a_fault_of_ours_in_one_call_is_told_to_its_caller_alone() {
    let site = Site::new();
    site.command("hello", "echo hello");
    let server = Server::start(site, |command| {
        command.env("ACTION_PANIC_AT", "/action.v1.ActionService/ListNodes");
    });
    let base = Base::of(&server);
    let api = server.api();
    for _ in 0..20 {
        let status = api.list_nodes(Default::default()).unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        // Over the same connection.
        assert_eq!(api.command_names(), ["hello"]);
    }
    drop(api);
    base.is_kept(&server);
}
