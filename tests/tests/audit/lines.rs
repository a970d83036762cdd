//! What callers write, in the lines of the audit log and of the server's log.

use super::*;

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
