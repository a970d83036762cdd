//! The definitions on disk: reading them into a catalogue, and keeping it current.
//!
//! Owns the files: what is read, in which order, and what is kept when an edit breaks
//! something. What the texts mean belongs to `catalogue`.

mod accepted;
mod fingerprint;
mod load;
mod nodes;
mod notices;
mod plan_digest;
mod text;
mod tree_trust;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::watch as channel;

use accepted::AcceptedNodes;
use load::{PreviousDefinitions, open_script};
pub use plan_digest::{PlanDigest, PlanDigestError, PlanDigests};
pub use watch::DefinitionWatch;
pub(crate) use watch::log_fault;

use crate::{
    audit::Audit,
    catalogue::{Catalogue, NodesRemoval, Plan, PlannedJob},
    config::Settings,
    disk_lane::LANES,
    file_digest::{FileDigests, in_hexadecimal, of_text},
    locks::lock,
    metrics::Metrics,
    process::give_back_memory,
    transient::is_transient,
    trust::Trust,
    yaml::Fault,
};

/// Where the definitions are and how they are read.
#[derive(Debug, Clone)]
pub struct DefinitionSources {
    /// The nodes file.
    pub nodes: PathBuf,
    /// The command directory.
    pub commands: PathBuf,
    /// The state directory, which keeps the accepted nodes.
    pub state: PathBuf,
    /// Metadata keys that callers may see.
    pub visible_metadata: BTreeSet<String>,
    /// The most nodes in one selection.
    pub node_limit: usize,
    /// Whether files that others can write are refused.
    pub trust: Trust,
}

impl DefinitionSources {
    /// The sources that the settings name.
    pub fn new(settings: &Settings) -> DefinitionSources {
        DefinitionSources {
            nodes: settings.nodes_config_path.clone(),
            commands: settings.command_directory_path.clone(),
            state: settings.state_directory.clone(),
            visible_metadata: settings.visible_metadata.iter().cloned().collect(),
            node_limit: settings.limits.nodes,
            trust: settings.trust,
        }
    }
}

/// Why the scripts of a plan cannot be started.
#[derive(Debug, Error)]
pub enum PlanScriptError {
    /// One is not as it must be.
    #[error("{script}: {reason}")]
    Unusable {
        /// Its name in the command directory.
        script: String,
        /// What is wrong.
        reason: String,
    },
    /// They cannot be read now, for a reason that may pass.
    #[error("the scripts cannot be read now: {0}")]
    Transient(String),
}

/// Reads the definitions as a server does that starts now, and as one that runs would: what is broken
/// keeps the last good version that the state directory has. Writes nothing.
///
/// # Errors
/// The nodes file as a whole cannot be read and no nodes were accepted, or the command directory
/// cannot be read.
pub fn load(sources: &DefinitionSources) -> Result<(Catalogue, Vec<Fault>), Fault> {
    let (catalogue, faults, _) = load_first(sources)?;
    Ok((catalogue, faults))
}

type LoadedFirst = (Catalogue, Vec<Fault>, Option<AcceptedNodes>);

fn load_first(sources: &DefinitionSources) -> Result<LoadedFirst, Fault> {
    let mut faults = Vec::new();
    let accepted = read_accepted(sources, &mut faults)?;
    let before = PreviousDefinitions {
        nodes: accepted.as_ref().map(|accepted| &accepted.nodes),
        commands: None,
    };
    let (catalogue, found) = load::load_catalogue(sources, before)?;
    faults.extend(found);
    Ok((catalogue, faults, accepted))
}

/// Reads the accepted nodes. Without those that are there, an edit that should be held back would be
/// used: so what keeps them from being read only now is an error.
fn read_accepted(
    sources: &DefinitionSources,
    faults: &mut Vec<Fault>,
) -> Result<Option<AcceptedNodes>, Fault> {
    let accepted = accepted::read_nodes(sources, faults);
    match faults.iter().find(|fault| fault.is_transient) {
        Some(fault) => Err(fault.clone()),
        None => Ok(accepted),
    }
}

/// Accepts the nodes file as it is now. Returns what it removes, or `None` where it is not held back.
///
/// # Errors
/// The nodes file cannot be read, or the state directory cannot be written.
pub fn accept_nodes(sources: &DefinitionSources) -> Result<Option<NodesRemoval>, Fault> {
    let mut faults = Vec::new();
    let Some(accepted) = read_accepted(sources, &mut faults)? else {
        return Ok(None);
    };
    let (removal, text) = nodes::held_back(sources, &accepted.nodes)?;
    if removal.is_some() {
        let digest = digest_of(text.as_bytes());
        accepted::write_approval(sources, &digest).map_err(|error| {
            let reason = format!("cannot write it: {error}");
            Fault::error(accepted::approval_path(sources), 1, reason)
        })?;
    }
    Ok(removal)
}

/// The current catalogue. Each request takes a snapshot and keeps it to its end.
#[derive(Debug, Clone)]
pub struct Definitions {
    current: Arc<ArcSwap<Catalogue>>,
    files: FileDigests,
    trust: Trust,
    /// What was wrong at the first load, and was logged.
    first_faults: Arc<Vec<Fault>>,
    /// The stamp of the files at the first load.
    stamp: u64,
    /// The digest of the accepted nodes that the state directory has, where it has them.
    kept: Arc<Mutex<Option<String>>>,
    changes: channel::Sender<u64>,
}

impl Definitions {
    /// Loads the definitions for the first time. Writes nothing: see [`Definitions::keep`].
    ///
    /// # Errors
    /// As of [`load`].
    pub async fn open(sources: &DefinitionSources) -> Result<(Definitions, Vec<Fault>), Fault> {
        off_the_runtime(sources, Definitions::open_blocking).await
    }

    fn open_blocking(sources: &DefinitionSources) -> Result<(Definitions, Vec<Fault>), Fault> {
        // PreviousDefinitions the load: an edit in between is another stamp.
        let stamp = fingerprint::stamp(sources);
        let (catalogue, faults, accepted) = load_first(sources)?;
        let definitions = Definitions {
            current: Arc::new(ArcSwap::from_pointee(catalogue)),
            files: FileDigests::default(),
            trust: sources.trust,
            first_faults: Arc::new(faults.clone()),
            stamp,
            kept: Arc::new(Mutex::new(accepted.map(|accepted| accepted.digest))),
            changes: channel::Sender::new(0),
        };
        Ok((definitions, faults))
    }

    /// Keeps the nodes in use as the accepted ones in the state directory, which must be this
    /// server's.
    ///
    /// # Errors
    /// They cannot be written.
    pub async fn keep(&self, sources: &DefinitionSources) -> Result<(), Fault> {
        let definitions = self.clone();
        off_the_runtime(sources, move |sources| definitions.keep_blocking(sources)).await
    }

    fn keep_blocking(&self, sources: &DefinitionSources) -> Result<(), Fault> {
        let catalogue = self.snapshot();
        let mut kept = lock(&self.kept);
        let written = accepted::keep_nodes(sources, &catalogue.nodes, kept.as_deref());
        // An approval is good for one edit.
        if catalogue.held_back.is_none() && catalogue.nodes_in_file > 0 && written.is_ok() {
            accepted::forget_approval(sources);
        }
        give_back_memory();
        *kept = written.as_ref().ok().cloned();
        written.map(|_| ())
    }

    /// False while the state directory does not have the nodes in use.
    fn is_kept(&self) -> bool {
        let kept = lock(&self.kept);
        kept.is_some()
    }

    /// Told whenever the definitions were read again.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The catalogue as it is now.
    pub fn snapshot(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// What is known of the content of files.
    pub fn file_digests(&self) -> FileDigests {
        self.files.clone()
    }

    /// Checks that each script of a plan could be started now, as it is on the disk, and that
    /// no other user can have written the files around it. Returns the digest of each, by its name
    /// in the command directory. Blocks for the disk.
    ///
    /// # Errors
    /// The first that is against it, by its name in the command directory.
    pub fn check_scripts(&self, plan: &Plan) -> Result<BTreeMap<String, String>, PlanScriptError> {
        let unusable =
            |script: String, reason: String| PlanScriptError::Unusable { script, reason };
        let current = self.snapshot();
        if let Some(what) = current.untrusted.against(&plan.command.name) {
            return Err(unusable(what.to_owned(), "others can write it".to_owned()));
        }
        let both = |job: &'_ PlannedJob| [Some(job.script.clone()), job.state_script.clone()];
        let scripts: BTreeSet<_> = plan.jobs.iter().flat_map(both).flatten().collect();
        let checked = scripts.into_iter().map(|script| {
            let name = plan.script_name(&script);
            let opened = open_script(&script, self.trust).map_err(|error| {
                if error.is_transient() {
                    PlanScriptError::Transient(error.to_string())
                } else {
                    unusable(name.clone(), error.to_string())
                }
            })?;
            match self.files.of_file(opened) {
                Ok(digest) => Ok((name, in_hexadecimal(&digest))),
                Err(error) if is_transient(&error) => {
                    Err(PlanScriptError::Transient(error.to_string()))
                }
                Err(error) => Err(unusable(name, format!("it cannot be read: {error}"))),
            }
        });
        checked.collect()
    }

    /// Keeps the catalogue current from now on, until the returned watch is dropped.
    pub fn watch(
        &self,
        sources: DefinitionSources,
        audit: Audit,
        metrics: Metrics,
    ) -> DefinitionWatch {
        DefinitionWatch::start(self.clone(), sources, audit, metrics)
    }

    /// Reads everything again. What is broken now stays as it was.
    fn reload(&self, sources: &DefinitionSources) -> Vec<Fault> {
        let before = self.snapshot();
        let loaded = load::load_catalogue(
            sources,
            PreviousDefinitions {
                nodes: Some(&before.nodes),
                commands: Some(&before),
            },
        );
        let mut faults = match loaded {
            Ok((catalogue, faults)) => {
                log_gone(&before, &catalogue);
                self.current.store(Arc::new(catalogue));
                faults
            }
            Err(fault) => vec![fault],
        };
        faults.extend(self.keep_blocking(sources).err());
        self.changes.send_modify(|count| *count += 1);
        faults
    }
}

/// Does what waits for the disk on a thread that may.
async fn off_the_runtime<T: Send + 'static>(
    sources: &DefinitionSources,
    work: impl FnOnce(&DefinitionSources) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let sources = sources.clone();
    let failed = Fault::error(&sources.nodes, 1, "reading the definitions broke off");
    let done = LANES.definitions.run(move || work(&sources)).await;
    done.map_err(|_| failed)?
}

/// Logs the nodes and commands that are no longer defined.
fn log_gone(before: &Catalogue, now: &Catalogue) {
    let commands = before.commands.keys();
    let commands = commands.filter(|name| !now.commands.contains_key(*name));
    let commands: Vec<&str> = commands.map(String::as_str).collect();
    if !commands.is_empty() {
        tracing::warn!(commands = commands.join(", "), "commands are gone");
    }
    let nodes = before.nodes.list().iter().map(|node| node.name.as_str());
    let nodes: Vec<&str> = nodes.filter(|name| now.nodes.get(name).is_none()).collect();
    if !nodes.is_empty() {
        tracing::info!(nodes = action_proto::fold(nodes), "nodes are gone");
    }
}

/// The SHA-256 of a text, as `sha256sum` prints it.
fn digest_of(text: &[u8]) -> String {
    in_hexadecimal(&of_text(text))
}
