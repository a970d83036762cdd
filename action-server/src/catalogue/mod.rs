//! What can be run on what: nodes, commands, the selection of nodes, and the plan of a run.
//!
//! Pure: it is given texts and listings and gives back values and faults. Reading files and
//! watching them belongs to `definitions`.

mod accepted_nodes;
mod build_nodes;
mod command;
mod confirmation;
mod environment;
mod groups;
mod metadata;
mod names;
mod node;
mod nodes;
mod nodes_file;
mod plan;
mod removal;
mod selected;
mod selection;
mod selection_error;
mod visible_nodes;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

pub use accepted_nodes::{read_accepted, write_accepted};
pub(crate) use command::rank_of;
pub use command::{Command, DEFAULT_RANK, ScriptListing};
pub use confirmation::{Confirmation, ConfirmationError};
pub use environment::{CallerIdentity, environment};
pub use groups::GroupFault;
pub use metadata::{CommandMetadata, StateCheck, read_command};
pub use names::{bad_script_variable, is_command_name};
pub use node::Node;
pub use nodes::Nodes;
pub use nodes_file::{NodesFile, read_nodes};
pub use plan::{Plan, PlanError, PlannedJob, Request, StateWait};
pub use removal::NodesRemoval;
pub use selection::NodeCoverage;
pub use selection_error::SelectionError;
pub use visible_nodes::VisibleNodes;

/// The most nodes that one selection may have, unless the settings say otherwise.
pub const DEFAULT_NODE_LIMIT: usize = 10_000;

/// A snapshot of everything that can be run. It never changes; a reload makes a new one.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The nodes and groups.
    pub nodes: Arc<Nodes>,
    /// How many nodes the nodes file has; 0 where it cannot be read.
    pub nodes_in_file: usize,
    /// The edit of the nodes file that is not used, if there is one.
    pub held_back: Option<NodesRemoval>,
    /// The commands that can be run, by name.
    pub commands: BTreeMap<String, Arc<Command>>,
    /// The commands that cannot, by name, each with the reason.
    pub broken: BTreeMap<String, String>,
    /// What is not to be trusted around the scripts.
    pub untrusted: UntrustedFiles,
    /// The command directory, which scripts see as `SCRIPT_ROOT`.
    pub script_root: PathBuf,
    /// The most nodes that one selection may have.
    pub node_limit: usize,
}

/// What others can write around scripts: one thing of each command, and one that is for all.
#[derive(Debug, Default, Clone)]
pub struct UntrustedFiles(BTreeMap<Option<String>, String>);

impl UntrustedFiles {
    /// Adds what belongs to a command, or to none and so to all. The first of each stands.
    pub fn add(&mut self, command: Option<&str>, what: String) {
        self.0.entry(command.map(str::to_owned)).or_insert(what);
    }

    /// Adds what was known before, where nothing is known now.
    pub fn keep(&mut self, before: &UntrustedFiles) {
        for (command, what) in &before.0 {
            self.add(command.as_deref(), what.clone());
        }
    }

    /// What stands against a run of this command.
    pub fn against(&self, command: &str) -> Option<&str> {
        let own = self.0.get(&Some(command.to_owned()));
        own.or_else(|| self.0.get(&None)).map(String::as_str)
    }
}
