//! Syncs of a growing record: one at a time, and each request is followed by one.

use std::sync::{Arc, Mutex};

use crate::{disk_lane::LANES, locks::lock};

/// The requested end, and whether a thread syncs up to it.
#[derive(Debug, Default)]
struct SyncState {
    wanted: u64,
    is_running: bool,
}

/// The syncs of one record.
#[derive(Debug, Default)]
pub(super) struct RecordSync {
    state: Arc<Mutex<SyncState>>,
}

impl RecordSync {
    /// Has `sync` called on a thread that may wait, once all up to `end` is written. While a call
    /// goes on another one follows it.
    pub(super) fn request_sync(&self, end: u64, sync: impl Fn() + Send + 'static) {
        let mut state = lock(&self.state);
        state.wanted = end;
        if std::mem::replace(&mut state.is_running, true) {
            return;
        }
        let state = Arc::clone(&self.state);
        tokio::spawn(LANES.syncs.run(move || {
            let mut done = 0;
            while let Some(wanted) = next_sync(&state, done) {
                sync();
                done = wanted;
            }
        }));
    }
}

/// The end to sync after `done`; `None` ends the thread's work.
fn next_sync(state: &Mutex<SyncState>, done: u64) -> Option<u64> {
    let mut state = lock(state);
    state.is_running = state.wanted > done;
    state.is_running.then_some(state.wanted)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_asked_for_during_a_sync_is_synced_after_it() {
        let ceiling = Duration::from_secs(30);
        let (began, begun) = mpsc::channel();
        let (go_on, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let syncing = RecordSync::default();
        syncing.request_sync(1, move || {
            began.send(()).unwrap();
            gate.lock().unwrap().recv_timeout(ceiling).unwrap();
        });
        begun.recv_timeout(ceiling).unwrap();
        for end in [2, 3] {
            syncing.request_sync(end, || unreachable!("the first one goes on"));
        }
        go_on.send(()).unwrap();
        begun.recv_timeout(ceiling).unwrap();
        go_on.send(()).unwrap();
        // The two were one; then nobody is left who could begin.
        assert!(begun.recv_timeout(ceiling).is_err());
        let (began, begun) = mpsc::channel();
        syncing.request_sync(4, move || began.send(()).unwrap());
        begun.recv_timeout(ceiling).unwrap();
    }
}
