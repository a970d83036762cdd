//! Which files and directories the definitions are in: one of them changed, all are read again.

use super::{DefinitionSources, accepted::approval_path};
use crate::fingerprint::{self, entries};

/// A number that is another one when a definition changed; see [`crate::fingerprint`].
pub(super) fn stamp(sources: &DefinitionSources) -> u64 {
    let mut paths = vec![
        sources.nodes.clone(),
        sources.commands.clone(),
        approval_path(sources),
    ];
    for command in entries(&sources.commands) {
        let files = entries(&command);
        paths.push(command);
        paths.extend(files);
    }
    fingerprint::stamp(paths)
}
