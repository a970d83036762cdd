//! `help`: lists the commands, or describes one.

use crate::arguments::program_alias::ProgramAlias;
use crate::arguments::server_commands::{has_verb, with_commands};
use crate::commands::{Context, suggest};
use crate::error::{CliError, Result};
use crate::exit;
use crate::render::output::StdStream;
use crate::render::time::duration_seconds;
use crate::render::{json, report};
use action_proto::input::shown_set;
use action_proto::v1::Command;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Args, Debug)]
pub(crate) struct HelpArgs {
    /// The command to describe
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(crate) async fn run(args: HelpArgs, context: &mut Context<'_>) -> Result<u8> {
    let (commands, missing) = context.commands_or_cached(Duration::MAX).await;
    let Some(name) = args.command else {
        return list_commands(&commands, missing, context);
    };
    if has_verb(&context.root, &name) {
        return describe_command(context.root.clone(), &name, context);
    }
    let full_name = context.alias.full_name(&name);
    let Some(command) = commands.iter().find(|command| command.name == full_name) else {
        return Err(match missing {
            Some((error, _)) => error,
            None => {
                let connection = context.connect().await?;
                let unknown = unknown_command(&name, &commands, context);
                suggest::for_command(unknown, &full_name, None, &connection).await
            }
        });
    };
    if context.is_json() {
        json::write(&command_object(command), context.output)?;
    } else {
        let root = with_commands(context.root.clone(), &context.alias, &commands);
        describe_command(root, &name, context)?;
    }
    report_missing(missing, context)
}

fn list_commands(
    commands: &[Command],
    missing: Option<(CliError, String)>,
    context: &mut Context<'_>,
) -> Result<u8> {
    if context.is_json() {
        let alias = context.alias.clone();
        let is_listed = |command: &&Command| alias.local_name(&command.name).is_some();
        for command in commands.iter().filter(is_listed) {
            json::write(&command_object(command), context.output)?;
        }
        return report_missing(missing, context);
    }
    let mut root = context.root.clone();
    if missing.is_none() || !commands.is_empty() {
        root = with_commands(root, &context.alias, commands);
    }
    context
        .output
        .styled(StdStream::Stdout, &root.render_help())?;
    report_missing(missing, context)
}

/// Reports why the server's commands are missing or old, if they are: the exit code.
fn report_missing(missing: Option<(CliError, String)>, context: &mut Context<'_>) -> Result<u8> {
    let Some((error, text)) = missing else {
        return Ok(0);
    };
    let message = format!("{text}: {}", error.one_line());
    let full = error.hints().iter().cloned();
    let full = full.fold(CliError::new(error.kind(), message), CliError::hint);
    report::print_failure(&full, context.globals.output, context.output)?;
    Ok(exit::of_error(error.kind()))
}

fn describe_command(mut root: clap::Command, name: &str, context: &mut Context<'_>) -> Result<u8> {
    root.build();
    if let Some(command) = root.find_subcommand_mut(name) {
        context
            .output
            .styled(StdStream::Stdout, &command.render_help())?;
    }
    Ok(0)
}

fn command_object(command: &Command) -> Value {
    let answers = command.exit_codes.iter();
    json!({
        "event": "command",
        "name": command.name,
        "summary": command.summary,
        "description": command.description,
        "syntax": command.syntax,
        "has_context": command.has_context,
        "confirmation": command.confirmation,
        "timeout": command.timeout.as_ref().map(duration_seconds),
        "fanout": command.fanout,
        "ranks": command.ranks,
        "exit_codes": answers
            .map(|it| json!({"code": it.code, "state": it.state}))
            .collect::<Vec<_>>(),
    })
}

/// The error for a command that the server does not have, with the nearest that it has.
pub(crate) fn unknown_command(name: &str, commands: &[Command], context: &Context<'_>) -> CliError {
    nearest_commands(name, commands, &context.alias, &context.root)
}

fn nearest_commands(
    name: &str,
    commands: &[Command],
    alias: &ProgramAlias,
    root: &clap::Command,
) -> CliError {
    let error = CliError::usage(format!("there is no command `{}`", shown_set(name)));
    let verbs = root
        .get_subcommands()
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_visible_aliases()));
    let names = commands
        .iter()
        .filter_map(|command| alias.local_name(&command.name));
    let near = suggest::nearest_names(name, names.chain(verbs));
    let error = match suggest::did_you_mean(&near) {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.hint(format!("`{} help` lists the commands", alias.program))
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
        let (alias, root) = (ProgramAlias::default(), clap::Command::new("action-client"));
        let error = nearest_commands("pwer-off", &commands, &alias, &root);
        assert!(
            error.hints()[0].starts_with("did you mean `power-off`"),
            "{:?}",
            error.hints()
        );
        let error = nearest_commands("xyzzy", &commands, &alias, &root);
        assert_eq!(error.hints(), ["`action-client help` lists the commands"]);
    }
}
