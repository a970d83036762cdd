//! The typed calls to the server. Only here is tonic named.

mod answer;
mod certificate_fault;
mod endpoint;
mod login;
mod status;
mod tls;

use crate::config::{Config, shown_url};
use crate::error::{CliError, ErrorKind, Result};
use action_proto::v1::action_service_client::ActionServiceClient;
use action_proto::v1::{
    CancelRunRequest, Command, GetRunRequest, Job, ListCommandsRequest, ListNodesRequest,
    ListRunsRequest, Node, PlanRunRequest, PlanRunResponse, Run, RunCommandRequest,
    RunCommandResponse, RunEvent, WatchRunRequest, WatchRunResponse,
};
use answer::{CheckedChannel, NotGrpc, StreamEnding};
use certificate_fault::CertificateFault;
use login::TokenLogin;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

/// The header with a run's id before its first event; `none` in an error: nothing was started.
const RUN_ID: &str = "action-run-id";
/// The largest answer that is taken: a run of 10,000 jobs with messages must fit.
const LARGEST_MESSAGE: usize = 64 << 20;

/// A connection to the server. Cheap to clone; it is made again by itself after a loss.
#[derive(Clone)]
pub(crate) struct Connection {
    client: ActionServiceClient<CheckedChannel>,
    login: Arc<TokenLogin>,
    timeout: Duration,
    base_url: String,
    /// The optional request fields that the server knows, once it was asked for its commands.
    features: Arc<OnceLock<Vec<String>>>,
}

/// The events of one run as they come in.
pub(crate) struct EventStream {
    messages: EventMessages,
    ending: StreamEnding,
}

enum EventMessages {
    Started(Box<Streaming<RunCommandResponse>>),
    Watched(Box<Streaming<WatchRunResponse>>),
}

impl EventStream {
    fn new<M>(response: Response<M>, messages: fn(Box<M>) -> EventMessages) -> Self {
        let ending = response.extensions().get::<StreamEnding>().cloned();
        Self {
            messages: messages(Box::new(response.into_inner())),
            ending: ending.unwrap_or_default(),
        }
    }

    /// The next event; None at the end. A future that is dropped loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<RunEvent>> {
        let next = match &mut self.messages {
            EventMessages::Started(stream) => {
                stream.message().await.map(|it| it.map(|it| it.event))
            }
            EventMessages::Watched(stream) => {
                stream.message().await.map(|it| it.map(|it| it.event))
            }
        };
        match next {
            Ok(None) => Ok(None),
            Ok(Some(Some(event))) => Ok(Some(event)),
            Ok(Some(None)) => Err(CliError::new(
                ErrorKind::Lost,
                "the server sent a message without an event",
            )),
            Err(status) if self.ending.has_come() || status::is_of_transport(&status) => {
                Err(status::to_error(status))
            }
            // As when a web server writes its page of HTML into the stream.
            Err(status) => {
                let message = "the stream broke off without the server's word";
                let error = CliError::new(ErrorKind::Connection, message);
                Err(error.caused_by(status.message()))
            }
        }
    }
}

impl Connection {
    /// Connects. `timeout` is the longest for that and for each call with one answer.
    pub(crate) async fn open(config: &Config, timeout: Duration) -> Result<Self> {
        let base_url = shown_url(&config.base_url);
        let unreachable = |cause: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("cannot reach the server at {}", shown_url(&config.base_url));
            status::with_cause(CliError::new(ErrorKind::Connection, message), cause)
        };
        let endpoint = endpoint::build_endpoint(config, timeout)?;
        let channel = within_limit(timeout, endpoint.connect())
            .await
            .map_err(|cause| unreachable(cause.into()))?
            .map_err(|cause| unreachable(cause.into()))?;
        // The path of base_url goes before the path of each method.
        let client =
            ActionServiceClient::with_origin(CheckedChannel(channel), config.base_url.clone())
                .max_decoding_message_size(LARGEST_MESSAGE);
        Ok(Self {
            client,
            login: Arc::new(TokenLogin::new(config)?),
            timeout,
            base_url,
            features: Arc::default(),
        })
    }

    /// Reads the token again, from where it may have been replaced.
    pub(crate) async fn renew_token(&self) -> Result<()> {
        self.login.renew().await
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.login.header());
        request
    }

    /// Waits for the answer of a call that has one.
    async fn wait_for_answer<M>(
        &self,
        call: impl Future<Output = Result<Response<M>, Status>>,
    ) -> Result<M> {
        match within_limit(self.timeout, call).await {
            Ok(answer) => answer
                .map(Response::into_inner)
                .map_err(|status| self.call_error(status)),
            Err(late) => {
                let message = format!("the server at {} does not answer", self.base_url);
                Err(CliError::new(ErrorKind::Connection, message).caused_by(late))
            }
        }
    }

    /// Waits for the beginning of a stream.
    async fn wait_for_headers<M>(
        &self,
        call: impl Future<Output = Result<Response<M>, Status>>,
    ) -> Result<Response<M>, Status> {
        within_limit(self.timeout, call)
            .await
            .unwrap_or_else(|late| Err(Status::deadline_exceeded(late.to_string())))
    }

    /// The error of a call, which names the server if it was not reached.
    fn call_error(&self, status: Status) -> CliError {
        if let Some(other) = status::source::<NotGrpc>(&status) {
            let message = format!("the answer from {} is not gRPC: {other}", self.base_url);
            let hint = if other.may_have_been_passed_on() {
                "a web server answered by itself: the Action server behind it may not be running, or \
                         `base_url` may have a wrong path; the web server's error log says more"
            } else {
                "`base_url` may be wrong, also in its path, as in https://gateway1/action: what answers \
                          there is no Action server, nor does it pass calls on to one"
            };
            return CliError::new(ErrorKind::Connection, message).hint(hint);
        }
        if status::is_of_transport(&status) {
            let message = format!("the call to the server at {} failed", self.base_url);
            let cause: Box<dyn std::error::Error + Send + Sync> =
                match CertificateFault::of(&status) {
                    Some(_) => status.into(),
                    None => status::to_error(status).into(),
                };
            return status::with_cause(CliError::new(ErrorKind::Connection, message), cause);
        }
        status::to_error(status)
    }

    /// Every command, in the server's order.
    pub(crate) async fn list_commands(&self) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = self.request(ListCommandsRequest {
                page_token,
                page_size: 0,
            });
            let mut client = self.client.clone();
            let page = self.wait_for_answer(client.list_commands(request)).await?;
            commands.extend(page.commands);
            // The same on each page.
            _ = self.features.set(page.features);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(commands);
            }
        }
    }

    /// Whether the server said with its commands that it knows this optional field.
    pub(crate) fn has_feature(&self, name: &str) -> bool {
        let features = self.features.get();
        features.is_some_and(|features| features.iter().any(|feature| feature == name))
    }

    /// The nodes of a set, or all for an empty one, without those excluded, in the server's order.
    pub(crate) async fn list_nodes(&self, set: &str, exclude: &str) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = self.request(ListNodesRequest {
                nodes: set.into(),
                page_token,
                page_size: 0,
                exclude: exclude.into(),
            });
            let mut client = self.client.clone();
            let page = self.wait_for_answer(client.list_nodes(request)).await?;
            nodes.extend(page.nodes);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(nodes);
            }
        }
    }

    /// What a run would do.
    pub(crate) async fn plan_run(&self, request: PlanRunRequest) -> Result<PlanRunResponse> {
        let mut client = self.client.clone();
        self.wait_for_answer(client.plan_run(self.request(request)))
            .await
    }

    /// Starts a run: its id, when the server says it ahead, and its events.
    pub(crate) async fn run_command(
        &self,
        request: RunCommandRequest,
    ) -> Result<(Option<String>, EventStream)> {
        let mut client = self.client.clone();
        // The headers come before any output, once the run is recorded.
        let response = match self
            .wait_for_headers(client.run_command(self.request(request)))
            .await
        {
            Ok(response) => response,
            // The request was on its way; it may have arrived.
            Err(status) if status::may_have_started(&status) => {
                let message = "no answer of the server came when the run was started, \
                               so it may or may not run";
                return Err(CliError::new(ErrorKind::Lost, message)
                    .caused_by(self.call_error(status))
                    .hint("`action-client runs` lists the runs that the server knows; look before you repeat it"));
            }
            Err(status) => return Err(self.call_error(status)),
        };
        let id = response
            .metadata()
            .get(RUN_ID)
            .and_then(|id| id.to_str().ok());
        // What stands between may have put anything there.
        let is_id = |id: &&str| {
            !matches!(*id, "" | "none") && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let id = id.filter(is_id).map(str::to_owned);
        Ok((id, EventStream::new(response, EventMessages::Started)))
    }

    /// The events of a run after that sequence.
    pub(crate) async fn watch_run(&self, run_id: &str, after: u64) -> Result<EventStream> {
        let request = WatchRunRequest {
            run_id: run_id.into(),
            after_sequence: after,
        };
        let mut client = self.client.clone();
        let response = self
            .wait_for_headers(client.watch_run(self.request(request)))
            .await;
        let response = response.map_err(|status| self.call_error(status))?;
        Ok(EventStream::new(response, EventMessages::Watched))
    }

    /// The newest runs that match, at most `limit`. Pages may be short or empty.
    pub(crate) async fn list_runs(
        &self,
        mut request: ListRunsRequest,
        limit: usize,
    ) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        while runs.len() < limit {
            request.page_size = i32::try_from(limit - runs.len()).unwrap_or(0);
            let mut client = self.client.clone();
            let page = self.wait_for_answer(client.list_runs(self.request(request.clone())));
            let page = page.await?;
            runs.extend(page.runs);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        runs.truncate(limit);
        Ok(runs)
    }

    /// A run as it is now, and all its jobs.
    pub(crate) async fn get_run(&self, run_id: &str) -> Result<(Run, Vec<Job>)> {
        let mut jobs = Vec::new();
        let mut request = GetRunRequest {
            run_id: run_id.into(),
            ..GetRunRequest::default()
        };
        loop {
            let mut client = self.client.clone();
            let page = self.wait_for_answer(client.get_run(self.request(request.clone())));
            let page = page.await?;
            let Some(run) = page.run else {
                let message = "the server did not describe the run";
                return Err(CliError::new(ErrorKind::Refused, message));
            };
            jobs.extend(page.jobs);
            if page.next_page_token.is_empty() {
                return Ok((run, jobs));
            }
            // Of the same run, also where another one's id begins so by now.
            request.run_id = run.run_id;
            request.page_token = page.next_page_token;
        }
    }

    /// Asks for a run to be stopped: the run as it was then.
    pub(crate) async fn cancel_run(&self, run_id: &str, force: bool) -> Result<Option<Run>> {
        let mut client = self.client.clone();
        let request = self.request(CancelRunRequest {
            run_id: run_id.into(),
            force,
        });
        Ok(self.wait_for_answer(client.cancel_run(request)).await?.run)
    }
}

/// The limit of a call that was not answered.
#[derive(Debug)]
struct AnswerTimeout(Duration);

impl fmt::Display for AnswerTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {}", humantime::format_duration(self.0))
    }
}

impl std::error::Error for AnswerTimeout {}

async fn within_limit<T>(
    limit: Duration,
    future: impl Future<Output = T>,
) -> Result<T, AnswerTimeout> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_| AnswerTimeout(limit))
}
