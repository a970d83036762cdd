//! Owns the global flags: those that every verb takes, wherever they stand before the
//! script's arguments.

use crate::cli::values;
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
          value_parser = values::time)]
    pub(crate) reconnect_for: Duration,
}
