//! Health: what load balancers are told, for the whole server and for the API, while something
//! that every run needs is broken, and once it is mended.

use action_tests::{CEILING, Live, Server, Site, on, wait_until};
use tonic::Code;

use crate::{disk::Disk, faults::Failing};

/// What the health service is asked about.
const SERVICES: [&str; 2] = ["", "action.v1.ActionService"];
const SERVING: &[u8] = &[8, 1];
const NOT_SERVING: &[u8] = &[8, 2];

/// Waits, prints, and waits again.
const POUR: &str = r#"
read -r < "$SCRIPT_ROOT/../before"
head -c 300000 /dev/zero | tr '\0' x
read -r < "$SCRIPT_ROOT/../after"
"#;

fn site() -> Site {
    let site = Site::new();
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.command("pour", POUR);
    site
}

/// A question about a service, as bytes.
fn question(service: &str) -> Vec<u8> {
    let mut message = vec![0x0a, u8::try_from(service.len()).unwrap()];
    message.extend(service.as_bytes());
    message
}

/// Waits until health says this of both services, and the metrics with it.
#[track_caller]
fn wait_for(server: &Server, wanted: &[u8]) {
    let api = server.api_with(None);
    for service in SERVICES {
        wait_until(&format!("{wanted:?} of {service:?}"), CEILING, || {
            let answer = api.raw("/grpc.health.v1.Health/Check", &question(service));
            (answer.unwrap()[0] == wanted).then_some(())
        });
    }
    let serving = f64::from(u8::from(wanted == SERVING));
    assert_eq!(server.scrape().of("action_serving"), serving);
}

#[test]
fn a_full_disk_is_told_before_a_run_is_tried_and_its_end_is_told() {
    let site = site();
    let disk = Disk::mount(&site.path("state"), "size=16m,mode=700");
    site.settings("audit_path: audit.jsonl");
    let server = site.start();
    wait_for(&server, SERVING);
    disk.fill();
    wait_for(&server, NOT_SERVING);
    assert_eq!(server.scrape().of("action_record_works"), 0.0);
    assert_eq!(server.scrape().of("action_audit_works"), 1.0);
    assert!(server.log().contains("new runs cannot be recorded"));
    // It tells the truth.
    assert_eq!(server.api().refused(on("hello", "n1")).0, Code::Unavailable);
    disk.free();
    wait_for(&server, SERVING);
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
    drop(server);
    drop(disk);
}

#[test]
fn a_record_that_cannot_be_written_is_told_though_the_disk_has_space() {
    let server = site().start();
    wait_for(&server, SERVING);
    let runs = server.path("state/runs");
    let failing = Failing::new(&server, "fsync:error=EIO", Some(&runs));
    assert_eq!(server.api().refused(on("hello", "n1")).0, Code::Unavailable);
    wait_for(&server, NOT_SERVING);
    drop(failing);
    wait_for(&server, SERVING);
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}

#[test]
fn a_run_whose_record_fails_is_told() {
    let site = site();
    let disk = Disk::mount(&site.path("state"), "size=16m,mode=700");
    site.settings("audit_path: audit.jsonl");
    let (before, after) = (site.gate("before"), site.gate("after"));
    let server = site.start();
    let run = server.api().start(on("pour", "n1")).unwrap();
    disk.fill();
    before.open();
    wait_until("the run to be unrecorded", CEILING, || {
        (server.scrape().of("action_unrecorded_runs") == 1.0).then_some(())
    });
    wait_for(&server, NOT_SERVING);
    disk.free();
    after.open();
    let end = run.finish().end_of("n1").clone();
    assert!(end.output_lost_bytes > 0, "{end:?}");
    wait_for(&server, SERVING);
    // What was lost is counted as the record has it.
    let dropped = server
        .scrape()
        .of("action_output_dropped_bytes_total{command=\"pour\"}");
    assert_eq!(dropped, end.output_lost_bytes as f64);
    drop(server);
    drop(disk);
}

#[test]
fn an_audit_log_that_cannot_be_written_is_told() {
    let site = site();
    let disk = Disk::mount(&site.path("small"), "size=64k,mode=700");
    site.settings("audit_path: small/audit.jsonl");
    let server = site.start();
    wait_for(&server, SERVING);
    disk.fill();
    // The last page of the file has room for some lines yet.
    wait_until("a line that is lost", CEILING, || {
        _ = server.api().start(on("hello", "n1")).map(Live::finish);
        let lost = server.scrape().of("action_audit_lines_lost_total");
        (lost > 0.0).then_some(())
    });
    wait_for(&server, NOT_SERVING);
    let scrape = server.scrape();
    assert_eq!(scrape.of("action_audit_works"), 0.0);
    assert_eq!(scrape.of("action_record_works"), 1.0);
    disk.free();
    wait_for(&server, SERVING);
    drop(server);
    drop(disk);
}

#[test]
fn a_server_that_stops_is_not_for_new_calls() {
    let site = site();
    site.set("drain_timeout", "1h");
    let server = site.start();
    let run = server.api().start(on("wait", "n1")).unwrap();
    server.terminate();
    wait_for(&server, NOT_SERVING);
    // A second word cuts the wait short.
    server.terminate();
    run.finish();
}

#[test]
fn a_server_without_definitions_does_not_start_and_keeps_them_once_it_has() {
    let site = site();
    let nodes = site.read("nodes.yaml");
    site.nodes("n1: [\n");
    assert_eq!(site.refused().code(), 78);
    site.nodes(&nodes);
    let server = site.start();
    server.nodes("n1: [\n");
    server.wait_for_log("nodes.yaml:");
    // The last good nodes are in use: there is nothing that a balancer should know.
    wait_for(&server, SERVING);
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}
