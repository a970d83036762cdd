//! ClusterShell's node sets are the measure of ours: thousands of random expressions mean the
//! same here and there.

use std::path::Path;

use action_proto::v1::ListNodesRequest;
use action_tests::{Site, program::hermetic};
use serde_json::Value;
use tonic::Code;

use crate::python::python;

const EXPRESSIONS: usize = 3000;

/// What `fixtures/python/nodesets.py` prints: the inventory, then a line an expression.
fn expressions(seed: u32) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/python/nodesets.py");
    let mut program = hermetic(python(), directory.path());
    program
        .arg(script)
        .arg(EXPRESSIONS.to_string())
        .arg(seed.to_string());
    let ran = action_tests::program::run(program).ok();
    ran.stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(value: &Value) -> Vec<String> {
    let names = value.as_array().unwrap();
    names
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn random_node_sets_mean_what_clustershell_takes_them_for() {
    let seed = 20_261_124;
    let lines = expressions(seed);
    assert_eq!(lines.len(), EXPRESSIONS + 1);
    let site = Site::new();
    let inventory = names(&lines[0]["inventory"]);
    site.nodes(
        &inventory
            .iter()
            .map(|name| format!("{name}:\n"))
            .collect::<String>(),
    );
    let server = site.start();
    let api = server.api();
    let mut empty = 0;
    for line in &lines[1..] {
        let set = line["set"].as_str().unwrap();
        let expected = names(&line["nodes"]);
        let select = |nodes: &str| {
            let request = ListNodesRequest {
                nodes: nodes.to_owned(),
                ..ListNodesRequest::default()
            };
            let nodes = api.list_nodes(request)?.nodes;
            let mut names: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
            names.sort();
            Ok::<_, tonic::Status>(names)
        };
        match select(set) {
            Ok(found) => assert_eq!(found, expected, "{set} (seed {seed})"),
            // A set that selects nothing is an error here, and never "all".
            Err(status) => {
                assert_eq!(
                    (status.code(), &expected[..]),
                    (Code::InvalidArgument, &[][..]),
                    "{set}: {status}"
                );
                empty += 1;
                continue;
            }
        }
        // What either folds is the same set again, for the other too.
        let ours = action_proto::fold(expected.iter().map(String::as_str));
        assert_eq!(
            select(&ours).unwrap(),
            expected,
            "{set} folded by us to {ours}"
        );
        let theirs = line["folded"].as_str().unwrap();
        assert_eq!(
            select(theirs).unwrap(),
            expected,
            "{set} folded by ClusterShell to {theirs}"
        );
    }
    assert!(
        empty > 0 && empty < EXPRESSIONS / 2,
        "{empty} of {EXPRESSIONS} select nothing"
    );
}
