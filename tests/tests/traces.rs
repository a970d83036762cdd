//! Traces: a call, its run and its jobs belong together and to the caller's own trace, and no
//! collector, whatever becomes of it, changes a run.

use std::net::TcpListener;

use action_proto::v1::GetRunRequest;
use action_tests::{
    CEILING, ClosedPort, Server, Site,
    collector::{Collector, Span},
    http2::{self, Frame, Wire, kind},
    on, wait_until, with_arguments,
};

fn site(endpoint: &str) -> Site {
    let site = Site::new();
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    site.settings(&format!("traces: {{endpoint: \"{endpoint}\"}}"));
    let others = (3..=40).map(|number| format!("n{number}:\n"));
    let others: String = others.collect();
    site.nodes(&format!("n1:\nn2: {{ranks: other}}\n{others}"));
    site.command("mixed", "echo out; [[ $name = n1 ]] || exit 3");
    site.script("mixed/other.sh", "exec sleep 0.05");
    site.command("hello", "echo hello");
    site
}

/// Waits for so many spans of this name.
#[track_caller]
fn spans(collector: &Collector, name: &str, count: usize) -> Vec<Span> {
    wait_until(&format!("{count} spans {name}"), CEILING, || {
        let mut spans = collector.spans();
        spans.retain(|span| span.name == name);
        (spans.len() == count).then_some(spans)
    })
}

#[test]
fn a_call_its_run_and_its_jobs_are_one_trace_of_the_caller() {
    let collector = Collector::start();
    let server = site(&collector.endpoint()).start();
    let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let api = server.api().with_header("traceparent", parent);
    let run = api.run(with_arguments("mixed", "n[1-3]", &["an-argument"]));
    let call = spans(&collector, "action.v1.ActionService/RunCommand", 1).remove(0);
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(&call.trace), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&call.parent), "b7ad6b7169203331");
    assert_eq!(call.attributes["rpc.grpc.status_code"], "ok");
    assert_eq!(call.attributes["action.subject"], run.started().subject);
    let whole = spans(&collector, "run", 1).remove(0);
    assert_eq!((&whole.trace, &whole.parent), (&call.trace, &call.id));
    assert_eq!(whole.attributes["action.run_id"], run.id);
    assert_eq!(whole.attributes["action.command"], "mixed");
    assert_eq!(whole.attributes["action.nodes"], "n[1-3]");
    assert_eq!(whole.attributes["action.outcome"], "failed");
    assert!(whole.error.is_some());
    let mut jobs = spans(&collector, "job", 3);
    jobs.sort_by_key(|job| job.attributes["action.node"].clone());
    for (job, node) in jobs.iter().zip(["n1", "n2", "n3"]) {
        let end = run.end_of(node);
        assert_eq!((&job.trace, &job.parent), (&call.trace, &whole.id));
        assert_eq!(job.attributes["action.node"], node);
        assert_eq!(job.attributes["action.rank"], run.start_of(node).rank);
        assert_eq!(
            job.attributes["action.exit_code"],
            end.exit_code.unwrap().to_string()
        );
        let message = Some(end.message.clone()).filter(|message| !message.is_empty());
        assert_eq!(job.error, message);
        assert!(whole.times.0 <= job.times.0 && job.times.1 <= whole.times.1);
        // It has the script in it.
        let duration = end.duration.unwrap();
        let script = u64::try_from(duration.seconds * 1_000_000_000).unwrap()
            + u64::try_from(duration.nanos).unwrap();
        assert!(job.times.1 - job.times.0 >= script, "{job:?} {script}");
    }
    // Nothing of what is said to be secret, or long, is in them.
    let all = format!("{:?}", collector.spans());
    for hidden in [server.token().as_str(), "an-argument", "hello", "eyJ"] {
        assert!(!all.contains(hidden), "{hidden}");
    }
}

#[test]
fn calls_without_a_token_have_none_and_those_without_a_parent_begin_one() {
    let collector = Collector::start();
    let server = site(&collector.endpoint()).start();
    let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let stranger = server.api_with(None).with_header("traceparent", parent);
    stranger
        .list_nodes(action_proto::v1::ListNodesRequest::default())
        .unwrap_err();
    let broken = server.api().with_header("traceparent", b"00-nonsense");
    broken.node_names();
    server.api().get_run("zzzz").unwrap_err();
    let list = spans(&collector, "action.v1.ActionService/ListNodes", 1).remove(0);
    assert!(list.parent.is_empty() && list.error.is_none(), "{list:?}");
    let get = spans(&collector, "action.v1.ActionService/GetRun", 1).remove(0);
    assert_eq!(get.error.as_deref(), Some("not_found"));
    assert_ne!(get.trace, list.trace);
    assert_eq!(collector.spans().len(), 2);
    // A caller who wants no trace of its call gets none.
    let quiet = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    server
        .api()
        .with_header("traceparent", quiet)
        .run(on("hello", "n1"));
    server.api().run(on("hello", "n1"));
    spans(&collector, "run", 1);
}

#[test]
fn what_is_left_is_sent_at_the_stop() {
    let collector = Collector::start();
    let server = site(&collector.endpoint()).start();
    server.api().run(on("hello", "n[1-40]"));
    server.stop();
    let names = collector.spans().into_iter().map(|span| span.name);
    let count = |wanted: &str| names.clone().filter(|name| name == wanted).count();
    assert_eq!((count("run"), count("job")), (1, 40));
}

/// Runs the same on a server with a dead collector: nothing but a counter tells of it.
#[track_caller]
fn goes_on(server: &Server, result: &str) {
    let runs = 5;
    for _ in 0..runs {
        let run = server.api().run(on("hello", "n[1-40]"));
        assert_eq!(run.answer_of("n40"), "hello\n");
    }
    let spans = f64::from(runs * 42);
    let sample = format!("action_trace_spans_total{{result=\"{result}\"}}");
    wait_until(&sample, CEILING, || {
        (server.scrape().of(&sample) >= spans).then_some(())
    });
    assert_eq!(
        server
            .scrape()
            .of("action_trace_spans_total{result=\"sent\"}"),
        0.0
    );
    server.wait_for_log("the collector of traces does not take them");
}

#[test]
fn a_collector_that_is_not_there_changes_nothing() {
    let closed = ClosedPort::new();
    let server = site(&format!("http://{}", closed.address())).start();
    goes_on(&server, "failed");
}

#[test]
fn a_collector_that_says_nothing_changes_nothing() {
    // The kernel takes its connections, and nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = site(&format!("http://{}", silent.local_addr().unwrap())).start();
    goes_on(&server, "failed");
    // Nor does it keep the server from stopping.
    server.api().run(on("hello", "n[1-40]"));
    server.terminate();
    assert!(server.wait().success());
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = site(&format!("http://{}", silent.local_addr().unwrap()));
    let server = site.start();
    // More than can wait, while 512 are given up every 5 s: calls that cost little. Their answers have no
    // DATA, so that no window gets full.
    let (token, message) = (server.token(), GetRunRequest::default());
    let mut wire = Wire::open(server.address());
    let mut streams = (1..).step_by(2);
    let dropped = "action_trace_spans_total{result=\"dropped\"}";
    wait_until("spans to be dropped", CEILING, || {
        for stream in streams.by_ref().take(100) {
            wire.send(&http2::headers(stream, "GetRun", Some(&token), &[]));
            wire.send(&http2::message(stream, &message));
        }
        for _ in 0..100 {
            let is_end = |frame: &Frame| frame.flags & http2::END_STREAM != 0;
            wire.find(|frame| frame.kind == kind::HEADERS && is_end(frame))
                .unwrap();
        }
        (server.scrape().of(dropped) > 0.0).then_some(())
    });
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}
