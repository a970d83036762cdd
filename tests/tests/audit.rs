//! The audit log: each thing that was asked of the server has its line, with who, what and which.

mod lines;

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use action_proto::v1::{DetachPolicy, ListRunsRequest, RunCommandRequest};
use action_tests::{Api, Server, Site, on, processes, program::run, token, with_arguments};
use jsonwebtoken::Algorithm;
use rustix::process::Signal;
use serde_json::{Value, json};
use tonic::Code;

fn site() -> Site {
    let site = Site::new();
    site.nodes("n1: {}\nn2: {ranks: [other]}\nn3: {}\n");
    site.command("hello", "echo hello \"$@\"");
    site.script("hello/other.sh", "echo other; exit 3");
    site.command("wait", "echo ready; exec sleep 1000");
    site
}

/// A caller with a token made by hand: alice, on n1 and n2 only.
fn alice(server: &Server) -> Api {
    let claims = token::with(token::claims(), "nodes", "n[1-2]");
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

/// The digest of a file, by another program.
fn sha256(server: &Server, script: &str) -> String {
    let mut program = Command::new("sha256sum");
    program.arg(server.path("libexec").join(script));
    let text = run(program).ok().stdout();
    text.split(' ').next().unwrap().to_owned()
}

/// The numbers are 1, 2, 3 and so on: nothing is missing.
#[track_caller]
pub(crate) fn assert_complete(lines: &[Value]) {
    let numbers: Vec<_> = lines
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    let expected: Vec<_> = (1..=lines.len() as u64).collect();
    assert_eq!(numbers, expected);
}

/// A line without what differs from run to run.
fn without_time(mut line: Value) -> Value {
    let fields = line.as_object_mut().unwrap();
    let time = fields.remove("time").unwrap();
    // 2026-11-24T17:22:39.817Z
    let time = time.as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    fields.remove("seq");
    line
}

#[test]
fn a_run_is_told_from_its_acceptance_to_its_end() {
    let server = site().start();
    let api = alice(&server);
    let ended = api.run(with_arguments("hello", "n2,n1", &["a b", "--x"]));
    let accepted = server.audited("run_accepted", &json!({"run_id": ended.id}));
    let scripts = json!({
        "hello/default.sh": sha256(&server, "hello/default.sh"),
        "hello/other.sh": sha256(&server, "hello/other.sh"),
    });
    assert_eq!(
        without_time(accepted),
        json!({
            "event": "run_accepted", "run_id": ended.id, "subject": "alice", "jti": "token-of-a-test",
            "address": "127.0.0.1", "command": "hello", "nodes": "n[1-2]", "arguments": ["a b", "--x"],
            "scripts": scripts, "rule": "any token",
        })
    );
    let finished = server.audited("run_finished", &json!({"run_id": ended.id}));
    assert_eq!(
        without_time(finished),
        json!({
            "event": "run_finished", "run_id": ended.id, "subject": "alice", "jti": "token-of-a-test",
            "command": "hello", "nodes": "n[1-2]", "outcome": "failed", "counts": {"ok": 1, "failed": 1},
        })
    );
    assert_complete(&server.audit());
    let mode = fs::metadata(server.path("state/audit.jsonl")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    // The log of the server has it too, for journals and collectors.
    server.wait_for_log(&format!(
        "run_accepted run_id={} subject=\"alice\"",
        ended.id
    ));
}

#[test]
fn who_cancelled_is_told() {
    let server = site().start();
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let other = alice(&server);
    other.cancel(&run.id, true).unwrap();
    let line = server.audited("run_cancelled", &json!({"run_id": run.id}));
    assert_eq!(
        without_time(line),
        json!({
            "event": "run_cancelled", "run_id": run.id, "subject": "alice", "jti": "token-of-a-test",
            "address": "127.0.0.1", "reason": "by force",
        })
    );
    let ended = run.finish();
    let end = json!({"run_id": ended.id, "outcome": "cancelled"});
    let last = server.audited("run_finished", &end);
    let cancel = server.audited("run_cancelled", &json!({"run_id": ended.id}));
    assert!(cancel["seq"].as_u64() < last["seq"].as_u64());
    // Once more, after its end, cancels nothing.
    other.cancel(&ended.id, false).unwrap();
    // A caller who goes away and wanted that.
    let request = RunCommandRequest {
        detach_policy: DetachPolicy::Cancel.into(),
        ..on("wait", "n2")
    };
    let mut run = other.start(request).unwrap();
    run.read().unwrap();
    let id = run.id.clone();
    drop(run);
    let line = server.audited("run_cancelled", &json!({"run_id": id}));
    assert_eq!(line["subject"], "alice");
    assert!(
        line["reason"].as_str().unwrap().contains("went away"),
        "{line}"
    );
    let cancels = server
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "run_cancelled");
    assert_eq!(cancels.count(), 2);
}

#[test]
fn what_is_denied_is_told_and_refused_tokens_are() {
    let server = site().start();
    let (code, reason) = alice(&server).refused(with_arguments("hello", "n[1-3]", &["x"]));
    assert_eq!(code, Code::PermissionDenied);
    let line = server.audited("denied", &json!({}));
    assert_eq!(
        without_time(line),
        json!({
            "event": "denied", "subject": "alice", "jti": "token-of-a-test", "address": "127.0.0.1",
            "method": "RunCommand", "command": "hello", "nodes": "n[1-3]", "arguments": ["x"],
            "reason": reason,
        })
    );
    for _ in 0..8 {
        server
            .api_with(Some("a.b.c"))
            .list_nodes(Default::default())
            .unwrap_err();
    }
    let line = server.audited("token_refused", &json!({}));
    assert_eq!(line["address"], "127.0.0.1");
    assert_eq!(line["method"], "/action.v1.ActionService/ListNodes");
    assert!(line["reason"].is_string());
    // A line that comes after them all.
    let ended = server.api().run(on("hello", "n1"));
    server.audited("run_finished", &json!({"run_id": ended.id}));
    let refused = server
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "token_refused");
    assert_eq!(refused.count(), 5, "the rest is summed up");
}

#[test]
fn the_rules_that_decide_are_told() {
    let site = site();
    site.settings("policy_path: policy.yaml");
    site.write(
        "policy.yaml",
        "rules:\n\
         - {name: all see, allow: [list], subjects: ['*']}\n\
         - {name: alice runs, allow: [run], subjects: [alice]}\n\
         - {name: not n2, deny: [run], nodes: n2, subjects: ['*']}\n",
    );
    let server = site.start();
    let api = alice(&server);
    let ended = api.run(on("hello", "n1"));
    let accepted = server.audited("run_accepted", &json!({"run_id": ended.id}));
    assert_eq!(accepted["rule"], "alice runs");
    let (code, reason) = api.refused(on("hello", "n[1-2]"));
    assert_eq!(code, Code::PermissionDenied);
    let denied = server.audited("denied", &json!({"reason": reason}));
    assert_eq!(denied["rule"], "not n2");
    server.write("policy.yaml", "rules: [\n");
    let failed = json!({"what": "policy", "outcome": "failed"});
    assert!(server.audited("reloaded", &failed)["faults"].is_array());
}

#[test]
fn what_is_revoked_is_told() {
    let server = site().start();
    _ = server.server_verb(&["revoke", "--jti", "some-token"]).ok();
    server.audited("revoked", &json!({"what": "the token some-token"}));
    server.audited("reloaded", &json!({"what": "revocations", "outcome": "ok"}));
}

#[test]
fn starts_stops_and_reloads_are_told() {
    let server = site().start();
    server.write("libexec/hello/metadata.yaml", "help: [\n");
    let failed = server.audited(
        "reloaded",
        &json!({"what": "definitions", "outcome": "failed"}),
    );
    let faults = failed["faults"].as_array().unwrap();
    assert!(
        faults[0].as_str().unwrap().contains("hello/metadata.yaml:"),
        "{failed}"
    );
    server.write("libexec/hello/metadata.yaml", "help: {summary: mended}\n");
    server.audited("reloaded", &json!({"what": "definitions", "outcome": "ok"}));
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let site = server.stop();
    let lines = site.audit();
    assert_complete(&lines);
    let names: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(names.first(), Some(&"server_started"));
    assert_eq!(lines[0]["version"], env!("CARGO_PKG_VERSION"));
    let end = [
        "run_accepted",
        "server_stopping",
        "run_cancelled",
        "run_finished",
    ];
    assert_eq!(names[names.len() - 4..], end);
    assert_eq!(lines[lines.len() - 2]["reason"], "the server is stopping");
}

#[test]
fn a_run_that_is_lost_has_its_end_in_the_log_of_the_next_server() {
    let server = site().start();
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let server = server.kill().start();
    let end = server.audited("run_finished", &json!({"run_id": run.id}));
    assert_eq!((&end["outcome"], &end["seq"]), (&json!("lost"), &json!(2)));
    let starts = server
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "server_started");
    assert_eq!(starts.count(), 2);
}

#[test]
fn lines_go_on_in_the_file_that_has_the_name_after_a_hangup() {
    let server = site().start();
    fs::rename(server.path("state/audit.jsonl"), server.path("state/old")).unwrap();
    processes::signal(server.id(), Signal::HUP);
    server.wait_for_log("reopened the audit log");
    let ended = server.api().run(on("hello", "n1"));
    server.audited("run_finished", &json!({"run_id": ended.id}));
    assert!(server.read("state/old").contains("server_started"));
    assert!(!server.read("state/old").contains(&ended.id));
}
