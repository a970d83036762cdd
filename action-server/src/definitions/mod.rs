//! The definitions on disk: reading them into a catalogue, and keeping it current.
//!
//! Owns the files: what is read, in which order, and what is kept when an edit breaks
//! something. What the texts mean is the catalogue's affair.

mod fingerprint;
mod load;
mod plan_digest;
mod tree_trust;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use arc_swap::ArcSwap;
use thiserror::Error;

pub use load::load;
use load::{is_shortage, usable};
pub use plan_digest::{NotADigest, PlanDigest, PlanDigests};
pub use watch::Watch;
pub(crate) use watch::log_fault;

use crate::{
    audit::Audit,
    catalogue::{Catalogue, Plan, PlannedJob},
    config::Settings,
    file_digest::{FileDigests, Sha256},
    metrics::Metrics,
    trust::Trust,
    yaml::Fault,
};

/// Where the definitions are and how they are read.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The nodes file.
    pub nodes: PathBuf,
    /// The command directory.
    pub commands: PathBuf,
    /// Metadata keys that callers may see.
    pub visible_metadata: BTreeSet<String>,
    /// The most nodes in one selection.
    pub node_limit: usize,
    /// Whether files that others can write are refused.
    pub trust: Trust,
}

impl Sources {
    /// The sources that the settings name.
    pub fn new(settings: &Settings) -> Sources {
        Sources {
            nodes: settings.nodes_config_path.clone(),
            commands: settings.command_directory_path.clone(),
            visible_metadata: settings.visible_metadata.iter().cloned().collect(),
            node_limit: settings.limits.nodes,
            trust: settings.trust,
        }
    }
}

/// Why the scripts of a plan cannot be started.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// One is not as it must be.
    #[error("{script}: {reason}")]
    Unusable {
        /// Its name in the command directory.
        script: String,
        /// What is wrong.
        reason: String,
    },
    /// There are no descriptors left to look at them with.
    #[error("the server cannot open more files now: {0}; try again later")]
    Shortage(std::io::Error),
}

/// The current catalogue. Each request takes a snapshot and keeps it to its end.
#[derive(Debug, Clone)]
pub struct Definitions {
    current: Arc<ArcSwap<Catalogue>>,
    files: FileDigests,
    trust: Trust,
    /// What was wrong at the first load, and told.
    told: Arc<Vec<Fault>>,
    /// The stamp of the files at the first load.
    stamp: u64,
}

impl Definitions {
    /// Loads the definitions for the first time.
    ///
    /// # Errors
    /// The nodes file or the command directory as a whole cannot be read.
    pub fn open(sources: &Sources) -> Result<(Definitions, Vec<Fault>), Fault> {
        // Before the load: an edit in between is another stamp.
        let stamp = fingerprint::stamp(sources);
        let (catalogue, faults) = load(sources, None)?;
        let current = Arc::new(ArcSwap::from_pointee(catalogue));
        let told = Arc::new(faults.clone());
        Ok((
            Definitions {
                current,
                files: FileDigests::default(),
                trust: sources.trust,
                told,
                stamp,
            },
            faults,
        ))
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
    /// nobody else can have written what stands around it. Returns the digest of each, by its name
    /// in the command directory. Blocks for the disk.
    ///
    /// # Errors
    /// The first that is against it, by its name in the command directory.
    pub fn check_scripts(&self, plan: &Plan) -> Result<BTreeMap<String, String>, ScriptError> {
        let unusable = |script: String, reason: String| ScriptError::Unusable { script, reason };
        let current = self.snapshot();
        if let Some(what) = current.untrusted.against(&plan.command.name) {
            return Err(unusable(what.to_owned(), "others can write it".to_owned()));
        }
        let both = |job: &'_ PlannedJob| [Some(job.script.clone()), job.state_script.clone()];
        let scripts: BTreeSet<_> = plan.jobs.iter().flat_map(both).flatten().collect();
        let checked = scripts.into_iter().map(|script| {
            let name = plan.script_name(&script);
            let opened =
                usable(&script, self.trust).map_err(|reason| unusable(name.clone(), reason))?;
            match opened.and_then(|file| self.files.of_file(file)) {
                Ok(digest) => Ok((name, in_hexadecimal(&digest))),
                Err(error) if is_shortage(&error) => Err(ScriptError::Shortage(error)),
                Err(error) => Err(unusable(name, format!("it cannot be read: {error}"))),
            }
        });
        checked.collect()
    }

    /// Keeps the catalogue current from now on, until the returned watch is dropped.
    pub fn watch(&self, sources: Sources, audit: Audit, metrics: Metrics) -> Watch {
        Watch::start(self.clone(), sources, audit, metrics)
    }

    /// Reads everything again. What is broken now stays as it was.
    fn reload(&self, sources: &Sources) -> Vec<Fault> {
        match load(sources, Some(&self.snapshot())) {
            Ok((catalogue, faults)) => {
                let before = self.current.swap(Arc::new(catalogue));
                let now = self.snapshot();
                let gone = before
                    .commands
                    .keys()
                    .filter(|name| !now.commands.contains_key(*name));
                let gone: Vec<&str> = gone.map(String::as_str).collect();
                if !gone.is_empty() {
                    tracing::warn!(commands = gone.join(", "), "commands are gone");
                }
                faults
            }
            Err(fault) => vec![fault],
        }
    }
}

/// As `sha256sum` prints it.
fn in_hexadecimal(digest: &Sha256) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
