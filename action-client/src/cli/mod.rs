//! From a command line to an exit code.

mod command_line;
mod given_option;
mod misspelt;
mod parse;
#[cfg(test)]
mod reference;
mod unexpected;
pub(crate) mod verbs;

use crate::arguments::program_alias::ProgramAlias;
use crate::arguments::server_commands::{with_commands, with_unlisted};
use crate::commands::{self, Context};
use crate::complete::{COMPLETE, REFRESH};
use crate::config::kill_token_program;
use crate::environment::Environment;
use crate::error::{CliError, ErrorKind, Result};
use crate::exit;
use crate::render::output::{OutputWriter, StdStream};
use crate::render::{OutputFormat, report};
use action_proto::input::shown_set;
use clap::Command;
use command_line::CommandLine;
use parse::{Invocation, parse};
use std::ffi::OsString;
use std::time::Duration;
use verbs::Verb;

/// One thread for the network and one for signals: the main thread may wait for its reader.
const WORKERS: usize = 2;
/// How long a help text waits for the server at most.
const HELP_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the client: the exit code.
pub(crate) fn run(args: &[OsString], environment: &Environment) -> u8 {
    let program = args.first().map(OsString::as_os_str).unwrap_or_default();
    let (alias, wrong) = match ProgramAlias::detect(program, environment) {
        Ok(alias) => (alias, None),
        Err(error) => (ProgramAlias::default(), Some(error)),
    };
    let root = verbs::root(&alias);
    let no_color = environment.get("NO_COLOR").is_some();
    let internal = args.get(1).and_then(|word| word.to_str());
    if internal == Some(REFRESH) {
        return in_runtime(commands::completion::refresh(args, environment)).unwrap_or(0);
    }
    let is_completion = internal == Some(COMPLETE);
    // The line to complete stands behind the program, the word for completion and the shell.
    let behind = args
        .get(3..)
        .filter(|_| is_completion)
        .map(|words| [&args[..1], words].concat());
    let mut line = CommandLine::read(&root, behind.as_deref().unwrap_or(args));
    let globals = std::mem::take(&mut line.globals);
    let mut output = OutputWriter::standard(globals.color, globals.raw, no_color);
    let format = globals.output;
    let mut context = Context {
        alias,
        root,
        globals,
        environment,
        output: &mut output,
        config: None,
        is_warned: false,
    };
    if is_completion {
        let result = in_runtime(async { commands::completion::complete(args, &mut context) });
        return result
            .and_then(|code| output.flush().map(|()| code))
            .unwrap_or(0);
    }
    let result = match wrong.or(line.error.take()) {
        Some(error) => Err(error),
        None => in_runtime(dispatch(line, args, &mut context)),
    };
    let result = result.or_else(|error| {
        report::print_failure(&error, format, &mut output)?;
        Ok(exit::of_error(error.kind()))
    });
    // It may still run for a connection that was given up.
    kill_token_program();
    let flushed = output.erase_status().and_then(|()| output.flush());
    match result.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(error) => exit::of_error(error.kind()),
    }
}

fn in_runtime<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| CliError::new(ErrorKind::Connection, "cannot start").caused_by(error))?;
    let result = runtime.block_on(future);
    // A look-up of a host name may hang in a thread that cannot be stopped.
    runtime.shutdown_background();
    result
}

async fn dispatch(
    mut line: CommandLine,
    args: &[OsString],
    context: &mut Context<'_>,
) -> Result<u8> {
    if let Some(verb) = line.later_verb().map(str::to_owned)
        && let Ok(commands) = context.commands_within(Duration::MAX).await
        && commands
            .iter()
            .any(|it| it.name == context.alias.full_name(&verb))
    {
        let text = format!("`{verb}` is a command of this server, and not the verb of this client");
        report::print_warning(&text, context.output)?;
        let root = context.root.clone();
        context.root = root.mut_subcommand(&verb, |verb| verb.hide(true));
        line = CommandLine::read(&context.root, args);
    }
    let verb = match parse(&context.alias, &context.root, &line)? {
        Invocation::Text(text) => {
            context.output.styled(StdStream::Stdout, &text)?;
            return Ok(0);
        }
        Invocation::Help { is_asked } => return usage(&line, is_asked, context).await,
        Invocation::Verb(verb) => verb,
    };
    match *verb {
        Verb::Help(args) => commands::help::run(args, context).await,
        Verb::Run(args) => commands::run::run(args, line.call.unwrap_or_default(), context).await,
        Verb::EstateList(args) => commands::nodes::run(args, context).await,
        Verb::Runs(args) => commands::runs::run(args, context).await,
        Verb::Show(args) => commands::show::run(args, context).await,
        Verb::Attach(args) => commands::attach::run(args, context).await,
        Verb::Rerun(args) => commands::rerun::run(args, context).await,
        Verb::Cancel(args) => commands::cancel::run(args, context).await,
        Verb::CanI(args) => commands::can_i::run(args, context).await,
        Verb::Completion(args) => commands::completion::run(&args, context),
    }
}

/// Prints help with the server's commands in it, asked for or because nothing is.
async fn usage(line: &CommandLine, is_asked: bool, context: &mut Context<'_>) -> Result<u8> {
    if !is_asked && context.globals.output == OutputFormat::Json {
        return Err(CliError::usage("no command is given"));
    }
    let (commands, missing) = context.commands_or_cached(HELP_TIMEOUT).await;
    let alias = &context.alias.clone();
    let name = line.call.as_ref().map(|call| call.name.as_str());
    let full_name = name.map(|name| alias.full_name(name));
    let has_command = commands
        .iter()
        .any(|it| Some(&it.name) == full_name.as_ref());
    let unlisted = name.filter(|_| !has_command);
    let root = match (&missing, unlisted) {
        (None, Some(name)) => {
            let unknown = commands::help::unknown_command(name, &commands, context);
            let name = alias.full_name(name);
            let connection = context.connect().await?;
            return Err(commands::suggest::for_command(unknown, &name, None, &connection).await);
        }
        // A token in place of a command must not be printed.
        (Some(_), Some(name)) if shown_set(name) == name => {
            with_unlisted(context.root.clone(), alias, name)
        }
        (Some(_), _) if commands.is_empty() => context.root.clone(),
        _ => with_commands(context.root.clone(), alias, &commands),
    };
    let stream = if is_asked {
        StdStream::Stdout
    } else {
        StdStream::Stderr
    };
    context.output.styled(stream, &help_text(root, line))?;
    if let Some((error, text)) = missing {
        let line = format!("{text}: {}", error.one_line());
        report::print_warning(&line, context.output)?;
    }
    Ok(if is_asked { 0 } else { exit::USAGE })
}

/// The help of the root, of `run`, or of the server's command.
fn help_text(mut root: Command, line: &CommandLine) -> clap::builder::StyledStr {
    root.build();
    let verb = line.verb.as_deref();
    let name = line.call.as_ref().map(|call| call.name.as_str());
    for name in verb.into_iter().chain(name).filter(|_| !line.asks_root) {
        if let Some(command) = root.find_subcommand(name) {
            root = command.clone();
        }
    }
    root.render_help()
}
