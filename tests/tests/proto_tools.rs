//! The .proto as buf wants it, and the lines for a shell that the docs show, run as they stand.

use std::{env, ffi::OsStr, fs, path::Path, process::Command};

use action_proto::v1::ListRunsRequest;
use action_tests::{
    Front, Ran, Site,
    program::{PATH, hermetic, run, tool},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A command at the root of the tree, for which the tools are there.
fn with_tools(program: impl AsRef<OsStr>, home: &Path) -> Command {
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

/// A tree of its own with the .proto and the gate's check of it.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        for name in ["proto/buf.yaml", Tree::PROTO, ".ci/proto"] {
            let to = tree.0.path().join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(root().join(name), to).unwrap();
        }
        _ = tree.git(&["init", "--quiet"]);
        tree
    }

    const PROTO: &str = "proto/action/v1/action.proto";

    fn git(&self, words: &[&str]) -> Ran {
        let mut git = hermetic("git", self.0.path());
        git.args(["-c", "user.name=n", "-c", "user.email=e"]);
        git.args(words).current_dir(self.0.path());
        run(git).ok()
    }

    /// Commits all there is, and releases it as that.
    fn release(&self, tag: &str) {
        _ = self.git(&["add", "."]);
        _ = self.git(&["commit", "--quiet", "--allow-empty", "--message", tag]);
        _ = self.git(&["tag", tag]);
    }

    fn change(&self, from: &str, to: &str) {
        let path = self.0.path().join(Tree::PROTO);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "the .proto has no {from:?}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn check(&self) -> Ran {
        run(with_tools(self.0.path().join(".ci/proto"), self.0.path()))
    }
}

#[test]
fn the_gate_tells_of_a_proto_that_breaks_clients_of_the_last_release() {
    let tree = Tree::new();
    _ = tree.git(&["commit", "--quiet", "--allow-empty", "--message", "before"]);
    assert!(tree.check().ok().stdout().contains("no release yet"));
    tree.release("v0.9.0");
    let field = "string run_id = 1;";
    tree.change(field, &format!("{field}\n  string added = 99;"));
    let grown = tree.check().ok();
    assert!(grown.stdout().contains("clients of v0.9.0"), "{grown}");
    // What a candidate had, and the release that came of it has not.
    tree.release("v0.10.0-rc1");
    tree.change("\n  string added = 99;", "");
    let broken = tree.check();
    assert_ne!(broken.code(), 0, "{broken}");
    assert!(broken.stdout().contains("\"99\""), "{broken}");
    tree.release("v0.10.0");
    let same = tree.check().ok();
    assert!(same.stdout().contains("clients of v0.10.0"), "{same}");
    tree.change(field, "string run_id = 17;");
    assert_ne!(tree.check().code(), 0);
}

#[test]
fn protocols_other_than_grpc_start_nothing() {
    let site = Site::new();
    site.command("leave", "touch \"$SCRIPT_ROOT/../ran\"");
    let server = site.start();
    let nginx = Front::nginx(&server);
    let method = "action.v1.ActionService/RunCommand";
    let authority = nginx.authority();
    let urls = [
        (
            format!("http://{}", server.address()),
            vec!["--http2-prior-knowledge"],
        ),
        (nginx.url(), vec!["--cacert", authority.to_str().unwrap()]),
    ];
    let token = format!("authorization: Bearer {}", server.token());
    let call = |protocol: &[&str], url: &str, options: &[&str]| {
        let url = format!("{url}/{method}");
        let message = r#"{"command": "leave", "nodes": "n1"}"#;
        let words = ["curl", "-H", &token, "--schema", "proto", "-d", message];
        buf(&[&words[..], options, protocol, &[&url]].concat())
    };
    for (url, options) in &urls {
        for protocol in [
            &[][..],
            &["--protocol", "connect"],
            &["--protocol", "grpcweb"],
        ] {
            let ran = call(protocol, url, options);
            assert_ne!(ran.code(), 0, "{protocol:?} {ran}");
        }
    }
    assert_eq!(
        server
            .api()
            .list_runs(ListRunsRequest::default())
            .unwrap()
            .runs,
        []
    );
    assert!(!server.has("ran"));
    for (url, options) in &urls {
        _ = call(&["--protocol", "grpc"], url, options).ok();
    }
    assert_eq!(
        server
            .api()
            .list_runs(ListRunsRequest::default())
            .unwrap()
            .runs
            .len(),
        2
    );
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
