//! A second language: a Python client with grpcio, whose stubs are made from the .proto now.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use action_tests::{
    Server, Site,
    program::{hermetic, tool},
};
use serde_json::{Value, json};

/// The tests' own Python, with grpcio and its tools.
pub(crate) fn python() -> PathBuf {
    tool("test-venv/bin/python")
}

/// Makes the stubs, once for all tests.
pub(crate) fn stubs() -> &'static Path {
    static STUBS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let stubs = STUBS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        let out = directory.path().display();
        let mut protoc = hermetic(python(), directory.path());
        protoc.args(["-m", "grpc_tools.protoc", "action/v1/action.proto"]);
        protoc.arg(format!("--proto_path={}", proto.display()));
        protoc
            .arg(format!("--python_out={out}"))
            .arg(format!("--grpc_python_out={out}"));
        _ = action_tests::program::run(protoc).ok();
        directory
    });
    stubs.path()
}

fn call(server: &Server, token: &str, words: &[&str]) -> Vec<Value> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/python/client.py");
    let mut python = hermetic(python(), &server.path("home"));
    python
        .arg(client)
        .arg(stubs())
        .arg(server.address().to_string());
    python.arg(token).args(words);
    let ran = action_tests::program::run(python).ok();
    let lines = ran.stdout();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    let script = "echo \"$name: $1\"; [[ $name == n1 ]] || { echo 'oh no' >&2; exit 3; }";
    site.command_with("greet", "help: {summary: Greet a node}", script);
    site.start()
}

#[test]
fn a_python_client_lists_and_runs() {
    let server = serving();
    let mut shown = call(&server, &server.token(), &["greet", "n1,n2", "żółć"]);
    assert_eq!(shown.remove(0), json!({"nodes": ["n1", "n2"]}));
    assert_eq!(
        shown.remove(0),
        json!({"commands": {"greet": "Greet a node"}})
    );
    assert_eq!(shown.first(), Some(&json!({"event": "run_started"})));
    assert_eq!(shown.last(), Some(&json!({"event": "run_finished"})));
    let stdout = "OUTPUT_STREAM_STDOUT";
    for expected in [
        json!({"output": "n1: żółć\n", "node": "n1", "stream": stdout}),
        json!({"output": "n2: żółć\n", "node": "n2", "stream": stdout}),
        json!({"output": "oh no\n", "node": "n2", "stream": "OUTPUT_STREAM_STDERR"}),
        json!({"finished": "n1", "outcome": "OUTCOME_OK", "code": 0}),
        json!({"finished": "n2", "outcome": "OUTCOME_FAILED", "code": 3}),
    ] {
        assert!(shown.contains(&expected), "{expected} in {shown:#?}");
    }
}

#[test]
fn a_python_client_is_told_why_not() {
    let server = serving();
    let shown = call(&server, "a.b.c", &["greet", "n1"]);
    let error = json!({"error": "UNAUTHENTICATED", "details": "a valid token is needed"});
    assert_eq!(shown, [error]);
    let shown = call(&server, &server.token(), &["greet", "n9"]);
    let error = json!({"error": "INVALID_ARGUMENT", "details": "no such node: n9"});
    assert_eq!(shown.last(), Some(&error));
}

#[test]
fn the_stubs_are_made_from_the_proto_of_this_tree() {
    let made = fs::read_to_string(stubs().join("action/v1/action_pb2_grpc.py")).unwrap();
    assert!(made.contains("/action.v1.ActionService/RunCommand"));
}
