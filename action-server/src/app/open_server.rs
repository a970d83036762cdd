//! Opens every room of a server, joins them, and starts what goes on beside the calls.

use std::sync::{Arc, Mutex};

use action_proto::v1::action_service_server::ActionServiceServer;
use tokio::sync::watch;

use super::{ServeError, auth_changes, tidying};
use crate::{
    audit::{Audit, Event},
    auth::{self, Authority, RevocationReceipt, revocation},
    config::Settings,
    definitions::{DefinitionSources, DefinitionWatch, Definitions, PlanDigests, log_fault},
    metrics::Metrics,
    net::Tls,
    process::base_environment,
    record::{FileLog, RecordStore, RetentionLimits, SystemClock},
    rpc::{AuthFailures, GrpcService},
    run::{RunLimits, RunRegistry},
    scrape::MetricsScrape,
    trust::Trust,
};

/// A server whose rooms are open.
pub(super) struct OpenServer {
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) store: Arc<RecordStore>,
    pub(super) authority: Arc<Authority>,
    pub(super) audit: Audit,
    pub(super) runs: RunRegistry,
    sources: DefinitionSources,
    definitions: Definitions,
    plan_digests: PlanDigests,
}

impl OpenServer {
    pub(super) async fn open(
        settings: Settings,
        metrics: Metrics,
    ) -> Result<OpenServer, ServeError> {
        let sources = DefinitionSources::new(&settings);
        let opened = Definitions::open(&sources).await;
        let (definitions, faults) = opened.map_err(ServeError::Definitions)?;
        metrics.definitions_read(faults.iter().filter(|fault| fault.is_error()).count());
        if settings.trust == Trust::Lax {
            tracing::warn!(
                "allow_unsafe_permissions is set: any user with write access to a script or a definition can run it as this server's user"
            );
        }
        let tls = open_tls(&settings)?;
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
        let audit = open_audit(&settings, &metrics).await?;
        let runs = open_runs(&settings, &store, &audit, &metrics).await?;
        Ok(OpenServer {
            settings,
            metrics,
            tls,
            store,
            authority,
            audit,
            runs,
            sources,
            definitions,
            plan_digests,
        })
    }

    /// The API, ready to be routed to.
    pub(super) fn grpc_service(&self) -> ActionServiceServer<GrpcService> {
        GrpcService::into_server(
            Arc::clone(&self.authority),
            self.definitions.clone(),
            self.runs.clone(),
            self.audit.clone(),
            self.plan_digests.clone(),
            self.settings.limits.streams_per_subject,
        )
    }

    /// Keeps the certificate current, the system clock judged, and old records away. Returns the clock.
    pub(super) fn spawn_upkeep(&self) -> Arc<Mutex<SystemClock>> {
        if let Some(tls) = self.tls.clone() {
            tokio::spawn(tls.keep_current());
        }
        let settings = &self.settings;
        let retention = RetentionLimits {
            age: settings.retention.age,
            size: settings.retention.size,
        };
        let clock = SystemClock::open(
            &settings.state_directory,
            settings.retention.age,
            &self.store,
        );
        let clock = Arc::new(Mutex::new(clock));
        tokio::spawn(tidying::tidy_regularly(
            self.runs.clone(),
            Arc::clone(&self.store),
            retention,
            Arc::clone(&clock),
            self.metrics.clone(),
        ));
        clock
    }

    /// Keeps keys, revocations and policy current, and sums up calls without a token. Returns whether
    /// tokens can be judged, and what refuses those calls.
    pub(super) fn spawn_authority(&self) -> (watch::Receiver<bool>, AuthFailures) {
        // Without it `revoke` says that it cannot know when a revocation is in force.
        let receipt = RevocationReceipt::open(&self.settings.state_directory)
            .inspect_err(|error| tracing::warn!(%error, "cannot acknowledge revocations"))
            .ok();
        let (judges, can_judge) = watch::channel(true);
        tokio::spawn(auth_changes::keep_current(
            Arc::clone(&self.authority),
            receipt,
            self.audit.clone(),
            judges,
            self.metrics.clone(),
        ));
        let failures = AuthFailures::new(self.audit.clone(), self.metrics.clone());
        tokio::spawn(failures.clone().write_summaries());
        (can_judge, failures)
    }

    /// Watches the files of nodes and commands.
    pub(super) fn watch_definitions(&self) -> DefinitionWatch {
        let (sources, audit) = (self.sources.clone(), self.audit.clone());
        self.definitions.watch(sources, audit, self.metrics.clone())
    }

    /// What answers scrapes; `connections` counts those that are open.
    pub(super) fn metrics_scrape(
        &self,
        connections: Box<dyn Fn() -> usize + Send + Sync>,
    ) -> MetricsScrape {
        MetricsScrape {
            metrics: self.metrics.clone(),
            runs: self.runs.clone(),
            store: Arc::clone(&self.store),
            definitions: self.definitions.clone(),
            tls: self.tls.clone(),
            connections,
        }
    }
}

fn open_tls(settings: &Settings) -> Result<Option<Arc<Tls>>, ServeError> {
    let Some(files) = settings.tls.clone() else {
        return Ok(None);
    };
    let tls = Tls::open(files)?;
    tls.log_faults();
    Ok(Some(Arc::new(tls)))
}

/// Where the log cannot be written the server starts all the same: runs can be seen, and none is
/// accepted.
async fn open_audit(settings: &Settings, metrics: &Metrics) -> Result<Audit, ServeError> {
    let audit = Audit::open(
        &settings.audit_path,
        &settings.state_directory,
        settings.trust,
        metrics.clone(),
    )?;
    let version = env!("CARGO_PKG_VERSION");
    _ = audit.write(Event::ServerStarted { version }).await;
    Ok(audit)
}

async fn open_runs(
    settings: &Settings,
    store: &Arc<RecordStore>,
    audit: &Audit,
    metrics: &Metrics,
) -> Result<RunRegistry, ServeError> {
    let log = Arc::new(FileLog::new(Arc::clone(store)));
    let (audit, limits) = (audit.clone(), run_limits(settings));
    let opened = RunRegistry::open(Arc::clone(store), log, audit, metrics.clone(), limits).await;
    let runs = opened.map_err(ServeError::Recover)?;
    // Only now: a server that dies before has recorded nothing of what the last holder left.
    if let Err(error) = store.hold() {
        tracing::warn!(%error, "cannot note in the lock file which machine holds the state directory");
    }
    Ok(runs)
}

fn run_limits(settings: &Settings) -> RunLimits {
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
