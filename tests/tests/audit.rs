//! The audit log: each thing that was asked of the server has its line, with who, what and which.

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

/// What may break a line, a terminal or a reader.
const TREACHEROUS: &str = "x\n{\"event\":\"run_finished\"}\r\u{1b}[2J\u{9b}2J\u{7f}\u{85}\u{2028}\u{2029}\u{202e} level=error msg=\"y\"";

#[test]
fn what_callers_write_stays_in_its_line_of_a_log_of_text() {
    what_callers_write_stays_in_its_line("text", "20");
}

#[test]
fn what_callers_write_stays_in_its_line_of_a_log_of_json() {
    what_callers_write_stays_in_its_line("json", "{\"timestamp\":");
}

fn what_callers_write_stays_in_its_line(format: &str, begins: &str) {
    let site = site();
    site.settings(&format!("log_format: {format}"));
    let server = site.start();
    let ended = server
        .api()
        .run(with_arguments("hello", "n1", &[TREACHEROUS]));
    let line = server.audited("run_accepted", &json!({"run_id": ended.id}));
    assert_eq!(line["arguments"][0], TREACHEROUS);
    let claims = token::with(token::claims(), "commands", vec!["none"]);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    let narrow = server.api_with(Some(&token));
    narrow.refused(on(TREACHEROUS, TREACHEROUS));
    let line = server.audited("denied", &json!({}));
    // What looks like no name may be a secret.
    for key in ["command", "nodes"] {
        let count = TREACHEROUS.chars().count();
        let shown = format!("a text of {count} characters, which is not shown");
        assert_eq!(line[key], shown, "{key}");
    }
    // As much as a caller likes, but not in the log, also where it is accepted.
    let many = [
        "\u{9b}".repeat(8_000),
        "\"".repeat(40_000),
        "z".repeat(60_000),
    ];
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = server.api().run(with_arguments("hello", "n1", &many));
    assert_eq!(long.started().arguments, many);
    let line = server.audited("run_accepted", &json!({"run_id": long.id}));
    assert_eq!(line["arguments_length"], 8_000 * 2 + 40_000 + 60_000);
    assert_eq!(line["arguments_sha256"].as_str().unwrap().len(), 64);
    narrow.refused(on(&"y".repeat(300_000), "n1"));
    let finished = server.audited("run_finished", &json!({"run_id": ended.id}));
    assert_eq!(finished["outcome"], "ok");
    let site = server.stop();
    for (file, begins) in [("state/audit.jsonl", "{\"seq\":"), ("log", begins)] {
        let text = site.read(file);
        for line in text.split_terminator('\n') {
            assert!(line.starts_with(begins), "{file}: {line:?}");
            assert!(line.len() < 8192, "{file}: {} bytes", line.len());
            let bad = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
            assert!(!line.contains(bad), "{file}: {line:?}");
        }
    }
    assert_complete(&site.audit());
}

/// A thousand nodes that do not fold: the record has them, and the audit log and the log know which
/// they are.
#[test]
fn node_sets_beyond_a_kibibyte_have_a_length_and_a_digest() {
    let site = site();
    let names = (1..=1000).map(|number| format!("m{}", number * 7));
    let names: Vec<String> = names.collect();
    let text: String = names.iter().map(|name| format!("{name}:\n")).collect();
    site.nodes(&format!("n1:\n{text}"));
    let server = site.start();
    let set = names.join(",");
    let ended = server.api().run(on("hello", &set));
    let listed = server.api().list_runs(ListRunsRequest::default()).unwrap();
    let whole = &listed.runs[0].nodes;
    assert!(whole.len() > 1024, "{}", whole.len());
    let claims = token::with(token::claims(), "commands", vec!["none"]);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token)).refused(on("hello", &set));
    let of_run = json!({"run_id": ended.id});
    for (event, expected, length) in [
        ("run_accepted", &of_run, whole.len()),
        ("run_finished", &of_run, whole.len()),
        ("denied", &json!({}), set.len()),
    ] {
        let line = server.audited(event, expected);
        let shown = line["nodes"].as_str().unwrap();
        assert!(shown.len() < 1100 && shown.ends_with("..."), "{line}");
        assert_eq!(line["nodes_length"], length, "{line}");
        assert_eq!(line["nodes_sha256"].as_str().unwrap().len(), 64, "{line}");
    }
    let log = server.stop().read("log");
    let lines = log.lines().filter(|line| line.contains("nodes_sha256"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines.iter().all(|line| line.len() < 4096), "{log}");
    assert!(
        log.contains(&format!("nodes_length={}", whole.len())),
        "{log}"
    );
}

#[test]
fn no_token_and_no_secret_is_in_it() {
    let site = site();
    site.nodes("n1: {__secret__: {bmc: canary-of-the-node}}\n");
    site.settings("log_level: trace");
    let server = site.start();
    let tokens = [
        server.token(),
        token::signed(&token::claims(), &server.secret(), Algorithm::HS256),
        token::signed(
            &token::claims(),
            "another secret of some length, 0123456789",
            Algorithm::HS256,
        ),
        token::unsigned(&token::claims()),
        "canary-no-token-at-all".to_owned(),
    ];
    for token in &tokens {
        let api = server.api_with(Some(token));
        // Some are let in and some are not: both have their line.
        _ = api.list_nodes(Default::default());
        if let Ok(run) = api.start(on("hello", "n1")) {
            run.finish();
        }
        _ = api.start(on("hello", "n9"));
    }
    let secret = server.secret();
    let site = server.stop();
    for file in ["state/audit.jsonl", "log"] {
        let text = site.read(file);
        assert!(text.contains("run_accepted") && text.contains("token_refused"));
        assert!(
            !text.contains(&secret) && !text.contains("canary"),
            "{file}"
        );
        for part in tokens.iter().flat_map(|token| token.split('.')) {
            // The header is the same for all tokens, and no secret.
            assert!(part.len() < 40 || !text.contains(part), "{file}: {part}");
        }
    }
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
