//! What the libraries can do: a tonic server that streams the same messages over TLS, with no
//! script, no record and nobody to ask, and a caller that takes them.

use std::{net::SocketAddr, pin::Pin, time::Instant};

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

use super::{estate::Estate, timed::millis};

/// The largest chunk that the server sends too.
const CHUNK: usize = 64 * 1024;

/// Such a server.
pub(crate) struct Bare {
    address: SocketAddr,
    certificate: String,
}

impl Bare {
    /// Starts it, with the certificate of the real one.
    pub(crate) fn start(runtime: &Runtime, estate: &Estate) -> Bare {
        let certificate = estate.server.read("pki/certificate.pem");
        let identity = Identity::from_pem(&certificate, estate.server.read("pki/private_key.pem"));
        let _guard = runtime.enter();
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = incoming.local_addr().expect("an address");
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .expect("a good certificate")
            .add_service(ActionServiceServer::new(Streamer));
        runtime.spawn(server.serve_with_incoming(incoming.with_nodelay(Some(true))));
        Bare {
            address,
            certificate,
        }
    }

    /// Calls it and takes so many bytes: milliseconds.
    pub(crate) fn take(&self, runtime: &Runtime, bytes: usize) -> f64 {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.certificate));
        let url = format!("https://localhost:{}", self.address.port());
        let endpoint = Endpoint::from_shared(url)
            .expect("a URL")
            .tls_config(tls)
            .expect("TLS");
        // As the real client sets them.
        let endpoint = endpoint
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20);
        runtime.block_on(async {
            let began = Instant::now();
            let channel = endpoint.connect().await.expect("a connection");
            let mut client = ActionServiceClient::new(channel);
            let request = WatchRunRequest {
                after_sequence: bytes as u64,
                ..WatchRunRequest::default()
            };
            let mut events = client
                .watch_run(request)
                .await
                .expect("an answer")
                .into_inner();
            let mut taken = 0;
            while let Some(message) = events.message().await.expect("a message") {
                if let Some(Event::NodeOutput(output)) = message.event.and_then(|event| event.event)
                {
                    taken += output.data.len();
                }
            }
            assert_eq!(taken, bytes);
            millis(began.elapsed())
        })
    }
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
