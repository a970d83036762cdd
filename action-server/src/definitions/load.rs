//! Reads the nodes file and the command directory into a catalogue.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use super::{
    DefinitionSources, nodes,
    text::{self, check_trust, read_definition},
    tree_trust,
};
use crate::{
    catalogue::{Catalogue, Command, Nodes, ScriptListing, is_command_name, rank_of, read_command},
    process::{ScriptFileError, check_script, give_back_memory},
    shown,
    transient::{is_caused_by_transient, is_transient},
    trust::{Trust, TrustError},
    yaml::{Fault, without_mark},
};

/// The largest metadata file that is read, in bytes.
const METADATA_LIMIT: u64 = 1 << 20;

/// What was in use before, if anything was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PreviousDefinitions<'a> {
    /// The nodes that were accepted.
    pub(super) nodes: Option<&'a Arc<Nodes>>,
    /// The catalogue whose commands are in use.
    pub(super) commands: Option<&'a Catalogue>,
}

/// Reads everything. What is broken keeps what it was before.
///
/// # Errors
/// The nodes file or the command directory as a whole cannot be read, and nothing was in use.
pub(super) fn load_catalogue(
    sources: &DefinitionSources,
    before: PreviousDefinitions<'_>,
) -> Result<(Catalogue, Vec<Fault>), Fault> {
    let mut faults = Vec::new();
    let loaded = nodes::load_nodes(sources, before.nodes, &mut faults)?;
    let before = before.commands;
    let commands = match (
        LoadedCommands::load_all(sources, before, &mut faults),
        before,
    ) {
        (Ok(commands), _) => commands,
        (Err(fault), Some(before)) => {
            faults.push(fault);
            LoadedCommands {
                good: before.commands.clone(),
                broken: before.broken.clone(),
            }
        }
        (Err(fault), None) => return Err(fault),
    };
    let is_command =
        |name: &str| commands.good.contains_key(name) || commands.broken.contains_key(name);
    let known = before.map(|before| &before.untrusted);
    let (untrusted, found) =
        tree_trust::check_trees(&sources.commands, is_command, sources.trust, known);
    faults.extend(found);
    let catalogue = Catalogue {
        nodes: loaded.nodes,
        nodes_in_file: loaded.in_file,
        held_back: loaded.held_back,
        commands: commands.good,
        broken: commands.broken,
        untrusted,
        script_root: sources.commands.clone(),
        node_limit: sources.node_limit,
    };
    give_back_memory();
    Ok((catalogue, faults))
}

#[derive(Default)]
struct LoadedCommands {
    good: BTreeMap<String, Arc<Command>>,
    broken: BTreeMap<String, String>,
}

impl LoadedCommands {
    fn load_all(
        sources: &DefinitionSources,
        before: Option<&Catalogue>,
        faults: &mut Vec<Fault>,
    ) -> Result<LoadedCommands, Fault> {
        let root = &sources.commands;
        let unreadable = |error| {
            let reason = format!("cannot read the command directory: {error}");
            Fault::error(root, 1, reason).caused_by(&error)
        };
        check_trust(root, sources.trust)?;
        let mut commands = LoadedCommands::default();
        let mut names = Vec::new();
        for entry in fs::read_dir(root).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            // Folders without metadata.yaml, such as helpers, are the scripts' own business.
            let metadata = path.join("metadata.yaml");
            let is_command = match metadata.try_exists() {
                Err(error) if is_transient(&error) => {
                    faults.push(text::unreadable_fault(&metadata, &error));
                    // Known before: it stays as it was.
                    let known = |name: &str| {
                        before.is_some_and(|before| {
                            before.commands.contains_key(name) || before.broken.contains_key(name)
                        })
                    };
                    entry.file_name().to_str().is_some_and(known)
                }
                found => found.unwrap_or(false),
            };
            if !is_command {
                continue;
            }
            match entry.file_name().into_string() {
                Ok(name) if is_command_name(&name) => names.push(name),
                _ => {
                    let reason =
                        "cannot be a command's name: lower-case letters, digits and - only";
                    faults.push(Fault::error(path, 1, reason));
                }
            }
        }
        names.sort();
        for name in names {
            commands.load_one(sources, name, before, faults);
        }
        Ok(commands)
    }

    fn load_one(
        &mut self,
        sources: &DefinitionSources,
        name: String,
        before: Option<&Catalogue>,
        faults: &mut Vec<Fault>,
    ) {
        let directory = sources.commands.join(&name);
        let read = read_definition(
            &directory.join("metadata.yaml"),
            METADATA_LIMIT,
            sources.trust,
        )
        .and_then(|text| Ok((text, list_scripts(&directory, sources.trust)?)));
        let (command, found) = match read {
            Ok((text, listing)) => read_command(&name, without_mark(&text), listing),
            Err(fault) => (None, vec![fault]),
        };
        let reason = found
            .iter()
            .find(|fault| fault.is_error())
            .map(|fault| fault.brief().to_owned());
        faults.extend(found);
        let known = before.and_then(|before| before.commands.get(&name));
        match (command, known) {
            // The same value again keeps its place in memory.
            (Some(command), Some(known)) if **known == command => {
                self.good.insert(name, Arc::clone(known));
            }
            (Some(command), _) => _ = self.good.insert(name, Arc::new(command)),
            (None, Some(known)) => _ = self.good.insert(name, Arc::clone(known)),
            (None, None) => _ = self.broken.insert(name, reason.unwrap_or_default()),
        }
    }
}

/// Lists the scripts of a command's directory.
fn list_scripts(directory: &Path, trust: Trust) -> Result<ScriptListing, Fault> {
    let unreadable = |error| {
        let reason = format!("cannot read the directory: {error}");
        Fault::error(directory, 1, reason)
            .with_brief("its directory cannot be read")
            .caused_by(&error)
    };
    let mut listing = ScriptListing {
        directory: directory.to_owned(),
        scripts: BTreeMap::new(),
        unusable: BTreeMap::new(),
        nameless: Vec::new(),
    };
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let path = entry.path();
        let Some((rank, extension)) = name.to_str().and_then(rank_of) else {
            if is_named_as_script(&name) && path.is_file() {
                listing.nameless.push(path);
            }
            continue;
        };
        if path.is_dir() {
            continue;
        }
        match open_script(&path, trust) {
            Ok(_) => found.entry(rank.to_owned()).or_default().push(path),
            // Which scripts there are is not known now.
            Err(error) if error.is_transient() => {
                return Err(unusable_fault(&path, &error).caused_by(&error));
            }
            // Only a .sh is surely meant as a script: other files may be the scripts' data.
            Err(error) if extension == "sh" => {
                let fault = unusable_fault(&path, &error);
                listing.unusable.insert(rank.to_owned(), fault);
            }
            Err(_) => {}
        }
    }
    for (rank, mut scripts) in found {
        scripts.sort();
        match scripts.as_slice() {
            [script] => _ = listing.scripts.insert(rank, script.clone()),
            [first, second, ..] => {
                let reason = format!("{} is there too; one script a rank", shown::file(first));
                let fault = Fault::error(second, 1, reason);
                let fault = fault.with_brief("another script has the same rank");
                listing.unusable.insert(rank, fault);
            }
            [] => {}
        }
    }
    listing.nameless.sort();
    // Which of two was meant is not known, also when only one of them can run.
    listing
        .scripts
        .retain(|rank, _| !listing.unusable.contains_key(rank));
    Ok(listing)
}

fn unusable_fault(script: &Path, error: &UnusableScript) -> Fault {
    Fault::error(script, 1, error.to_string()).with_brief(error.brief())
}

/// Whether the name looks like that of a script: it ends so, and is not hidden like the copies of editors.
fn is_named_as_script(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".sh") && !name.starts_with(b".")
}

/// Why a script cannot be run.
#[derive(Debug, Error)]
pub(super) enum UnusableScript {
    /// The file itself.
    #[error(transparent)]
    Script(#[from] ScriptFileError),
    /// Others can have written it.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
}

impl UnusableScript {
    /// The same for callers, without paths and remedies.
    fn brief(&self) -> Cow<'static, str> {
        match self {
            UnusableScript::Script(error) => error.brief(),
            UnusableScript::Untrusted(error) => error.brief().into(),
        }
    }

    /// True when it could not be looked at, which says nothing of the script.
    pub(super) fn is_transient(&self) -> bool {
        is_caused_by_transient(self)
    }
}

/// Checks that a script can be run, and that only its admin can have written it. Returns it, open.
///
/// # Errors
/// See [`UnusableScript`].
pub(super) fn open_script(script: &Path, trust: Trust) -> Result<fs::File, UnusableScript> {
    let file = check_script(script)?;
    trust.check(script)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
