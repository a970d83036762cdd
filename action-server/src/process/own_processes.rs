//! The server's children: the leaders of its jobs, which it knows, and the leftovers. All of it but
//! the notes of starts is for the scanner's thread.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::process::Signal;

use super::{
    LeftoversOf, ProcessTree,
    proc::{ProcessId, State, Status},
    process_signal::{reap, signal},
    process_view::{Children, ProcessView},
};

#[derive(Debug, Default)]
pub(super) struct OwnProcesses {
    /// Held shared while a script is started and noted. Who has held it alone after listing children
    /// knows that of the scripts among them all are noted.
    pub(super) starting: RwLock<()>,
    pub(super) leaders: Mutex<HashSet<i32>>,
    /// How many jobs there are, those included whose script is gone and not yet cleaned up after.
    pub(super) jobs: AtomicUsize,
    /// Set when a start failed, which may have been after there was a process: one that nobody's
    /// parent has left to us.
    pub(super) half_started: AtomicBool,
    /// Set once processes may live on without a marker.
    pub(super) unmarked_live: AtomicBool,
    /// Children that were there before the first script: whoever started the server started them.
    pub(super) strangers: Mutex<HashSet<i32>>,
}

/// What one round of killing came to.
pub(super) struct Round {
    pub(super) killed: HashSet<ProcessId>,
    /// How many must be looked at again.
    pub(super) left: usize,
}

/// What one look at the children found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) living: Vec<(ProcessId, Status)>,
    /// True when some are ending by themselves, or have just ended: what they leave is seen by the
    /// next look only.
    pub(super) is_ending: bool,
}

impl OwnProcesses {
    /// The server's children that are no scripts.
    pub(super) fn unknown_children(&self, view: &mut ProcessView, which: Children) -> Vec<i32> {
        let children = view.own_children(which);
        if !children.are_heirs {
            // A script that is among them is noted once this was held.
            drop(
                self.starting
                    .write()
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
        let leaders = lock(&self.leaders);
        let unknown = children
            .pids
            .iter()
            .filter(|child| !leaders.contains(child));
        unknown.copied().collect()
    }

    /// The leftovers that are meant. Those that have ended, whosever they were, are reaped: nobody
    /// else will.
    pub(super) fn find(
        &self,
        view: &mut ProcessView,
        of: &LeftoversOf,
        known: &HashSet<ProcessId>,
    ) -> Found {
        let everybody = matches!(of, LeftoversOf::Everybody);
        let is_idle = || self.jobs.load(Ordering::SeqCst) == 0;
        let was_idle = everybody && is_idle();
        // Set again by what is found here, and by a start that fails meanwhile.
        let is_half_started = was_idle && self.half_started.swap(false, Ordering::SeqCst);
        let which = match is_half_started {
            true => Children::All,
            false => Children::Heirs,
        };
        let unknown = self.unknown_children(view, which);
        if is_half_started && !unknown.is_empty() {
            self.half_started.store(true, Ordering::SeqCst);
        }
        let is_idle = was_idle && is_idle();
        let mut found = Found::default();
        for pid in unknown {
            if self.reap_if_ended(view, pid) {
                found.is_ending = true;
            } else if let Some(status) = view.status(pid)
                && !lock(&self.strangers).contains(&pid)
                && of.include(view, pid, &status, is_idle)
            {
                found.add(pid, status, known);
            }
        }
        for id in of.tree().into_iter().flat_map(ProcessTree::ids) {
            if let Some(status) = view.status(id.pid)
                && status.start == id.start
            {
                found.add(id.pid, status, known);
            }
        }
        found.living.sort_unstable_by_key(|(id, _)| id.pid);
        found.living.dedup_by_key(|(id, _)| *id);
        found
    }

    /// Takes the status of a child that has ended. False when it has not.
    pub(super) fn reap_if_ended(&self, view: &mut ProcessView, pid: i32) -> bool {
        let zombie = view.status(pid).filter(|it| it.state == State::Zombie);
        if let Some(Status { start, .. }) = zombie {
            reap(ProcessId { pid, start });
            lock(&self.strangers).remove(&pid);
        }
        zombie.is_some()
    }

    /// Kills the leftovers that are not known to be killed, and reaps those that are.
    pub(super) fn kill(
        &self,
        view: &mut ProcessView,
        of: &LeftoversOf,
        mut killed: HashSet<ProcessId>,
    ) -> Round {
        let found = self.find(view, of, &killed);
        for (id, _) in &found.living {
            // Its children become ours when it ends: the next round finds them.
            if signal(*id, Signal::KILL) {
                killed.insert(*id);
            }
        }
        let waiting = killed.iter().filter(|&&id| !reap(id)).count();
        Round {
            left: waiting + found.living.len() + usize::from(found.is_ending),
            killed,
        }
    }
}

impl Found {
    fn add(&mut self, pid: i32, status: Status, known: &HashSet<ProcessId>) {
        let start = status.start;
        let id = ProcessId { pid, start };
        match status.state {
            _ if known.contains(&id) => {}
            State::Waiting | State::Busy => self.living.push((id, status)),
            State::Exiting => self.is_ending = true,
            State::Zombie => {}
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
