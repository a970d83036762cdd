//! A small ActionService over TCP, behind a proxy that can cut connections.

use crate::harness::CEILING;
use action_proto::v1::action_service_server::{ActionService, ActionServiceServer};
use action_proto::v1::*;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// The id of the only run.
pub(crate) const RUN_ID: &str = "r1a2b3c4";

/// What the server does and what it saw.
#[derive(Default)]
pub(crate) struct State {
    /// The events of the run.
    pub(crate) events: Vec<RunEvent>,
    /// After which events the stream waits for a cut, in order.
    pub(crate) cuts: VecDeque<u64>,
    /// Whether the stream stays open before the last event until the run is cancelled.
    pub(crate) waits_for_cancel: bool,
    /// How many pages of the list of runs are empty before the run is in one.
    pub(crate) empty_pages: usize,
    /// Whether RunCommand takes the request and does not answer.
    pub(crate) answers_late: bool,
    /// Whether cancelling ends the run.
    pub(crate) cancel_works: bool,
    /// Requests, in order: the method and what identifies it.
    pub(crate) seen: Vec<String>,
    /// The last RunCommandRequest.
    pub(crate) request: Option<RunCommandRequest>,
}

/// The server, its proxy and its address.
#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    cut: Arc<Notify>,
    cancelled: watch::Sender<bool>,
    /// How many streams have come to wait for a cut.
    waiting: watch::Sender<usize>,
    /// False once the proxy refuses connections.
    open: watch::Sender<bool>,
    address: SocketAddr,
}

type Events<T> = ReceiverStream<Result<T, Status>>;

impl Server {
    /// Starts the server. It answers below `/action` only.
    pub(crate) async fn start(state: State) -> Self {
        Self::start_with(state, None).await
    }

    /// Starts the server with TLS: also its certificate, which no authority has signed.
    pub(crate) async fn start_with_tls(state: State) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        let identity = Identity::from_pem(&certificate, made.signing_key.serialize_pem());
        let tls = ServerTlsConfig::new().identity(identity);
        (Self::start_with(state, Some(tls)).await, certificate)
    }

    async fn start_with(state: State, tls: Option<ServerTlsConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = listener.local_addr().unwrap();
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            state: Arc::new(Mutex::new(state)),
            cut: Arc::default(),
            cancelled: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            open: watch::Sender::new(true),
            address: proxy.local_addr().unwrap(),
        };
        let below = |mut request: http::Request<tonic::body::Body>| {
            let path = request.uri().path();
            let path = path
                .strip_prefix("/action")
                .unwrap_or("/elsewhere/Nothing")
                .to_owned();
            *request.uri_mut() = path.parse().unwrap();
            request
        };
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = tls {
            builder = builder.tls_config(tls).unwrap();
        }
        let serve = builder
            .layer(tower::util::MapRequestLayer::new(below))
            .add_service(ActionServiceServer::new(server.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serve);
        tokio::spawn(server.clone().proxy(proxy, inner));
        server
    }

    async fn proxy(self, listener: TcpListener, inner: SocketAddr) {
        loop {
            let (mut outside, _) = listener.accept().await.unwrap();
            if !*self.open.borrow() {
                continue;
            }
            let cut = self.cut.clone();
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(inner).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => {}
                    () = cut.notified() => {}
                }
            });
        }
    }

    /// What the server does and saw.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on every connection is closed at once.
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    /// The port that clients connect to.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Waits until so many streams have come to wait for a cut.
    pub(crate) async fn waits_for_cut(&self, streams: usize) {
        let mut waiting = self.waiting.subscribe();
        let waiting = waiting.wait_for(|waiting| *waiting >= streams);
        drop(
            tokio::time::timeout(CEILING, waiting)
                .await
                .expect("the stream comes there"),
        );
    }

    fn stream<T: Send + 'static>(
        &self,
        after: u64,
        wrap: fn(Option<RunEvent>) -> T,
    ) -> Response<Events<T>> {
        let (sender, receiver) = mpsc::channel(1);
        let server = self.clone();
        tokio::spawn(async move {
            let events = server.state().events.clone();
            let last = events.last().map(|event| event.sequence);
            for event in events.into_iter().filter(|event| event.sequence > after) {
                let cut = {
                    let mut state = server.state();
                    let is_due = state.cuts.front().is_some_and(|cut| *cut < event.sequence);
                    is_due.then(|| state.cuts.pop_front())
                };
                if cut.is_some() {
                    server.waiting.send_modify(|waiting| *waiting += 1);
                    sender.closed().await;
                    return;
                }
                if server.state().waits_for_cancel && Some(event.sequence) == last {
                    let mut cancelled = server.cancelled.subscribe();
                    drop(cancelled.wait_for(|cancelled| *cancelled).await);
                }
                if sender.send(Ok(wrap(Some(event)))).await.is_err() {
                    return;
                }
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }

    fn see<T>(&self, method: &str, request: &Request<T>, what: &str) -> Result<(), Status> {
        let token = request.metadata().get("authorization");
        if token.is_none_or(|token| token != "Bearer t0ken") {
            return Err(Status::unauthenticated("no"));
        }
        self.state()
            .seen
            .push(format!("{method} {what}").trim_end().to_owned());
        Ok(())
    }

    fn describe(&self) -> Run {
        let state = self.state();
        Run {
            run_id: RUN_ID.into(),
            command: "usage".into(),
            jobs: 1,
            running_jobs: 1,
            last_sequence: state.events.last().map_or(0, |event| event.sequence),
            end_time: (!state.waits_for_cancel).then(Default::default),
            ..Run::default()
        }
    }
}

#[tonic::async_trait]
impl ActionService for Server {
    type RunCommandStream = Events<RunCommandResponse>;
    type WatchRunStream = Events<WatchRunResponse>;

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        self.see("ListNodes", &request, &request.get_ref().nodes)?;
        // Pages of two, so that a client that reads only the first shows less.
        let from: usize = request.get_ref().page_token.parse().unwrap_or(0);
        let names = ["n3", "n1", "n2", "n10", "login"];
        let node = |name: &&str| Node {
            name: (*name).into(),
            ..Node::default()
        };
        let nodes = names.iter().skip(from).take(2).map(node).collect();
        let more = from + 2 < names.len();
        let next_page_token = if more {
            (from + 2).to_string()
        } else {
            String::new()
        };
        Ok(Response::new(ListNodesResponse {
            nodes,
            next_page_token,
        }))
    }

    async fn list_commands(
        &self,
        request: Request<ListCommandsRequest>,
    ) -> Result<Response<ListCommandsResponse>, Status> {
        self.see("ListCommands", &request, "")?;
        let command = |name: &str, syntax: &str, confirmation: &str| Command {
            name: name.into(),
            summary: format!("Do {name}"),
            syntax: syntax.into(),
            has_context: true,
            confirmation: confirmation.into(),
            ..Command::default()
        };
        let commands = match request.get_ref().page_token.as_str() {
            "" => vec![
                command("power-off", "NAME", "Power off %{nodes} [y/n]?"),
                command("show", "NAME", ""),
            ],
            _ => vec![command("usage", "NAME TYPE", "")],
        };
        let is_first = request.get_ref().page_token.is_empty();
        let next_page_token = if is_first { "2".into() } else { String::new() };
        Ok(Response::new(ListCommandsResponse {
            commands,
            next_page_token,
            // As a server before there were any.
            features: Vec::new(),
        }))
    }

    async fn plan_run(
        &self,
        request: Request<PlanRunRequest>,
    ) -> Result<Response<PlanRunResponse>, Status> {
        self.see("PlanRun", &request, "")?;
        Ok(Response::new(PlanRunResponse::default()))
    }

    async fn run_command(
        &self,
        request: Request<RunCommandRequest>,
    ) -> Result<Response<Self::RunCommandStream>, Status> {
        self.see("RunCommand", &request, &request.get_ref().command)?;
        self.state().request = Some(request.into_inner());
        if self.state().answers_late {
            self.waiting.send_modify(|waiting| *waiting += 1);
            std::future::pending::<()>().await;
        }
        let mut response = self.stream(0, |event| RunCommandResponse { event });
        response
            .metadata_mut()
            .insert("action-run-id", RUN_ID.parse().unwrap());
        Ok(response)
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        self.see("WatchRun", &request, &request.get_ref().run_id)?;
        if !RUN_ID.starts_with(&request.get_ref().run_id) {
            return Err(Status::not_found("no such run"));
        }
        let after = request.get_ref().after_sequence;
        Ok(self.stream(after, |event| WatchRunResponse { event }))
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        self.see("ListRuns", &request, &request.get_ref().command)?;
        let page = match request.get_ref().page_token.as_str() {
            "" => 0,
            token => token.parse().expect("the token of a page"),
        };
        let is_empty = page < self.state().empty_pages;
        Ok(Response::new(match is_empty {
            true => ListRunsResponse {
                runs: Vec::new(),
                next_page_token: (page + 1).to_string(),
            },
            false => ListRunsResponse {
                runs: vec![self.describe()],
                next_page_token: String::new(),
            },
        }))
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<GetRunResponse>, Status> {
        self.see("GetRun", &request, &request.get_ref().run_id)?;
        if !RUN_ID.starts_with(&request.get_ref().run_id) {
            return Err(Status::not_found("no such run"));
        }
        Ok(Response::new(GetRunResponse {
            run: Some(self.describe()),
            jobs: Vec::new(),
            ..GetRunResponse::default()
        }))
    }

    async fn cancel_run(
        &self,
        request: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        self.see("CancelRun", &request, &request.get_ref().run_id)?;
        if self.state().cancel_works {
            self.cancelled.send_replace(true);
        }
        Ok(Response::new(CancelRunResponse {
            run: Some(self.describe()),
        }))
    }
}
