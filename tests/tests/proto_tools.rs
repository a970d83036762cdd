//! The .proto as buf wants it, and the lines for a shell that the docs show, run as they stand.

use std::{env, fs, path::Path, process::Command};

use action_tests::{
    Front, Ran, Site,
    program::{PATH, hermetic, run, tool},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A command at the root of the tree, for which the tools are there.
fn with_tools(program: &str, home: &Path) -> Command {
    let venv = tool("test-venv/bin");
    let node = tool("test-node/node_modules/.bin");
    let mut command = hermetic(program, home);
    command.env(
        "PATH",
        format!("{}:{}:{PATH}", node.display(), venv.display()),
    );
    command.current_dir(root());
    command
}

fn buf(words: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let mut command = with_tools("/usr/bin/env", home.path());
    command.arg("buf").args(words);
    run(command)
}

#[test]
fn the_proto_is_as_buf_wants_it() {
    let linted = buf(&["lint", "proto"]).ok();
    assert_eq!(linted.stdout(), "", "buf lint");
    let formatted = buf(&["format", "--diff", "--exit-code", "proto"]).ok();
    assert_eq!(formatted.stdout(), "", "buf format");
}

#[test]
fn buf_would_tell_of_a_proto_that_is_not() {
    let copy = tempfile::tempdir().unwrap();
    let directory = copy.path().join("action/v1");
    fs::create_dir_all(&directory).unwrap();
    for name in ["buf.yaml", "action/v1/action.proto"] {
        let text = fs::read_to_string(root().join("proto").join(name)).unwrap();
        let text = text.replace("string run_id", "string  runId");
        fs::write(copy.path().join(name), text).unwrap();
    }
    let copy = copy.path().to_str().unwrap();
    let linted = buf(&["lint", copy]);
    assert!(linted.stdout().contains("lower_snake_case"), "{linted}");
    assert_eq!(buf(&["format", "--diff", "--exit-code", copy]).code(), 100);
}

/// The first block of code below a heading of a page.
fn block(page: &str, heading: &str) -> String {
    let text = fs::read_to_string(root().join("docs").join(page)).unwrap();
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    below.split("```\n").nth(1).unwrap().to_owned()
}

#[test]
fn the_lines_for_a_shell_do_what_the_docs_say() {
    let server = Site::shipped().start();
    let nginx = Front::nginx(&server);
    let lines = block("protocol.md", "From a shell");
    let mut shell = with_tools("/bin/bash", &server.path("home"));
    shell.arg("-euxo").args(["pipefail", "-c", &lines]);
    shell.env("SERVER", server.address().to_string());
    shell.env("URL", nginx.url()).env("TOKEN", server.token());
    shell.env("CA", nginx.authority());
    let ran = run(shell).ok();
    let stdout = ran.stdout();
    for text in [
        "rpc RunCommand ( .action.v1.RunCommandRequest )",
        "\"name\": \"cnode02\"",
        "\"name\": \"power-status\"",
        "action.v1.ActionService/WatchRun\n",
        "\"subject\": \"admin\"",
    ] {
        assert!(stdout.contains(text), "{text}: {ran}");
    }
    // One run by each of the tools, each to its end; the cancel shows the one that had ended.
    assert_eq!(stdout.matches("\"runFinished\"").count(), 2, "{ran}");
    assert!(stdout.contains("\"endTime\""), "{ran}");
}
