use super::*;
use crate::arguments::program_alias::ProgramAlias;
use crate::cli::verbs;
use crate::error::CliError;
use clap::{Arg, Command};
use std::any::TypeId;
use std::path::PathBuf;

/// The arguments whose values are not any text, each with the words before it. Made from the
/// definitions, so that a new option is tried too.
fn typed() -> Vec<(Vec<String>, Arg)> {
    let mut root = verbs::root(&ProgramAlias::default());
    root.build();
    let mut typed = Vec::new();
    let mut add = |words: &[&str], command: &Command| {
        for arg in command.get_arguments() {
            let value = arg.get_value_parser();
            let is_text = value.type_id() == TypeId::of::<PathBuf>()
                || format!("{value:?}").contains("ValueParser::string");
            if arg.get_action().takes_values() && !is_text {
                let words = words.iter().map(ToString::to_string).collect();
                typed.push((words, arg.clone()));
            }
        }
    };
    add(&["action-client"], &root);
    for verb in root.get_subcommands() {
        add(&["action-client", verb.get_name()], verb);
    }
    typed
}

fn read(words: &[String]) -> Result<(), CliError> {
    let root = verbs::root(&ProgramAlias::default());
    match root.try_get_matches_from(words) {
        Ok(_) => Ok(()),
        // The verb's own words, or the verb, may be missing.
        Err(error)
            if matches!(
                error.kind(),
                clap::error::ErrorKind::MissingRequiredArgument
                    | clap::error::ErrorKind::MissingSubcommand
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[test]
fn every_option_says_what_it_takes() {
    let secret = "Zk3vQ9xR7LmBt0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6hSgJpIeDkRuFA";
    let mut names = Vec::new();
    for (words, arg) in typed() {
        let name = match arg.get_long() {
            Some(long) => format!("--{long}"),
            None => arg.get_value_names().unwrap()[0].to_string(),
        };
        let with = |value: &str| {
            let option = name.starts_with('-').then(|| name.clone());
            let words = words.iter().cloned().chain(option);
            words.chain([value.to_owned()]).collect::<Vec<_>>()
        };
        let long = "x".repeat(5000);
        for value in [
            "wrong",
            "-",
            "1.5.2",
            "99999999999999999999s",
            &long,
            secret,
        ] {
            let error = read(&with(value)).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("wrong value for "), "{name}: {text}");
            assert!(
                text.contains(&name) && text.contains("; expected "),
                "{text}"
            );
            assert!(error.clap_text().is_none() && text.len() < 200, "{text}");
            match value.len() < 31 {
                true => assert!(text.contains(&format!("`{value}`")), "{text}"),
                false => assert!(!text.contains(&value[..8]), "{text}"),
            }
            let example = error.hints()[0].strip_prefix("for example: `").unwrap();
            let example = example.strip_suffix('`').unwrap();
            let example = example.strip_prefix(&format!("{name} ")).unwrap_or(example);
            read(&with(example)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        names.push(name);
    }
    for name in [
        "--fanout",
        "--timeout",
        "--plan",
        "--color",
        "--since",
        "--limit",
        "SHELL",
    ] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
}

#[test]
fn numbers_and_times_are_read() {
    assert_eq!(parse_count("0").unwrap(), 0);
    assert_eq!(parse_count("4294967295").unwrap(), u32::MAX);
    assert_eq!(parse_count_from_one("1").unwrap(), 1);
    for wrong in ["", "-1", "+1", " 1", "1.0", "4294967296", "\u{661}"] {
        assert!(
            parse_count(wrong).is_err() && parse_count_from_one(wrong).is_err(),
            "{wrong}"
        );
    }
    assert!(parse_count_from_one("0").is_err());
    assert_eq!(parse_time_span("1h 30m").unwrap().as_secs(), 5400);
    assert!(parse_time_span("0s").is_ok() && parse_time_from_one("0s").is_err());
    assert!(parse_time_span("5").is_err() && parse_time_span("10000000000000000000s").is_err());
}

#[test]
fn only_a_digest_is_taken_for_one() {
    for digest in ["p1:qN0c..", "p1:a-b_c.d.e.f", "p2:x"] {
        assert_eq!(parse_plan_digest(digest).unwrap(), digest);
    }
    for wrong in [
        "",
        "p1:",
        "p:x",
        "1:x",
        "cnode01",
        "p1:a b",
        "p1:a/b",
        "plan: p1:x",
        "px:y",
    ] {
        assert!(parse_plan_digest(wrong).is_err(), "{wrong}");
    }
}
