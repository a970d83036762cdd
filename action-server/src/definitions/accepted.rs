//! What the state directory keeps of the nodes: those that were accepted last, so that a start finds
//! what a running server had, and which edit of the nodes file the admin accepted.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
};

use super::{
    DefinitionSources, digest_of,
    text::{open_file, read_text, unreadable_fault},
};
use crate::{
    atomic_file::{self, Ownership},
    catalogue::{Nodes, read_accepted, write_accepted},
    shown,
    yaml::Fault,
};

/// The nodes and groups that were accepted last.
const NODES: &str = "nodes.json";
/// The SHA-256 of the nodes file that `accept-nodes` accepted.
const APPROVAL: &str = "nodes.accept";
/// The largest file of accepted nodes, in bytes: merged keys make it larger than the nodes file.
const NODES_LIMIT: u64 = 256 << 20;
const APPROVAL_LIMIT: u64 = 1024;

/// The nodes that were accepted last, and the digest of their file.
pub(super) struct AcceptedNodes {
    pub(super) nodes: Arc<Nodes>,
    pub(super) digest: String,
}

/// Reads the accepted nodes. A file that cannot be used is a warning, and counts as absent.
pub(super) fn read_nodes(
    sources: &DefinitionSources,
    faults: &mut Vec<Fault>,
) -> Option<AcceptedNodes> {
    let path = sources.state.join(NODES);
    let read = read_own(sources, NODES, NODES_LIMIT).and_then(|text| {
        text.map(|text| {
            let (file, found) = read_accepted(&path, &text)?;
            Ok((file, found, digest_of(text.as_bytes())))
        })
        .transpose()
    });
    match read {
        Ok(None) => None,
        Ok(Some((file, found, digest))) => {
            let found = found.into_iter();
            faults.extend(found.map(|it| Fault::warning(it.file, it.line, it.reason)));
            let visible = sources.visible_metadata.clone();
            // The nodes file has given the warnings of groups.
            let (nodes, _) = Nodes::build(file, None, visible);
            Some(AcceptedNodes {
                nodes: Arc::new(nodes),
                digest,
            })
        }
        Err(fault) => {
            let reason = format!(
                "the accepted nodes cannot be used: {}; the nodes file is used as it is",
                fault.reason
            );
            faults.push(Fault {
                is_transient: fault.is_transient,
                ..Fault::warning(path, fault.line, reason)
            });
            None
        }
    }
}

/// Keeps nodes as those that were accepted last, unless they are what the file with the digest
/// `known` has. Returns the digest of the file. Blocks for the disk.
///
/// # Errors
/// The file cannot be written.
pub(super) fn keep_nodes(
    sources: &DefinitionSources,
    nodes: &Nodes,
    known: Option<&str>,
) -> Result<String, Fault> {
    let failed = |reason: String| {
        let reason = format!(
            "cannot keep the accepted nodes: {reason}; the next start may not find what is in use now"
        );
        Fault::error(sources.state.join(NODES), 1, reason)
    };
    let text = write_accepted(nodes).map_err(|error| failed(error.to_string()))?;
    let digest = digest_of(&text);
    if known == Some(&digest) {
        return Ok(digest);
    }
    if u64::try_from(text.len()).is_ok_and(|size| size > NODES_LIMIT) {
        return Err(failed(format!("they would take {} bytes", text.len())));
    }
    let is_first = !sources.state.join(NODES).exists();
    write_own(sources, NODES, &text)
        .map_err(|error| failed(error.to_string()).caused_by(&error))?;
    if is_first {
        let nodes = nodes.list().len();
        tracing::info!(nodes, "keeping the accepted nodes from now on");
    }
    Ok(digest)
}

/// The digest of the nodes file that the admin accepted, if there is one.
///
/// # Errors
/// It cannot be read or trusted.
pub(super) fn read_approval(sources: &DefinitionSources) -> Result<Option<String>, Fault> {
    let text = read_own(sources, APPROVAL, APPROVAL_LIMIT)?;
    Ok(text.map(|text| text.trim().to_owned()))
}

/// Accepts the nodes file with this digest. Blocks for the disk.
///
/// # Errors
/// The state directory cannot be written.
pub(super) fn write_approval(sources: &DefinitionSources, digest: &str) -> io::Result<()> {
    write_own(sources, APPROVAL, format!("{digest}\n").as_bytes())
}

/// Forgets what the admin accepted: it was for one edit, which is in use or gone.
pub(super) fn forget_approval(sources: &DefinitionSources) {
    match fs::remove_file(approval_path(sources)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = approval_path(sources);
            tracing::warn!(path = %shown::file(&path), %error, "cannot remove the file");
        }
        _ => {}
    }
}

/// The file that [`write_approval`] writes.
pub(super) fn approval_path(sources: &DefinitionSources) -> PathBuf {
    sources.state.join(APPROVAL)
}

/// Reads a file of the state directory; `None` where it is not there. It must be of the directory's
/// owner or of root, also where root reads for a server of another user.
fn read_own(sources: &DefinitionSources, name: &str, limit: u64) -> Result<Option<String>, Fault> {
    let path = sources.state.join(name);
    let unreadable = |error: io::Error| unreadable_fault(&path, &error);
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    let file: File = match open_file(&path) {
        Ok(file) => file,
        Err(error) if absent.contains(&error.kind()) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let owner = fs::metadata(&sources.state).map_err(unreadable)?.uid();
    let checked = sources.trust.check_for(&path, owner);
    checked.map_err(|reason| {
        Fault::error(&path, 1, format!("not trusted: {reason}")).caused_by(&reason)
    })?;
    read_text(&path, file, limit).map(Some)
}

/// Replaces a file of the state directory, which is the directory's owner's alone.
fn write_own(sources: &DefinitionSources, name: &str, text: &[u8]) -> io::Result<()> {
    let ownership = Ownership {
        permissions: Permissions::from_mode(0o600),
        ..Ownership::of(&fs::metadata(&sources.state)?)
    };
    atomic_file::replace(&sources.state.join(name), text, &ownership)
}
