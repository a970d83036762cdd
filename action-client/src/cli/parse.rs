//! Parses a command line with clap. Asks no server.

use crate::arguments::program_alias::ProgramAlias;
use crate::arguments::server_commands::{GENERIC_USAGE, has_verb};
use crate::cli::command_line::CommandLine;
use crate::cli::unexpected;
use crate::cli::verbs::Verb;
use crate::commands::run::RunArgs;
use crate::error::Result;
use action_proto::input::shown_set;
use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Args, Command};

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// The version, or the help of a verb.
    Text(StyledStr),
    /// Help with the server's commands in it.
    Help {
        /// Whether the user asked for it; otherwise nothing is asked for.
        is_asked: bool,
    },
    /// A verb.
    Verb(Box<Verb>),
}

/// Parses a command line that was read.
pub(super) fn parse(
    alias: &ProgramAlias,
    root: &Command,
    line: &CommandLine,
) -> Result<Invocation> {
    let is_bare_run = line.call.is_none() && line.verb.as_deref() == Some("run");
    let is_of_server = line.call.is_some() || is_bare_run;
    match with_run(alias, root, line).try_get_matches_from(&line.words) {
        Ok(_) if is_bare_run => Ok(Invocation::Help { is_asked: false }),
        Ok(matches) => Ok(Invocation::Verb(Box::new(Verb::read(&matches)?))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp if line.verb.is_some() && !line.asks_root && !is_of_server => {
                Ok(Invocation::Text(error.render()))
            }
            ErrorKind::DisplayHelp => Ok(Invocation::Help { is_asked: true }),
            ErrorKind::DisplayVersion => Ok(Invocation::Text(error.render())),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Ok(Invocation::Help { is_asked: false })
            }
            ErrorKind::UnknownArgument => {
                let name = line.verb.as_deref().unwrap_or_default();
                Err(match root.find_subcommand(name) {
                    Some(verb) => unexpected::to_error(error, &alias.program, name, verb),
                    None => error.into(),
                })
            }
            _ => Err(error.into()),
        },
    }
}

/// The root with `run`, by which all commands are parsed, and the usage of this one.
fn with_run(alias: &ProgramAlias, root: &Command, line: &CommandLine) -> Command {
    let mut root = root.clone();
    if !has_verb(&root, "run") {
        root = root.subcommand(RunArgs::augment_args(Command::new("run")));
    }
    let Some(call) = &line.call else { return root };
    let run = if call.after_run { "run " } else { "" };
    let called = format!("{} {run}{}", alias.program, shown_set(&call.name));
    root.mut_subcommand("run", |run| {
        run.override_usage(format!("{called} {GENERIC_USAGE}"))
    })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
