//! The server's commands as clap subcommands, for help and completion.

use crate::arguments::program_alias::ProgramAlias;
use crate::arguments::run_options::RunOptions;
use crate::arguments::syntax::Syntax;
use crate::render::table;
use crate::render::terminal::visible_text;
use crate::render::time;
use action_proto::v1::Command as Definition;
use clap::{Arg, Args, Command};
use std::fmt::Write;

/// The id of the word for the node.
pub(crate) const NODE: &str = "node";

/// How the root's help is laid out: the server's commands (`after-help`) before the verbs.
pub(crate) const LAYOUT: &str =
    "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// The list of commands where there is none.
const NO_COMMANDS: &str = "\
The server has no commands for this token. The policy or the token may allow none, or name a group that is
broken or missing, which allows nothing: `action-client can-i COMMAND -g NODES` says why.";

/// Adds a command that the server has not described.
pub(crate) fn with_unlisted(root: Command, alias: &ProgramAlias, name: &str) -> Command {
    let generic = Definition {
        has_context: true,
        ..Definition::default()
    };
    with_command(root, alias, name, &generic)
}

pub(crate) fn with_commands(
    mut root: Command,
    alias: &ProgramAlias,
    commands: &[Definition],
) -> Command {
    let mut rows: Vec<[String; 2]> = Vec::new();
    for command in commands {
        let Some(name) = alias.local_name(&command.name) else {
            continue;
        };
        // clap panics on a name that cannot be typed, and on one that is there twice.
        let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_name || rows.iter().any(|[row, _]| row.trim() == name) {
            continue;
        }
        rows.push([
            format!("  {name}"),
            visible_text(&command.summary).into_owned(),
        ]);
        root = with_command(root, alias, name, command);
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
    if has_verb(&root, "run") {
        root.mut_subcommand("run", |run| run.after_help(run_help).help_template(LAYOUT))
    } else {
        root
    }
}

/// Adds a command to the root, where a verb precedes it, and to `run`.
fn with_command(root: Command, alias: &ProgramAlias, name: &str, command: &Definition) -> Command {
    let program = &alias.program;
    let root = if has_verb(&root, "run") {
        let called = format!("{program} run {name}");
        root.mut_subcommand("run", |run| {
            run.subcommand(define_command(name, &called, command))
        })
    } else {
        root
    };
    if has_verb(&root, name) {
        return root;
    }
    root.subcommand(define_command(name, &format!("{program} {name}"), command))
}

/// Whether the root has a subcommand of that name or alias.
pub(crate) fn has_verb(root: &Command, name: &str) -> bool {
    root.find_subcommand(name).is_some()
}

fn define_command(name: &str, called: &str, definition: &Definition) -> Command {
    let syntax = Syntax::parse(&visible_text(&definition.syntax), definition.has_context);
    let mut usage = format!("{called} [OPTIONS] {}", syntax.with_node());
    if definition.name.is_empty() {
        usage = format!("{called} {GENERIC_USAGE}");
    } else if definition.has_context {
        // Lines of a usage stand below each other behind the heading.
        let _ = write!(usage, "\n       {called} [OPTIONS] {}", syntax.with_set());
    }
    let description = if definition.description.trim().is_empty() {
        &definition.summary
    } else {
        &definition.description
    };
    let command = RunOptions::augment_args(Command::new(name.to_owned()))
        .about(visible_text(description).trim_end().to_owned())
        .override_usage(usage.trim_end().to_owned())
        .after_help(command_facts(definition))
        // The server's commands have a list of their own in the root's help.
        .hide(true);
    if definition.has_context {
        command.arg(Arg::new(NODE).value_name("NODE").hide(true))
    } else {
        command
    }
}

/// The usage of a command that the server has not described.
pub(crate) const GENERIC_USAGE: &str = "[OPTIONS] [NODE] [ARG..] [-g NODES]";

/// A question with words where a run's nodes, their number and the arguments will stand.
fn question_in_words(question: &str) -> String {
    question
        .replace("%{nodes}", "NODES")
        .replace("%{count}", "COUNT")
        .replace("%{arguments}", "ARGUMENTS")
}

/// What else there is to know of a command.
fn command_facts(definition: &Definition) -> String {
    let mut facts = Vec::new();
    if !definition.confirmation.is_empty() {
        facts.push(format!(
            "Asks before it runs (--confirm answers yes): {}",
            visible_text(&question_in_words(&definition.confirmation)).trim_end()
        ));
    }
    if let Some(timeout) = &definition.timeout {
        let each = if definition.has_context {
            " for each node"
        } else {
            ""
        };
        facts.push(format!(
            "Takes at most {}{each}.",
            time::human_duration(timeout)
        ));
    }
    if definition.has_context && definition.fanout > 0 {
        facts.push(format!(
            "Runs on at most {} nodes at once.",
            definition.fanout
        ));
    }
    if !definition.ranks.is_empty() {
        let ranks = definition.ranks.join(", ");
        facts.push(format!(
            "Has scripts of their own for the ranks {}.",
            visible_text(&ranks)
        ));
    }
    for answer in &definition.exit_codes {
        facts.push(format!(
            "Exit code {} means {} and is no failure.",
            answer.code,
            visible_text(&answer.state)
        ));
    }
    facts.push(
        "After the node, or after the script's first word with -g, words that begin with `-` are \
         the script's where they are not options of this program; after `--` they always are."
            .to_owned(),
    );
    facts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::ExitState;

    #[test]
    fn the_help_says_all_there_is_to_know() {
        let definition = Definition {
            name: "power-off".into(),
            summary: "Off".into(),
            description: "Turn it\x1b[2J off".into(),
            syntax: "NAME [HOW]".into(),
            has_context: true,
            confirmation: "Power off %{count}: %{nodes} with %{arguments}?".into(),
            timeout: Some(prost_types::Duration {
                seconds: 3600,
                nanos: 0,
            }),
            fanout: 64,
            ranks: vec!["aws".into()],
            exit_codes: vec![ExitState {
                code: 123,
                state: "OFF".into(),
            }],
        };
        let mut command = define_command("off", "power off", &definition);
        let help = command.render_help().to_string();
        for part in [
            "Turn it^[[2J off",
            "Usage: power off [OPTIONS] NAME [HOW]\n       power off [OPTIONS] -g NODES [HOW]",
            "Power off COUNT: NODES with ARGUMENTS?",
            "at most 1h for each node",
            "at most 64 nodes",
            "ranks aws",
            "123 means OFF",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
        let alone = Definition {
            has_context: false,
            ..definition
        };
        let help = define_command("off", "power off", &alone)
            .render_help()
            .to_string();
        assert!(!help.contains("-g NODES [HOW]"), "{help}");
    }
}
