//! A thousand nodes with mixed outcomes: no torn line, and sets that can be used again.

use std::collections::BTreeSet;

use action_tests::{Client, Server, Site};

const SCRIPT: &str = r#"
echo "$name begins"
number=${name#node}
case $((10#$number % 20)) in
    7) echo "$name warns" >&2; exit 3 ;;
    11) exit 9 ;;
    13) kill -9 $$ ;;
esac
echo "$name ends"
"#;

fn serving() -> (Server, Client) {
    let site = Site::new();
    let nodes: String = (0..1000)
        .map(|number| format!("node{number:03}: {{}}\n"))
        .collect();
    site.nodes(&nodes);
    site.command("mixed", SCRIPT);
    let server = site.start();
    let client = server.client();
    (server, client)
}

/// The sets of the summary, with their outcomes and numbers.
fn sets(summary: &str) -> Vec<(String, String, usize)> {
    let parts = summary.split("  ").map(|part| {
        let mut words = part.split(' ');
        let mut next = || words.next().unwrap().to_owned();
        let (outcome, set, number) = (next(), next(), next());
        let number = number.trim_matches(['(', ')', ':']).parse().unwrap();
        (outcome, set, number)
    });
    parts.collect()
}

#[test]
fn the_sets_of_the_summary_are_those_of_the_nodes() {
    let (_server, client) = serving();
    let ran = client.run(&["mixed", "-g", "@*"]);
    assert_eq!(ran.code(), 137);
    for line in ran.stdout().lines() {
        let (node, text) = line.split_once(": ").unwrap();
        let whole = [format!("{node} begins"), format!("{node} ends")];
        assert!(whole.contains(&text.to_owned()), "{line:?} is torn");
    }
    assert_eq!(ran.stdout().lines().count(), 1000 + 850);
    let stderr = ran.stderr();
    let summary = sets(stderr.lines().last().unwrap());
    let numbers: Vec<_> = summary
        .iter()
        .map(|(outcome, _, number)| (outcome.as_str(), *number))
        .collect();
    assert_eq!(
        numbers,
        [("ok", 850), ("failed", 50), ("failed", 50), ("failed", 50)]
    );
    let mut all = BTreeSet::new();
    for (_, set, number) in &summary {
        let listed = client.run(&["nodes", "-g", set]).ok().stdout();
        assert_eq!(listed.lines().count(), *number, "{set}");
        all.extend(listed.lines().map(str::to_owned));
        let folded = client.run(&["nodes", "-g", set, "--fold"]).ok().stdout();
        assert_eq!(folded.trim(), set);
    }
    assert_eq!(all.len(), 1000);
}
