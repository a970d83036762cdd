//! Tests of completion: which words are offered where, and what ten thousand nodes cost.

use super::*;
use crate::environment::Environment;
use action_proto::v1::Command as Definition;
use server_cache::CachedRun;
use std::time::Instant;

fn cache() -> ServerCache {
    let command = |name: &str, has_context| Definition {
        name: name.into(),
        summary: format!("Do {name}"),
        has_context,
        ..Definition::default()
    };
    ServerCache {
        commands: vec![
            command("power-off", true),
            command("power-on", true),
            command("zone", false),
            command("b$(reboot)", true),
        ],
        nodes: ["cnode01", "cnode02", "gpu1", "x;reboot"]
            .map(str::to_owned)
            .to_vec(),
        groups: vec!["compute".into()],
        runs: vec![CachedRun {
            id: "r1a2".into(),
            about: "power-off gpu1".into(),
        }],
        ..ServerCache::default()
    }
}

fn offered(program: &str, line: &str) -> Vec<String> {
    let alias = ProgramAlias::detect(std::ffi::OsStr::new(program), &Environment::default());
    let alias = alias.unwrap();
    let root = crate::cli::verbs::root(&alias);
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let found = candidates(&root, &alias, &cache(), &words);
    found.into_iter().map(|it| it.word).collect()
}

#[test]
fn words_are_offered_where_they_belong() {
    let table: &[(&str, &[&str])] = &[
        ("po", &["power-off", "power-on"]),
        ("ru", &["run", "runs"]),
        ("run po", &["power-off", "power-on"]),
        (
            "power-off ",
            &["cnode01", "cnode02", "gpu1", "@compute", "@*"],
        ),
        ("power-off g", &["gpu1"]),
        ("power-off gpu1 ", &[]),
        ("power-off -g cnode01,g", &["cnode01,gpu1"]),
        ("power-off -g gpu1 c", &[]),
        ("power-off --nodes=cnode01,g", &["--nodes=cnode01,gpu1"]),
        ("-g @c", &["@compute"]),
        ("-g gpu1 power-of", &["power-off"]),
        ("--exclude c", &["cnode01", "cnode02"]),
        (
            "nodes -g gpu1!",
            &[
                "gpu1!cnode01",
                "gpu1!cnode02",
                "gpu1!gpu1",
                "gpu1!@compute",
                "gpu1!@*",
            ],
        ),
        ("zone ", &[]),
        ("show ", &["r1a2"]),
        ("show --fold r", &["r1a2"]),
        ("rerun r1a2 --fai", &["--failed"]),
        ("help power-o", &["power-off", "power-on"]),
        ("runs --command z", &["zone"]),
        ("runs --outcome ti", &["timed-out"]),
        ("--output j", &["json"]),
        ("--output=j", &["--output=json"]),
        ("power-off --fo", &["--fold"]),
        ("power-off -- c", &["cnode01", "cnode02"]),
        ("completion ", &["bash", "fish", "zsh"]),
        ("nonsense x", &[]),
        ("b$", &[]),
        ("power-off x", &[]),
    ];
    for (line, expected) in table {
        assert_eq!(offered("action-client", line), *expected, "{line}");
    }
    assert_eq!(offered("power", "o"), ["off", "on"]);
    assert_eq!(offered("estate", "li"), ["list"]);
    assert_eq!(offered("power", "off gpu1 --qu"), ["--quiet"]);
}

#[test]
fn shells_get_what_they_can_show() {
    let one = [Candidate {
        word: "show".into(),
        about: "Show\tit\nagain".into(),
    }];
    assert_eq!(shell_lines(&one, "bash"), "show\n");
    assert_eq!(shell_lines(&one, "fish"), "show\tShowit\n");
}

/// Prints what it costs; run it with `--nocapture` to see.
#[test]
fn ten_thousand_nodes_are_completed() {
    let mut cache = cache();
    cache.nodes = (0..10_000)
        .map(|number| format!("node{number:05}"))
        .collect();
    let words = ["power-off", "-g", "node00001,node0"].map(str::to_owned);
    let begun = Instant::now();
    let alias = ProgramAlias::default();
    let found = candidates(&crate::cli::verbs::root(&alias), &alias, &cache, &words);
    println!("completion among 10,000 nodes: {:?}", begun.elapsed());
    assert_eq!(found.len(), 10_000);
}
