//! Reasons of runs, and rules that require a reason or a plan.

use action_proto::v1::{ListRunsRequest, PlanRunRequest, RunCommandRequest};
use action_tests::{Api, Client, Server, Site, on};
use serde_json::json;
use tonic::Code;

const POLICY: &str = "\
rules:
- name: careful power
  allow: [run]
  subjects: [alice]
  commands: [off]
  require: [reason, plan]
- name: status
  allow: [run]
  subjects: [alice]
  commands: [status]
- name: spare nodes
  allow: [run]
  subjects: [alice]
  commands: [off]
  nodes: n2
  require: [reason]
";

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    let script = "echo \"$request_reason\"; touch \"$SCRIPT_ROOT/../touched.$name\"";
    site.command("off", script);
    site.command("status", script);
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml");
    site.start()
}

fn token(server: &Server) -> String {
    let generated = server.server_verb(&["generate-token", "--subject", "alice"]);
    generated.ok().stdout().trim().to_owned()
}

fn alice(server: &Server) -> Api {
    Api::connect(server.address(), Some(&token(server)))
}

fn client(server: &Server) -> Client {
    server
        .client()
        .variable("ACTION_CLIENT_JWT_TOKEN", token(server))
}

fn because(reason: &str, request: RunCommandRequest) -> RunCommandRequest {
    RunCommandRequest {
        reason: reason.to_owned(),
        ..request
    }
}

fn plan(nodes: &str, reason: &str) -> PlanRunRequest {
    PlanRunRequest {
        command: "off".into(),
        nodes: nodes.into(),
        reason: reason.into(),
        ..PlanRunRequest::default()
    }
}

#[test]
fn a_run_without_what_a_rule_requires_is_refused() {
    let server = serving();
    let api = alice(&server);
    let shown = api.plan(plan("n1", "repair")).unwrap();
    assert_eq!(shown.requires, ["reason", "plan"]);
    assert!(shown.permitted);
    // One node needs less than the other: together they need both.
    assert_eq!(api.plan(plan("n2", "")).unwrap().requires, ["reason"]);
    assert_eq!(
        api.plan(plan("n[1-2]", "")).unwrap().requires,
        ["reason", "plan"]
    );

    let bound = |request: RunCommandRequest, digest: &str| RunCommandRequest {
        plan_digest: digest.to_owned(),
        ..request
    };
    let unexplained = api.plan(plan("n1", "")).unwrap().digest;
    for (request, missing) in [
        (on("off", "n1"), "--reason and --plan"),
        (because("repair", on("off", "n1")), "--plan"),
        (bound(on("off", "n1"), &unexplained), "--reason"),
        (on("off", "n2"), "--reason"),
    ] {
        let (code, text) = api.refused(request);
        assert_eq!(code, Code::PermissionDenied, "{text}");
        assert!(
            text.ends_with(&format!(" requires {missing}; nothing was run")),
            "{text}"
        );
    }
    assert!(!server.has("touched.n1") && !server.has("touched.n2"));
    server.audited("denied", &json!({"subject": "alice", "command": "off"}));

    let ended = api.run(bound(because("repair", on("off", "n1")), &shown.digest));
    assert_eq!(ended.answer_of("n1"), "repair\n");
    assert_eq!(
        api.run(because("spare", on("off", "n2"))).answer_of("n2"),
        "spare\n"
    );
    assert_eq!(api.run(on("status", "n1")).answer_of("n1"), "\n");
}

#[test]
fn a_reason_is_recorded_wherever_the_run_is() {
    let server = serving();
    let api = alice(&server);
    let reason = "disk é \"swap\" 'n1'";
    let ended = api.run(because(reason, on("status", "n1")));
    assert_eq!(ended.started().reason, reason);
    let runs = api.list_runs(ListRunsRequest::default()).unwrap().runs;
    assert_eq!(runs[0].reason, reason);
    let run_id = runs[0].run_id.clone();
    server.audited("run_accepted", &json!({"run_id": run_id, "reason": reason}));
    assert!(
        server
            .export(&run_id)
            .ok()
            .stdout()
            .contains("\"reason\":\"disk é")
    );

    let client = client(&server);
    let refused = client.run(&["off", "n1", "--reason", reason]);
    let hint = "hint: the same command with `--dry-run` prints the digest";
    assert!(refused.stderr().contains(hint), "{refused}");
    let list = client.run(&["runs", "--long"]).ok().stdout();
    assert!(list.contains("REASON") && list.contains(reason), "{list}");
    assert!(!client.run(&["runs"]).ok().stdout().contains("REASON"));
    let list = client.run(&["runs", "--output", "json"]).ok().stdout();
    assert!(list.contains("\"reason\":\"disk é"), "{list}");
}

#[test]
fn a_reason_is_one_line_of_text() {
    let server = serving();
    let api = alice(&server);
    for (reason, part) in [
        ("two\nlines", "control characters"),
        ("a\u{1b}[2J", "control characters"),
        ("tab\there", "control characters"),
        ("nul\0", "control characters"),
        ("a\u{2028}b", "control characters"),
        ("\u{200b}", "control characters"),
        ("repair \u{202e}x", "control characters"),
        ("  ", "blank"),
        ("\u{3164}\u{2800}", "blank"),
        ("--", "blank"),
        (&*"x".repeat(1025), "1025 bytes, more than 1024"),
    ] {
        let (code, text) = api.refused(because(reason, on("status", "n1")));
        assert_eq!(code, Code::InvalidArgument, "{text}");
        assert!(text.contains(part), "{text}");
        assert_eq!(api.plan(plan("n1", reason)).unwrap_err().message(), text);
    }
    let longest = "x".repeat(1024);
    assert_eq!(
        api.run(because(&longest, on("status", "n1")))
            .answer_of("n1"),
        format!("{longest}\n")
    );
}

#[test]
fn people_are_told_what_is_required() {
    let server = serving();
    let client = client(&server);
    let asked = client.run(&["can-i", "off", "n1"]).ok().stdout();
    assert!(asked.contains("with --reason and --plan\n"), "{asked}");
    let dry = client.run(&["off", "n2", "--dry-run"]).ok().stderr();
    assert!(dry.contains("; requires --reason"), "{dry}");
    let refused = client.run(&["off", "n2"]);
    assert_eq!(refused.code(), 255, "{refused}");
    assert!(refused.stderr().contains("requires --reason"), "{refused}");
    let ran = client.run(&["off", "n2", "--reason", "spare parts"]).ok();
    assert_eq!(ran.stdout(), "spare parts\n");
    let empty = client.run(&["off", "n2", "--reason", ""]);
    assert_eq!(empty.code(), 64, "{empty}");
    let explained = server.server_verb(&["explain", "--subject", "alice"]).ok();
    let explained = explained.stdout();
    assert!(
        explained.contains("run on n1 with --reason and --plan (careful power)"),
        "{explained}"
    );
    assert!(
        explained.contains("run on n2 with --reason (spare nodes)"),
        "{explained}"
    );
}

#[test]
fn a_rule_that_cannot_require_is_refused() {
    let site = Site::new();
    site.settings("policy_path: policy.yaml");
    for (rule, reason) in [
        (
            "deny: [run]\n  require: [reason]",
            "require is for rules that allow `run`",
        ),
        (
            "allow: [list]\n  subjects: ['*']\n  require: [plan]",
            "require is for rules that allow `run`",
        ),
        (
            "allow: [run]\n  subjects: ['*']\n  require: [ticket]",
            "it can require reason and plan",
        ),
        (
            "allow: [run]\n  subjects: ['*']\n  require: []",
            "require is empty",
        ),
    ] {
        site.write("policy.yaml", format!("rules:\n- name: r\n  {rule}\n"));
        let checked = site.server_verb(&["check"]);
        assert_eq!(checked.code(), 78, "{checked}");
        assert!(format!("{checked}").contains(reason), "{checked}");
    }
}
