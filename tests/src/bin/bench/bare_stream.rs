//! What the libraries can do: a tonic server that streams the same messages over TLS, with no
//! script, no record and nobody to ask, and a caller that takes them.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    pin::Pin,
    process::{Child, Command, Stdio},
};

use action_proto::v1::{
    CancelRunRequest, CancelRunResponse, GetRunRequest, GetRunResponse, ListCommandsRequest,
    ListCommandsResponse, ListNodesRequest, ListNodesResponse, ListRunsRequest, ListRunsResponse,
    NodeOutput, PlanRunRequest, PlanRunResponse, RunCommandRequest, RunCommandResponse, RunEvent,
    WatchRunRequest, WatchRunResponse,
    action_service_client::ActionServiceClient,
    action_service_server::{ActionService, ActionServiceServer},
    run_event::Event,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::runtime::Runtime;
use tonic::{
    Request, Response, Status, async_trait,
    transport::{
        Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
        server::TcpIncoming,
    },
};

use super::estate::Estate;

/// The largest chunk that the server sends too.
const CHUNK: usize = 64 * 1024;

/// The words that make the benchmark's program the one end or the other: they are two programs, as
/// the real server and client are.
pub(crate) const SERVE: &str = "serve-bare-stream";
pub(crate) const TAKE: &str = "take-bare-stream";
/// With the frames and the handling of memory that the real ones have; else with the library's.
const TUNED: &str = "tuned";

/// The server's end, and how to start the other.
pub(crate) struct Bare {
    tuned: &'static str,
    server: Child,
    url: String,
    certificate: PathBuf,
}

impl Bare {
    /// Starts it, with the certificate of the real one.
    pub(crate) fn start(estate: &Estate, tuned: bool) -> Bare {
        let tuned = if tuned { TUNED } else { "plain" };
        let certificate = estate.server.path("pki/certificate.pem");
        let mut server = own_program(SERVE)
            .arg(tuned)
            .arg(&certificate)
            .arg(estate.server.path("pki/private_key.pem"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program");
        let mut port = String::new();
        let mut told = BufReader::new(server.stdout.take().expect("its stdout"));
        told.read_line(&mut port).expect("a port");
        let url = format!("https://localhost:{}", port.trim());
        Bare {
            tuned,
            server,
            url,
            certificate,
        }
    }

    /// The program that calls it, takes so many bytes, and throws them away.
    pub(crate) fn client(&self, bytes: usize) -> Command {
        let mut client = own_program(TAKE);
        client.args([self.tuned, &self.url]).arg(&self.certificate);
        client.arg(bytes.to_string());
        client
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.server.kill().expect("the bare server");
        self.server.wait().expect("its end");
    }
}

fn own_program(word: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.arg(word).stdin(Stdio::null());
    command
}

/// Is one end of the stream, where the words say so.
pub(crate) fn is_an_end(words: &[String]) -> bool {
    let runtime = || Runtime::new().expect("a runtime");
    match words {
        [word, tuned, certificate, key] if word == SERVE => {
            keep_freed_memory(tuned == TUNED);
            runtime().block_on(serve(certificate, key));
        }
        [word, tuned, url, certificate, bytes] if word == TAKE => {
            keep_freed_memory(tuned == TUNED);
            let bytes = bytes.parse().expect("a number");
            runtime().block_on(take(url, certificate, bytes, tuned == TUNED));
        }
        _ => return false,
    }
    true
}

/// As the real programs do.
fn keep_freed_memory(really: bool) {
    if really {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
    }
}

async fn serve(certificate: &str, key: &str) {
    let read = |path| fs::read(path).expect("the certificate and its key");
    let identity = Identity::from_pem(read(certificate), read(key));
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    println!("{}", incoming.local_addr().expect("an address").port());
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .expect("a good certificate")
        .add_service(ActionServiceServer::new(Streamer));
    let incoming = incoming.with_nodelay(Some(true));
    server
        .serve_with_incoming(incoming)
        .await
        .expect("a network");
}

async fn take(url: &str, certificate: &str, bytes: usize, tuned: bool) {
    let certificate = Certificate::from_pem(fs::read(certificate).expect("the certificate"));
    let endpoint = Endpoint::from_shared(url.to_owned())
        .expect("a URL")
        .tls_config(ClientTlsConfig::new().ca_certificate(certificate))
        .expect("TLS");
    // As the real client sets them.
    let endpoint = endpoint
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let endpoint = match tuned {
        true => endpoint.max_frame_size(128 * 1024),
        false => endpoint,
    };
    let channel = endpoint.connect().await.expect("a connection");
    let request = WatchRunRequest {
        after_sequence: bytes as u64,
        ..WatchRunRequest::default()
    };
    let mut client = ActionServiceClient::new(channel);
    let answer = client.watch_run(request).await.expect("an answer");
    let mut events = answer.into_inner();
    let mut taken = 0;
    while let Some(message) = events.message().await.expect("a message") {
        if let Some(Event::NodeOutput(output)) = message.event.and_then(|event| event.event) {
            taken += output.data.len();
        }
    }
    assert_eq!(taken, bytes);
}

struct Streamer;

type Answer<T> = Result<Response<T>, Status>;
type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn none<T>() -> Answer<T> {
    Err(Status::unimplemented("this one only streams"))
}

#[async_trait]
impl ActionService for Streamer {
    type RunCommandStream = Events<RunCommandResponse>;
    type WatchRunStream = Events<WatchRunResponse>;

    async fn watch_run(&self, request: Request<WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        let chunks = request.into_inner().after_sequence / CHUNK as u64;
        let data = Bytes::from(vec![0; CHUNK]);
        let events = stream::iter(1..=chunks).map(move |sequence| {
            let output = NodeOutput {
                node: "n1".into(),
                stream: 1,
                data: data.clone(),
            };
            let event = RunEvent {
                run_id: "0123456789abcdef0123456789abcdef".into(),
                sequence,
                time: Some(std::time::SystemTime::now().into()),
                event: Some(Event::NodeOutput(output)),
            };
            Ok(WatchRunResponse { event: Some(event) })
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn run_command(&self, _: Request<RunCommandRequest>) -> Answer<Self::RunCommandStream> {
        none()
    }
    async fn list_nodes(&self, _: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        none()
    }
    async fn list_commands(&self, _: Request<ListCommandsRequest>) -> Answer<ListCommandsResponse> {
        none()
    }
    async fn plan_run(&self, _: Request<PlanRunRequest>) -> Answer<PlanRunResponse> {
        none()
    }
    async fn list_runs(&self, _: Request<ListRunsRequest>) -> Answer<ListRunsResponse> {
        none()
    }
    async fn get_run(&self, _: Request<GetRunRequest>) -> Answer<GetRunResponse> {
        none()
    }
    async fn cancel_run(&self, _: Request<CancelRunRequest>) -> Answer<CancelRunResponse> {
        none()
    }
}
