//! Owns the clap definitions: the fixed verbs, and the server's commands beside them. Says
//! what can be written; runs nothing.

use crate::cli::described::{Shape, define};
use crate::cli::entry::Entry;
use crate::cli::globals::GlobalArgs;
use crate::cli::options::RunOptions;
use crate::commands::{attach, can_i, cancel, completion, help, nodes, rerun, runs, show};
use crate::render::table;
use crate::render::terminal::visible;
use action_proto::v1::Command as Definition;
use clap::{Args, Command};

/// How the root's help is laid out: the server's commands (`after-help`) before the verbs.
const LAYOUT: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// The fixed part of the command line. Other words are taken for commands of the server.
pub(crate) fn root(entry: &Entry) -> Command {
    let program = &entry.program;
    let list = if entry.is_whole() {
        "estate-list"
    } else {
        "list"
    };
    let list = verb::<nodes::NodesArgs>(list, "List the nodes, one name a line");
    let help = verb::<help::HelpArgs>("help", "List the commands, or describe one");
    let usage = format!("{program} [OPTIONS] COMMAND [NODE] [ARG..] [-g NODES]");
    let root = RunOptions::augment_args(verb::<GlobalArgs>(program, &entry.about))
        .about(entry.about.clone())
        .bin_name(program.clone())
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommand_help_heading("Verbs")
        .subcommand_value_name("COMMAND")
        .help_template(LAYOUT)
        .subcommand(help);
    if !entry.is_whole() {
        let root = root.override_usage(usage);
        return if entry.has_list() {
            root.subcommand(list)
        } else {
            root
        };
    }
    let run = verb::<RunOptions>(
        "run",
        "Run a command of the server; the word `run` may be left out",
    );
    let show = "Show a run's output again, as far as it has come";
    let attach = "Show a run's output from its start and follow it to its end";
    root.override_usage(format!("{usage}\n       {program} [OPTIONS] VERB"))
        .subcommand(
            run.override_usage(format!(
                "{program} run [OPTIONS] COMMAND [NODE] [ARG..] [-g NODES]"
            ))
            .disable_help_subcommand(true)
            .subcommand_required(true)
            .subcommand_value_name("COMMAND"),
        )
        .subcommand(list.visible_alias("nodes"))
        .subcommand(
            verb::<runs::RunsArgs>("runs", "List the runs, the newest first")
                .after_help("Long texts end in `...`; --output json has them whole."),
        )
        .subcommand(verb::<show::ShowArgs>("show", show))
        .subcommand(verb::<attach::AttachArgs>("attach", attach))
        .subcommand(
            verb::<rerun::RerunArgs>(
                "rerun",
                "Run a run's command again, on the nodes where it did not end ok",
            )
            // It has the nodes of the run.
            .mut_arg("nodes", |arg| arg.hide(true)),
        )
        .subcommand(verb::<cancel::CancelArgs>("cancel", "Stop a run"))
        .subcommand(verb::<can_i::CanIArgs>(
            "can-i",
            "Show on which nodes you may run a command; the exit code is 1 if not on all",
        ))
        .subcommand(verb::<completion::CompletionArgs>(
            "completion",
            "Print the script that makes a shell complete commands, nodes and runs",
        ))
}

/// A fixed verb with its arguments. clap would take the comment on the arguments for what
/// the verb is about.
fn verb<A: Args>(name: &str, about: &str) -> Command {
    A::augment_args(Command::new(name.to_owned()))
        .about(about.to_owned())
        .long_about(None)
}

/// The list of commands where there is none.
const NO_COMMANDS: &str = "\
The server has no commands for this token. The policy or the token may allow none, or name a group that is
broken or missing, which allows nothing: `action-client can-i COMMAND -g NODES` says why.";

/// Takes any other word for a command of the server.
pub(crate) fn open(root: Command) -> Command {
    let run = |run: Command| run.allow_external_subcommands(true);
    let root = root.allow_external_subcommands(true);
    if has(&root, "run") {
        root.mut_subcommand("run", run)
    } else {
        root
    }
}

/// Adds one command, of which only the name is known.
pub(crate) fn with_name(root: Command, entry: &Entry, shown: &str, shape: Shape) -> Command {
    let generic = Definition {
        has_context: true,
        ..Definition::default()
    };
    with(root, entry, shown, &generic, shape)
}

/// Adds the server's commands.
pub(crate) fn with_commands(
    root: Command,
    entry: &Entry,
    commands: &[Definition],
    shape: Shape,
) -> Command {
    let shown = commands
        .iter()
        .filter_map(|it| Some((entry.shown(&it.name)?, it)));
    let mut rows = Vec::new();
    let mut root = root;
    for (name, command) in shown {
        // A name that could not be typed, or that is there twice, would make clap stumble.
        let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_name || rows.iter().any(|[row, _]: &[String; 2]| row.trim() == name) {
            continue;
        }
        rows.push([format!("  {name}"), visible(&command.summary).into_owned()]);
        let shape = if command.has_context {
            shape
        } else {
            Shape::AtOnce
        };
        root = with(root, entry, name, command, shape);
    }
    let list = if rows.is_empty() {
        NO_COMMANDS.to_owned()
    } else {
        format!(
            "Commands of the server:\n{}",
            table::lay_out(&rows).join("\n")
        )
    };
    let run_help = list.clone();
    let root = root.after_help(list);
    if has(&root, "run") {
        root.mut_subcommand("run", |run| run.after_help(run_help).help_template(LAYOUT))
    } else {
        root
    }
}

/// Adds one command to the root, and to `run`, which reaches it under any name. A fixed verb
/// of the same name goes before it.
fn with(root: Command, entry: &Entry, shown: &str, command: &Definition, shape: Shape) -> Command {
    let program = &entry.program;
    let root = if has(&root, "run") {
        let called = format!("{program} run {shown}");
        root.mut_subcommand("run", |run| {
            run.subcommand(define(shown, &called, command, shape))
        })
    } else {
        root
    };
    if has(&root, shown) {
        return root;
    }
    root.subcommand(define(shown, &format!("{program} {shown}"), command, shape))
}

/// Whether the root has a subcommand of that name or alias.
pub(crate) fn has(root: &Command, name: &str) -> bool {
    root.get_subcommands()
        .any(|it| it.get_name() == name || it.get_all_aliases().any(|it| it == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::described::FIRST;
    use crate::environment::Environment;
    use std::ffi::OsStr;

    fn entry(program: &str) -> Entry {
        Entry::detect(OsStr::new(program), &Environment::default()).unwrap()
    }

    fn definition(name: &str) -> Definition {
        Definition {
            name: name.into(),
            summary: format!("Do {name}"),
            has_context: true,
            ..Definition::default()
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        let names = [
            "power-off",
            "power-on",
            "power-off",
            "help",
            "show",
            "-x",
            "\x1b",
        ];
        let commands: Vec<Definition> = names.into_iter().map(definition).collect();
        for program in ["action-client", "power", "estate"] {
            let entry = entry(program);
            for shape in [Shape::AfterNode, Shape::AtOnce] {
                with_commands(root(&entry), &entry, &commands, shape).debug_assert();
                open(with_name(root(&entry), &entry, "off", shape)).debug_assert();
            }
        }
    }

    #[test]
    fn the_root_s_help_has_the_server_s_commands_and_the_verbs() {
        let whole = entry("action-client");
        let commands = [definition("power-off"), definition("usage")];
        let help = with_commands(root(&whole), &whole, &commands, Shape::AfterNode)
            .render_help()
            .to_string();
        for part in [
            "Commands of the server:\n  power-off  Do power-off",
            "Verbs:\n  help",
            "-g",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
        let power = entry("power");
        let help = with_commands(root(&power), &power, &commands, Shape::AfterNode)
            .render_help()
            .to_string();
        assert!(
            help.contains("\n  off  Do power-off") && !help.contains("usage  "),
            "{help}"
        );
    }

    #[test]
    fn a_fixed_verb_wins_and_run_reaches_the_command() {
        let whole = entry("action-client");
        let full = with_commands(
            root(&whole),
            &whole,
            &[definition("show")],
            Shape::AfterNode,
        );
        let matches = full
            .clone()
            .try_get_matches_from(["x", "show", "abc"])
            .unwrap();
        assert!(
            matches
                .subcommand_matches("show")
                .unwrap()
                .try_contains_id(FIRST)
                .is_err()
        );
        let matches = full
            .try_get_matches_from(["x", "run", "show", "n1"])
            .unwrap();
        let run = matches.subcommand_matches("run").unwrap();
        let first = run
            .subcommand_matches("show")
            .unwrap()
            .get_one::<String>(FIRST);
        assert_eq!(first.map(String::as_str), Some("n1"));
    }
}
