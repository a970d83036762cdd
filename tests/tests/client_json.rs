//! `--output json`: one object a line, keys as in the .proto.

use action_tests::{Client, Server, Site};
use serde_json::{Value, json};

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1: {ranks: aws}\nn2:\n");
    let script = "echo one; printf 'two\\nthree' ; printf 'oh \\xff\\n' >&2; exit 3";
    site.command_with(
        "talk",
        "help: {summary: Talk}\ntimeout: 1m\nfanout: 8",
        script,
    );
    site.script("talk/aws.sh", "echo \"$1\"");
    site.start()
}

/// The objects of a command line's stdout; what differs from run to run is checked and cut.
#[track_caller]
fn objects(client: &Client, words: &[&str]) -> Vec<Value> {
    let ran = client.run(words);
    let lines = ran.stdout();
    let object =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{ran}"));
    let mut objects: Vec<Value> = lines.lines().map(object).collect();
    for object in &mut objects {
        let object = object.as_object_mut().unwrap();
        if let Some(id) = object.remove("run_id") {
            assert_eq!(id.as_str().unwrap().len(), 16);
        }
        if let Some(time) = object.remove("time") {
            assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
        }
        object.remove("duration");
    }
    objects
}

/// Programs read the same text, and a terminal gets nothing that drives it.
#[test]
fn what_drives_a_terminal_is_escaped() {
    let site = Site::new();
    site.nodes("n1: {note: \"x\\u009b31m\\u202e\"}\n");
    site.settings("visible_metadata: [note]");
    let text = "a\u{1b}[31m\u{9b}31m\u{202e}\u{2066}\u{2028}\u{2029}\u{7f}\u{61c}b";
    site.command("say", &format!("printf '%s\\n' '{text}'"));
    let server = site.start();
    let is_bad = |c: char| c != '\n' && action_proto::is_unsafe_to_show(c);
    let client = server.client();
    let ran = client.run(&["--output", "json", "say", "n1", text]).ok();
    assert!(!ran.stdout().contains(is_bad), "{ran}");
    let said = objects(&client, &["--output", "json", "say", "n1", text]);
    let mut said = said.iter();
    assert!(said.any(|object| object["line"] == text));
    for words in [&["runs"][..], &["nodes"], &["say", "n9\u{9b}"]] {
        let words = [&["--output", "json"], words].concat();
        let ran = client.run(&words);
        let text = ran.stdout() + &ran.stderr();
        assert!(!text.contains(is_bad), "{words:?}: {ran}");
        assert!(!text.is_empty(), "{words:?}: {ran}");
    }
}

#[test]
fn a_run_is_its_events_and_output_comes_by_line() {
    let server = serving();
    let mut objects = objects(&server.client(), &["--output", "json", "talk", "n2"]);
    let sequences: Vec<_> = objects
        .iter_mut()
        .map(|object| {
            object
                .as_object_mut()
                .unwrap()
                .remove("sequence")
                .unwrap()
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    let take = |event: &str| {
        let found = objects.iter().filter(|object| object["event"] == event);
        found.cloned().collect::<Vec<_>>()
    };
    assert_eq!(objects.first().unwrap()["event"], "run_started");
    assert_eq!(objects.last().unwrap()["event"], "run_finished");
    let started = json!({
        "event": "run_started", "command": "talk", "arguments": [], "subject": "admin",
        "nodes": ["n2"], "fanout": 8, "timeout": "60s", "reason": "",
    });
    let mut seen = take("run_started")[0].clone();
    for claim in ["request_username", "request_uid"] {
        seen.as_object_mut().unwrap().remove(claim).unwrap();
    }
    assert_eq!(seen, started);
    assert_eq!(
        take("node_started"),
        [
            json!({"event": "node_started", "node": "n2", "rank": "default", "script": "talk/default.sh"})
        ]
    );
    let line = |line: &str| json!({"event": "node_output", "node": "n2", "stream": "stdout", "line": line});
    let mut partial = line("three");
    partial["partial"] = true.into();
    let (out, err): (Vec<_>, Vec<_>) = take("node_output")
        .into_iter()
        .partition(|object| object["stream"] == "stdout");
    assert_eq!(out, [line("one"), line("two"), partial]);
    // Not UTF-8: "oh \xff", in base64.
    let bytes = json!({"event": "node_output", "node": "n2", "stream": "stderr", "line_base64": "b2gg/w=="});
    assert_eq!(err, [bytes]);
    let finished = json!({
        "event": "node_finished", "node": "n2", "outcome": "failed", "exit_code": 3, "signal": null,
        "state": "", "message": "exit 3", "output_dropped_bytes": 0, "leftover_processes": 0,
        "error_line": "oh \u{fffd}", "never_started": false, "output_incomplete": false, "output_lost_bytes": 0,
    });
    assert_eq!(take("node_finished"), [finished]);
    let summary = json!({"event": "run_finished", "outcome": "failed", "counts": {"failed": 1}, "never_started": 0});
    assert_eq!(take("run_finished"), [summary]);
}

#[test]
fn the_exit_code_is_the_same() {
    let server = serving();
    let client = server.client();
    assert_eq!(client.run(&["--output", "json", "talk", "n2"]).code(), 3);
    assert_eq!(
        client.run(&["--output", "json", "talk", "n1", "x"]).code(),
        0
    );
}

#[test]
fn nodes_are_objects_too() {
    let server = serving();
    let listed = objects(&server.client(), &["--output", "json", "nodes"]);
    let names: Vec<_> = listed
        .iter()
        .map(|object| object["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["n1", "n2"]);
    assert_eq!(listed[0]["ranks"], json!(["aws"]));
}

#[test]
fn commands_are_objects_too() {
    let server = serving();
    let listed = objects(&server.client(), &["--output", "json", "help"]);
    let talk = json!({
        "event": "command", "name": "talk", "summary": "Talk", "description": "Talk", "syntax": "",
        "has_context": true, "confirmation": "", "timeout": "60s", "fanout": 8, "ranks": ["aws"],
        "exit_codes": [],
    });
    assert_eq!(listed, [talk]);
}

#[test]
fn an_error_is_an_object_too() {
    let server = serving();
    let client = server.client();
    for (words, code, error) in [
        (
            ["talk", "n9"],
            255,
            json!({
                "event": "error", "message": "no such node: n9", "caused_by": [],
                "hints": ["`action-client nodes` lists the nodes"],
            }),
        ),
        (
            ["tlak", "n1"],
            64,
            json!({
                "event": "error", "message": "there is no command `tlak`", "caused_by": [],
                "hints": ["did you mean `talk`?", "`action-client help` lists the commands"],
            }),
        ),
    ] {
        let ran = client.run(&["--output", "json", words[0], words[1]]);
        assert_eq!(serde_json::from_slice::<Value>(&ran.stderr).unwrap(), error);
        assert_eq!((ran.code(), ran.stdout().as_str()), (code, ""));
    }
}

#[test]
fn a_mistake_on_the_command_line_is_an_object_too() {
    let server = Site::new().start();
    let client = server.client();
    for words in [
        &["--output", "json", "--color", "sometimes", "nodes"][..],
        &["--color", "sometimes", "nodes", "--output=json"],
        &["--output", "json", "nodes", "--no-such"],
        &["nodes", "--no-such", "--output", "json"],
        &["runs", "--limit", "abc", "--output", "json"],
        &["show", "a", "b", "c", "--output", "json"],
        &["talk", "n1", "--fanout", "abc", "--output", "json"],
        &["--no-such", "--output", "json", "nodes"],
        &["--output", "json", "run"],
        &["--output", "json"],
    ] {
        let ran = client.run(words);
        let error: Value = serde_json::from_slice(&ran.stderr).unwrap_or_else(|_| panic!("{ran}"));
        assert_eq!(error["event"], "error", "{ran}");
        assert_eq!((ran.code(), ran.stdout().as_str()), (64, ""));
    }
    let ran = client.run(&["show", "--output", "json"]);
    let error: Value = serde_json::from_slice(&ran.stderr).unwrap();
    let message = "the following required arguments were not provided: <RUN>";
    assert_eq!(error["message"], message, "{ran}");
    // Behind `--` they are the script's.
    let ran = client.run(&[
        "--color",
        "sometimes",
        "run",
        "talk",
        "n1",
        "--",
        "--output=json",
    ]);
    assert!(ran.stderr().starts_with("error: "), "{ran}");
}
