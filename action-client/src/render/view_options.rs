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
    /// Group identical output under the nodes that produced it; a terminal shows lines live too
    #[arg(long, conflicts_with = "diff")]
    pub(crate) fold: bool,
    /// Show how each node's output differs from the most common one
    #[arg(long)]
    pub(crate) diff: bool,
    /// Show no output of scripts, and the summary only if not all jobs are ok
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Also write each node's output to DIR/NODE.stdout and DIR/NODE.stderr
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
}
