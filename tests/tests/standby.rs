//! A cold standby: two servers, one at a time, with one state directory.

use std::{fs, path::Path, process::Command};

use action_proto::v1::Outcome;
use action_tests::{Server, Site, on};
use serde_json::json;

fn site() -> Site {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command("hello", "echo hello");
    site.command("stay", "echo ready; exec sleep 1000");
    site
}

/// Has a program run on a machine of this name: with a host name and a machine-id(5) of its own.
fn on_machine(command: &mut Command, site: &Path, host: &str) {
    let id = site.join(format!("machine-id.{host}"));
    fs::write(&id, format!("{host:0>32}\n")).unwrap();
    let line = r#"mount --bind "$1" /etc/machine-id && hostname "$2" && shift 2 && exec "$@""#;
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "--uts", "bash", "-c", line, "bash"]);
    inside.arg(id).arg(host);
    inside.arg(command.get_program()).args(command.get_args());
    inside.env_clear();
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    *command = inside;
}

fn start_on(site: Site, host: &str) -> Server {
    let path = site.path("");
    Server::start(site, |command| on_machine(command, &path, host))
}

#[test]
fn the_second_server_takes_over_and_names_the_machine_of_what_may_be_left() {
    let server = start_on(site(), "first");
    let mut run = server.api().start(on("stay", "n[1-2]")).unwrap();
    run.wait_for("n1", "ready\n");
    run.wait_for("n2", "ready\n");
    let server = start_on(server.kill(), "second");
    let ended = server.api().ended(&run.id);
    for node in ["n1", "n2"] {
        let end = ended.end_of(node);
        assert_eq!(end.outcome(), Outcome::Lost);
        assert_eq!(
            end.message,
            "the server died while it ran; scripts may still run on first"
        );
    }
    server.wait_for_log("took the state directory over from a server on another machine");
    server.audited("taken_over", &json!({"what": "first"}));
    let line = server.audited(
        "run_finished",
        &json!({"run_id": run.id, "outcome": "lost"}),
    );
    let reason = line["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("scripts may still run on first"),
        "{reason}"
    );
    _ = server.api().run(on("hello", "n1"));
    // A clean stop leaves nothing that could be told.
    let server = start_on(server.stop(), "first");
    assert!(!server.log().contains("took the state directory over"));
    let taken = server.audit();
    let taken = taken.iter().filter(|line| line["event"] == "taken_over");
    assert_eq!(taken.count(), 1);
}

#[test]
fn the_same_machine_is_not_another() {
    let server = start_on(site(), "first");
    let mut run = server.api().start(on("stay", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let server = start_on(server.kill(), "first");
    let ended = server.api().ended(&run.id);
    assert_eq!(ended.end_of("n1").message, "the server died while it ran");
    assert!(!server.log().contains("took the state directory over"));
}

/// The machine is known until what it left is recorded.
#[test]
fn a_second_server_that_dies_as_it_takes_over_hides_nothing() {
    let server = start_on(site(), "first");
    let mut run = server.api().start(on("stay", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let site = server.kill();
    let mut serve = site.server_verb_command(&["serve", "--listen", "127.0.0.1:0"]);
    serve.env("ACTION_CRASH_AT", "before-end");
    on_machine(&mut serve, &site.path(""), "second");
    assert_eq!(serve.output().unwrap().status.code(), None);
    let server = start_on(site, "second");
    let message = &server.api().ended(&run.id).end_of("n1").message.clone();
    assert!(
        message.ends_with("scripts may still run on first"),
        "{message}"
    );
}

#[test]
fn one_server_at_a_time() {
    let server = start_on(site(), "first");
    let mut serve = server.server_verb_command(&["serve", "--listen", "127.0.0.1:0"]);
    on_machine(&mut serve, &server.path(""), "second");
    let output = serve.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("another server uses the state directory"),
        "{text}"
    );
    _ = server.api().run(on("hello", "n1"));
}
