//! Owns one command of the server as a clap subcommand: where its words go, and what its help
//! says.

use crate::cli::options::RunOptions;
use crate::cli::syntax::Syntax;
use crate::render::terminal::visible;
use crate::render::time;
use action_proto::v1::Command as Definition;
use clap::{Arg, ArgAction, Args, Command};
use std::fmt::Write;

/// The id of the words after a command's name: the node, when it takes one, is the first.
pub(crate) const FIRST: &str = "first";
/// The id of the words after that.
pub(crate) const REST: &str = "rest";

/// Where the script's own words begin, from which on a leading `-` is not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// After the node, which is the first word.
    AfterNode,
    /// At the first word: the nodes are in `-g`, or there are none.
    AtOnce,
}

/// A command of the server as a clap subcommand.
pub(crate) fn define(shown: &str, called: &str, definition: &Definition, shape: Shape) -> Command {
    let syntax = Syntax::parse(&visible(&definition.syntax), definition.has_context);
    let mut usage = format!("{called} [OPTIONS] {}", syntax.with_node());
    if definition.name.is_empty() {
        usage = format!("{called} [OPTIONS] [NODE] [ARG..] [-g NODES]");
    } else if definition.has_context {
        // Lines of a usage stand below each other behind the heading.
        let _ = write!(usage, "\n       {called} [OPTIONS] {}", syntax.with_set());
    }
    let description = if definition.description.trim().is_empty() {
        &definition.summary
    } else {
        &definition.description
    };
    let first = Arg::new(FIRST).value_name("NODE").hide(true);
    let rest = Arg::new(REST)
        .value_name("ARG")
        .action(ArgAction::Append)
        .num_args(0..)
        .trailing_var_arg(true)
        .hide(true);
    let command = RunOptions::augment_args(Command::new(shown.to_owned()))
        .about(visible(description).trim_end().to_owned())
        .override_usage(usage.trim_end().to_owned())
        .after_help(facts(definition))
        // The server's commands have a list of their own in the root's help.
        .hide(true);
    match shape {
        Shape::AfterNode => command.arg(first).arg(rest.allow_hyphen_values(true)),
        Shape::AtOnce => command.arg(rest),
    }
}

/// A question with words where a run's nodes, their number and the arguments will stand.
fn question_in_words(question: &str) -> String {
    question
        .replace("%{nodes}", "NODES")
        .replace("%{count}", "COUNT")
        .replace("%{arguments}", "ARGUMENTS")
}

/// What else there is to know of a command.
fn facts(definition: &Definition) -> String {
    let mut facts = Vec::new();
    if !definition.confirmation.is_empty() {
        facts.push(format!(
            "Asks before it runs (--confirm answers yes): {}",
            visible(&question_in_words(&definition.confirmation)).trim_end()
        ));
    }
    if let Some(timeout) = &definition.timeout {
        let each = if definition.has_context {
            " for each node"
        } else {
            ""
        };
        facts.push(format!("Takes at most {}{each}.", time::human(timeout)));
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
            visible(&ranks)
        ));
    }
    for answer in &definition.exit_codes {
        facts.push(format!(
            "Exit code {} means {} and is no failure.",
            answer.code,
            visible(&answer.state)
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
        let mut command = define("off", "power off", &definition, Shape::AfterNode);
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
        let help = define("off", "power off", &alone, Shape::AtOnce)
            .render_help()
            .to_string();
        assert!(!help.contains("-g NODES [HOW]"), "{help}");
    }
}
