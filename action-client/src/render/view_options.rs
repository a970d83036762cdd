//! The options of how output is rendered.

use clap::Args;
use std::path::PathBuf;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text for people
    #[default]
    Human,
    /// One JSON object a line, for programs
    Json,
}

/// How a run's output is shown.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Output options")]
pub(crate) struct ViewOptions {
    /// Show equal outputs once, under the nodes that they are of; a terminal shows lines as
    /// they come too
    #[arg(long, conflicts_with = "diff")]
    pub(crate) fold: bool,
    /// Show how each node's output differs from that of most
    #[arg(long)]
    pub(crate) diff: bool,
    /// Show no output of scripts, and the summary only when not all is ok
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Write each node's output to files DIR/NODE.stdout and DIR/NODE.stderr too
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
}
