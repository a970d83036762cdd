//! Reads the nodes file and the command directory into a catalogue.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::OFlags;

use super::{Sources, tree_trust};
use crate::{
    catalogue::{
        Catalogue, Command, Listing, Nodes, is_command_name, rank_of, read_command, read_nodes,
    },
    process::{ScriptError, check_script, give_back_memory},
    trust::{Trust, others_can_read},
    yaml::Fault,
};

/// The largest nodes file and metadata file that are read, in bytes.
const NODES_LIMIT: u64 = 64 << 20;
const METADATA_LIMIT: u64 = 1 << 20;

/// Reads everything. What is broken keeps what it was in `before`, where there is one.
///
/// # Errors
/// The first time: the nodes file or the command directory as a whole cannot be read.
pub fn load(
    sources: &Sources,
    before: Option<&Catalogue>,
) -> Result<(Catalogue, Vec<Fault>), Fault> {
    let mut faults = Vec::new();
    // On a reload, a file or directory that is gone as a whole keeps what it was too.
    let nodes = match (load_nodes(sources, before, &mut faults), before) {
        (Ok(nodes), _) => Arc::new(nodes),
        (Err(fault), Some(before)) => {
            faults.push(fault);
            Arc::clone(&before.nodes)
        }
        (Err(fault), None) => return Err(fault),
    };
    let commands = match (Commands::load(sources, before, &mut faults), before) {
        (Ok(commands), _) => commands,
        (Err(fault), Some(before)) => {
            faults.push(fault);
            Commands {
                good: before.commands.clone(),
                broken: before.broken.clone(),
            }
        }
        (Err(fault), None) => return Err(fault),
    };
    let is_command =
        |name: &str| commands.good.contains_key(name) || commands.broken.contains_key(name);
    let (untrusted, found) = tree_trust::look(&sources.commands, is_command, sources.trust);
    faults.extend(found);
    let catalogue = Catalogue {
        nodes,
        commands: commands.good,
        broken: commands.broken,
        untrusted,
        script_root: sources.commands.clone(),
        node_limit: sources.node_limit,
    };
    give_back_memory();
    Ok((catalogue, faults))
}

fn load_nodes(
    sources: &Sources,
    before: Option<&Catalogue>,
    faults: &mut Vec<Fault>,
) -> Result<Nodes, Fault> {
    let path = &sources.nodes;
    let text = read(path, NODES_LIMIT, sources.trust)?;
    let (file, found) = read_nodes(path, &text)?;
    faults.extend(found);
    let visible = sources.visible_metadata.clone();
    let (nodes, groups) = Nodes::build(
        file,
        before.map(|before| &*before.nodes),
        visible,
        sources.node_limit,
    );
    let holds_secrets = nodes.list().iter().any(|node| !node.secret_keys.is_empty());
    if holds_secrets && sources.trust == Trust::Strict && others_can_read(path) {
        let reason = format!(
            "it holds secrets, and every user of this machine can read it; run: chmod 640 {}, and chgrp to the server's group where it does not run as root",
            path.display()
        );
        faults.push(Fault::warning(path, 1, reason));
    }
    for (group, reason) in groups {
        let line = crate::yaml::line_of(
            &text,
            &[
                crate::yaml::Step::Key("__groups__"),
                crate::yaml::Step::Key(&group),
            ],
        );
        faults.push(Fault::error(
            path,
            line,
            format!("group {group} is left out: {reason}"),
        ));
    }
    Ok(nodes)
}

#[derive(Default)]
struct Commands {
    good: BTreeMap<String, Arc<Command>>,
    broken: BTreeMap<String, String>,
}

impl Commands {
    fn load(
        sources: &Sources,
        before: Option<&Catalogue>,
        faults: &mut Vec<Fault>,
    ) -> Result<Commands, Fault> {
        let root = &sources.commands;
        let unreadable = |error| {
            Fault::error(
                root,
                1,
                format!("cannot read the command directory: {error}"),
            )
        };
        trusted(root, sources.trust)?;
        let mut commands = Commands::default();
        let mut names = Vec::new();
        for entry in fs::read_dir(root).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            // Folders without metadata.yaml, such as helpers, are the scripts' own business.
            if !path.join("metadata.yaml").exists() {
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
        sources: &Sources,
        name: String,
        before: Option<&Catalogue>,
        faults: &mut Vec<Fault>,
    ) {
        let directory = sources.commands.join(&name);
        let read = read(
            &directory.join("metadata.yaml"),
            METADATA_LIMIT,
            sources.trust,
        )
        .and_then(|text| Ok((text, list(&directory, sources.trust)?)));
        let (command, found) = match read {
            Ok((text, listing)) => read_command(&name, &text, listing),
            Err(fault) => (None, vec![fault]),
        };
        let reason = found
            .iter()
            .find(|fault| fault.is_error())
            .map(|fault| fault.reason.clone());
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
fn list(directory: &Path, trust: Trust) -> Result<Listing, Fault> {
    let unreadable =
        |error| Fault::error(directory, 1, format!("cannot read the directory: {error}"));
    let mut listing = Listing {
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
        match usable(&path, trust) {
            Ok(_) => found.entry(rank.to_owned()).or_default().push(path),
            // Only a .sh is surely meant as a script: other files may be the scripts' data.
            Err(error) if extension == "sh" => {
                listing.unusable.insert(rank.to_owned(), (path, error));
            }
            Err(_) => {}
        }
    }
    for (rank, mut scripts) in found {
        scripts.sort();
        match scripts.as_slice() {
            [script] => _ = listing.scripts.insert(rank, script.clone()),
            [first, second, ..] => {
                let reason = format!("{} is there too; one script a rank", first.display());
                listing.unusable.insert(rank, (second.clone(), reason));
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

/// Whether somebody may take it for a script: it ends so, and is not hidden, as what editors leave.
fn is_named_as_script(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".sh") && !name.starts_with(b".")
}

/// Checks that a script can be run, and that only its admin can have written it. Returns it, open.
///
/// One that cannot be looked at, as the server has too much open, may pass: that says nothing of
/// the script, and a run needs descriptors itself before it gets that far.
pub(super) fn usable(script: &Path, trust: Trust) -> Result<Opened, String> {
    let opened = match check_script(script) {
        Err(ScriptError::Unreadable(error)) if is_shortage(&error) => Err(error),
        checked => Ok(checked.map_err(|error| error.to_string())?),
    };
    trust.check(script).map_err(|error| error.to_string())?;
    Ok(opened)
}

/// A script that can be run, or the shortage that it could not be looked at for.
pub(super) type Opened = io::Result<fs::File>;

/// EMFILE or ENFILE: the process or the machine has as many open files as it may have.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let code = rustix::io::Errno::from_io_error(error);
    matches!(
        code,
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    )
}

fn trusted(path: &Path, trust: Trust) -> Result<(), Fault> {
    trust
        .check(path)
        .map_err(|reason| Fault::error(path, 1, format!("not trusted: {reason}")))
}

/// Reads a definition's text. Never blocks on what is no file, never reads beyond `limit`.
fn read(path: &Path, limit: u64, trust: Trust) -> Result<String, Fault> {
    let fault = |reason: String| Fault::error(path, 1, reason);
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = fs::File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| fault(format!("cannot read it: {error}")))?;
    let metadata = file
        .metadata()
        .map_err(|error| fault(format!("cannot read it: {error}")))?;
    if !metadata.is_file() {
        return Err(fault("it is not a regular file".into()));
    }
    trusted(path, trust)?;
    if metadata.len() > limit {
        return Err(fault(format!(
            "it has {} bytes, more than {limit}",
            metadata.len()
        )));
    }
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| fault(format!("cannot read it: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|&&b| b == b'\n')
            .count();
        Fault::error(path, line, "it is not UTF-8 text")
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

#[cfg(test)]
mod tests;
