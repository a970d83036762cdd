//! The composition: builds every room, joins them, and serves until a signal to stop.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot, watch},
    time::timeout,
};

use crate::{
    audit::{Audit, AuditError, Event},
    auth,
    config::Settings,
    definitions::DefinitionWatch,
    disk_lane::LANES,
    log::ADDRESSES,
    metrics::{self, Metrics},
    net::{Listener, TlsError},
    record::{StoreError, SystemClock},
    rpc::{Authenticator, CallCounter, CallPipeline, HealthInputs, report_health},
    scrape::MetricsScrape,
    service_manager,
    traces::{self, SpanSender, Traces},
    yaml::Fault,
};
use open_server::OpenServer;

mod auth_changes;
mod grpc;
mod open_server;
mod tidying;

/// How long connections have to end after the last run has.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Why the server does not serve.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum ServeError {
    #[error("{0}")]
    Definitions(Fault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("cannot see to the runs of the last server: {0}")]
    Recover(#[source] io::Error),
    #[error("cannot use the key of plan digests in the state directory: {0}")]
    PlanKey(#[source] io::Error),
    #[error("cannot describe the API: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error(transparent)]
    Auth(#[from] auth::OpenError),
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    #[error("metrics_listen: cannot listen on {0}: {1}")]
    MetricsListen(SocketAddr, #[source] io::Error),
    #[error("traces: {0}")]
    Traces(#[from] traces::OpenError),
    #[error("cannot make the metrics: {0}")]
    Metrics(#[from] metrics::Error),
}

/// Signals to a server that runs.
#[derive(Debug)]
pub struct ServerSignals {
    /// How many signals to stop there were: one drains, two cancel what runs.
    pub stopped: watch::Receiver<u32>,
    /// Notified when to look at the definitions.
    pub reload: Arc<Notify>,
}

/// Serves on `listener` until a signal to stop, then drains: it takes no new runs, waits for the
/// others, and then cancels them.
///
/// # Errors
/// See [`ServeError`]; nothing was served then, but for [`ServeError::Transport`].
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    signals: ServerSignals,
) -> Result<(), ServeError> {
    let metrics = Metrics::new()?;
    let traces = settings.traces.as_ref();
    let traces = traces.map(|traces| traces.endpoint.as_str());
    let traces = traces.map(|collector| Traces::open(collector, metrics.clone()));
    let (traces, span_sender) = traces.transpose()?.unzip();
    let server = OpenServer::open(settings, metrics).await?;
    let clock = server.spawn_upkeep();
    let (can_judge, failures) = server.spawn_authority();
    let (health, routes) = grpc::build_routes(server.grpc_service()).await?;
    let health_inputs = HealthInputs {
        judges: can_judge,
        stopped: signals.stopped.clone(),
        audit: server.audit.clone(),
        runs: server.runs.clone(),
    };
    tokio::spawn(report_health(health, health_inputs, server.metrics.clone()));
    let watch = server.watch_definitions();

    let address = listener.local_addr()?;
    let limits = server.settings.connection_limits();
    let listener = Listener::new(listener, server.tls.clone(), limits, server.metrics.clone());
    let scrape = server.metrics_scrape(Box::new(listener.open()));
    answer_scrapes(server.settings.metrics_listen, scrape).await?;
    let (close, closing) = oneshot::channel::<()>();
    let pipeline = CallPipeline {
        counter: CallCounter::new(server.metrics.clone()),
        authenticator: Authenticator {
            authority: Arc::clone(&server.authority),
            failures,
            traces: traces.unwrap_or_default(),
        },
    };
    let mut serving = tokio::spawn(grpc::serve_grpc(pipeline, routes, listener, closing));
    tracing::info!(target: ADDRESSES, "listening on {address}");
    tokio::spawn(service_manager::keep_alive(server.audit.watch_writable()));

    tokio::select! {
        ended = &mut serving => return ended.map_err(io::Error::other)?.map_err(ServeError::from),
        () = server.run_until_drained(signals, &watch, address) => {}
    }
    drop(close);
    server.close(clock, span_sender).await;
    // Connections that do not close by themselves end with the process.
    match timeout(CLOSE_LIMIT, serving).await {
        Ok(ended) => ended.map_err(io::Error::other)?.map_err(ServeError::from),
        Err(_) => Ok(()),
    }
}

impl OpenServer {
    /// Reloads on request until a signal to stop, and then drains.
    async fn run_until_drained(
        &self,
        signals: ServerSignals,
        watch: &DefinitionWatch,
        address: SocketAddr,
    ) {
        let ServerSignals {
            mut stopped,
            reload,
        } = signals;
        tokio::select! {
            _ = stopped.wait_for(|times| *times > 0) => {}
            () = keep_reloading(&reload, watch, &self.audit, address) => {}
        }
        tracing::info!("stopping");
        self.audit.note(Event::ServerStopping);
        // The second signal cuts the wait short; a closed channel is no signal.
        let hurried = async {
            if stopped.wait_for(|times| *times > 1).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.runs.drain(self.settings.drain_timeout, hurried) => {}
            () = service_manager::notify_stopping(|| self.runs.living()) => {}
        }
    }

    /// Closes what writes to a disk or the network. None of these may keep the server from stopping.
    async fn close(self, clock: Arc<Mutex<SystemClock>>, span_sender: Option<SpanSender>) {
        _ = timeout(CLOSE_LIMIT, self.audit.close()).await;
        let is_empty = self.runs.living() == 0;
        let store = self.store;
        let noted = LANES
            .tidying
            .run(move || tidying::note_stop(&store, &clock, is_empty));
        _ = timeout(CLOSE_LIMIT, noted).await;
        if let Some(span_sender) = span_sender {
            _ = timeout(CLOSE_LIMIT, span_sender.close()).await;
        }
    }
}

/// Says that the server is ready. Opens the audit log anew and looks at the definitions, whenever it
/// is told to, and says so again.
async fn keep_reloading(
    reload: &Notify,
    watch: &DefinitionWatch,
    audit: &Audit,
    address: SocketAddr,
) {
    loop {
        service_manager::notify_ready(address).await;
        reload.notified().await;
        service_manager::notify_reloading().await;
        audit.reopen().await;
        tracing::info!("looking at the definitions");
        watch.look().await;
    }
}

/// Answers scrapes on a listener of their own, where there shall be one.
async fn answer_scrapes(
    listen: Option<SocketAddr>,
    scrape: MetricsScrape,
) -> Result<(), ServeError> {
    let Some(address) = listen else { return Ok(()) };
    let failed = |error| ServeError::MetricsListen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr()?;
    tokio::spawn(scrape.serve(listener));
    tracing::info!(target: ADDRESSES, "metrics at http://{address}/metrics");
    Ok(())
}
