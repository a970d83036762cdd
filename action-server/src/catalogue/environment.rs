//! The environment of a script: built from nothing, and exactly what spec section 1 lists.

use std::path::Path;

use super::PlannedJob;

/// Who runs something, as in the environment of scripts.
#[derive(Debug, Clone, Default)]
pub struct CallerIdentity {
    /// The token's subject.
    pub username: String,
    /// The token's `uid` claim, if it has one.
    pub uid: Option<u64>,
    /// Why, as the caller says; empty when no reason was given.
    pub reason: String,
}

/// The variables of a job's script, each once: the base (PATH, HOME ..), what the admin set for
/// all scripts, those of the run and job, and the node's metadata. Names cannot collide: metadata
/// and the admin's variables may not use ours, and a node's metadata wins over the admin's.
pub fn environment<'a>(
    base: &'a [(String, String)],
    script_root: &'a Path,
    command: &'a str,
    job: &'a PlannedJob,
    run_id: &'a str,
    job_id: &'a str,
    identity: &'a CallerIdentity,
) -> Vec<(&'a str, std::borrow::Cow<'a, str>)> {
    let metadata = job.node.as_ref().map_or(&[][..], |node| &node.metadata);
    let hidden = |key: &str| metadata.iter().any(|(known, _)| known == key);
    let mut variables = Vec::with_capacity(base.len() + metadata.len() + 8);
    for (key, value) in base.iter().filter(|(key, _)| !hidden(key)).chain(metadata) {
        variables.push((key.as_str(), value.as_str().into()));
    }
    variables.push(("SCRIPT_ROOT", script_root.to_string_lossy()));
    variables.push(("command", command.into()));
    variables.push(("name", job.node_name().into()));
    variables.push(("run_id", run_id.into()));
    variables.push(("job_id", job_id.into()));
    variables.push(("request_username", identity.username.as_str().into()));
    let uid = identity.uid.map(|uid| uid.to_string()).unwrap_or_default();
    variables.push(("request_uid", uid.into()));
    variables.push(("request_reason", identity.reason.as_str().into()));
    variables
}
