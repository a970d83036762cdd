//! Owns the options of runs and of how their output is shown. They may stand before the
//! command or verb, or after it.

use crate::cli::limit::MaxFailures;
use crate::cli::values;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// The options of a run.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Run options")]
pub(crate) struct RunOptions {
    /// The nodes to run on, as in `cnode[01-04],gpu*`; no NODE is given then
    #[arg(short = 'g', long, alias = "group", value_name = "NODES")]
    pub(crate) nodes: Option<String>,
    /// Nodes to leave out of these
    #[arg(long, value_name = "NODES")]
    pub(crate) exclude: Option<String>,
    /// Run only when it is this many nodes
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(crate) expect_nodes: Option<u32>,
    /// Run only if this is still the plan, as `--dry-run` printed its digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "dry_run",
          value_parser = values::plan_digest)]
    pub(crate) plan: Option<String>,
    /// Why you run this: recorded, and passed to the script
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The most nodes at once; only lowers the command's own limit
    #[arg(long, value_name = "N", value_parser = values::count_from_one)]
    pub(crate) fanout: Option<u32>,
    /// Start no more once this many are not ok, as in `5` or `10%`
    #[arg(long, value_name = "N[%]")]
    pub(crate) max_failures: Option<MaxFailures>,
    /// The longest for each node, as in `90s`; only lowers the command's own limit
    #[arg(long, value_name = "TIME", value_parser = values::time_from_one)]
    pub(crate) timeout: Option<Duration>,
    /// Wait until each node has come where the command sends it, and show its states on the way
    #[arg(long)]
    pub(crate) wait: bool,
    /// Do not wait for that, where the command would
    #[arg(long, conflicts_with = "wait")]
    pub(crate) no_wait: bool,
    /// Print the run's id and leave; `attach` shows its output
    #[arg(long, conflicts_with_all = ["dry_run", "output_dir"])]
    pub(crate) detach: bool,
    /// Show what would run and run nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How the output is shown.
    #[command(flatten)]
    pub(crate) view: ViewOptions,
}

impl RunOptions {
    /// These options, and the other's where these do not say.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.or(other.nodes),
            exclude: self.exclude.or(other.exclude),
            expect_nodes: self.expect_nodes.or(other.expect_nodes),
            plan: self.plan.or(other.plan),
            reason: self.reason.or(other.reason),
            fanout: self.fanout.or(other.fanout),
            max_failures: self.max_failures.or(other.max_failures),
            timeout: self.timeout.or(other.timeout),
            wait: (self.wait || other.wait) && !self.no_wait,
            no_wait: (self.no_wait || other.no_wait) && !self.wait,
            detach: self.detach || other.detach,
            dry_run: self.dry_run || other.dry_run,
            view: self.view.or(other.view),
        }
    }

    /// Whether to wait for the nodes' states; None for the command's own way.
    pub(crate) fn waits(&self) -> Option<bool> {
        (self.wait || self.no_wait).then_some(self.wait)
    }

    /// The first option that was given, but for those that the verb takes.
    pub(crate) fn first_given_but(&self, taken: &[&str]) -> Option<&'static str> {
        let given = [
            (self.nodes.is_some(), "-g"),
            (self.exclude.is_some(), "--exclude"),
            (self.expect_nodes.is_some(), "--expect-nodes"),
            (self.plan.is_some(), "--plan"),
            (self.reason.is_some(), "--reason"),
            (self.fanout.is_some(), "--fanout"),
            (self.max_failures.is_some(), "--max-failures"),
            (self.timeout.is_some(), "--timeout"),
            (self.wait, "--wait"),
            (self.no_wait, "--no-wait"),
            (self.detach, "--detach"),
            (self.dry_run, "--dry-run"),
            (self.view.fold, "--fold"),
            (self.view.diff, "--diff"),
            (self.view.quiet, "--quiet"),
            (self.view.output_dir.is_some(), "--output-dir"),
        ];
        given
            .into_iter()
            .filter(|(_, name)| !taken.contains(name))
            .find_map(|(is_given, name)| is_given.then_some(name))
    }
}

/// The options that `ViewOptions` has, for verbs that take them.
pub(crate) const VIEW: [&str; 4] = ["--fold", "--diff", "--quiet", "--output-dir"];

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

impl ViewOptions {
    /// These options, and the other's where these do not say.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            fold: self.fold || other.fold,
            diff: self.diff || other.diff,
            quiet: self.quiet || other.quiet,
            output_dir: self.output_dir.or(other.output_dir),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_options_win_and_the_others_stay() {
        let near = RunOptions {
            nodes: Some("n1".into()),
            ..RunOptions::default()
        };
        let far = RunOptions {
            nodes: Some("n2".into()),
            fanout: Some(2),
            view: ViewOptions {
                fold: true,
                ..ViewOptions::default()
            },
            ..RunOptions::default()
        };
        let both = near.or(far);
        assert_eq!(
            (both.nodes.as_deref(), both.fanout, both.view.fold),
            (Some("n1"), Some(2), true)
        );
        assert_eq!(both.first_given_but(&["-g"]), Some("--fanout"));
        assert_eq!(both.first_given_but(&["-g", "--fanout", "--fold"]), None);
    }
}
