//! Two hundred nodes in one run: all outputs whole, none torn or lost.

use std::collections::BTreeMap;

use action_proto::v1::Outcome;
use action_tests::{Server, Site, on};

const NODES: usize = 200;
const LINES: usize = 40;

/// Each node writes lines of many lengths to both streams, in pieces, and one node fails.
const SCRIPT: &str = r#"
pad=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
for line in {1..40}; do
  printf '%s says ' "$name"
  printf '%s %s\n' "$line" "${pad:0:line}"
  printf '%s warns %s\n' "$name" "$line" >&2
done
[[ $name != n117 ]] || exit 7
"#;

fn serving() -> Server {
    let site = Site::new();
    let nodes = (1..=NODES).map(|number| format!("n{number:03}: {{}}\n"));
    site.nodes(&nodes.collect::<String>());
    site.command("talk", SCRIPT);
    site.start()
}

fn said(node: &str, line: usize) -> String {
    format!("{node} says {line} {}", "x".repeat(line))
}

#[test]
fn through_the_api() {
    let server = serving();
    let run = server.api().run(on("talk", "n[001-200]"));
    assert_eq!(run.nodes().len(), NODES);
    for node in run.nodes() {
        let stdout: String = (1..=LINES).map(|line| said(node, line) + "\n").collect();
        let stderr: String = (1..=LINES)
            .map(|line| format!("{node} warns {line}\n"))
            .collect();
        assert!(run.stdout_of(node) == stdout.as_bytes(), "stdout of {node}");
        assert!(run.stderr_of(node) == stderr.as_bytes(), "stderr of {node}");
        let code = if node == "n117" { 7 } else { 0 };
        assert_eq!(run.end_of(node).exit_code, Some(code), "{node}");
    }
    let counts: Vec<_> = run
        .summary()
        .counts
        .iter()
        .map(|count| (count.outcome(), count.count))
        .collect();
    assert_eq!(counts, [(Outcome::Ok, 199), (Outcome::Failed, 1)]);
    assert_eq!(run.summary().outcome(), Outcome::Failed);
}

#[test]
fn through_the_client() {
    let server = serving();
    let ran = server.client().run(&["run", "talk", "-g", "n[001-200]"]);
    assert_eq!(ran.code(), 7, "the failing node's code");
    let lines = by_node(&ran.stdout());
    assert_eq!(lines.len(), NODES);
    for (node, lines) in lines {
        let expected: Vec<_> = (1..=LINES).map(|line| said(&node, line)).collect();
        assert_eq!(lines, expected, "{node}");
    }
    let (warnings, summary): (Vec<_>, Vec<_>) = ran
        .stderr()
        .lines()
        .map(str::to_owned)
        .partition(|line| line.contains(" warns "));
    let warnings = by_node(&warnings.join("\n"));
    assert_eq!(warnings.len(), NODES);
    for (node, lines) in warnings {
        let expected = (1..=LINES).map(|line| format!("{node} warns {line}"));
        assert_eq!(lines, expected.collect::<Vec<_>>(), "{node}");
    }
    assert_eq!(
        summary,
        ["ok n[001-116,118-200] (199)  failed n117 (1): exit 7"]
    );
}

/// The lines of prefixed output by their node, each node's in order.
#[track_caller]
fn by_node(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines = BTreeMap::<_, Vec<_>>::new();
    for line in text.lines() {
        let (node, line) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
        lines
            .entry(node.to_owned())
            .or_default()
            .push(line.to_owned());
    }
    lines
}
