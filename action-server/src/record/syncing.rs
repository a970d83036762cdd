//! Having the disk keep a record while it grows: one sync at a time, and none that was asked for is left out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk_lane::LANES;

/// What was asked for, and whether somebody sees to it.
#[derive(Debug, Default)]
struct State {
    wanted: u64,
    is_seen_to: bool,
}

/// The syncs of one record.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    state: Arc<Mutex<State>>,
}

impl Syncing {
    /// Has `sync` called on a thread that may wait, once all up to `end` is written. While a call
    /// goes on another one follows it.
    pub(super) fn ask(&self, end: u64, sync: impl Fn() + Send + 'static) {
        let mut state = lock(&self.state);
        state.wanted = end;
        if std::mem::replace(&mut state.is_seen_to, true) {
            return;
        }
        let state = Arc::clone(&self.state);
        tokio::spawn(LANES.syncs.run(move || {
            let mut done = 0;
            while let Some(wanted) = next(&state, done) {
                sync();
                done = wanted;
            }
        }));
    }
}

/// What is to be synced after `done`; nobody sees to it any more when that is nothing.
fn next(state: &Mutex<State>, done: u64) -> Option<u64> {
    let mut state = lock(state);
    state.is_seen_to = state.wanted > done;
    state.is_seen_to.then_some(state.wanted)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let syncing = Syncing::default();
        syncing.ask(1, move || {
            began.send(()).unwrap();
            gate.lock().unwrap().recv_timeout(ceiling).unwrap();
        });
        begun.recv_timeout(ceiling).unwrap();
        for end in [2, 3] {
            syncing.ask(end, || unreachable!("the first one goes on"));
        }
        go_on.send(()).unwrap();
        begun.recv_timeout(ceiling).unwrap();
        go_on.send(()).unwrap();
        // The two were one; then nobody is left who could begin.
        assert!(begun.recv_timeout(ceiling).is_err());
        let (began, begun) = mpsc::channel();
        syncing.ask(4, move || began.send(()).unwrap());
        begun.recv_timeout(ceiling).unwrap();
    }
}
