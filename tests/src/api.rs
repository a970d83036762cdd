//! A caller of the API over TCP, and what it sees of a run. Calls block; each has a ceiling.

use std::{net::SocketAddr, sync::OnceLock, time::Duration};

use action_proto::v1::{
    ListCommandsRequest, ListCommandsResponse, ListNodesRequest, ListNodesResponse, NodeFinished,
    NodeStarted, Outcome, OutputStream, PlanRunRequest, PlanRunResponse, RunCommandRequest,
    RunCommandResponse, RunEvent, RunFinished, RunStarted,
    action_service_client::ActionServiceClient, run_event::Event,
};
use bytes::{Buf, BufMut, Bytes};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tonic::{
    Code, Request, Status, Streaming,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::wait::CEILING;

mod runs;

pub use runs::{Digest, Watch};

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
    authorization: Option<MetadataValue<Ascii>>,
}

impl Api {
    /// Connects. Without a token, calls go without authorization.
    #[track_caller]
    pub fn connect(address: SocketAddr, token: Option<&str>) -> Api {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let bearer = |token| format!("Bearer {token}").parse().unwrap();
        Api {
            channel: within("connecting", endpoint.connect()).unwrap(),
            authorization: token.map(bearer),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization.clone());
        }
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

    /// Calls any method with one message as bytes: the messages of the answer.
    #[track_caller]
    pub fn raw(&self, path: &str, message: &[u8]) -> Result<Vec<Bytes>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        let request = self.request(Bytes::copy_from_slice(message));
        let path = http::uri::PathAndQuery::try_from(path).unwrap();
        within(path.as_str(), async {
            grpc.ready().await.unwrap();
            let answer = grpc.server_streaming(request, path.clone(), Raw).await?;
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

/// A run that has ended, with all its events.
#[derive(Debug)]
pub struct Ended {
    /// The run's id.
    pub id: String,
    /// The events, the first to the last.
    pub events: Vec<RunEvent>,
}

impl Ended {
    /// What must be true of the events of every run.
    #[track_caller]
    fn check(&self) {
        let mut going: Vec<&str> = Vec::new();
        let mut ended: Vec<&str> = Vec::new();
        for (event, sequence) in self.events.iter().zip(1..) {
            assert_eq!((event.sequence, &event.run_id), (sequence, &self.id));
            assert!(event.time.is_some(), "{event:?}");
            match event.event.as_ref().unwrap() {
                Event::RunStarted(_) => assert_eq!(sequence, 1),
                Event::NodeStarted(started) => {
                    assert!(!going.contains(&started.node.as_str()));
                    going.push(&started.node);
                }
                Event::NodeOutput(output) => {
                    assert!(going.contains(&output.node.as_str()), "{output:?}");
                    assert!(!ended.contains(&output.node.as_str()), "{output:?}");
                    assert!(!output.data.is_empty(), "{output:?}");
                }
                Event::NodeFinished(finished) => {
                    assert!(!ended.contains(&finished.node.as_str()), "{finished:?}");
                    ended.push(&finished.node);
                }
                Event::RunFinished(_) => assert_eq!(sequence, self.events.len() as u64),
            }
        }
        let mut planned = self.nodes();
        if planned.is_empty() {
            planned.push("");
        }
        planned.sort_unstable();
        ended.sort_unstable();
        assert_eq!(planned, ended, "each node ends once");
        let counted: u32 = self.summary().counts.iter().map(|count| count.count).sum();
        assert_eq!(counted as usize, ended.len());
    }

    /// The first event.
    pub fn started(&self) -> &RunStarted {
        match self.events.first().and_then(|event| event.event.as_ref()) {
            Some(Event::RunStarted(started)) => started,
            other => panic!("the first event is {other:?}"),
        }
    }

    /// The last event.
    pub fn summary(&self) -> &RunFinished {
        match self.events.last().and_then(|event| event.event.as_ref()) {
            Some(Event::RunFinished(finished)) => finished,
            other => panic!("the last event is {other:?}"),
        }
    }

    /// The nodes in the order of the plan.
    pub fn nodes(&self) -> Vec<&str> {
        self.started().nodes.iter().map(String::as_str).collect()
    }

    /// How a node's script was started.
    #[track_caller]
    pub fn start_of(&self, node: &str) -> &NodeStarted {
        let starts = self.events.iter().filter_map(|event| match &event.event {
            Some(Event::NodeStarted(started)) => Some(started),
            _ => None,
        });
        let mut starts = starts.filter(|started| started.node == node);
        starts
            .next()
            .unwrap_or_else(|| panic!("{node} was not started"))
    }

    /// How a node's job ended.
    #[track_caller]
    pub fn end_of(&self, node: &str) -> &NodeFinished {
        let ends = self.events.iter().filter_map(|event| match &event.event {
            Some(Event::NodeFinished(finished)) => Some(finished),
            _ => None,
        });
        let mut ends = ends.filter(|finished| finished.node == node);
        ends.next()
            .unwrap_or_else(|| panic!("{node} did not end: {:?}", self.nodes()))
    }

    /// The bytes that a node wrote to stdout.
    pub fn stdout_of(&self, node: &str) -> Vec<u8> {
        output_of(&self.events, node, OutputStream::Stdout)
    }

    /// The bytes that a node wrote to stderr.
    pub fn stderr_of(&self, node: &str) -> Vec<u8> {
        output_of(&self.events, node, OutputStream::Stderr)
    }

    /// What a node wrote to stdout, once it is sure that it went well.
    ///
    /// # Panics
    /// The node's outcome is not OK, or it wrote to stderr.
    #[track_caller]
    pub fn answer_of(&self, node: &str) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout_of(node)).into_owned();
        let stderr = self.stderr_of(node);
        let end = self.end_of(node);
        assert!(
            end.outcome() == Outcome::Ok && stderr.is_empty(),
            "{end:?}\n{stdout}\n{}",
            String::from_utf8_lossy(&stderr)
        );
        stdout
    }
}

fn output_of(events: &[RunEvent], node: &str, stream: OutputStream) -> Vec<u8> {
    let chunks = events.iter().filter_map(|event| match &event.event {
        Some(Event::NodeOutput(output)) if output.node == node && output.stream() == stream => {
            Some(&output.data)
        }
        _ => None,
    });
    chunks.flatten().copied().collect()
}

/// Messages as bytes.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
