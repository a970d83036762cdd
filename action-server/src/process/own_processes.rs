//! The server's children: the scripts that it has started, and leftovers. Only the scanner's thread
//! looks for leftovers.

use std::{
    collections::HashSet,
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::process::Signal;

use super::{
    LeftoverScope, ProcessTree,
    proc::{ProcStat, ProcState, ProcessId},
    process_signal::{reap_process, signal_process},
    process_view::{ChildKind, ProcessView},
};
use crate::locks::lock;

#[derive(Debug, Default)]
pub(super) struct OwnProcesses {
    /// Held for reading while a script is started and noted. After children were listed, a writer
    /// that gets it finds each script among them noted.
    pub(super) starting: RwLock<()>,
    pub(super) leaders: Mutex<HashSet<i32>>,
    /// How many jobs go on, those included that are being cleaned up after.
    pub(super) jobs: AtomicUsize,
    /// Set when a start failed, perhaps after its process was made: that one is no heir.
    pub(super) half_started: AtomicBool,
    /// Set once processes without a marker are left alone.
    pub(super) unmarked_live: AtomicBool,
    /// Children from before the first script: they belong to whatever started the server.
    pub(super) strangers: Mutex<HashSet<i32>>,
}

/// The result of one round of killing.
pub(super) struct KillRound {
    pub(super) killed: HashSet<ProcessId>,
    /// How many must be checked again.
    pub(super) left: usize,
}

/// The leftovers that one look found.
#[derive(Debug, Default)]
pub(super) struct FoundLeftovers {
    pub(super) living: Vec<(ProcessId, ProcStat)>,
    /// True when some are ending or have just ended: only the next look sees what they leave.
    pub(super) is_ending: bool,
}

impl OwnProcesses {
    /// The server's children that are no scripts.
    pub(super) fn unknown_children(&self, view: &mut ProcessView, which: ChildKind) -> Vec<i32> {
        let children = view.own_children(which);
        if !children.are_heirs {
            // A script that is among them is noted once this was held.
            drop(self.starting.write());
        }
        let leaders = lock(&self.leaders);
        let unknown = children
            .pids
            .iter()
            .filter(|child| !leaders.contains(child));
        unknown.copied().collect()
    }

    /// The leftovers in this scope, without the `known` ones. Reaps every child that has ended.
    pub(super) fn find_leftovers(
        &self,
        view: &mut ProcessView,
        scope: &LeftoverScope,
        known: &HashSet<ProcessId>,
    ) -> FoundLeftovers {
        let is_server = matches!(scope, LeftoverScope::Server);
        let is_idle = || self.jobs.load(Ordering::SeqCst) == 0;
        let was_idle = is_server && is_idle();
        // Set again by what is found here, and by a start that fails meanwhile.
        let is_half_started = was_idle && self.half_started.swap(false, Ordering::SeqCst);
        let which = if is_half_started {
            ChildKind::All
        } else {
            ChildKind::Heirs
        };
        let unknown = self.unknown_children(view, which);
        if is_half_started && !unknown.is_empty() {
            self.half_started.store(true, Ordering::SeqCst);
        }
        let is_idle = was_idle && is_idle();
        let mut found = FoundLeftovers::default();
        for pid in unknown {
            if self.reap_if_ended(view, pid) {
                found.is_ending = true;
            } else if let Some(status) = view.status(pid)
                && !lock(&self.strangers).contains(&pid)
                && scope.includes(view, pid, &status, is_idle)
            {
                found.add_leftover(pid, status, known);
            }
        }
        for id in scope.tree().into_iter().flat_map(ProcessTree::member_ids) {
            if let Some(status) = view.status(id.pid)
                && status.start == id.start
            {
                found.add_leftover(id.pid, status, known);
            }
        }
        found.living.sort_unstable_by_key(|(id, _)| id.pid);
        found.living.dedup_by_key(|(id, _)| *id);
        found
    }

    /// Reaps a child that has ended. False when it has not.
    pub(super) fn reap_if_ended(&self, view: &mut ProcessView, pid: i32) -> bool {
        let zombie = view.status(pid).filter(|it| it.state == ProcState::Zombie);
        if let Some(ProcStat { start, .. }) = zombie {
            reap_process(ProcessId { pid, start });
            lock(&self.strangers).remove(&pid);
        }
        zombie.is_some()
    }

    /// Kills leftovers that were not killed before, and reaps those that were.
    pub(super) fn kill_leftovers(
        &self,
        view: &mut ProcessView,
        scope: &LeftoverScope,
        mut killed: HashSet<ProcessId>,
    ) -> KillRound {
        let found = self.find_leftovers(view, scope, &killed);
        for (id, _) in &found.living {
            // Its children become ours when it ends: the next round finds them.
            if signal_process(*id, Signal::KILL) {
                killed.insert(*id);
            }
        }
        let waiting = killed.iter().filter(|&&id| !reap_process(id)).count();
        KillRound {
            left: waiting + found.living.len() + usize::from(found.is_ending),
            killed,
        }
    }
}

impl FoundLeftovers {
    fn add_leftover(&mut self, pid: i32, status: ProcStat, known: &HashSet<ProcessId>) {
        let start = status.start;
        let id = ProcessId { pid, start };
        match status.state {
            _ if known.contains(&id) => {}
            ProcState::Waiting | ProcState::Busy => self.living.push((id, status)),
            ProcState::Exiting => self.is_ending = true,
            ProcState::Zombie => {}
        }
    }
}
