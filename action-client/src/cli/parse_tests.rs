//! Tests of `parse`: what the two phases read from command lines.

use super::*;
use crate::cli::globals::Format;
use crate::environment::Environment;
use std::ffi::OsStr;

fn entry(program: &str) -> Entry {
    Entry::detect(OsStr::new(program), &Environment::default()).unwrap()
}

fn args(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

fn intent(text: &str) -> Result<Intent> {
    let args = args(text);
    first(&entry(args[0].to_str().unwrap()), &args)
}

fn words(text: &str) -> (Vec<String>, Option<String>) {
    let args = args(text);
    let entry = entry("action-client");
    let commands = ["power-off", "show", "all-off"].map(|name| Definition {
        name: name.into(),
        has_context: name != "all-off",
        ..Definition::default()
    });
    let Ok(Intent::Command {
        shown, after_run, ..
    }) = first(&entry, &args)
    else {
        panic!("{text} is no command");
    };
    let (words, options, _) = second(&entry, &args, &shown, after_run, &commands).unwrap();
    assert_eq!(words.group, options.nodes);
    (words.positional, words.group)
}

#[test]
fn words_go_where_they_belong() {
    let table = [
        ("c power-off n1", "n1", None),
        ("c run power-off n1", "n1", None),
        ("c run show n1", "n1", None),
        ("c power-off n1 --force -x", "n1 --force -x", None),
        ("c power-off n1 a -g b", "n1 a -g b", None),
        ("c power-off n1 -- -g b", "n1 -g b", None),
        ("c power-off n1 a -- b", "n1 a -- b", None),
        (
            "c power-off -g n[1-2] a --confirm",
            "a --confirm",
            Some("n[1-2]"),
        ),
        ("c power-off -g n1 -- --flag", "--flag", Some("n1")),
        (
            "c power-off -g n1 a --output json",
            "a --output json",
            Some("n1"),
        ),
        ("c -g n1 power-off a -g b", "a -g b", Some("n1")),
        ("c power-off n1 --confirm", "n1", None),
        ("c all-off a --confirm", "a --confirm", None),
        ("c power-off a -g n1", "a", Some("n1")),
        ("c -g n1 power-off", "", Some("n1")),
        ("c run -g n1 power-off a", "a", Some("n1")),
        ("c -g n2 run power-off -g n1", "", Some("n1")),
        ("c --confirm power-off --nodes=n1", "", Some("n1")),
    ];
    for (line, positional, group) in table {
        let (got, set) = words(line);
        assert_eq!(
            (got.join(" ").as_str(), set.as_deref()),
            (positional, group),
            "{line}"
        );
    }
}

#[test]
fn globals_are_found_before_and_after_the_command() {
    for line in [
        "c --output json --config f power-off n1",
        "c power-off --output json --config f n1",
        "c run --config f power-off --output=json n1",
        "c nodes --output json --config f",
        "c --help power-off --config f --output json",
        "c --config f --output json --nonsense",
    ] {
        let globals = globals(&entry("action-client"), &args(line));
        assert_eq!(globals.output, Format::Json, "{line}");
        assert_eq!(
            globals.config.as_deref(),
            Some(std::path::Path::new("f")),
            "{line}"
        );
    }
    for line in [
        "c power-off n1 x --output json",
        "c power-off -g n1 x --output json",
    ] {
        let script_s = globals(&entry("action-client"), &args(line));
        assert_eq!(script_s.output, Format::Human, "{line}");
    }
}

#[test]
fn mistakes_show_without_the_server() {
    for line in [
        "c --nonsense power-off",
        "c power-off --nonsense n1",
        "c nodes n1 n2",
        "c show",
        "c --output yaml nodes",
        "c -g n1 cancel r1",
        "c --fanout 0 power-off n1",
    ] {
        let error = intent(line).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Usage, "{line}");
    }
}

#[test]
fn verbs_are_told_from_commands() {
    let verb_of = |line| match intent(line) {
        Ok(Intent::Verb(verb, _)) => *verb,
        other => panic!("{line}: {other:?}"),
    };
    assert!(matches!(verb_of("c help"), Verb::Help(_)));
    assert!(matches!(verb_of("c nodes"), Verb::Nodes(..)));
    assert!(matches!(verb_of("c estate-list"), Verb::Nodes(..)));
    assert!(matches!(verb_of("estate list"), Verb::Nodes(..)));
    assert!(matches!(
        intent("power list").unwrap(),
        Intent::Command { .. }
    ));
    assert!(matches!(
        intent("estate show n1").unwrap(),
        Intent::Command { .. }
    ));
    assert!(matches!(verb_of("c show r1"), Verb::Show(_)));
    assert!(matches!(
        intent("c").unwrap(),
        Intent::Usage { asked: false }
    ));
    assert!(matches!(
        intent("c run").unwrap(),
        Intent::Usage { asked: false }
    ));
    assert!(matches!(
        intent("c --help").unwrap(),
        Intent::Usage { asked: true }
    ));
    assert!(matches!(
        intent("c power-off -h").unwrap(),
        Intent::Usage { asked: true }
    ));
    assert!(matches!(intent("c --version").unwrap(), Intent::Version(_)));
}
