//! Whether a caller may do what it asks. Every method asks here.

use std::{collections::HashSet, sync::Arc};

use action_proto::v1::RunStarted;
use tonic::{Request, Status};

use crate::{
    auth::{Caller, Grant},
    catalogue::{Catalogue, Plan},
};

/// The caller that the guard let pass.
pub(super) fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    // The guard puts it there; a call that came another way is nobody's.
    let caller = request.extensions().get::<Caller>();
    caller.ok_or_else(|| Status::unauthenticated("a valid token is needed"))
}

/// What one caller may do with one catalogue.
pub(super) struct Access {
    grant: Grant,
    catalogue: Arc<Catalogue>,
    /// The nodes it may use: `None` for all.
    nodes: Option<HashSet<String>>,
}

impl Access {
    /// Works out what a caller may do.
    pub(super) fn new(caller: &Caller, catalogue: Arc<Catalogue>) -> Access {
        let nodes = caller.grant.nodes.as_ref().map(|set| {
            // A set that cannot be resolved whole, as with a node that is gone, allows none: what
            // was meant by it is not known any more.
            let nodes = catalogue
                .nodes
                .select(set, "", catalogue.node_limit)
                .unwrap_or_default();
            nodes.iter().map(|node| node.name.clone()).collect()
        });
        Access {
            grant: caller.grant.clone(),
            catalogue,
            nodes,
        }
    }

    /// The catalogue that all of this is about.
    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// True for a caller whose token narrows nothing.
    pub(super) fn allows_all(&self) -> bool {
        self.nodes.is_none() && self.grant.commands.is_none()
    }

    /// True for a node that the caller may use.
    pub(super) fn allows_node(&self, name: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(name))
    }

    /// True for a command that the caller may run.
    pub(super) fn allows_command(&self, name: &str) -> bool {
        self.grant.allows_command(name)
    }

    /// True for a run that the caller may see and stop: one that it might have started. Of any
    /// other it is told what it would be told of one that is not there.
    pub(super) fn allows_run(&self, run: &RunStarted) -> bool {
        let is_of_nodes = self.nodes.is_none() || !run.nodes.is_empty();
        is_of_nodes
            && self.allows_command(&run.command)
            && run.nodes.iter().all(|node| self.allows_node(node))
    }

    /// Refuses a command that the caller may not run, before anything is said about it.
    pub(super) fn check_command(&self, name: &str) -> Result<(), Status> {
        match self.allows_command(name) {
            true => Ok(()),
            false => Err(Status::permission_denied(
                "the token does not allow this command",
            )),
        }
    }

    /// Refuses a plan with a node that the caller may not use. One is enough: then nothing runs.
    pub(super) fn check_plan(&self, plan: &Plan) -> Result<(), Status> {
        if self.nodes.is_some() && !plan.command.has_context {
            let text = "the token allows some nodes only, and this command runs on none";
            return Err(Status::permission_denied(text));
        }
        if !plan.command.has_context {
            return Ok(());
        }
        let names = plan.jobs.iter().map(|job| job.node_name());
        match action_proto::fold(names.filter(|name| !self.allows_node(name))) {
            forbidden if forbidden.is_empty() => Ok(()),
            forbidden => Err(Status::permission_denied(format!(
                "the token does not allow {forbidden}; nothing was run"
            ))),
        }
    }
}
