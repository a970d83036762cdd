//! The verbs as clap has them: a variant here and a file in `commands`.

use crate::arguments::globals::GlobalArgs;
use crate::arguments::program_alias::ProgramAlias;
use crate::arguments::run_options::RunOptions;
use crate::arguments::server_commands::LAYOUT;
use crate::commands::{attach, can_i, cancel, completion, help, nodes, rerun, run, runs, show};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

/// The verbs of 0.1. A command of the server precedes a verb that was added later.
pub(super) const FIRST_VERBS: &str =
    "help run estate-list nodes list runs show attach rerun cancel can-i completion";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the commands, or describe one
    Help(help::HelpArgs),
    /// Run a command of the server; `run` may be omitted
    Run(run::RunArgs),
    /// List the nodes, one name a line
    #[command(visible_alias = "nodes")]
    EstateList(nodes::NodesArgs),
    /// List the runs, the newest first
    #[command(after_help = "Long texts end in `...`; --output json has them whole.")]
    Runs(runs::RunsArgs),
    /// Show a run's output so far
    Show(show::ShowArgs),
    /// Show a run's output from the start, and follow it to the end
    Attach(attach::AttachArgs),
    /// Repeat a run on the nodes where it did not end ok
    Rerun(rerun::RerunArgs),
    /// Cancel a run
    Cancel(cancel::CancelArgs),
    /// Show on which nodes you may run a command; exits with 1 if not on all
    CanI(can_i::CanIArgs),
    /// Print the completion script for a shell
    Completion(completion::CompletionArgs),
}

impl Verb {
    /// The verb that clap has read.
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(("list", sub)) => nodes::NodesArgs::from_arg_matches(sub).map(Self::EstateList),
            _ => Self::from_arg_matches(matches),
        }
    }
}

/// The command line of the program under this name, without the server's commands.
pub(crate) fn root(alias: &ProgramAlias) -> Command {
    let program = &alias.program;
    let usage = format!("{program} [OPTIONS] COMMAND [NODE] [ARG..] [-g NODES]");
    let root = GlobalArgs::augment_args(Command::new(program.to_owned()));
    let root = RunOptions::augment_args(root)
        .about(alias.about.clone())
        .bin_name(program.clone())
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommand_help_heading("Verbs")
        .subcommand_value_name("COMMAND")
        .help_template(LAYOUT);
    if alias.is_whole() {
        let run_usage = format!("{program} run [OPTIONS] COMMAND [NODE] [ARG..] [-g NODES]");
        let adapt = |verb: Command| match verb.get_name() {
            "run" => verb.override_usage(run_usage.clone()),
            // It has the nodes of the run.
            "rerun" => verb.mut_arg("nodes", |arg| arg.hide(true)),
            _ => verb,
        };
        // The comment on `Verb` must not become the program's description.
        return Verb::augment_subcommands(root)
            .about(alias.about.clone())
            .long_about(None)
            .override_usage(format!("{usage}\n       {program} [OPTIONS] VERB"))
            .mut_subcommands(adapt);
    }
    let help = help::HelpArgs::augment_args(Command::new("help"));
    let root = root
        .override_usage(usage)
        .subcommand(help.about("List the commands, or describe one"));
    if alias.has_list() {
        let list = nodes::NodesArgs::augment_args(Command::new("list"));
        root.subcommand(list.about("List the nodes, one name a line"))
    } else {
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::server_commands::{NODE, with_commands, with_unlisted};
    use crate::environment::Environment;
    use action_proto::v1::Command as Definition;
    use std::ffi::OsStr;

    fn alias(program: &str) -> ProgramAlias {
        ProgramAlias::detect(OsStr::new(program), &Environment::default()).unwrap()
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
            let alias = alias(program);
            with_commands(root(&alias), &alias, &commands).debug_assert();
            with_unlisted(root(&alias), &alias, "off").debug_assert();
        }
    }

    #[test]
    fn the_root_s_help_has_the_server_s_commands_and_the_verbs() {
        let whole = alias("action-client");
        let commands = [definition("power-off"), definition("usage")];
        let help = |alias: &ProgramAlias| {
            let root = with_commands(root(alias), alias, &commands);
            root.clone().render_help().to_string()
        };
        let text = help(&whole);
        for part in [
            "Commands of the server:\n  power-off  Do power-off",
            "Verbs:\n  help",
            "-g",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = help(&alias("power"));
        assert!(
            text.contains("\n  off  Do power-off") && !text.contains("usage  "),
            "{text}"
        );
    }

    #[test]
    fn a_verb_precedes_a_command_and_run_reaches_it() {
        let whole = alias("action-client");
        let root = with_commands(root(&whole), &whole, &[definition("show")]);
        let has_node = |verb: &Command| verb.get_arguments().any(|arg| arg.get_id() == NODE);
        assert!(!has_node(root.find_subcommand("show").unwrap()));
        let run = root.find_subcommand("run").unwrap();
        assert!(has_node(run.find_subcommand("show").unwrap()));
    }
}
