//! Owns the options of a run and of its output.

use crate::arguments::max_failures::MaxFailures;
use crate::arguments::values;
use crate::render::ViewOptions;
use clap::Args;
use std::time::Duration;

/// The options of a run.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Run options")]
pub(crate) struct RunOptions {
    /// Run on these nodes, as in `cnode[01-04],gpu*`, instead of NODE
    #[arg(short = 'g', long, alias = "group", value_name = "NODES")]
    pub(crate) nodes: Option<String>,
    /// Exclude these nodes
    #[arg(long, value_name = "NODES")]
    pub(crate) exclude: Option<String>,
    /// Run only if exactly N nodes are selected
    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    pub(crate) expect_nodes: Option<u32>,
    /// Run only if the plan still has this digest, as printed by `--dry-run`
    #[arg(long, value_name = "DIGEST", conflicts_with = "dry_run",
          value_parser = values::parse_plan_digest)]
    pub(crate) plan: Option<String>,
    /// Record a reason, and pass it to the script
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Run on at most N nodes at once; only lowers the command's limit
    #[arg(long, value_name = "N", value_parser = values::parse_count_from_one)]
    pub(crate) fanout: Option<u32>,
    /// Start no more jobs after this many failures, as in `5` or `10%`
    #[arg(long, value_name = "N[%]")]
    pub(crate) max_failures: Option<MaxFailures>,
    /// Limit the time of each node, as in `90s`; only lowers the command's limit
    #[arg(long, value_name = "TIME", value_parser = values::parse_time_from_one)]
    pub(crate) timeout: Option<Duration>,
    /// Wait until each node reaches the command's target state, and show its states
    #[arg(long, overrides_with = "no_wait")]
    pub(crate) wait: bool,
    /// Do not wait for the target state
    #[arg(long, overrides_with = "wait")]
    pub(crate) no_wait: bool,
    /// Print the run's id and exit; `attach` shows its output
    #[arg(long, conflicts_with_all = ["dry_run", "output_dir"])]
    pub(crate) detach: bool,
    /// Show the plan and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How the output is shown.
    #[command(flatten)]
    pub(crate) view: ViewOptions,
}

impl RunOptions {
    /// Whether to wait for the nodes' states; None for the command's own way.
    pub(crate) fn wait_mode(&self) -> Option<bool> {
        (self.wait || self.no_wait).then_some(self.wait)
    }
}
