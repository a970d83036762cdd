//! Lanes for blocking calls: each kind of disk work has a bounded number of threads of its own, so that
//! one kind never waits behind another.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

/// A bounded number of threads for one kind of blocking work. A clone is the same lane.
///
/// The threads are those of the runtime's blocking pool, of which there are more than all lanes
/// together may use.
#[derive(Debug, Clone)]
pub(crate) struct DiskLane {
    permits: Arc<Semaphore>,
}

/// Blocking work that has no result: it panicked, or the runtime is shutting down.
#[derive(Debug, Error)]
#[error("the server failed")]
pub(crate) struct LaneError;

impl DiskLane {
    /// A lane in which `width` calls may block at once.
    pub(crate) fn new(width: usize) -> DiskLane {
        DiskLane {
            permits: Arc::new(Semaphore::new(width)),
        }
    }

    /// Runs `work` on a thread of the lane as soon as one is free.
    ///
    /// Dropping the future before then means that `work` never starts; work that has started runs to
    /// its end and holds its thread until then.
    ///
    /// # Errors
    /// See [`LaneError`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LaneError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| LaneError)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work()
        });
        done.await.map_err(|_| LaneError)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    const CEILING: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_full_lane_holds_up_no_other_and_forgets_dropped_work() {
        let (full, other) = (DiskLane::new(1), DiskLane::new(1));
        let (release, gate) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let held = full.clone();
        let hanging = tokio::spawn(async move {
            held.run(move || {
                _ = begin.send(());
                gate.recv_timeout(CEILING)
            })
            .await
        });
        begun.await.unwrap();
        assert_eq!(other.run(|| 1).await.unwrap(), 1);
        let (started, starts) = mpsc::channel();
        let started_later = started.clone();
        let mut dropped = Box::pin(full.run(move || _ = started_later.send("dropped")));
        let polled = futures_util::poll!(&mut dropped);
        assert!(polled.is_pending());
        drop(dropped);
        release.send(()).unwrap();
        hanging.await.unwrap().unwrap().unwrap();
        full.run(move || _ = started.send("last")).await.unwrap();
        assert_eq!(starts.try_iter().collect::<Vec<_>>(), ["last"]);
    }
}
