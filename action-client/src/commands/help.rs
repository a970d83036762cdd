//! Owns `help`: the list of everything that can be called, or one command's description; and
//! what is said of a command that is not there.

use crate::cli::described::Shape;
use crate::cli::entry::Entry;
use crate::cli::grammar;
use crate::commands::{Context, suggest};
use crate::error::{CliError, Result};
use crate::exit;
use crate::render::output::Target;
use crate::render::time::seconds;
use crate::render::{json, report};
use action_proto::input::shown_set;
use action_proto::v1::Command;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;

/// The arguments of `help`.
#[derive(Args, Debug)]
pub(crate) struct HelpArgs {
    /// The command to describe
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the help.
pub(crate) async fn run(entry: &Entry, args: HelpArgs, context: &mut Context<'_>) -> Result<u8> {
    let (commands, missing) = context.commands_or_known(Duration::MAX).await;
    let root = grammar::root(entry);
    let Some(name) = args.command else {
        return list(entry, root, &commands, missing, context);
    };
    if grammar::has(&root, &name) {
        return describe(root, &name, context);
    }
    let full_name = entry.full_name(&name);
    let Some(command) = commands.iter().find(|command| command.name == full_name) else {
        return Err(match missing {
            Some((error, _)) => error,
            None => {
                let connection = context.connect().await?;
                let unknown = unknown(entry, &name, &commands);
                suggest::for_command(unknown, &full_name, None, &connection).await
            }
        });
    };
    if context.is_json() {
        json::write(&object(command), context.output)?;
    } else {
        let root = grammar::with_commands(root, entry, &commands, Shape::AfterNode);
        describe(root, &name, context)?;
    }
    excuse(missing, context)
}

fn list(
    entry: &Entry,
    mut root: clap::Command,
    commands: &[Command],
    missing: Option<(CliError, String)>,
    context: &mut Context<'_>,
) -> Result<u8> {
    if context.is_json() {
        let shown = |command: &&Command| entry.shown(&command.name).is_some();
        for command in commands.iter().filter(shown) {
            json::write(&object(command), context.output)?;
        }
        return excuse(missing, context);
    }
    if missing.is_none() || !commands.is_empty() {
        root = grammar::with_commands(root, entry, commands, Shape::AfterNode);
    }
    context.output.styled(Target::Stdout, &root.render_help())?;
    excuse(missing, context)
}

/// Says why there is not more to show, if there is not: the exit code.
fn excuse(missing: Option<(CliError, String)>, context: &mut Context<'_>) -> Result<u8> {
    let Some((error, text)) = missing else {
        return Ok(0);
    };
    let message = format!("{text}: {}", error.one_line());
    let full = error.hints().iter().cloned();
    let full = full.fold(CliError::new(error.kind(), message), CliError::hint);
    report::failure(&full, context.globals.output, context.output)?;
    Ok(exit::of_error(error.kind()))
}

fn describe(mut root: clap::Command, name: &str, context: &mut Context<'_>) -> Result<u8> {
    root.build();
    if let Some(command) = root.find_subcommand_mut(name) {
        context
            .output
            .styled(Target::Stdout, &command.render_help())?;
    }
    Ok(0)
}

fn object(command: &Command) -> Value {
    let answers = command.exit_codes.iter();
    json!({
        "event": "command",
        "name": command.name,
        "summary": command.summary,
        "description": command.description,
        "syntax": command.syntax,
        "has_context": command.has_context,
        "confirmation": command.confirmation,
        "timeout": command.timeout.as_ref().map(seconds),
        "fanout": command.fanout,
        "ranks": command.ranks,
        "exit_codes": answers
            .map(|it| json!({"code": it.code, "state": it.state}))
            .collect::<Vec<_>>(),
    })
}

/// The error for a command that the server does not have, with the nearest that it has.
pub(crate) fn unknown(entry: &Entry, shown: &str, commands: &[Command]) -> CliError {
    let error = CliError::usage(format!("there is no command `{}`", shown_set(shown)));
    let root = grammar::root(entry);
    let verbs = root
        .get_subcommands()
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_visible_aliases()));
    let names = commands
        .iter()
        .filter_map(|command| entry.shown(&command.name));
    let near = suggest::nearest(shown, names.chain(verbs));
    let error = match suggest::hint(&near) {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.hint(format!("`{} help` lists the commands", entry.program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_commands_are_suggested() {
        let commands = ["power-off", "power-on", "usage"].map(|name| Command {
            name: name.into(),
            ..Command::default()
        });
        let error = unknown(&Entry::default(), "pwer-off", &commands);
        assert!(
            error.hints()[0].starts_with("did you mean `power-off`"),
            "{:?}",
            error.hints()
        );
        let error = unknown(&Entry::default(), "xyzzy", &commands);
        assert_eq!(error.hints(), ["`action-client help` lists the commands"]);
    }
}
