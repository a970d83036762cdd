//! Owns the reading of the command line in two phases: what can be read without the server,
//! then the words of a command once the server has described it. Asks no server.

use crate::cli::described::{FIRST, REST, Shape};
use crate::cli::entry::Entry;
use crate::cli::globals::{Format, GlobalArgs};
use crate::cli::grammar;
use crate::cli::options::{RunOptions, VIEW};
use crate::cli::target::Words;
use crate::cli::unexpected;
use crate::commands::{attach, can_i, cancel, completion, help, nodes, rerun, runs, show};
use crate::error::{CliError, Result};
use action_proto::v1::Command as Definition;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::ffi::OsString;

/// The id of `-g`.
const NODES: &str = "nodes";

/// What the user wants, as far as it is known without the server.
#[derive(Debug)]
pub(crate) enum Intent {
    /// A text that is known here.
    Version(clap::builder::StyledStr),
    /// `--help` or `-h`, somewhere; or no word at all.
    Usage {
        /// Whether the user asked for it.
        asked: bool,
    },
    /// One of the fixed verbs.
    Verb(Box<Verb>, GlobalArgs),
    /// A command of the server, by the name under which it is called here.
    Command {
        /// The name as it was written.
        shown: String,
        /// Whether `run` stood before it.
        after_run: bool,
        /// The global flags.
        globals: GlobalArgs,
    },
}

/// A fixed verb with its arguments.
#[derive(Debug)]
pub(crate) enum Verb {
    /// `help`
    Help(help::HelpArgs),
    /// `estate-list`, `nodes` or `list`
    Nodes(nodes::NodesArgs, RunOptions),
    /// `runs`
    Runs(runs::RunsArgs, RunOptions),
    /// `show`
    Show(show::ShowArgs),
    /// `attach`
    Attach(attach::AttachArgs),
    /// `rerun`
    Rerun(rerun::RerunArgs),
    /// `completion`
    Completion(completion::CompletionArgs),
    /// `cancel`
    Cancel(cancel::CancelArgs),
    /// `can-i`
    CanI(can_i::CanIArgs, RunOptions),
}

/// The global flags, read leniently: needed to say what is wrong with the rest.
pub(crate) fn globals(entry: &Entry, args: &[OsString]) -> GlobalArgs {
    let lenient = |root: Command| {
        let help = Arg::new("help")
            .short('h')
            .long("help")
            .global(true)
            .action(ArgAction::Count);
        root.ignore_errors(true)
            .disable_version_flag(true)
            .disable_help_flag(true)
            .arg(help)
            .try_get_matches_from(args)
            .ok()
    };
    let read = |matches: &ArgMatches| GlobalArgs::from_arg_matches(deepest(matches)).ok();
    let root = grammar::open(grammar::root(entry));
    let found = lenient(root.clone()).and_then(|matches| match external(&root, &matches) {
        Some((shown, _)) => {
            let known = |shape| lenient(grammar::with_name(root.clone(), entry, &shown, shape));
            let matches = known(Shape::AfterNode)?;
            if shape(&matches) == Shape::AtOnce {
                return known(Shape::AtOnce).as_ref().and_then(read);
            }
            read(&matches)
        }
        None => read(&matches),
    });
    found.unwrap_or_else(default_globals)
}

/// The format of errors: JSON if its words stand before `--`, even if the rest of the line cannot
/// be read.
pub(crate) fn form_of_errors(args: &[OsString]) -> Format {
    let words = args.iter().map(|word| word.to_str().unwrap_or_default());
    let words: Vec<&str> = words.take_while(|word| *word != "--").collect();
    let is_json = words.contains(&"--output=json")
        || words.windows(2).any(|pair| pair == ["--output", "json"]);
    if is_json { Format::Json } else { Format::Human }
}

/// The global flags when none is given.
fn default_globals() -> GlobalArgs {
    let command = GlobalArgs::augment_args(Command::new(""));
    let matches = command.get_matches_from(["".to_owned()]);
    match GlobalArgs::from_arg_matches(&matches) {
        Ok(globals) => globals,
        Err(error) => error.exit(),
    }
}

/// The first phase.
pub(crate) fn first(entry: &Entry, args: &[OsString]) -> Result<Intent> {
    let root = grammar::open(grammar::root(entry));
    let matches = match root.clone().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::UnknownArgument => {
            return Err(unexpected::word(error, entry, &root, args));
        }
        Err(error) => return of_clap(error),
    };
    if let Some((shown, after_run)) = external(&root, &matches) {
        // Every command is written in the same way, so mistakes show before the server is
        // asked; only the help needs its description.
        let known = |shape| grammar::with_name(root.clone(), entry, &shown, shape);
        let matches = match in_shape(known, args) {
            Ok(matches) => matches,
            Err(error) => return of_clap(error),
        };
        let globals = GlobalArgs::from_arg_matches(deepest(&matches))?;
        return Ok(Intent::Command {
            shown,
            after_run,
            globals,
        });
    }
    let globals = GlobalArgs::from_arg_matches(deepest(&matches))?;
    verb(&matches).map(|verb| Intent::Verb(Box::new(verb), globals))
}

fn of_clap(error: clap::Error) -> Result<Intent> {
    match error.kind() {
        ErrorKind::DisplayHelp => Ok(Intent::Usage { asked: true }),
        ErrorKind::DisplayVersion => Ok(Intent::Version(error.render())),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Ok(Intent::Usage { asked: false })
        }
        _ => Err(error.into()),
    }
}

fn verb(matches: &ArgMatches) -> Result<Verb> {
    let Some((name, sub)) = matches.subcommand() else {
        return Err(CliError::usage("no command is given"));
    };
    let options = RunOptions::from_arg_matches(matches)?;
    let mut taken: &[&str] = &[];
    let verb = match name {
        "help" => Verb::Help(help::HelpArgs::from_arg_matches(sub)?),
        "estate-list" | "list" => {
            let args = nodes::NodesArgs::from_arg_matches(sub)?;
            return Ok(Verb::Nodes(args, options));
        }
        "can-i" => {
            let args = can_i::CanIArgs::from_arg_matches(sub)?;
            return Ok(Verb::CanI(args, options));
        }
        "runs" => {
            let args = runs::RunsArgs::from_arg_matches(sub)?;
            return Ok(Verb::Runs(args, options));
        }
        "show" => {
            let mut args = show::ShowArgs::from_arg_matches(sub)?;
            args.view = args.view.or(options.view.clone());
            taken = &VIEW;
            Verb::Show(args)
        }
        "attach" => {
            let mut args = attach::AttachArgs::from_arg_matches(sub)?;
            args.view = args.view.or(options.view.clone());
            taken = &VIEW;
            Verb::Attach(args)
        }
        "rerun" => {
            let mut args = rerun::RerunArgs::from_arg_matches(sub)?;
            args.options = args.options.or(options);
            if args.options.nodes.is_some() {
                let error = CliError::usage("-g is not for `rerun`, which has the run's nodes");
                return Err(error.hint("--exclude leaves some of them out"));
            }
            return Ok(Verb::Rerun(args));
        }
        "completion" => Verb::Completion(completion::CompletionArgs::from_arg_matches(sub)?),
        "cancel" => Verb::Cancel(cancel::CancelArgs::from_arg_matches(sub)?),
        other => return Err(CliError::usage(format!("there is no verb `{other}`"))),
    };
    // Options that would silently do nothing could be taken to narrow what is done.
    match options.first_given_but(taken) {
        Some(option) => Err(CliError::usage(format!("{option} is not for `{name}`"))),
        None => Ok(verb),
    }
}

/// The second phase: the words of a command that the server has described.
pub(crate) fn second(
    entry: &Entry,
    args: &[OsString],
    shown: &str,
    after_run: bool,
    commands: &[Definition],
) -> Result<(Words, RunOptions, GlobalArgs)> {
    let root = grammar::root(entry);
    let known = |shape| grammar::with_commands(root.clone(), entry, commands, shape);
    let matches = in_shape(known, args)?;

    let mut options = RunOptions::from_arg_matches(&matches)?;
    let mut parent = &matches;
    if after_run && let Some(run) = matches.subcommand_matches("run") {
        options = RunOptions::from_arg_matches(run)?.or(options);
        parent = run;
    }
    let Some(sub) = parent.subcommand_matches(shown) else {
        return Err(CliError::usage(format!("`{shown}` cannot be called")));
    };
    let options = RunOptions::from_arg_matches(sub)?.or(options);
    let strings = |id| {
        sub.try_get_many::<String>(id)
            .ok()
            .flatten()
            .into_iter()
            .flatten()
            .cloned()
    };
    let words = Words {
        positional: strings(FIRST).chain(strings(REST)).collect(),
        group: options.nodes.clone(),
        // Where `-g` stands first, no word is the node.
        group_follows: options.nodes.is_some() && strings(FIRST).next().is_some(),
        has_separator: args.iter().any(|word| word == "--"),
    };
    Ok((words, options, GlobalArgs::from_arg_matches(sub)?))
}

/// The help or the usage error that clap has for a command line, once all commands are known.
pub(crate) fn usage_text(root: Command, args: &[OsString]) -> Result<clap::builder::StyledStr> {
    let mut whole = root.clone();
    match root.try_get_matches_from(args) {
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(error.render()),
        Err(error) if error.kind() != ErrorKind::MissingSubcommand => Err(error.into()),
        _ => {
            // A bare `run`, or nothing at all.
            let lenient = whole
                .clone()
                .ignore_errors(true)
                .try_get_matches_from(args)
                .ok();
            let verb = lenient.as_ref().and_then(ArgMatches::subcommand_name);
            whole.build();
            match verb.and_then(|verb| whole.find_subcommand_mut(verb)) {
                Some(verb) => Ok(verb.render_help()),
                None => Ok(whole.render_help()),
            }
        }
    }
}

/// The name of the server's command on the command line, and whether it is behind `run`.
pub(crate) fn external(root: &Command, matches: &ArgMatches) -> Option<(String, bool)> {
    let (name, sub) = matches.subcommand()?;
    if name == "run" && grammar::has(root, "run") {
        return sub.subcommand_name().map(|name| (name.to_owned(), true));
    }
    (!grammar::has(root, name)).then(|| (name.to_owned(), false))
}

/// Reads a command line on which a command may have its nodes in `-g`.
fn in_shape(
    grammar: impl Fn(Shape) -> Command,
    args: &[OsString],
) -> Result<ArgMatches, clap::Error> {
    let matches = grammar(Shape::AfterNode).try_get_matches_from(args)?;
    match shape(&matches) {
        Shape::AfterNode => Ok(matches),
        Shape::AtOnce => grammar(Shape::AtOnce).try_get_matches_from(args),
    }
}

/// Where the script's words begin: at once when `-g` stands before the first of them.
fn shape(matches: &ArgMatches) -> Shape {
    let index = |matches: &ArgMatches, id| {
        let is_there = matches.try_contains_id(id).unwrap_or(false);
        is_there.then(|| matches.index_of(id)).flatten()
    };
    let mut level = matches;
    while let Some((_, sub)) = level.subcommand() {
        if index(level, NODES).is_some() {
            return Shape::AtOnce;
        }
        level = sub;
    }
    match (index(level, NODES), index(level, FIRST)) {
        (Some(set), Some(first)) if set < first => Shape::AtOnce,
        _ => Shape::AfterNode,
    }
}

fn deepest(matches: &ArgMatches) -> &ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, sub)| deepest(sub))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
