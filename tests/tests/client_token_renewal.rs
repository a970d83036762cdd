//! Runs that outlive the token with which they were started, where the client can find another one.

use std::fs;

use action_tests::{
    CEILING, Client, Running, Server, Site, processes, program::write_script, token, wait_until,
};
use jsonwebtoken::Algorithm;
use rustix::process::Signal;

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\n");
    site.command(
        "wait",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"; echo done",
    );
    site.start()
}

/// Puts a token with this id where the client looks for it.
fn put(server: &Server, jti: &str) {
    let claims = token::with(token::claims(), "jti", jti);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    let new = server.path("new-jwt");
    fs::write(&new, token).unwrap();
    fs::rename(new, server.path("jwt")).unwrap();
}

fn revoke(server: &Server, jti: &str) {
    _ = server.server_verb(&["revoke", "--jti", jti]).ok();
}

fn started(client: &Client) -> Running {
    let mut running = client.start(&["wait", "n1"]);
    running.wait_for("ready\n");
    running
}

#[test]
fn the_file_is_read_and_the_program_run_again() {
    for by_program in [false, true] {
        let server = serving();
        let gate = server.gate("gate");
        put(&server, "first");
        let path = server.path("jwt");
        let client = match by_program {
            false => server
                .client()
                .variable("ACTION_CLIENT_JWT_TOKEN_PATH", path),
            true => {
                let command = format!("cat  {}", path.display());
                server
                    .client()
                    .variable("ACTION_CLIENT_JWT_TOKEN_COMMAND", command)
            }
        };
        let running = started(&client);
        put(&server, "second");
        revoke(&server, "first");
        running.wait_for_error("reconnected to run");
        gate.open();
        let ran = running.finish().ok();
        assert_eq!(ran.stdout(), "ready\ndone\n", "{ran}");
    }
}

#[test]
fn without_another_token_the_loss_is_told() {
    let server = serving();
    let gate = server.gate("gate");
    put(&server, "only");
    let path = server.path("jwt");
    let client = server
        .client()
        .variable("ACTION_CLIENT_JWT_TOKEN_PATH", &path);
    let running = started(&client);
    revoke(&server, "only");
    let ran = running.finish();
    assert_eq!(ran.code(), 254, "{ran}");
    for part in [
        "lost the output of run",
        "does not accept the token",
        "attach",
    ] {
        assert!(ran.stderr().contains(part), "{ran}");
    }
    gate.open();

    // Nor with a file that is gone: then this is the reason.
    let server = serving();
    let _gate = server.gate("gate");
    put(&server, "only");
    let path = server.path("jwt");
    let client = server
        .client()
        .variable("ACTION_CLIENT_JWT_TOKEN_PATH", &path);
    let running = started(&client);
    fs::remove_file(&path).unwrap();
    revoke(&server, "only");
    let ran = running.finish();
    assert_eq!(ran.code(), 254, "{ran}");
    assert!(ran.stderr().contains("which jwt_token_path names"), "{ran}");
}

#[test]
fn a_program_may_leave_another_one_behind() {
    let server = serving();
    put(&server, "only");
    // It holds the program's stdout open, as an agent that was started does.
    let script =
        "#!/bin/bash\nsleep 1000 2>/dev/null &\necho $! >\"${0%/*}/agent\"\ncat \"${0%/*}/jwt\"\n";
    let program = server.path("print-token");
    write_script(&program, script);
    let client = server
        .client()
        .variable("ACTION_CLIENT_JWT_TOKEN_COMMAND", &program);
    _ = client.run(&["nodes"]).ok();
    let agent: i32 = server.read("agent").trim().parse().unwrap();
    processes::signal(agent, Signal::KILL);
}

#[test]
fn a_program_runs_once_for_a_command() {
    let server = serving();
    put(&server, "only");
    let program = server.path("print-token");
    let script = "#!/bin/sh\necho >>\"${0%/*}/times\"\ncat \"${0%/*}/jwt\"\n";
    write_script(&program, script);
    let client = server
        .client()
        .variable("ACTION_CLIENT_JWT_TOKEN_COMMAND", &program);
    let gate = server.gate("gate");
    let running = started(&client);
    gate.open();
    _ = running.finish().ok();
    assert_eq!(server.read("times"), "\n");
    _ = client.run(&["nodes"]).ok();
    _ = client.run(&["help"]).ok();
    assert_eq!(server.read("times"), "\n\n\n");
}

#[test]
fn a_program_ends_with_a_client_that_is_stopped() {
    let server = serving();
    let program = server.path("print-token");
    let script = "#!/bin/sh\nsleep 1234567 &\necho $! >\"${0%/*}/child\"\nwait\n";
    write_script(&program, script);
    let client = server
        .client()
        .variable("ACTION_CLIENT_JWT_TOKEN_COMMAND", &program);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let running = client.start(&["nodes"]);
        wait_until("the program", CEILING, || {
            fs::read_to_string(server.path("child"))
                .ok()
                .filter(|it| it.ends_with('\n'))
        });
        processes::signal(running.id(), signal);
        assert_eq!(running.finish().code(), code);
        wait_until("the end of its child", CEILING, || {
            processes::with_argument("1234567").is_empty().then_some(())
        });
        fs::remove_file(server.path("child")).unwrap();
    }
}

#[test]
fn a_program_that_gives_no_token_is_named_by_its_setting() {
    let server = serving();
    for (command, part) in [
        (
            "/no/such/s3cr3tw0rd",
            "cannot run the program that jwt_token_command names",
        ),
        (
            "false s3cr3tw0rd",
            "the program that jwt_token_command names failed: exit status: 1",
        ),
        (
            "true",
            "the token in the output of jwt_token_command is empty",
        ),
        (
            "echo two words",
            "the token in the output of jwt_token_command is not a token",
        ),
        (" ", "jwt_token_command is empty"),
    ] {
        let client = server
            .client()
            .variable("ACTION_CLIENT_JWT_TOKEN_COMMAND", command);
        let ran = client.run(&["nodes"]);
        assert_eq!(ran.code(), 255, "{ran}");
        assert!(ran.stderr().contains(part), "{ran}");
        assert!(!ran.stderr().contains("s3cr3tw0rd"), "{ran}");
    }
}
