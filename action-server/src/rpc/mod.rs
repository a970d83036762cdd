//! The API over gRPC: the only room, with `app`, that knows tonic.
//!
//! A method decodes its request, asks the room that knows, and answers or streams what the
//! record says. It owns nothing: a caller that goes away takes nothing with it.

mod access;
mod cancel_run;
mod events;
mod explain;
mod get_run;
mod guard;
mod list_commands;
mod list_nodes;
mod list_runs;
mod page;
mod peer;
mod plan_run;
mod planning;
mod run_command;
mod runs;
mod shield;
mod status;
mod watch_run;

use action_proto::v1::{
    CancelRunRequest, CancelRunResponse, GetRunRequest, GetRunResponse, ListCommandsRequest,
    ListCommandsResponse, ListNodesRequest, ListNodesResponse, ListRunsRequest, ListRunsResponse,
    PlanRunRequest, PlanRunResponse, RunCommandRequest, WatchRunRequest,
    action_service_server::{ActionService, ActionServiceServer},
};
use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    auth::{Authority, Caller},
    definitions::Definitions,
    run::Registry,
};

pub(crate) use access::{Access, resolve};
pub(crate) use guard::Guard;
pub(crate) use shield::Shield;

/// The longest request, in bytes: the arguments of a run are at most 256 KiB.
const REQUEST_LIMIT: usize = 512 * 1024;

/// The service `action.v1.ActionService`.
pub(crate) struct Service {
    authority: Arc<Authority>,
    resolved: access::Resolved,
    definitions: Definitions,
    runs: Registry,
}

impl Service {
    /// The service, ready to be routed to.
    pub(crate) fn serving(
        authority: Arc<Authority>,
        definitions: Definitions,
        runs: Registry,
    ) -> ActionServiceServer<Service> {
        let service = Service {
            authority,
            resolved: access::Resolved::default(),
            definitions,
            runs,
        };
        ActionServiceServer::new(service).max_decoding_message_size(REQUEST_LIMIT)
    }

    /// What a caller may do, as policy and definitions are now.
    fn access(&self, caller: &Caller) -> Access {
        let catalogue = self.definitions.snapshot();
        let rules = self.resolved.rules(&self.authority.policy(), &catalogue);
        Access::new(caller, rules, catalogue)
    }
}

#[tonic::async_trait]
impl ActionService for Service {
    type RunCommandStream = run_command::Events;
    type WatchRunStream = watch_run::Events;

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        list_nodes::list_nodes(self, &request)
    }

    async fn list_commands(
        &self,
        request: Request<ListCommandsRequest>,
    ) -> Result<Response<ListCommandsResponse>, Status> {
        list_commands::list_commands(self, &request)
    }

    async fn plan_run(
        &self,
        request: Request<PlanRunRequest>,
    ) -> Result<Response<PlanRunResponse>, Status> {
        plan_run::plan_run(self, request)
    }

    async fn run_command(
        &self,
        request: Request<RunCommandRequest>,
    ) -> Result<Response<Self::RunCommandStream>, Status> {
        run_command::run_command(self, request).await
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        watch_run::watch_run(self, &request).await
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        list_runs::list_runs(self, request).await
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<GetRunResponse>, Status> {
        get_run::get_run(self, &request).await
    }

    async fn cancel_run(
        &self,
        request: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        cancel_run::cancel_run(self, &request).await
    }
}
