//! Tests of what a command line is taken for.

use super::*;
use crate::cli::verbs;
use crate::environment::Environment;
use crate::error::ErrorKind;
use crate::render::OutputFormat;
use std::ffi::OsString;

fn args(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

fn line(text: &str) -> (ProgramAlias, Command, CommandLine) {
    let args = args(text);
    let alias = ProgramAlias::detect(&args[0], &Environment::default()).unwrap();
    let root = verbs::root(&alias);
    let line = CommandLine::read(&root, &args);
    (alias, root, line)
}

fn invocation(text: &str) -> Result<Invocation> {
    let (alias, root, mut line) = line(text);
    match line.error.take() {
        Some(error) => Err(error),
        None => parse(&alias, &root, &line),
    }
}

fn run(text: &str) -> RunArgs {
    match invocation(text).map(|it| match it {
        Invocation::Verb(verb) => *verb,
        other => panic!("{text}: {other:?}"),
    }) {
        Ok(Verb::Run(args)) => args,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn words_go_where_they_belong() {
    let table = [
        ("c off n1", "n1", None),
        ("c run off n1", "n1", None),
        ("c run show n1", "n1", None),
        ("c off n1 --force -x", "n1 --force -x", None),
        ("c off n1 a -g b", "n1 a", Some("b")),
        ("c off n1 -g=b", "n1", Some("b")),
        ("c off n1 -gb a", "n1 a", Some("b")),
        ("c off n1 -x -g b", "n1 -x", Some("b")),
        ("c off n1 -x -gb", "n1 -x -gb", None),
        ("c off n1 -- -g b", "n1 -- -g b", None),
        ("c off -- n1 -g b", "n1 -g b", None),
        ("c off n1 a -- b", "n1 a -- b", None),
        ("c off n1 a -- -g b", "n1 a -- -g b", None),
        ("c off -g n[1-2] a --confirm", "a", Some("n[1-2]")),
        ("c off -g n1 -- --flag", "--flag", Some("n1")),
        ("c off -g n1 a --output json", "a", Some("n1")),
        (
            "c off -g n1 a -- --output json",
            "a -- --output json",
            Some("n1"),
        ),
        ("c -g n1 off a b -g c d", "a b -g c d", Some("n1")),
        ("c off n1 --confirm", "n1", None),
        ("c off n1 small x --timeout 5s y", "n1 small x y", None),
        ("c off -g n1 small --timeout=5s", "small", Some("n1")),
        ("c off a -g n1", "a", Some("n1")),
        ("c off n1 --group n2", "n1", Some("n2")),
        ("c -g n1 off", "", Some("n1")),
        ("c run -g n1 off a", "a", Some("n1")),
        ("c --confirm off --nodes=n1", "", Some("n1")),
        ("power --exclude off off n1 --confirm", "n1", None),
        ("power run n1", "n1", None),
        ("c off - -v", "- -v", None),
    ];
    for (line, words, group) in table {
        let args = run(line);
        let read = (args.words[1..].join(" "), args.options.nodes.as_deref());
        assert_eq!(read, (words.to_owned(), group), "{line}");
    }
}

#[test]
fn a_node_set_behind_a_word_is_noted() {
    for (text, follows, separator) in [
        ("power off n1 --nodes n2", true, false),
        ("power off n1 a --confirm --group=n2 b", true, false),
        ("c run off n1 --group n2 -- x", true, false),
        ("c off n1 -g n2", true, false),
        ("c off n1 a -g n2", true, false),
        ("power off --nodes n2 n1", false, false),
        ("power --nodes n2 off n1", false, false),
        ("power off n1 -- --nodes n2", false, true),
        ("power off n1 -g n2 -- x", true, true),
        ("power off -g n2 a -- x", false, false),
        ("power off n1 --exclude n2", false, false),
    ] {
        let call = line(text).2.call.unwrap();
        let read = (call.set_follows_word, call.separator_follows_node);
        assert_eq!(read, (follows, separator), "{text}");
    }
}

#[test]
fn options_before_a_verb_are_its_own() {
    let verb = |text: &str| match invocation(text) {
        Ok(Invocation::Verb(verb)) => format!("{verb:?}"),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(verb("c -g n1 nodes"), verb("c nodes -g n1"));
    assert_eq!(verb("c --fold show r1"), verb("c show r1 --fold"));
    assert_eq!(
        run("c --wait off --no-wait n1").options.wait_mode(),
        Some(false)
    );
    let error = invocation("c --fanout 2 runs").unwrap_err();
    assert_eq!(error.to_string(), "--fanout is not for `runs`");
    let error = invocation("c -g n1 completion bash").unwrap_err();
    assert_eq!(error.to_string(), "-g is not for `completion`");
}

#[test]
fn globals_are_found_anywhere_before_the_separator() {
    for text in [
        "c --output json --config f power-off n1",
        "c power-off --output json --config f n1",
        "c power-off n1 x --output json --config=f",
        "c run --config f power-off --output=json n1",
        "c nodes --output json --config f",
        "c --help power-off --config f --output json",
        "c --config f --output json --nonsense",
        "c --config f --timeout --output json off",
        "c --color purple --config f --output json off",
    ] {
        let globals = line(text).2.globals;
        assert_eq!(globals.output, OutputFormat::Json, "{text}");
        assert_eq!(
            globals.config.as_deref(),
            Some(std::path::Path::new("f")),
            "{text}"
        );
    }
    let script_s = line("c power-off n1 -- --output json").2.globals;
    assert_eq!(script_s.output, OutputFormat::Human);
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
        "c -- off n1",
    ] {
        let error = invocation(line).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{line}");
    }
}

#[test]
fn verbs_differ_from_commands() {
    let verb_of = |line| match invocation(line) {
        Ok(Invocation::Verb(verb)) => *verb,
        other => panic!("{line}: {other:?}"),
    };
    assert!(matches!(verb_of("c help"), Verb::Help(_)));
    assert!(matches!(verb_of("c nodes"), Verb::EstateList(_)));
    assert!(matches!(verb_of("c estate-list"), Verb::EstateList(_)));
    assert!(matches!(verb_of("estate list"), Verb::EstateList(_)));
    assert!(matches!(verb_of("power list"), Verb::Run(_)));
    assert!(matches!(verb_of("estate show n1"), Verb::Run(_)));
    assert!(matches!(verb_of("c show r1"), Verb::Show(_)));
    for (text, expected) in [
        ("c", Some(false)),
        ("c run", Some(false)),
        ("c --help", Some(true)),
        ("c run --help", Some(true)),
        ("c power-off -h", Some(true)),
        ("c power-off n1 --help", Some(true)),
        ("c show --help", None),
        ("c --version", None),
    ] {
        let asked = match invocation(text) {
            Ok(Invocation::Help { is_asked }) => Some(is_asked),
            Ok(Invocation::Text(_)) => None,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(asked, expected, "{text}");
    }
}

/// A verb and an option that were added after 0.1 take nothing from scripts or commands.
#[test]
fn later_verbs_and_options_yield_to_scripts() {
    let alias = ProgramAlias::default();
    let later = clap::Arg::new("later")
        .long("later")
        .action(clap::ArgAction::SetTrue);
    let root = verbs::root(&alias)
        .arg(later)
        .subcommand(Command::new("later"));
    let read = |text: &str| CommandLine::read(&root, &args(text));
    let line = read("c off --later n1 --later x");
    assert!(line.error.is_none());
    let words: Vec<_> = line.words.iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(words.join(" "), "c run --later -- off n1 --later x");
    assert_eq!(read("c later").later_verb(), Some("later"));
    assert_eq!(read("c show").later_verb(), None);
    let hidden = root.clone().mut_subcommand("later", |verb| verb.hide(true));
    let line = CommandLine::read(&hidden, &args("c later n1"));
    assert_eq!(line.call.unwrap().name, "later");
}

/// A new option must be added neither here nor there: it counts before the script's words only.
#[test]
fn the_options_and_verbs_of_the_first_release_are_there() {
    let root = verbs::root(&ProgramAlias::default());
    for id in crate::cli::command_line::FIRST_OPTIONS.split(' ') {
        assert!(root.get_arguments().any(|arg| arg.get_id() == id), "{id}");
    }
    for verb in verbs::FIRST_VERBS.split(' ').filter(|verb| *verb != "list") {
        assert!(root.find_subcommand(verb).is_some(), "{verb}");
    }
}
