//! The API over gRPC: the only room, with `app`, that knows tonic.
//!
//! A method decodes its request, asks the room that knows, and answers or streams what the
//! record says. It owns nothing: a caller that goes away takes nothing with it.

mod access;
mod access_control;
mod auth_failure;
mod authentication;
mod call_metrics;
mod call_pipeline;
mod cancel_run;
mod catch_panic;
mod denial_audit;
mod events;
mod explain;
mod get_run;
mod grpc_only;
mod health;
mod list_commands;
mod list_nodes;
mod list_runs;
mod page;
mod peer;
mod plan_run;
mod planning;
mod resolved;
mod revocable_answer;
mod run_command;
mod runs;
mod sights;
mod status;
mod verdicts;
mod watch_run;
mod whole_request;

use action_proto::v1::{
    CancelRunRequest, CancelRunResponse, GetRunRequest, GetRunResponse, ListCommandsRequest,
    ListCommandsResponse, ListNodesRequest, ListNodesResponse, ListRunsRequest, ListRunsResponse,
    PlanRunRequest, PlanRunResponse, RunCommandRequest, RunCommandResponse, WatchRunRequest,
    WatchRunResponse,
    action_service_server::{ActionService, ActionServiceServer},
};
use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    audit::Audit,
    auth::{Authority, Caller},
    definitions::{Definitions, PlanDigests},
    holder_limiter::{HolderLimiter, HolderPermit},
    run::RunRegistry,
};

pub(crate) use access::CallerAccess;
use access_control::AccessControl;
pub(crate) use auth_failure::AuthFailures;
pub(crate) use authentication::Authenticator;
pub(crate) use call_metrics::CallCounter;
pub(crate) use call_pipeline::CallPipeline;
pub(crate) use health::{HealthInputs, report_health};
pub(crate) use resolved::resolve_policy;

/// The longest request, in bytes: the arguments of a run are at most 256 KiB.
const REQUEST_LIMIT: usize = 512 * 1024;

/// The optional request fields that this server knows, for clients that depend on one. A new field
/// that restricts a run or adds to its input goes here.
const FEATURES: [&str; 2] = ["plan_digest", "reason"];

/// The service `action.v1.ActionService`.
pub(crate) struct GrpcService {
    doors: AccessControl,
    runs: RunRegistry,
    audit: Audit,
    plan_digests: PlanDigests,
    streams: HolderLimiter<String>,
}

impl GrpcService {
    /// The service, ready to be routed to.
    pub(crate) fn into_server(
        authority: Arc<Authority>,
        definitions: Definitions,
        runs: RunRegistry,
        audit: Audit,
        plan_digests: PlanDigests,
        streams_per_subject: usize,
    ) -> ActionServiceServer<GrpcService> {
        let doors = AccessControl::new(authority, definitions);
        tokio::spawn(doors.clone().keep_resolved());
        let service = GrpcService {
            doors,
            runs,
            audit,
            plan_digests,
            streams: HolderLimiter::new(usize::MAX, streams_per_subject),
        };
        ActionServiceServer::new(service).max_decoding_message_size(REQUEST_LIMIT)
    }

    /// A place for a stream of the caller.
    fn stream_place(&self, caller: &Caller) -> Result<HolderPermit<String>, Status> {
        let place = self.streams.take(caller.subject.clone());
        place.ok_or_else(|| {
            let most = self.streams.most_per_holder();
            let text = format!("you follow {most} runs, the limit (limits.streams_per_subject); end some, or try again later");
            Status::resource_exhausted(text)
        })
    }
}

#[tonic::async_trait]
impl ActionService for GrpcService {
    type RunCommandStream = events::MessageStream<RunCommandResponse>;
    type WatchRunStream = events::MessageStream<WatchRunResponse>;

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let asked = denial_audit::requested(&request);
        let answer = list_nodes::list_nodes(self, &request);
        denial_audit::audit_denial(&self.audit, "ListNodes", asked, answer).await
    }

    async fn list_commands(
        &self,
        request: Request<ListCommandsRequest>,
    ) -> Result<Response<ListCommandsResponse>, Status> {
        let asked = denial_audit::requested(&request);
        let answer = list_commands::list_commands(self, &request);
        denial_audit::audit_denial(&self.audit, "ListCommands", asked, answer).await
    }

    async fn plan_run(
        &self,
        request: Request<PlanRunRequest>,
    ) -> Result<Response<PlanRunResponse>, Status> {
        let it = request.get_ref();
        let asked = denial_audit::requested_nodes(&request, &it.command, &it.nodes, &it.arguments);
        let answer = plan_run::plan_run(self, request).await;
        denial_audit::audit_denial(&self.audit, "PlanRun", asked, answer).await
    }

    async fn run_command(
        &self,
        request: Request<RunCommandRequest>,
    ) -> Result<Response<Self::RunCommandStream>, Status> {
        let it = request.get_ref();
        let asked = denial_audit::requested_nodes(&request, &it.command, &it.nodes, &it.arguments);
        let answer = run_command::run_command(self, request).await;
        denial_audit::audit_denial(&self.audit, "RunCommand", asked, answer).await
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let asked = denial_audit::requested(&request);
        let answer = watch_run::watch_run(self, &request).await;
        denial_audit::audit_denial(&self.audit, "WatchRun", asked, answer).await
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let asked = denial_audit::requested(&request);
        let answer = list_runs::list_runs(self, request).await;
        denial_audit::audit_denial(&self.audit, "ListRuns", asked, answer).await
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<GetRunResponse>, Status> {
        let asked = denial_audit::requested(&request);
        let answer = get_run::get_run(self, &request).await;
        denial_audit::audit_denial(&self.audit, "GetRun", asked, answer).await
    }

    async fn cancel_run(
        &self,
        request: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        let asked = denial_audit::requested(&request);
        let answer = cancel_run::cancel_run(self, &request).await;
        denial_audit::audit_denial(&self.audit, "CancelRun", asked, answer).await
    }
}
