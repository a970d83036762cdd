//! The nodes file, and what of it is used: joined with the nodes that were accepted before, unless it
//! removes too many of them.

use std::sync::Arc;

use super::{DefinitionSources, accepted, digest_of, text::read_definition};
use crate::{
    catalogue::{GroupFault, Nodes, NodesFile, NodesRemoval, read_nodes},
    shown,
    trust::{Trust, others_can_read},
    yaml::{Fault, Step, line_of, without_mark},
};

/// The largest nodes file that is read, in bytes.
const NODES_LIMIT: u64 = 64 << 20;

/// The nodes in use, and what of the file is not.
pub(super) struct LoadedNodes {
    pub(super) nodes: Arc<Nodes>,
    pub(super) in_file: usize,
    pub(super) held_back: Option<NodesRemoval>,
}

/// Reads the nodes file. What it breaks keeps what it was in `before`; a file that cannot be read at
/// all, or that removes too much, changes nothing.
///
/// # Errors
/// The file cannot be read, and nothing was accepted before.
pub(super) fn load_nodes(
    sources: &DefinitionSources,
    before: Option<&Arc<Nodes>>,
    faults: &mut Vec<Fault>,
) -> Result<LoadedNodes, Fault> {
    let read = read_file(sources);
    let (text, file, found) = match (read, before) {
        (Ok(read), _) => read,
        (Err(fault), None) => return Err(fault),
        (Err(mut fault), Some(before)) => {
            fault.reason += "; the accepted nodes stay in use";
            faults.push(fault);
            return Ok(LoadedNodes {
                nodes: Arc::clone(before),
                in_file: 0,
                held_back: None,
            });
        }
    };
    faults.extend(found);
    let built = build_nodes(sources, file, before);
    if let Some(before) = before {
        let removal = NodesRemoval::new(before, &built.nodes, built.in_file);
        if removal.is_large() && !is_accepted(sources, &text, faults) {
            let reason = format!(
                "the file is not used: {removal}; put them back, or run action-server accept-nodes"
            );
            faults.push(Fault::error(&sources.nodes, 1, reason));
            return Ok(LoadedNodes {
                nodes: Arc::clone(before),
                in_file: removal.in_file,
                held_back: Some(removal),
            });
        }
    }
    Ok(use_file(sources, &text, built, before, faults))
}

/// What of the nodes file is held back, and its text.
///
/// # Errors
/// The file cannot be read.
pub(super) fn held_back(
    sources: &DefinitionSources,
    accepted: &Arc<Nodes>,
) -> Result<(Option<NodesRemoval>, String), Fault> {
    let (text, file, _) = read_file(sources)?;
    let built = build_nodes(sources, file, Some(accepted));
    let removal = Some(NodesRemoval::new(accepted, &built.nodes, built.in_file));
    Ok((removal.filter(NodesRemoval::is_large), text))
}

fn read_file(sources: &DefinitionSources) -> Result<(String, NodesFile, Vec<Fault>), Fault> {
    let text = read_definition(&sources.nodes, NODES_LIMIT, sources.trust)?;
    let (file, faults) = read_nodes(&sources.nodes, without_mark(&text))?;
    Ok((text, file, faults))
}

/// The nodes and groups of a file, joined with those of before.
struct BuiltNodes {
    nodes: Nodes,
    in_file: usize,
    group_faults: Vec<GroupFault>,
}

fn build_nodes(
    sources: &DefinitionSources,
    file: NodesFile,
    before: Option<&Arc<Nodes>>,
) -> BuiltNodes {
    let in_file = file.node_count();
    let visible = sources.visible_metadata.clone();
    let before = before.map(|before| &**before);
    let (nodes, group_faults) = Nodes::build(file, before, visible);
    BuiltNodes {
        nodes,
        in_file,
        group_faults,
    }
}

fn use_file(
    sources: &DefinitionSources,
    text: &str,
    built: BuiltNodes,
    before: Option<&Arc<Nodes>>,
    faults: &mut Vec<Fault>,
) -> LoadedNodes {
    let path = &sources.nodes;
    let nodes = built.nodes;
    let holds_secrets = nodes.list().iter().any(|node| !node.secret_keys.is_empty());
    if holds_secrets && sources.trust == Trust::Strict && others_can_read(path) {
        let reason = format!(
            "it holds secrets, and every user of this machine can read it; run: chmod 640 {}, and chgrp to the server's group where it does not run as root",
            shown::file(path)
        );
        faults.push(Fault::warning(path, 1, reason));
    }
    let was_known = |name: &&str| before.is_some_and(|before| before.get(name).is_some());
    let kept = action_proto::fold(nodes.broken_names().filter(was_known));
    if !kept.is_empty() {
        let reason = format!("the last good definitions of broken nodes stay in use: {kept}");
        faults.push(Fault::warning(path, 1, reason));
    }
    let text = without_mark(text);
    let mut groups: Vec<Fault> = built
        .group_faults
        .into_iter()
        .map(|fault| group_fault(sources, text, fault))
        .collect();
    groups.sort_by_key(|fault| fault.line);
    faults.extend(groups);
    LoadedNodes {
        nodes: Arc::new(nodes),
        in_file: built.in_file,
        held_back: None,
    }
}

fn group_fault(sources: &DefinitionSources, text: &str, fault: GroupFault) -> Fault {
    let GroupFault {
        group,
        is_error,
        reason,
    } = fault;
    let line = line_of(text, &[Step::Key("__groups__"), Step::Key(&group)]);
    if is_error {
        Fault::error(&sources.nodes, line, reason)
    } else {
        Fault::warning(&sources.nodes, line, reason)
    }
}

/// Whether the admin has accepted exactly this text.
fn is_accepted(sources: &DefinitionSources, text: &str, faults: &mut Vec<Fault>) -> bool {
    match accepted::read_approval(sources) {
        Ok(approved) => approved.is_some_and(|approved| approved == digest_of(text.as_bytes())),
        Err(fault) => {
            faults.push(fault);
            false
        }
    }
}
