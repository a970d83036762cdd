//! Owns the way from a command line to an exit code: reads it, asks the server for its
//! commands where they are needed, and hands over to one of `commands`.

pub(crate) mod described;
pub(crate) mod entry;
pub(crate) mod globals;
pub(crate) mod grammar;
pub(crate) mod limit;
mod misspelt;
pub(crate) mod options;
pub(crate) mod parse;
#[cfg(test)]
mod reference;
mod reorder_options;
pub(crate) mod syntax;
pub(crate) mod target;
mod unexpected;
pub(crate) mod values;

use crate::commands::{self, Context};
use crate::complete::{COMPLETE, REFRESH};
use crate::environment::Environment;
use crate::error::{CliError, Result};
use crate::exit;
use crate::render::output::{Output, Target};
use crate::render::report;
use action_proto::input::shown_set;
use action_proto::v1::Command as Definition;
use described::Shape;
use entry::Entry;
use globals::Format;
use parse::{Intent, Verb};
use reorder_options::Reordered;
use std::ffi::OsString;
use std::time::Duration;

/// Background threads: one for the network and one for signals, while the main thread writes
/// output and may have to wait for its reader.
const WORKERS: usize = 2;
/// How long a help text waits for the server at most.
const HELP_PATIENCE: Duration = Duration::from_secs(3);

/// Runs the client: the exit code.
pub(crate) fn run(args: &[OsString], environment: &Environment) -> u8 {
    let program = args.first().map(OsString::as_os_str).unwrap_or_default();
    let entry = Entry::detect(program, environment);
    let asked = args.get(1).and_then(|word| word.to_str());
    let is_internal = asked == Some(COMPLETE) || asked == Some(REFRESH);
    let reordered = match &entry {
        Ok(entry) if !is_internal => reorder_options::reordered(entry, args),
        _ => Ok(Reordered::as_written(args)),
    };
    let (line, wrong) = match reordered {
        Ok(reordered) => (reordered, Ok(())),
        Err(error) => (Reordered::as_written(args), Err(error)),
    };
    let args = line.words.as_slice();
    let globals = match &entry {
        Ok(entry) => parse::globals(entry, args),
        Err(_) => parse::globals(&Entry::default(), args),
    };
    let no_color = environment.get("NO_COLOR").is_some();
    let mut output = Output::standard(globals.color, globals.raw, no_color);
    let format = parse::form_of_errors(args);
    if asked == Some(COMPLETE) {
        let entry = entry.unwrap_or_default();
        let result = commands::completion::complete(&entry, args, environment, &mut output);
        return result
            .and_then(|code| output.flush().map(|()| code))
            .unwrap_or(0);
    }
    if asked == Some(REFRESH) {
        return in_runtime(commands::completion::refresh(args, environment)).unwrap_or(0);
    }
    let context = Context {
        globals,
        environment,
        output: &mut output,
        is_warned: false,
    };
    let entry = entry.and_then(|entry| wrong.map(|()| entry));
    let result = entry.and_then(|entry| in_runtime(dispatch(&entry, &line, context)));
    let result = result.or_else(|error| {
        report::failure(&error, format, &mut output)?;
        Ok(exit::of_error(error.kind()))
    });
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
        .map_err(|error| {
            CliError::new(crate::error::ErrorKind::Connection, "cannot start").caused_by(error)
        })?;
    let result = runtime.block_on(future);
    // A look-up of a host name may hang in a thread that cannot be stopped.
    runtime.shutdown_background();
    result
}

async fn dispatch(entry: &Entry, line: &Reordered, mut context: Context<'_>) -> Result<u8> {
    let args = line.words.as_slice();
    match parse::first(entry, args)? {
        Intent::Version(text) => {
            context.output.styled(Target::Stdout, &text)?;
            Ok(0)
        }
        Intent::Usage { asked } => usage(entry, args, asked, &mut context).await,
        Intent::Verb(verb, globals) => {
            context.globals = globals;
            match *verb {
                Verb::Help(args) => commands::help::run(entry, args, &mut context).await,
                Verb::Nodes(args, options) => {
                    commands::nodes::run(args, &options, &mut context).await
                }
                Verb::Runs(args, options) => {
                    commands::runs::run(args, &options, &mut context).await
                }
                Verb::Show(args) => commands::show::run(args, &mut context).await,
                Verb::Attach(args) => commands::attach::run(args, &mut context).await,
                Verb::Rerun(args) => commands::rerun::run(args, &mut context).await,
                Verb::Completion(args) => commands::completion::run(&args, &mut context),
                Verb::CanI(args, options) => {
                    commands::can_i::run(args, &options, &mut context).await
                }
                Verb::Cancel(args) => commands::cancel::run(args, &mut context).await,
            }
        }
        Intent::Command {
            shown,
            after_run,
            globals,
        } => {
            context.globals = globals;
            let connection = context.connect().await?;
            let all = connection.list_commands().await?;
            context.learn(|store| store.learn_commands(&all));
            let name = entry.full_name(&shown);
            let Some(command) = all.iter().find(|command| command.name == name) else {
                let unlisted = Definition {
                    name: name.clone(),
                    has_context: true,
                    ..Definition::default()
                };
                let one = std::slice::from_ref(&unlisted);
                let run = parse::second(entry, args, &shown, after_run, one)
                    .and_then(|(words, ..)| target::resolve(&unlisted, &shown, words));
                let unknown = commands::help::unknown(entry, &shown, &all);
                let why = commands::suggest::for_command(unknown, &name, run.ok(), &connection);
                return Err(why.await);
            };
            let (words, options, globals) = parse::second(entry, args, &shown, after_run, &all)?;
            context.globals = globals;
            let before_group = words
                .before_group(line.nodes_follow_word)
                .map(str::to_owned);
            let called = format!(
                "{} {}{shown}",
                entry.program,
                if after_run { "run " } else { "" }
            );
            let target = target::resolve(command, &called, words)?;
            if let Some(word) = before_group {
                commands::nodes::check_is_argument(&word, &connection).await?;
            }
            commands::run::run(&connection, command, target, &options, &mut context).await
        }
    }
}

/// Prints help for a flag that asks for it, or because nothing was asked for.
async fn usage(
    entry: &Entry,
    args: &[OsString],
    asked: bool,
    context: &mut Context<'_>,
) -> Result<u8> {
    if !asked && context.globals.output == Format::Json {
        return Err(CliError::usage("no command is given"));
    }
    let (commands, missing) = context.commands_or_known(HELP_PATIENCE).await;
    let root = grammar::root(entry);
    let open = grammar::open(root.clone());
    let external = open
        .clone()
        .ignore_errors(true)
        .disable_help_flag(true)
        .try_get_matches_from(args)
        .ok()
        .and_then(|matches| parse::external(&open, &matches));
    let has = |shown: &str| {
        let name = entry.full_name(shown);
        commands.iter().any(|it| it.name == name)
    };
    let root = match (&missing, external) {
        (None, Some((shown, _))) if !has(&shown) => {
            let unknown = commands::help::unknown(entry, &shown, &commands);
            let connection = context.connect().await?;
            let name = entry.full_name(&shown);
            return Err(commands::suggest::for_command(unknown, &name, None, &connection).await);
        }
        // A token in place of a command is no name to describe.
        (Some(_), Some((shown, _))) if !has(&shown) && shown_set(&shown) == shown => {
            grammar::with_name(root, entry, &shown, Shape::AfterNode)
        }
        (Some(_), _) if commands.is_empty() => root,
        _ => grammar::with_commands(root, entry, &commands, Shape::AfterNode),
    };
    let text = parse::usage_text(root, args)?;
    context.output.styled(
        if asked {
            Target::Stdout
        } else {
            Target::Stderr
        },
        &text,
    )?;
    if let Some((error, text)) = missing {
        let line = format!("{text}: {}", error.one_line());
        report::warning(&line, context.output)?;
    }
    Ok(if asked { 0 } else { exit::USAGE })
}
