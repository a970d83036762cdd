//! From a request to a plan: which scripts would run, where, and within which limits.
//!
//! Pure and total: the same catalogue and request give the same plan or the same error. Only
//! a [`Plan`] can be started, and nothing else can make one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use action_proto::input::shown_set;
use thiserror::Error;

use super::{Catalogue, Command, Node, SelectionError, StateCheck, VisibleNodes};
use crate::shown;

const ARGUMENT_COUNT: usize = 64;
const ARGUMENT_BYTES: usize = 64 * 1024;
const ARGUMENTS_BYTES: usize = 256 * 1024;

/// What a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The command's name.
    pub command: String,
    /// A node set; empty for a command that takes no nodes.
    pub nodes: String,
    /// A node set to leave out; empty for none.
    pub exclude: String,
    /// The script's arguments.
    pub arguments: Vec<String>,
    /// The most jobs at once; `None` for the command's own limit, which bounds it.
    pub fanout: Option<u32>,
    /// The longest that one job may take; `None` for the command's own, which bounds it.
    pub timeout: Option<Duration>,
    /// Whether to wait until each node has come where the command sends it; `None` for the
    /// command's own way.
    pub wait: Option<bool>,
}

/// What a run will do.
#[derive(Debug)]
pub struct Plan {
    /// The command.
    pub command: Arc<Command>,
    /// The script's arguments.
    pub arguments: Vec<String>,
    /// One job per node, in the order of the nodes file; one without a node for a command
    /// that takes none.
    pub jobs: Vec<PlannedJob>,
    /// The nodes as a folded set; empty for a command that takes none.
    pub nodes: String,
    /// The most jobs at once.
    pub fanout: u32,
    /// The longest that one job may take.
    pub timeout: Duration,
    /// The question to ask before the run.
    pub confirmation: Option<String>,
    /// What to wait for when a script has ended well.
    pub waiting: Option<StateWait>,
    /// The command directory.
    pub script_root: PathBuf,
}

/// How a node's state is looked at after its script.
#[derive(Debug)]
pub struct StateWait {
    /// The command that prints it.
    pub command: Arc<Command>,
    /// What to wait for.
    pub verify: StateCheck,
}

/// One job of a plan.
#[derive(Debug, Clone)]
pub struct PlannedJob {
    /// The node, if the command takes one.
    pub node: Option<Arc<Node>>,
    /// The rank whose script runs.
    pub rank: String,
    /// The script.
    pub script: PathBuf,
    /// The script that prints the node's state, where that is waited for.
    pub state_script: Option<PathBuf>,
}

impl PlannedJob {
    /// The node's name; empty for a job without a node.
    pub fn node_name(&self) -> &str {
        self.node.as_ref().map_or("", |node| &node.name)
    }
}

impl Plan {
    /// A script's path relative to the command directory.
    pub fn script_path<'a>(&self, script: &'a Path) -> &'a Path {
        script.strip_prefix(&self.script_root).unwrap_or(script)
    }

    /// The same as people are shown it.
    pub fn script_name(&self, script: &Path) -> String {
        shown::file(self.script_path(script))
    }
}

/// Why a request cannot be planned.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// No command has that name.
    #[error("no such command: {0}")]
    UnknownCommand(String),
    /// The command is there but its definition is broken.
    #[error("the command {command} cannot be run: {reason}")]
    BrokenCommand {
        /// The command.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The command that prints the state of its nodes cannot be run.
    #[error("the command {command} cannot be run: what tells the state of its nodes: {reason}")]
    BrokenTeller {
        /// The command.
        command: String,
        /// The command that prints the state.
        teller: String,
        /// What is wrong with that one.
        reason: String,
    },
    /// The nodes are not there.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Nodes for a command that takes none.
    #[error("the command {0} takes no nodes")]
    TakesNoNodes(String),
    /// There is nothing to wait for.
    #[error("the command {0} does not say what to wait for: its metadata has no `verify`")]
    NothingToWaitFor(String),
    /// A limit that is none.
    #[error("{0}")]
    Limit(String),
    /// Arguments that cannot be passed on.
    #[error("{0}")]
    Arguments(String),
}

impl Catalogue {
    /// Plans a run for a caller to whom the nodes at the positions in `visible`, or all, are there.
    ///
    /// # Errors
    /// See [`PlanError`]: nothing is planned unless all of it can be.
    pub fn plan(&self, request: &Request, visible: Option<&[bool]>) -> Result<Plan, PlanError> {
        let command = self.command(&request.command)?;
        check_arguments(&request.arguments)?;
        let waiting = self.waiting(&command, request.wait)?;
        let nodes = self.nodes.visible(visible);
        let jobs = self.jobs(&command, waiting.as_ref(), request, nodes)?;
        let names: Vec<&str> = jobs.iter().map(PlannedJob::node_name).collect();
        let nodes = if command.help.has_context {
            action_proto::fold(names)
        } else {
            String::new()
        };
        let scope = command
            .help
            .has_context
            .then_some((nodes.as_str(), jobs.len()));
        let confirmation = command.confirmation.as_ref();
        let confirmation = confirmation.map(|text| text.question(scope, &request.arguments));
        Ok(Plan {
            fanout: lowered(request.fanout, command.fanout, "fanout", |&count| {
                count == 0
            })?,
            timeout: lowered(
                request.timeout,
                command.timeout,
                "timeout",
                Duration::is_zero,
            )?,
            arguments: request.arguments.clone(),
            script_root: self.script_root.clone(),
            confirmation,
            nodes,
            jobs,
            waiting,
            command,
        })
    }

    fn command(&self, name: &str) -> Result<Arc<Command>, PlanError> {
        if let Some(command) = self.commands.get(name) {
            return Ok(Arc::clone(command));
        }
        Err(match self.broken.get(name) {
            Some(reason) => PlanError::BrokenCommand {
                command: shown_set(name),
                reason: reason.clone(),
            },
            None => PlanError::UnknownCommand(shown_set(name)),
        })
    }

    /// What is waited for after each script.
    fn waiting(
        &self,
        command: &Arc<Command>,
        asked: Option<bool>,
    ) -> Result<Option<StateWait>, PlanError> {
        if !asked.unwrap_or(command.wait) {
            return Ok(None);
        }
        let verify = command
            .verify
            .clone()
            .ok_or_else(|| PlanError::NothingToWaitFor(command.name.clone()))?;
        let broken = |reason: String| broken_verifier(command, &verify, reason);
        let verifier = self
            .command(&verify.command)
            .map_err(|error| broken(error.to_string()))?;
        if !verifier.help.has_context {
            let reason = format!("{} takes no nodes", verifier.name);
            return Err(broken(reason));
        }
        Ok(Some(StateWait {
            command: verifier,
            verify,
        }))
    }

    fn jobs(
        &self,
        command: &Arc<Command>,
        waiting: Option<&StateWait>,
        request: &Request,
        nodes: VisibleNodes<'_>,
    ) -> Result<Vec<PlannedJob>, PlanError> {
        let broken = |reason| PlanError::BrokenCommand {
            command: command.name.clone(),
            reason,
        };
        let job = |node: Option<Arc<Node>>| {
            let ranks = node.as_ref().map_or(&[][..], |node| &node.ranks);
            let (rank, script) = command
                .script_for(ranks)
                .map_err(|error| broken(error.to_string()))?;
            let state_script = waiting.map(|waiting| {
                let script = waiting.command.script_for(ranks);
                script.map_err(|error| broken_verifier(command, &waiting.verify, error.to_string()))
            });
            let state_script = state_script.transpose()?;
            Ok(PlannedJob {
                state_script: state_script.map(|(_, script)| script.to_owned()),
                rank: rank.to_owned(),
                script: script.to_owned(),
                node,
            })
        };
        if !command.help.has_context {
            if !request.nodes.trim().is_empty() || !request.exclude.is_empty() {
                return Err(PlanError::TakesNoNodes(command.name.clone()));
            }
            return Ok(vec![job(None)?]);
        }
        let nodes = nodes.select(&request.nodes, &request.exclude, self.node_limit)?;
        nodes.into_iter().map(|node| job(Some(node))).collect()
    }
}

fn broken_verifier(command: &Command, verify: &StateCheck, reason: String) -> PlanError {
    PlanError::BrokenTeller {
        command: command.name.clone(),
        teller: verify.command.clone(),
        reason,
    }
}

/// The caller's limit where it is set and lower than the command's.
fn lowered<T: Ord + Copy + std::fmt::Debug>(
    asked: Option<T>,
    own: T,
    what: &str,
    is_zero: impl Fn(&T) -> bool,
) -> Result<T, PlanError> {
    match asked {
        Some(asked) if is_zero(&asked) => {
            Err(PlanError::Limit(format!("a {what} of 0 lets nothing run")))
        }
        Some(asked) => Ok(asked.min(own)),
        None => Ok(own),
    }
}

fn check_arguments(arguments: &[String]) -> Result<(), PlanError> {
    let refuse = |reason: String| Err(PlanError::Arguments(reason));
    if arguments.len() > ARGUMENT_COUNT {
        return refuse(format!(
            "{} arguments are more than {ARGUMENT_COUNT}",
            arguments.len()
        ));
    }
    for (at, argument) in arguments.iter().enumerate() {
        let number = at + 1;
        if argument.contains('\0') {
            return refuse(format!(
                "argument {number} has a NUL, which no program can be given"
            ));
        }
        if argument.len() > ARGUMENT_BYTES {
            return refuse(format!(
                "argument {number} has {} bytes, more than {ARGUMENT_BYTES}",
                argument.len()
            ));
        }
    }
    let total: usize = arguments.iter().map(String::len).sum();
    if total > ARGUMENTS_BYTES {
        return refuse(format!(
            "the arguments have {total} bytes, more than {ARGUMENTS_BYTES}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
