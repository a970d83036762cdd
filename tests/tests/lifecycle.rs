//! The life of runs and servers: callers that go away, and servers that stop.

use action_proto::v1::{DetachPolicy, Outcome, RunCommandRequest};
use action_tests::{CEILING, Gate, Server, Site, on, wait_until};
use tonic::Code;

/// Waits at a gate, and says on the disk how it went on.
const WORK: &str = r#"
trap 'touch "$SCRIPT_ROOT/../terminated"; exit 9' TERM
echo started
read -r < "$SCRIPT_ROOT/../gate" & wait $!
echo finished
touch "$SCRIPT_ROOT/../finished"
"#;

fn site() -> Site {
    let site = Site::new();
    site.command("work", WORK);
    site
}

#[track_caller]
fn wait_for_file(site: &Site, name: &str) {
    wait_until(name, CEILING, || site.has(name).then_some(()));
}

fn detached(policy: DetachPolicy) -> RunCommandRequest {
    RunCommandRequest {
        detach_policy: policy.into(),
        ..on("work", "n1")
    }
}

/// Lets a run whose caller has gone come to its end, undisturbed.
#[track_caller]
fn goes_on_to_its_end(server: &Server, gate: &Gate, id: &str) {
    // The server has heard of it when the connection is gone; it answers others all along.
    assert_eq!(server.api().node_names(), ["n1"]);
    gate.open();
    wait_for_file(server, "finished");
    server.wait_for_log(&format!("finished run_id={id} outcome=\"ok\""));
    assert!(!server.has("terminated"));
}

#[test]
fn a_run_is_cancelled_when_its_caller_goes_and_asked_for_that() {
    let site = site();
    let _gate = site.gate("gate");
    let server = site.start();
    let mut run = server.api().start(detached(DetachPolicy::Cancel)).unwrap();
    run.wait_for("n1", "started\n");
    let id = run.id.clone();
    drop(run);
    wait_for_file(&server, "terminated");
    server.wait_for_log(&format!("finished run_id={id} outcome=\"cancelled\""));
    assert!(!server.has("finished"));
    assert_eq!(server.scripts(), []);
}

#[test]
fn who_may_not_cancel_a_run_does_not_by_going_away() {
    let site = site();
    let policy = "rules:\n- {name: all, allow: [all], subjects: ['*']}\n- {name: to the end, deny: ['cancel:own'], subjects: ['*']}\n";
    site.write("policy.yaml", policy);
    site.settings("policy_path: policy.yaml");
    let gate = site.gate("gate");
    let server = site.start();
    let mut run = server.api().start(detached(DetachPolicy::Cancel)).unwrap();
    run.wait_for("n1", "started\n");
    let id = run.id.clone();
    let refused = server.api().cancel(&id, false).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    drop(run);
    goes_on_to_its_end(&server, &gate, &id);
}

#[test]
fn a_run_goes_on_when_its_caller_goes() {
    for policy in [DetachPolicy::Unspecified, DetachPolicy::KeepRunning] {
        let site = site();
        let gate = site.gate("gate");
        let server = site.start();
        let mut run = server.api().start(detached(policy)).unwrap();
        run.wait_for("n1", "started\n");
        let id = run.id.clone();
        drop(run);
        goes_on_to_its_end(&server, &gate, &id);
    }
}

#[test]
fn a_caller_that_stays_to_the_end_cancels_nothing() {
    let site = site();
    let gate = site.gate("gate");
    let server = site.start();
    let mut run = server.api().start(detached(DetachPolicy::Cancel)).unwrap();
    run.wait_for("n1", "started\n");
    gate.open();
    assert_eq!(run.finish().answer_of("n1"), "started\nfinished\n");
}

#[test]
fn a_stopping_server_lets_running_scripts_finish_and_starts_no_more() {
    let site = site();
    let gate = site.gate("gate");
    site.set("drain_timeout", "1h");
    let mut server = site.start();
    let api = server.api();
    let mut run = api.start(on("work", "n1")).unwrap();
    run.wait_for("n1", "started\n");
    server.terminate();
    server.wait_for_log("stopping");
    let (code, text) = api.refused(on("work", "n1"));
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(server.is_running());
    gate.open();
    let run = run.finish();
    assert_eq!(
        run.answer_of("n1"),
        "started\nfinished\n",
        "to its last event"
    );
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.has("finished") && !server.has("terminated"));
}

#[test]
fn a_stopping_server_cancels_what_does_not_finish_in_time() {
    let site = site();
    let _gate = site.gate("gate");
    let mut server = site.start();
    let mut run = server.api().start(on("work", "n1")).unwrap();
    run.wait_for("n1", "started\n");
    server.terminate();
    let run = run.finish();
    assert_eq!(run.end_of("n1").outcome(), Outcome::Cancelled);
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.has("terminated") && !server.has("finished"));
    assert_eq!(server.scripts(), []);
}

#[test]
fn an_idle_server_stops_at_once_whoever_is_connected() {
    let mut server = site().start();
    let api = server.api();
    assert_eq!(api.node_names(), ["n1"]);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    drop(api);
}

#[test]
fn a_second_server_on_one_state_directory_is_refused() {
    let server = site().start();
    let refused = server.refused();
    insta::assert_snapshot!(refused, @"
    ------- stderr -------
    error: another server uses the state directory SITE/state
    ------- exit 1 -------
    ");
    // The first one is unharmed.
    assert_eq!(server.api().node_names(), ["n1"]);
}

#[test]
fn a_server_starts_again_where_another_stopped() {
    let site = site();
    site.command("hello", "echo hello");
    let server = site.start();
    let run = server.api().run(on("hello", "n1"));
    let server = server.stop().start();
    let again = server.api().run(on("hello", "n1"));
    assert_ne!(run.id, again.id);
    assert_eq!(again.answer_of("n1"), "hello\n");
}

/// Without it nothing that scripts leave behind could be found.
#[test]
fn a_server_without_proc_does_not_start() {
    let site = Site::new();
    let serve = site.server_verb_command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut command = std::process::Command::new("unshare");
    let line = "mount -t tmpfs none /proc && exec \"$@\"";
    command.args(["--mount", "sh", "-c", line, "sh"]);
    command.arg(serve.get_program()).args(serve.get_args());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if told.contains("Operation not permitted") || told.contains("permission denied") {
        eprintln!("not tested: {told}");
        return;
    }
    assert!(!output.status.success());
    assert!(told.contains("there is no /proc"), "{told}");
}
