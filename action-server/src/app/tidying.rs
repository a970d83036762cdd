//! What is done now and then, and at a clean stop: the system clock is looked at, and old records go.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    disk_lane::LANES,
    locks::lock,
    metrics::Metrics,
    record::{RecordStore, RetentionLimits, SystemClock},
    run::RunRegistry,
};

/// How often old records are looked for.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);
/// How often the system clock is looked at.
const CLOCK_INTERVAL: Duration = Duration::from_secs(2);

/// Looks at the system clock and removes what is no longer of use, now and then.
pub(super) async fn tidy_regularly(
    runs: RunRegistry,
    store: Arc<RecordStore>,
    retention: RetentionLimits,
    clock: Arc<Mutex<SystemClock>>,
    metrics: Metrics,
) {
    let (mut tidied, mut was_paused) = (None, false);
    loop {
        let is_due = tidied.is_none_or(|at: Instant| at.elapsed() >= EXPIRE_INTERVAL);
        let (runs, store, clock) = (runs.clone(), Arc::clone(&store), Arc::clone(&clock));
        let tidy = move || {
            let mut clock = lock(&clock);
            let pause = clock.look();
            if is_due || was_paused && pause.is_none() {
                store.believe(clock.believed());
                runs.tidy(&retention);
            }
            pause
        };
        // A panic there is logged by the runtime's hook, and the next round tries again.
        let pause = LANES.tidying.run(tidy).await.unwrap_or(None);
        let jump = pause.map_or(0.0, |pause| pause.seconds());
        metrics.gauges().clock_jump.set(jump);
        was_paused = pause.is_some();
        if is_due {
            tidied = Some(Instant::now());
        }
        sleep(CLOCK_INTERVAL).await;
    }
}

/// Notes what the next start needs to know of a server that stopped.
pub(super) fn note_stop(store: &RecordStore, clock: &Mutex<SystemClock>, is_empty: bool) {
    lock(clock).keep();
    // Otherwise scripts may still run here.
    if is_empty && let Err(error) = store.leave() {
        tracing::warn!(%error, "cannot note in the lock file that the server stopped");
    }
}
