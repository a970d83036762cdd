//! Owns the global options, which every verb takes.

use crate::arguments::values;
use crate::exit::ExitMode;
use crate::render::OutputFormat;
use crate::render::output::ColorChoice;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// How long a lost connection is tried for, unless `--reconnect-for` is given.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(300);

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
        help = "Use colours: auto, always or never"
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
        help = "Output format: human or json"
    )]
    pub(crate) output: OutputFormat,
    /// Pass control sequences of scripts to the terminal unchanged
    #[arg(long, global = true)]
    pub(crate) raw: bool,
    /// Answer yes to the command's confirmation
    #[arg(long, global = true)]
    pub(crate) confirm: bool,
    /// How the jobs' outcomes become the exit code
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "MODE",
        hide_possible_values = true,
        help = "Exit with the largest of the jobs' codes (largest), 1 if any job is not ok (any), or 0 (zero)"
    )]
    pub(crate) exit: Option<ExitMode>,
    /// Try this long to resume a run's output after the connection is lost
    #[arg(long, global = true, value_name = "TIME", default_value = "5m",
          value_parser = values::parse_time_span)]
    pub(crate) reconnect_for: Duration,
}

impl Default for GlobalArgs {
    fn default() -> Self {
        Self {
            config: None,
            color: ColorChoice::default(),
            output: OutputFormat::default(),
            raw: false,
            confirm: false,
            exit: None,
            reconnect_for: RECONNECT_TIMEOUT,
        }
    }
}
