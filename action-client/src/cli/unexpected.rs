//! The error for an unexpected word, most likely a node set without `-g`. Pure.

use crate::error::CliError;
use action_proto::input::shown_set;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

/// The longest word that a hint repeats.
const LONGEST_SHOWN: usize = 64;

/// The error for clap's of an unknown argument, where it is a word behind `verb`, called as `name`.
pub(crate) fn to_error(error: clap::Error, program: &str, name: &str, verb: &Command) -> CliError {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if !word.starts_with('-') => word.clone(),
        _ => return error.into(),
    };
    let hints = hints_for(&format!("{program} {name}"), verb, &word);
    if hints.is_empty() {
        return error.into();
    }
    let message = format!("unexpected word `{}` for `{name}`", shown_set(&word));
    hints
        .into_iter()
        .fold(CliError::usage(message), CliError::hint)
}

fn hints_for(called: &str, verb: &Command, word: &str) -> Vec<String> {
    let has = |id: &str| {
        let is_shown = |arg: &Arg| arg.get_id() == id && !arg.is_hide_set() && !arg.is_positional();
        verb.get_arguments().any(is_shown)
    };
    let is_shown = word.len() <= LONGEST_SHOWN && shown_set(word) == word;
    let is_set = word.contains(|c: char| "@[]*?,=!&^".contains(c));
    let mut hints = Vec::new();
    if has("nodes") {
        let set = if !is_shown {
            "NODES".to_owned()
        } else if word.contains(|c: char| "[]*?!&^ ".contains(c)) {
            format!("'{word}'")
        } else {
            word.to_owned()
        };
        hints.push(format!("node sets stand behind -g: `{called} -g {set}`"));
    } else if has("exclude") {
        hints.push("--exclude NODES leaves nodes out".to_owned());
    }
    if has("command") && !is_set {
        let name = if is_shown { word } else { "COMMAND" };
        hints.push(format!(
            "commands stand behind --command: `{called} --command {name}`"
        ));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::program_alias::ProgramAlias;
    use crate::cli::command_line::CommandLine;
    use crate::cli::parse::parse;
    use crate::cli::verbs;
    use crate::environment::Environment;
    use std::ffi::OsString;

    fn error(line: &str) -> CliError {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let alias = ProgramAlias::detect(&args[0], &Environment::default()).unwrap();
        let root = verbs::root(&alias);
        let line = CommandLine::read(&root, &args);
        parse(&alias, &root, &line).unwrap_err()
    }

    #[test]
    fn a_node_set_in_place_of_a_word_is_led_to_its_option() {
        for (line, message, hint) in [
            (
                "action-client nodes @compute",
                "unexpected word `@compute` for `nodes`",
                "node sets stand behind -g: `action-client nodes -g @compute`",
            ),
            (
                "action-client --color never nodes --long n[1-2]",
                "unexpected word `n[1-2]` for `nodes`",
                "node sets stand behind -g: `action-client nodes -g 'n[1-2]'`",
            ),
            (
                "estate list n1",
                "unexpected word `n1` for `list`",
                "node sets stand behind -g: `estate list -g n1`",
            ),
            (
                "action-client runs @compute",
                "unexpected word `@compute` for `runs`",
                "node sets stand behind -g: `action-client runs -g @compute`",
            ),
            (
                "action-client rerun r1 n1",
                "unexpected word `n1` for `rerun`",
                "--exclude NODES leaves nodes out",
            ),
        ] {
            let error = error(line);
            assert_eq!(error.to_string(), message, "{line}");
            assert_eq!(error.hints(), [hint], "{line}");
        }
        let hints = error("action-client runs power-off").hints().join("\n");
        assert!(hints.contains("--command power-off"), "{hints}");
        let others = error("action-client show r1 r2");
        assert!(others.clap_text().is_some() && others.hints().is_empty());
    }

    #[test]
    fn every_verb_with_nodes_says_where_they_stand() {
        let root = verbs::root(&ProgramAlias::default());
        let mut tried = 0;
        for verb in root.get_subcommands() {
            let is_set = |arg: &Arg| arg.get_id() == "nodes" && !arg.is_hide_set();
            let words = verb.get_positionals().count();
            let takes_more = verb
                .get_positionals()
                .any(|arg| arg.get_num_args().is_some_and(|it| it.max_values() > 1));
            if !verb.get_arguments().any(is_set) || takes_more || verb.get_name() == "run" {
                continue;
            }
            let line = format!(
                "action-client {}{} @all",
                verb.get_name(),
                " x".repeat(words)
            );
            assert!(error(&line).hints()[0].contains("-g @all"), "{line}");
            tried += 1;
        }
        assert!(tried >= 2, "{tried}");
    }

    #[test]
    fn a_secret_in_place_of_a_word_is_not_repeated() {
        let secret = "Zk3vQ9xR7LmBt0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6hSgJpIeDkRuFA";
        let error = error(&format!("action-client nodes {secret}"));
        let text = format!("{error} {:?}", error.hints());
        assert!(!text.contains("Zk3vQ9xR"), "{text}");
        assert!(text.contains("-g NODES"), "{text}");
    }
}
