//! Owns the global flags: those that every verb takes, wherever they stand before the
//! script's arguments.

use crate::exit::ExitMode;
use crate::render::output::ColorChoice;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    #[default]
    Human,
    /// One JSON object a line, for programs
    Json,
}

/// The global flags.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The configuration file [default: $ACTION_CLIENT_CONFIG, ~/.config/action/client.yaml,
    /// /etc/action/client.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        help = "When to colour: auto, always or never"
    )]
    pub(crate) color: ColorChoice,
    /// The form of the output
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        hide_possible_values = true,
        help = "The form of the output: human or json"
    )]
    pub(crate) output: Format,
    /// Pass control sequences of scripts to the terminal as they are
    #[arg(long, global = true)]
    pub(crate) raw: bool,
    /// Answer a command's confirmation with yes
    #[arg(long, global = true)]
    pub(crate) confirm: bool,
    /// How the jobs' outcomes become the exit code
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "MODE",
        hide_possible_values = true,
        help = "The exit code: largest of the jobs' codes, any for 1 when any job is not ok, zero always"
    )]
    pub(crate) exit: Option<ExitMode>,
    /// How long to try to resume a run's output after the connection was lost
    #[arg(long, global = true, value_name = "TIME", default_value = "5m",
          value_parser = humantime::parse_duration)]
    pub(crate) reconnect_for: Duration,
}

/// The options of a run, which may stand before the command or after it.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Run options")]
pub(crate) struct RunOptions {
    /// The nodes to run on, as in `cnode[01-04],gpu*`; no NODE is given then
    #[arg(short = 'g', long, alias = "group", value_name = "NODES")]
    pub(crate) nodes: Option<String>,
    /// The most nodes at once; only lowers the command's own limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) fanout: Option<u32>,
    /// The longest for each node, as in `90s`; only lowers the command's own limit
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print the run's id and leave; `attach` shows its output
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) detach: bool,
    /// Show what would run and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl RunOptions {
    /// These options, and the other's where these do not say.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.or(other.nodes),
            fanout: self.fanout.or(other.fanout),
            timeout: self.timeout.or(other.timeout),
            detach: self.detach || other.detach,
            dry_run: self.dry_run || other.dry_run,
        }
    }

    /// The first option that was given, for verbs that take none.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [
            (self.nodes.is_some(), "-g"),
            (self.fanout.is_some(), "--fanout"),
            (self.timeout.is_some(), "--timeout"),
            (self.detach, "--detach"),
            (self.dry_run, "--dry-run"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, name)| is_given.then_some(name))
    }
}
