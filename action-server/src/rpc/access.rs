//! Whether a caller may do what it asks. Every method asks here.

use std::collections::HashSet;

use action_proto::v1::RunStarted;
use tonic::{Request, Status};

use crate::{
    auth::Caller,
    catalogue::{Catalogue, Plan},
};

/// The caller that the guard let pass.
pub(super) fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    // The guard puts it there; a call that came another way is nobody's.
    request
        .extensions()
        .get::<Caller>()
        .ok_or_else(|| Status::unauthenticated("a valid token is needed"))
}

/// The nodes that a caller may use: `None` for all.
pub(super) fn allowed_nodes(caller: &Caller, catalogue: &Catalogue) -> Option<HashSet<String>> {
    let set = caller.grant.nodes.as_ref()?;
    // A set that names what is no longer there allows what is left of it: nothing.
    let nodes = catalogue
        .nodes
        .select(set, "", catalogue.node_limit)
        .unwrap_or_default();
    Some(nodes.iter().map(|node| node.name.clone()).collect())
}

/// Refuses a command that the caller may not run, before anything is said about it.
pub(super) fn command(caller: &Caller, command: &str) -> Result<(), Status> {
    match caller.grant.allows_command(command) {
        true => Ok(()),
        false => Err(Status::permission_denied(
            "the token does not allow this command",
        )),
    }
}

/// Refuses a plan with a node that the caller may not use. One is enough: then nothing runs.
pub(super) fn plan(caller: &Caller, catalogue: &Catalogue, plan: &Plan) -> Result<(), Status> {
    let Some(allowed) = allowed_nodes(caller, catalogue) else {
        return Ok(());
    };
    let forbidden = plan
        .jobs
        .iter()
        .map(|job| job.node_name())
        .filter(|name| !allowed.contains(*name));
    let forbidden = action_proto::fold(forbidden);
    if forbidden.is_empty() && plan.command.has_context {
        return Ok(());
    }
    Err(Status::permission_denied(match plan.command.has_context {
        true => format!("the token does not allow {forbidden}; nothing was run"),
        false => "the token allows some nodes only, and this command runs on none".to_owned(),
    }))
}

/// True for a run that the caller may see and stop: one that it might have started. Of any
/// other it is told what it would be told of one that is not there.
pub(super) fn run(caller: &Caller, catalogue: &Catalogue, run: &RunStarted) -> bool {
    if !caller.grant.allows_command(&run.command) {
        return false;
    }
    match allowed_nodes(caller, catalogue) {
        Some(allowed) => {
            !run.nodes.is_empty() && run.nodes.iter().all(|node| allowed.contains(node))
        }
        None => true,
    }
}
