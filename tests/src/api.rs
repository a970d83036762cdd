//! A caller of the API over TCP, and what it sees of a run. Calls block; each has a ceiling.

use std::{
    future::ready,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::{Duration, Instant},
};

use action_proto::v1::{
    ListCommandsRequest, ListCommandsResponse, ListNodesRequest, ListNodesResponse, NodeFinished,
    OutputStream, PlanRunRequest, PlanRunResponse, RunCommandRequest, RunCommandResponse, RunEvent,
    action_service_client::ActionServiceClient, run_event::Event,
};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinError, JoinSet},
    time::timeout,
};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use crate::wait::CEILING;

mod ended;
mod raw;
mod runs;

pub use ended::Ended;
pub use raw::OpenCall;
pub use runs::{Digest, Watch};

use ended::output_of;
use raw::Raw;

/// The largest message that is taken.
const LARGEST: usize = 64 << 20;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    })
}

#[track_caller]
fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = runtime().block_on(async { timeout(CEILING, future).await });
    result.unwrap_or_else(|_| panic!("{what}: no answer within {CEILING:?}"))
}

/// A request to run a command on a node set.
pub fn on(command: &str, nodes: &str) -> RunCommandRequest {
    RunCommandRequest {
        command: command.to_owned(),
        nodes: nodes.to_owned(),
        ..RunCommandRequest::default()
    }
}

/// The same with arguments for the script.
pub fn with_arguments(command: &str, nodes: &str, arguments: &[&str]) -> RunCommandRequest {
    RunCommandRequest {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        ..on(command, nodes)
    }
}

/// A caller with a connection of its own.
#[derive(Debug, Clone)]
pub struct Api {
    channel: Channel,
    headers: HeaderMap,
}

impl Api {
    /// Connects. Without a token, calls go without authorization.
    #[track_caller]
    pub fn connect(address: SocketAddr, token: Option<&str>) -> Api {
        Api::connect_from(None, address, token)
    }

    /// Connects from an address of this machine, such as another one of loopback.
    #[track_caller]
    pub fn connect_from(own: Option<IpAddr>, address: SocketAddr, token: Option<&str>) -> Api {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.local_address(own);
        let channel = within("connecting", endpoint.connect()).unwrap();
        let api = Api {
            channel,
            headers: HeaderMap::new(),
        };
        let bearer = token.map(|token| format!("Bearer {token}"));
        bearer.into_iter().fold(api, |api, bearer| {
            api.with_header("authorization", bearer.as_bytes())
        })
    }

    /// The same caller with one more header on each call, whatever is in it.
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Api {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        request
    }

    fn client(&self) -> ActionServiceClient<Channel> {
        ActionServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST)
    }

    /// Calls ListNodes.
    #[track_caller]
    pub fn list_nodes(&self, request: ListNodesRequest) -> Result<ListNodesResponse, Status> {
        let call = async { self.client().list_nodes(self.request(request)).await };
        within("ListNodes", call).map(tonic::Response::into_inner)
    }

    /// The names of all nodes.
    #[track_caller]
    pub fn node_names(&self) -> Vec<String> {
        let list = self.list_nodes(ListNodesRequest::default()).unwrap();
        list.nodes.into_iter().map(|node| node.name).collect()
    }

    /// Calls ListCommands.
    #[track_caller]
    pub fn list_commands(
        &self,
        request: ListCommandsRequest,
    ) -> Result<ListCommandsResponse, Status> {
        let call = async { self.client().list_commands(self.request(request)).await };
        within("ListCommands", call).map(tonic::Response::into_inner)
    }

    /// The names of all commands.
    #[track_caller]
    pub fn command_names(&self) -> Vec<String> {
        let list = self.list_commands(ListCommandsRequest::default()).unwrap();
        list.commands
            .into_iter()
            .map(|command| command.name)
            .collect()
    }

    /// Calls PlanRun.
    #[track_caller]
    pub fn plan(&self, request: PlanRunRequest) -> Result<PlanRunResponse, Status> {
        let call = async { self.client().plan_run(self.request(request)).await };
        within("PlanRun", call).map(tonic::Response::into_inner)
    }

    /// Calls RunCommand: the run as it goes, or why there is none.
    #[track_caller]
    pub fn start(&self, request: RunCommandRequest) -> Result<Live, Status> {
        let call = async { self.client().run_command(self.request(request)).await };
        let response = within("RunCommand", call)?;
        let id = response.metadata().get("action-run-id");
        let id = id.expect("the header action-run-id").to_str().unwrap();
        Ok(Live {
            id: id.to_owned(),
            events: Vec::new(),
            stream: response.into_inner(),
        })
    }

    /// Calls RunCommand and goes away, unanswered, when `enough` returns.
    #[track_caller]
    pub fn give_up(&self, request: RunCommandRequest, enough: impl FnOnce()) {
        let (mut client, request) = (self.client(), self.request(request));
        let call = runtime().spawn(async move { client.run_command(request).await });
        enough();
        call.abort();
        let answer = runtime().block_on(call);
        assert!(
            answer.as_ref().is_err_and(JoinError::is_cancelled),
            "{answer:?}"
        );
    }

    /// Calls RunCommand and sees the run to its end.
    #[track_caller]
    pub fn run(&self, request: RunCommandRequest) -> Ended {
        self.start(request).unwrap().finish()
    }

    /// Calls RunCommand where it must be refused: the code and the text.
    #[track_caller]
    pub fn refused(&self, request: RunCommandRequest) -> (Code, String) {
        match self.start(request) {
            Ok(run) => panic!("run {} was started", run.id),
            Err(status) => (status.code(), status.message().to_owned()),
        }
    }

    /// Calls ListNodes so many times at once: how long each call took.
    #[track_caller]
    pub fn list_nodes_at_once(&self, count: usize) -> Vec<Duration> {
        let call = |api: Api| async move {
            let start = Instant::now();
            let request = api.request(ListNodesRequest::default());
            // Whether it is let in is for others to look at.
            _ = api.client().list_nodes(request).await;
            start.elapsed()
        };
        within("ListNodes", async {
            let calls: JoinSet<_> = (0..count).map(|_| call(self.clone())).collect();
            calls.join_all().await
        })
    }

    /// Calls a method and holds its message back until `meanwhile` is done: the messages of the
    /// answer.
    #[track_caller]
    pub fn held(
        &self,
        path: &str,
        message: &[u8],
        meanwhile: impl FnOnce() + Send + 'static,
    ) -> Result<Vec<Bytes>, Status> {
        let message = Bytes::copy_from_slice(message);
        let body = futures_util::stream::once(async move {
            tokio::task::spawn_blocking(meanwhile).await.unwrap();
            message
        });
        self.exchange(path, body)
    }

    /// Calls any method with one message as bytes: the messages of the answer.
    #[track_caller]
    pub fn raw(&self, path: &str, message: &[u8]) -> Result<Vec<Bytes>, Status> {
        let message = Bytes::copy_from_slice(message);
        self.exchange(path, futures_util::stream::once(ready(message)))
    }

    #[track_caller]
    fn exchange(
        &self,
        path: &str,
        body: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Vec<Bytes>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        let request = self.request(body);
        let path = http::uri::PathAndQuery::try_from(path).unwrap();
        within(path.as_str(), async {
            grpc.ready().await.unwrap();
            let answer = grpc.streaming(request, path.clone(), Raw).await?;
            let mut answer = answer.into_inner();
            let mut messages = Vec::new();
            while let Some(message) = answer.message().await? {
                messages.push(message);
            }
            Ok(messages)
        })
    }
}

/// A run whose events are read as they come. Dropped, it is a caller who goes away.
#[derive(Debug)]
pub struct Live {
    /// The run's id, from the header.
    pub id: String,
    /// The events so far.
    pub events: Vec<RunEvent>,
    stream: Streaming<RunCommandResponse>,
}

impl Live {
    /// The next event; `None` at the end.
    #[track_caller]
    pub fn read(&mut self) -> Result<Option<&RunEvent>, Status> {
        let Some(message) = within("the next event", self.stream.message())? else {
            return Ok(None);
        };
        self.events.push(message.event.expect("an event"));
        Ok(self.events.last())
    }

    /// Reads on until a node's stdout so far ends with this text.
    #[track_caller]
    pub fn wait_for(&mut self, node: &str, text: &str) {
        while !output_of(&self.events, node, OutputStream::Stdout).ends_with(text.as_bytes()) {
            let event = self.read().unwrap();
            assert!(event.is_some(), "the run ended before {node} said {text:?}");
        }
    }

    /// Reads on until a node's job has ended.
    #[track_caller]
    pub fn wait_for_end_of(&mut self, node: &str) -> NodeFinished {
        loop {
            match self.read().unwrap().expect("another event").event.clone() {
                Some(Event::NodeFinished(finished)) if finished.node == node => return finished,
                _ => {}
            }
        }
    }

    /// Reads on until nothing comes for `time`: how many events came.
    pub fn read_while_they_come(&mut self, time: Duration) -> usize {
        let before = self.events.len();
        while let Ok(Ok(Some(message))) =
            runtime().block_on(async { timeout(time, self.stream.message()).await })
        {
            self.events.extend(message.event);
        }
        self.events.len() - before
    }

    /// Sees the run to its end, and checks what must be true of every run.
    #[track_caller]
    pub fn finish(self) -> Ended {
        let ended = self.finish_unchecked();
        ended.check();
        ended
    }

    /// Sees the run to its end.
    #[track_caller]
    pub fn finish_unchecked(mut self) -> Ended {
        while self.read().unwrap().is_some() {}
        let Live { id, events, .. } = self;
        Ended { id, events }
    }
}
