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
    auth::{self, Acknowledgement, Authority, revocation},
    config::Settings,
    definitions::{DefinitionSources, DefinitionWatch, Definitions, PlanDigests, log_fault},
    disk_lane::LANES,
    log::ADDRESSES,
    metrics::{self, Metrics},
    net::{Listener, Tls, TlsError},
    process::base_environment,
    record::{FileLog, RecordStore, RetentionLimits, StoreError, SystemClock},
    rpc::{Count, Guard, Refusals, Service, Signs, report_health},
    run::{RunLimits, RunRegistry},
    scrape::Scrape,
    service_manager,
    traces::{self, Traces},
    trust::Trust,
    yaml::Fault,
};

mod auth_changes;
mod grpc;
mod tidying;

/// How long connections have to end after the last run has.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Why the server does not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The nodes or commands cannot be read at all.
    #[error("{0}")]
    Definitions(Fault),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log cannot be used.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What the last server left cannot be read or ended.
    #[error("cannot see to the runs of the last server: {0}")]
    Recover(#[source] io::Error),
    /// The key of plan digests can be neither read nor made.
    #[error("cannot use the key of plan digests in the state directory: {0}")]
    PlanKey(#[source] io::Error),
    /// The reflection's description is broken.
    #[error("cannot describe the API: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Keys, revocations or policy cannot be used.
    #[error(transparent)]
    Auth(#[from] auth::OpenError),
    /// The network failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The certificate or key cannot be used.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The listener failed.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// Scrapes cannot be answered where they should be.
    #[error("metrics_listen: cannot listen on {0}: {1}")]
    MetricsListen(SocketAddr, #[source] io::Error),
    /// The collector of traces cannot be one.
    #[error("traces: {0}")]
    Traces(#[from] traces::OpenError),
    /// The metrics contradict each other.
    #[error("cannot make the metrics: {0}")]
    Metrics(#[from] metrics::Error),
}

/// Signals to a server that runs.
#[derive(Debug)]
pub struct Signals {
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
    signals: Signals,
) -> Result<(), ServeError> {
    let metrics = Metrics::new()?;
    let traces = settings.traces.as_ref();
    let traces = traces.map(|traces| traces.endpoint.as_str());
    let traces = traces.map(|collector| Traces::open(collector, metrics.clone()));
    let (traces, sending) = traces.transpose()?.unzip();
    let sources = DefinitionSources::new(&settings);
    let opened = Definitions::open(&sources).await;
    let (definitions, faults) = opened.map_err(ServeError::Definitions)?;
    metrics.definitions_read(faults.iter().filter(|fault| fault.is_error()).count());
    if settings.trust == Trust::Lax {
        tracing::warn!(
            "allow_unsafe_permissions is set: any user with write access to a script or a definition can run it as this server's user"
        );
    }
    let tls = settings
        .tls
        .clone()
        .map(Tls::open)
        .transpose()?
        .map(Arc::new);
    if let Some(tls) = &tls {
        tls.log_faults();
    }
    // Before it is made: what was revoked with an older state must not be forgotten.
    let is_first_start = !settings.state_directory.join("runs").exists();
    let store = Arc::new(RecordStore::open(&settings.state_directory)?);
    faults.iter().for_each(log_fault);
    if is_first_start {
        revocation::begin(&settings.auth.revocations).map_err(auth::OpenError::from)?;
    }
    // The state directory is this server's now. Where the nodes cannot be kept the server starts all
    // the same, and tries again.
    if let Err(fault) = definitions.keep(&sources).await {
        log_fault(&fault);
    }
    let plan_digests = PlanDigests::open(
        &settings.state_directory,
        definitions.file_digests(),
        base_environment(&settings.script_environment),
    )
    .map_err(ServeError::PlanKey)?;
    let authority = Arc::new(Authority::open(settings.auth.clone())?);
    for warning in authority.warnings() {
        tracing::warn!("{warning}");
    }
    let audit = Audit::open(
        &settings.audit_path,
        &settings.state_directory,
        settings.trust,
        metrics.clone(),
    )?;
    // Where it cannot be written the server starts all the same: what runs and ran can be seen,
    // and no run is taken.
    _ = audit.write(started()).await;
    let runs = RunRegistry::open(
        Arc::clone(&store),
        Arc::new(FileLog::new(Arc::clone(&store))),
        audit.clone(),
        metrics.clone(),
        limits(&settings),
    )
    .await
    .map_err(ServeError::Recover)?;
    // Only now: a server that dies before has recorded nothing of what the last holder left.
    if let Err(error) = store.hold() {
        tracing::warn!(%error, "cannot note in the lock file which machine holds the state directory");
    }
    let retention = RetentionLimits {
        age: settings.retention.age,
        size: settings.retention.size,
    };
    tokio::spawn(keep_tls_current(tls.clone()));
    let clock = SystemClock::open(&settings.state_directory, settings.retention.age, &store);
    let clock = Arc::new(Mutex::new(clock));
    tokio::spawn(tidying::tidy_regularly(
        runs.clone(),
        Arc::clone(&store),
        retention,
        Arc::clone(&clock),
        metrics.clone(),
    ));
    let service = Service::serving(
        Arc::clone(&authority),
        definitions.clone(),
        runs.clone(),
        audit.clone(),
        plan_digests,
        settings.limits.streams_per_subject,
    );
    let (health, routes) = grpc::routes(service).await?;
    let judges = watch::Sender::new(true);
    let signs = Signs {
        judges: judges.subscribe(),
        stopped: signals.stopped.clone(),
        audit: audit.clone(),
        runs: runs.clone(),
    };
    tokio::spawn(report_health(health, signs, metrics.clone()));
    // Without it `revoke` says that it cannot know when a revocation is in force.
    let acknowledgement = Acknowledgement::open(&settings.state_directory)
        .inspect_err(|error| tracing::warn!(%error, "cannot acknowledge revocations"))
        .ok();
    let current = auth_changes::keep_current(
        Arc::clone(&authority),
        acknowledgement,
        audit.clone(),
        judges,
        metrics.clone(),
    );
    tokio::spawn(current);
    let watch = definitions.watch(sources, audit.clone(), metrics.clone());
    let refusals = Refusals::new(audit.clone(), metrics.clone());
    tokio::spawn(refusals.clone().sum_up());

    let address = listener.local_addr()?;
    let certificate = tls.clone();
    let listener = Listener::new(listener, tls, settings.connection_limits(), metrics.clone());
    let scrape = Scrape {
        metrics: metrics.clone(),
        runs: runs.clone(),
        store: Arc::clone(&store),
        definitions,
        tls: certificate,
        connections: Box::new(listener.open()),
    };
    answer_scrapes(settings.metrics_listen, scrape).await?;
    let (close, closing) = oneshot::channel::<()>();
    let guard = Guard::new(authority, refusals, traces.unwrap_or_default());
    let server = grpc::router(Count::new(metrics), guard, routes, listener, closing);
    let mut server = tokio::spawn(server);
    tracing::info!(target: ADDRESSES, "listening on {address}");
    tokio::spawn(service_manager::keep_alive(audit.works()));

    let drained = async {
        let mut stopped = signals.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|times| *times > 0) => {}
            () = keep_reloading(&signals.reload, &watch, &audit, address) => {}
        }
        tracing::info!("stopping");
        audit.note(Event::new("server_stopping"));
        // The second signal cuts the wait short; a closed channel is no signal.
        let hurried = async {
            if stopped.wait_for(|times| *times > 1).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = runs.drain(settings.drain_timeout, hurried) => {}
            () = service_manager::stopping(|| runs.living()) => {}
        }
    };
    tokio::select! {
        ended = &mut server => return ended.map_err(io::Error::other)?.map_err(ServeError::from),
        () = drained => {}
    }
    drop(close);
    // A log that hangs must not keep the server from stopping.
    _ = timeout(CLOSE_LIMIT, audit.close()).await;
    let is_empty = runs.living() == 0;
    let leaving = LANES
        .tidying
        .run(move || tidying::leave(&store, &clock, is_empty));
    // So must a disk.
    _ = timeout(CLOSE_LIMIT, leaving).await;
    if let Some(sending) = sending {
        // The same holds for a collector.
        _ = timeout(CLOSE_LIMIT, sending.close()).await;
    }
    // Connections that do not close by themselves end with the process.
    match timeout(CLOSE_LIMIT, server).await {
        Ok(ended) => ended.map_err(io::Error::other)?.map_err(ServeError::from),
        Err(_) => Ok(()),
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
        service_manager::ready(address).await;
        reload.notified().await;
        service_manager::reloading().await;
        audit.reopen().await;
        tracing::info!("looking at the definitions");
        watch.look().await;
    }
}

/// Answers scrapes on a listener of their own, where there shall be one.
async fn answer_scrapes(listen: Option<SocketAddr>, scrape: Scrape) -> Result<(), ServeError> {
    let Some(address) = listen else { return Ok(()) };
    let failed = |error| ServeError::MetricsListen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr()?;
    tokio::spawn(scrape.serve(listener));
    tracing::info!(target: ADDRESSES, "metrics at http://{address}/metrics");
    Ok(())
}

async fn keep_tls_current(tls: Option<Arc<Tls>>) {
    if let Some(tls) = tls {
        tls.keep_current().await;
    }
}

fn started() -> Event {
    Event {
        version: Some(env!("CARGO_PKG_VERSION").into()),
        ..Event::new("server_started")
    }
}

fn limits(settings: &Settings) -> RunLimits {
    RunLimits {
        job_threads: settings.job_threads,
        live_runs: settings.limits.live_runs,
        runs_per_subject: settings.limits.runs_per_subject,
        output_per_job: settings.limits.output_per_job,
        run_timeout: settings.run_timeout,
        kill_grace: settings.kill_grace,
        working_directory: settings.working_directory_path.clone(),
        base_environment: base_environment(&settings.script_environment),
    }
}
