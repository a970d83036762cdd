//! Tests of the pass over command lines: every option of the definitions in every position.

use super::*;
use crate::arguments::program_alias::ProgramAlias;
use crate::cli::verbs;
use crate::environment::Environment;
use crate::error::ErrorKind;
use clap::ArgAction;

fn read(words: &[&str]) -> Result<Vec<String>> {
    let args: Vec<OsString> = words.iter().map(OsString::from).collect();
    let alias = ProgramAlias::detect(&args[0], &Environment::default())?;
    let mut line = CommandLine::read(&verbs::root(&alias), &args);
    match line.error.take() {
        Some(error) => Err(error),
        None => Ok(line
            .words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()),
    }
}

#[track_caller]
fn refusal(words: &[&str]) -> CliError {
    let error = read(words).expect_err(&format!("{words:?} is taken"));
    assert_eq!(error.kind(), ErrorKind::Usage, "{words:?}");
    error
}

/// What may follow an option that lacks its value: the end, or a word that is no value.
const FOLLOWING: [&[&str]; 7] = [
    &[],
    &["--confirm"],
    &["--unknown", "x"],
    &["-x"],
    &["-1"],
    &["-"],
    &["--", "n1"],
];

/// Each name of an option that takes a value.
fn names(options: &[&Arg]) -> Vec<String> {
    let with_value = options.iter().filter(|it| it.get_action().takes_values());
    let names = with_value.flat_map(|it| {
        let long = it
            .get_long()
            .into_iter()
            .chain(it.get_all_aliases().unwrap_or_default());
        let short = it.get_short().map(|letter| format!("-{letter}"));
        long.map(|name| format!("--{name}")).chain(short)
    });
    names.collect()
}

fn is_global(name: &str) -> bool {
    let root = verbs::root(&ProgramAlias::default());
    root.get_arguments()
        .any(|arg| arg.is_global_set() && arg.get_long() == name.strip_prefix("--"))
}

/// Every line of words, with the place at which options of theirs may stand.
fn positions() -> Vec<(Vec<String>, Vec<String>)> {
    let mut positions = Vec::new();
    for program in ["action-client", "power", "estate", "flight-power"] {
        let alias = ProgramAlias::detect(OsStr::new(program), &Environment::default()).unwrap();
        let root = verbs::root(&alias);
        let options: Vec<&Arg> = root.get_arguments().collect();
        let global: Vec<&Arg> = root
            .get_arguments()
            .filter(|it| it.is_global_set())
            .collect();
        let mut add = |words: &[&str], options: &[&Arg]| {
            let words = std::iter::once(&program)
                .chain(words)
                .map(ToString::to_string);
            positions.push((words.collect(), names(options)));
        };
        add(&[], &options);
        let run: &[&[&str]] = if alias.is_whole() {
            &[&[], &["run"]]
        } else {
            &[&[]]
        };
        for before in run {
            for words in [&["off"][..], &["off", "n1"], &["off", "n1", "small", "-v"]] {
                add(&[before, words].concat(), &options);
            }
            add(before, &options);
        }
        for verb in root.get_subcommands() {
            let own: Vec<&Arg> = verb.get_arguments().chain(global.iter().copied()).collect();
            for name in verb.get_all_aliases().chain([verb.get_name()]) {
                add(&[name], &own);
                add(&[name, "x"], &own);
            }
        }
    }
    positions
}

#[test]
fn every_option_needs_its_value_in_every_position() {
    let mut tried = 0;
    for (words, names) in positions() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for name in &names {
            let name = name.as_str();
            for following in FOLLOWING {
                let line = [&words[..], &[name], following].concat();
                let error = refusal(&line);
                assert_eq!(
                    error.to_string(),
                    format!("`{name}` needs a value"),
                    "{line:?}"
                );
                let hint = &error.hints()[0];
                let says_how = hint.contains("is written `--") && hint.ends_with("=-value`");
                assert!(
                    says_how || (name == "--plan" && hint.contains("--dry-run")),
                    "{line:?}"
                );
            }
            let is_set = ["-g", "--nodes", "--group", "--exclude"].contains(&name);
            // It may be the script's: see `Scanner::take_options_of_script`.
            let own = words.iter().skip_while(|word| **word != "off").count();
            let is_left = name == "-g" && (own > 1 || words.ends_with(&["run", "x"]));
            for empty in ["", " "].into_iter().chain(is_set.then_some(",")) {
                if is_left {
                    continue;
                }
                let line = [&words[..], &[name, empty]].concat();
                let what = if is_set { "node set" } else { "value" };
                let text = format!("the {what} of {name} is empty");
                assert_eq!(refusal(&line).to_string(), text, "{line:?}");
            }
            tried += 1;
            if is_global(name) {
                continue;
            }
            let attached = format!("{name}=-x");
            for value in [&[name, "x"][..], &[&attached]] {
                let mut expected = [&words[..], value].concat();
                let mut read = read(&expected).unwrap();
                read.retain(|word| !["run", "--"].contains(&word.as_str()));
                expected.retain(|word| *word != "run");
                expected.sort_unstable();
                read.sort();
                assert_eq!(read, expected);
            }
        }
    }
    assert!(tried > 250, "{tried}");
}

/// Every long option that takes a value, and does so together with its value wherever it is put.
#[test]
fn an_option_keeps_its_own_value_and_no_other() {
    let root = verbs::root(&ProgramAlias::default());
    let options: Vec<&Arg> = root.get_arguments().collect();
    let is_own = |name: &&String| name.starts_with("--") && !is_global(name);
    for name in names(&options).iter().filter(is_own) {
        for at in 1..=3 {
            let mut words = vec!["action-client", "off", "n1", "small"];
            words.splice(at..at, [name.as_str(), "VALUE"]);
            let read = read(&words).unwrap();
            let found = read.iter().position(|word| word == name).unwrap();
            assert_eq!(read[found + 1], "VALUE", "{words:?}");
            let others: Vec<&str> = read.iter().map(String::as_str).collect();
            let others = others
                .into_iter()
                .filter(|word| word != name && !["VALUE", "run", "--"].contains(word));
            assert_eq!(
                others.collect::<Vec<_>>(),
                ["action-client", "off", "n1", "small"]
            );
        }
    }
}

#[test]
fn what_narrows_a_run_is_given_once() {
    for line in [
        "power off n1 --exclude a --exclude b",
        "power --exclude a off n1 --exclude b",
        "action-client --exclude a run --exclude=b off n1",
        "action-client -g a run off --nodes b",
        "power -g a off -g b",
        "c off -g a x -g b",
        "c off --nodes a x -g b",
        "c off -g a x -g b y",
        "c off -g a x -gb",
        "c --config a --config b off n1",
        "c off n1 --output json --output human",
        "c off n1 --fold --fold",
        "c off n1 --confirm --confirm",
        "c nodes --long --long",
        "c cancel --force r1 --force",
        "action-client -g a runs -g b",
        "action-client --exclude a nodes --exclude b",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let text = refusal(&words).to_string();
        assert!(text.ends_with(" is given twice"), "{line}: {text}");
    }
    // The nearer configuration counts: a shell's alias has one.
    read(&["action-client", "--config", "a", "nodes", "--config", "b"]).unwrap();
}

#[test]
fn abbreviations_do_not_go_to_the_script() {
    let root = verbs::root(&ProgramAlias::default());
    let longs: Vec<&str> = root.get_arguments().filter_map(Arg::get_long).collect();
    for long in &longs {
        for length in 3..long.len() {
            let short = &long[..length];
            if longs.contains(&short) {
                continue;
            }
            for word in [format!("--{short}"), format!("--{short}=x")] {
                let error = refusal(&["power", "off", "n1", &word]);
                let hints = error.hints().join("\n");
                assert!(hints.contains(&format!("`--{long}`")), "{word}: {hints}");
                read(&["power", "off", "n1", "--", &word]).unwrap();
            }
        }
    }
    for own in ["--force", "--verbose", "--ex", "-dry", "--", "-force"] {
        read(&["power", "off", "n1", own]).unwrap();
    }
}

/// Each option, written in the ways that hands and editors write it.
#[test]
fn misspelt_options_do_not_go_to_the_script() {
    let root = verbs::root(&ProgramAlias::default());
    let longs: Vec<&str> = root.get_arguments().filter_map(Arg::get_long).collect();
    let mut tried = 0;
    for long in &longs {
        let bare = long.replace('-', "");
        let mut words = vec![
            format!("-{long}"),
            format!("--{bare}"),
            format!("-{bare}"),
            format!("--{}", long.to_uppercase()),
            format!("--{}", long.replace('-', "_")),
            format!("---{long}"),
            format!("\u{2013}{long}"),
            "\u{2013}g".to_owned(),
            format!("\u{2014}{}", long.replace('-', "\u{2010}")),
            format!("\u{2212}\u{2212}{long}"),
        ];
        if bare.len() > 4 {
            for at in 1..bare.len() {
                let (front, back) = bare.split_at(at);
                words.push(format!("--{front}{}", &back[1..]));
                words.push(format!("--{front}x{back}"));
                words.push(format!("--{front}x{}", &back[1..]));
            }
        }
        for word in words {
            if word
                .strip_prefix("--")
                .is_some_and(|it| longs.contains(&it))
                || word.len() < 4
            {
                continue;
            }
            for word in [word.clone(), format!("{word}=x")] {
                let error = refusal(&["power", "off", "n1", &word]);
                let hints = error.hints().join("\n");
                assert!(hints.contains("did you mean `-"), "{word}: {hints}");
                read(&["power", "off", "n1", "--", &word]).unwrap();
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn options_with_a_value_take_exactly_one() {
    // What is assumed here of the definitions.
    let root = verbs::root(&ProgramAlias::default());
    let verbs = root.get_subcommands().flat_map(Command::get_arguments);
    let options = root
        .get_arguments()
        .chain(verbs)
        .filter(|it| !it.is_positional());
    for option in options.filter(|it| it.get_action().takes_values()) {
        assert!(matches!(option.get_action(), ArgAction::Set), "{option:?}");
        assert!(
            option.get_num_args().is_none_or(|it| it == 1.into()),
            "{option:?}"
        );
        assert!(!option.is_allow_hyphen_values_set(), "{option:?}");
    }
}
