//! The audit log on a real file: one event a line whatever is in it, and what becomes of lines
//! when the file is another one, or not the server's own.

mod log_file;

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use proptest::{collection, option, prelude::*};
use serde_json::{Value, json};

use super::{
    AcceptedRun, Audit, AuditedArguments, AuditedCaller, AuditedNodes, DeniedCall, Event,
    FinishedRun, line::render_line,
};
use crate::{metrics::Metrics, trust::Trust};

fn texts() -> impl Strategy<Value = String> {
    // Any text, and one of what is most likely to break a line.
    let treacherous =
        "[\u{0}\n\r\t\"\\\\\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}a=,{}]{0,12}";
    prop_oneof![any::<String>(), treacherous.prop_map(String::from)]
}

prop_compose! {
    fn callers()(subject in option::of(texts()), jti in option::of(texts()),
              key in option::of(texts()), address in option::of(texts())) -> AuditedCaller {
        AuditedCaller { subject, jti, key, address }
    }
}

prop_compose! {
    fn denied_calls()(caller in callers(), method in texts(), command in option::of(texts()),
              nodes in option::of(texts()), arguments in option::of(collection::vec(texts(), 0..4)),
              rule in option::of(texts()), reason in texts()) -> Event {
        DeniedCall {
            caller,
            method,
            command,
            nodes: nodes.map(AuditedNodes::new),
            arguments: arguments.map(AuditedArguments::new),
            rule,
            reason,
        }
        .into_event()
    }
}

prop_compose! {
    fn accepted_runs()(run_id in texts(), caller in callers(), command in texts(), nodes in texts(),
              arguments in collection::vec(texts(), 0..4),
              scripts in collection::btree_map(texts(), texts(), 0..3),
              plan in option::of(texts()), rule in texts(), reason in option::of(texts())) -> Event {
        AcceptedRun {
            run_id,
            caller,
            command,
            nodes: AuditedNodes::of_run(&nodes),
            arguments: AuditedArguments::new(arguments),
            scripts,
            plan,
            rule,
            reason,
        }
        .into()
    }
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        denied_calls(),
        accepted_runs(),
        collection::vec(texts(), 0..3).prop_map(|faults| Event::reloaded("keys", faults)),
        texts().prop_map(|what| Event::Revoked { what }),
    ]
}

fn line_of(event: &Event) -> String {
    render_line(1, std::time::SystemTime::now(), event).unwrap()
}

proptest! {
    #[test]
    fn any_event_is_one_line_of_json(event in events()) {
        let line = line_of(&event);
        let (body, end) = line.split_at(line.len() - 1);
        prop_assert_eq!(end, "\n");
        let bad = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
        prop_assert!(!body.contains(bad), "{}", body.escape_debug());
        let mut read: Value = serde_json::from_str(body).unwrap();
        for key in ["seq", "time"] {
            prop_assert!(read.as_object_mut().unwrap().remove(key).is_some());
        }
        prop_assert_eq!(read, serde_json::to_value(event).unwrap());
    }
}

/// Readers of the log depend on the keys, on their order, and on which are left out.
#[test]
fn each_event_has_its_keys_in_order() {
    let text = str::to_owned;
    let caller = AuditedCaller {
        subject: Some(text("s")),
        jti: Some(text("j")),
        key: Some(text("k")),
        address: Some(text("a")),
    };
    let counts = [("ok", 2), ("failed", 1)].map(|(label, count)| (text(label), count));
    let finished = FinishedRun {
        run_id: text("r"),
        caller: caller.without_address(),
        command: Some(text("c")),
        nodes: AuditedNodes::of_run("n[1-3]"),
        outcome: "failed",
        counts: Some(counts.into()),
        reason: Some(text("w")),
    };
    let accepted = AcceptedRun {
        run_id: text("r"),
        caller: caller.clone(),
        command: text("c"),
        nodes: AuditedNodes::of_run("n1"),
        arguments: AuditedArguments::new(vec![text("x")]),
        scripts: [(text("c/default.sh"), text("00"))].into(),
        plan: Some(text("p")),
        rule: text("any token"),
        reason: Some(text("w")),
    };
    let bare = AcceptedRun {
        nodes: AuditedNodes::of_run(""),
        ..AcceptedRun::default()
    };
    let denied = DeniedCall {
        caller: caller.clone(),
        method: text("RunCommand"),
        command: Some(text("c")),
        nodes: Some(AuditedNodes::new(String::new())),
        arguments: Some(AuditedArguments::default()),
        rule: Some(text("night")),
        reason: text("w"),
    };
    let lines = [
        (
            Event::ServerStarted { version: "1" },
            r#""server_started","version":"1""#,
        ),
        (Event::ServerStopping, r#""server_stopping""#),
        (
            Event::AuditResumed { lost: 3 },
            r#""audit_resumed","lost":3"#,
        ),
        (
            Event::AuditIncomplete { reason: "w" },
            r#""audit_incomplete","reason":"w""#,
        ),
        (
            Event::TakenOver {
                reason: "w",
                what: text("h"),
            },
            r#""taken_over","reason":"w","what":"h""#,
        ),
        (
            Event::reloaded("keys", vec![]),
            r#""reloaded","outcome":"ok","what":"keys""#,
        ),
        (
            Event::reloaded("keys", vec![text("f")]),
            r#""reloaded","outcome":"failed","what":"keys","faults":["f"]"#,
        ),
        (
            Event::Revoked { what: text("t") },
            r#""revoked","what":"t""#,
        ),
        (
            Event::token_refused(Some(text("a")), text("/m"), text("w")),
            r#""token_refused","address":"a","method":"/m","reason":"w""#,
        ),
        (
            Event::TokensRefused {
                address: text("a"),
                repeated: 9,
            },
            r#""token_refused","address":"a","repeated":9"#,
        ),
        (
            denied.into_event(),
            r#""denied","subject":"s","jti":"j","key":"k","address":"a","method":"RunCommand","command":"c","nodes":"","arguments":[],"rule":"night","reason":"w""#,
        ),
        (
            DeniedCall::default().into_event(),
            r#""denied","method":"","reason":"""#,
        ),
        (
            accepted.into(),
            r#""run_accepted","run_id":"r","subject":"s","jti":"j","key":"k","address":"a","command":"c","nodes":"n1","arguments":["x"],"scripts":{"c/default.sh":"00"},"plan":"p","rule":"any token","reason":"w""#,
        ),
        (
            bare.into(),
            r#""run_accepted","run_id":"","command":"","arguments":[],"scripts":{},"rule":"""#,
        ),
        (
            Event::RunCancelled {
                run_id: text("r"),
                caller,
                reason: Some("by force"),
            },
            r#""run_cancelled","run_id":"r","subject":"s","jti":"j","key":"k","address":"a","reason":"by force""#,
        ),
        (
            finished.into(),
            r#""run_finished","run_id":"r","subject":"s","jti":"j","key":"k","command":"c","nodes":"n[1-3]","outcome":"failed","counts":{"failed":1,"ok":2},"reason":"w""#,
        ),
        (
            FinishedRun::never_started(&"r", text("w")),
            r#""run_finished","run_id":"r","outcome":"not-started","reason":"w""#,
        ),
        (
            Event::RecordDamaged {
                run_id: text("r"),
                outcome: "lost",
                reason: text("w"),
            },
            r#""record_damaged","run_id":"r","outcome":"lost","reason":"w""#,
        ),
    ];
    for (event, keys) in lines {
        let line = render_line(7, std::time::UNIX_EPOCH, &event).unwrap();
        let start = r#"{"seq":7,"time":"1970-01-01T00:00:00.000Z","event":"#;
        assert_eq!(line, format!("{start}{keys}}}\n"));
    }
}

#[test]
fn a_caller_cannot_make_a_denial_long() {
    let long = "\u{20ac}".repeat(100_000);
    let denied = DeniedCall {
        method: long.clone(),
        command: Some(long.clone()),
        nodes: Some(AuditedNodes::new(long.clone())),
        reason: long.clone(),
        arguments: Some(AuditedArguments::new(vec![long; 64])),
        ..DeniedCall::default()
    };
    let line = line_of(&denied.into_event());
    assert!(line.len() < 6000, "{}", line.len());
}

fn keys_of(value: impl serde::Serialize) -> (Value, usize) {
    let line = serde_json::to_string(&value).unwrap();
    (serde_json::to_value(value).unwrap(), line.len())
}

#[test]
fn a_cut_node_set_has_the_digest_of_the_whole() {
    let audited = |nodes: &str| keys_of(AuditedNodes::new(nodes.to_owned()));
    let most = "n".repeat(1024);
    for short in ["cnode[01-04]", "", most.as_str()] {
        assert_eq!(audited(short).0, json!({ "nodes": short }));
    }
    // printf %s "$(printf 'n%.0s' {1..1024}),m1" | sha256sum
    let digest = "bf48bbdf1cff4d014a4fe8298a2de4f64f47ba2c56ef9b15ddd11c8234dc9168";
    assert_eq!(
        audited(&format!("{most},m1")).0,
        json!({ "nodes": format!("{most}..."), "nodes_length": 1027, "nodes_sha256": digest })
    );
    for character in ["\u{1b}", "\"", "\u{20ac}", "n"] {
        let (keys, length) = audited(&character.repeat(16 * 1024));
        assert_eq!(keys["nodes_length"], 16 * 1024 * character.len());
        assert!(length < 1500, "{length}: {keys}");
    }
}

#[test]
fn cut_arguments_have_the_digest_of_the_whole() {
    let audited = |arguments: &[&str]| {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        keys_of(AuditedArguments::new(arguments))
    };
    let most = "a".repeat(1024);
    for short in [&["m5.large", "--force"][..], &[""; 64], &[], &[&most]] {
        assert_eq!(audited(short).0, json!({ "arguments": short }));
    }
    // printf '%s\0' "$(printf 'a%.0s' {1..1024})" b | sha256sum
    let digest = "ef8619f6df9eed3b0e24b1f19a45fbcc1f576e5335661c600ce2198c36f49862";
    assert_eq!(
        audited(&[&most, "b"]).0,
        json!({ "arguments": [most], "arguments_length": 1025, "arguments_sha256": digest })
    );
    for character in ["\u{1b}", "\"", "\u{20ac}", "a"] {
        let many = vec![character.repeat(4096); 64];
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (keys, length) = audited(&many);
        assert_eq!(keys["arguments_length"], 64 * 4096 * character.len());
        assert!(length < 1500, "{length}: {keys}");
    }
}
