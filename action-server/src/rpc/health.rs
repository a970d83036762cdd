//! The standard health service: NOT_SERVING while no token can be checked or no run is accepted.

use std::{pin::pin, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{audit::Audit, disk_lane::LANES, metrics::Metrics, run::RunRegistry};

/// The services with a health of their own: the whole server, and the API.
const SERVICES: [&str; 2] = ["", "action.v1.ActionService"];
/// How often the disks of the records and of the audit log are checked.
const INTERVAL: Duration = Duration::from_secs(1);
/// A disk that does not answer for so long is broken.
const DISK_LIMIT: Duration = Duration::from_secs(5);

/// The inputs of health.
pub(crate) struct HealthInputs {
    /// Whether tokens can be checked.
    pub(crate) judges: watch::Receiver<bool>,
    /// How many signals to stop came.
    pub(crate) stopped: watch::Receiver<u32>,
    /// The audit log.
    pub(crate) audit: Audit,
    /// The runs, with their records.
    pub(crate) runs: RunRegistry,
}

/// Reports health, for as long as it is polled.
pub(crate) async fn report_health(
    health: HealthReporter,
    mut signs: HealthInputs,
    metrics: Metrics,
) {
    let mut audited = signs.audit.watch_writable();
    let (recorded, mut is_recorded) = watch::channel(true);
    let (answered, mut answers) = watch::channel(true);
    let publishing = async {
        loop {
            // Where its thread has ended the log will never work again.
            let is_audited = *audited.borrow_and_update()
                && *answers.borrow_and_update()
                && audited.has_changed().is_ok();
            let is_recorded_now = *is_recorded.borrow_and_update();
            let is_stopping = *signs.stopped.borrow_and_update() > 0;
            let judges = *signs.judges.borrow_and_update();
            let serves = judges && is_audited && is_recorded_now && !is_stopping;
            let gauges = metrics.gauges();
            gauges.audit_works.set(is_audited.into());
            gauges.record_works.set(is_recorded_now.into());
            gauges.serving.set(serves.into());
            let status = if serves {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for service in SERVICES {
                health.set_service_status(service, status).await;
            }
            tokio::select! {
                changed = signs.judges.changed() => if changed.is_err() { return },
                Ok(()) = signs.stopped.changed() => {}
                Ok(()) = audited.changed() => {}
                Ok(()) = is_recorded.changed() => {}
                Ok(()) = answers.changed() => {}
            }
        }
    };
    let audit = signs.audit.clone();
    tokio::join!(
        publishing,
        look_at_records(&signs.runs, &recorded),
        look_at_audit(&audit, &answered)
    );
}

/// Checks regularly whether the audit log answers, which also retries one that failed.
async fn look_at_audit(audit: &Audit, availability: &watch::Sender<bool>) {
    loop {
        let mut settled = pin!(audit.settle());
        if timeout(DISK_LIMIT, &mut settled).await.is_err() {
            tracing::error!("the audit log's disk does not answer; no run is started meanwhile");
            set_available(availability, false);
            settled.await;
            tracing::info!("the audit log's disk answers again");
        }
        set_available(availability, true);
        sleep(INTERVAL).await;
    }
}

/// Checks the disk of the records regularly. One that hangs holds one thread.
async fn look_at_records(runs: &RunRegistry, availability: &watch::Sender<bool>) {
    let mut works = runs.record_works();
    loop {
        let looking = runs.clone();
        let mut look = pin!(LANES.checks.run(move || looking.look_at_records()));
        if timeout(DISK_LIMIT, &mut look).await.is_err() {
            tracing::error!(
                "the disk of the records does not answer; what needs it waits, and no run is started"
            );
            set_available(availability, false);
            _ = look.await;
            tracing::info!("the disk of the records answers again");
        }
        set_available(availability, *works.borrow_and_update());
        tokio::select! {
            () = sleep(INTERVAL) => {}
            // A run that could not be recorded is reported at once.
            Ok(()) = works.changed() => {
                set_available(availability, *works.borrow_and_update());
                sleep(INTERVAL).await;
            }
        }
    }
}

fn set_available(availability: &watch::Sender<bool>, works: bool) {
    availability.send_if_modified(|known| std::mem::replace(known, works) != works);
}
