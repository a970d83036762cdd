//! Finds and ends the leftovers of scripts.
//!
//! The server is a child subreaper, so whatever outlives its parent becomes the server's child,
//! also after setsid(2) and a double fork. Of these leftovers, those are a job's which are in its
//! process group, carry its marker in their environment, or were seen below its script.
//!
//! /proc is read by the scanner's thread; a task reads one short file of it at most.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::{
    LeftoverScope, ProcessTree, ScriptGroup,
    own_processes::OwnProcesses,
    proc::{ProcStat, ProcState, ProcessId, few_heirs, own_pid},
    process_scanner::ProcessScanner,
    process_signal::signal_process,
    process_view::{ChildKind, ProcessView},
};
use crate::locks::lock;

/// How long to wait for killed processes to be gone. Only one that the kernel holds (state D)
/// takes longer.
const REAP_LIMIT: Duration = Duration::from_secs(2);
const REAP_PAUSE: Duration = Duration::from_millis(2);

/// How long a job waits for its tree: TERM is never later than that, whatever the host does.
const TREE_LIMIT: Duration = Duration::from_secs(1);

/// Finds and ends leftovers.
#[derive(Debug, Clone)]
pub struct Reaper {
    scanner: ProcessScanner,
    own: Arc<OwnProcesses>,
}

/// The leftovers of a job, by how near they are to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemainingProcesses {
    /// Nothing.
    Nothing,
    /// Processes that are ending, or would go on if they got a processor or a disk.
    Busy,
    /// Also processes that wait for something.
    Waiting,
}

impl Reaper {
    /// Notes the children that exist now as strangers. Call it before any script is started.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub fn new() -> io::Result<Reaper> {
        let reaper = Reaper {
            scanner: ProcessScanner::start()?,
            own: Arc::default(),
        };
        let children = ProcessView::default().own_children(ChildKind::All);
        lock(&reaper.own.strangers).extend(children.pids.iter());
        Ok(reaper)
    }

    /// Starts a script by `start` and notes its group.
    pub(super) fn start_script<T>(
        &self,
        start: impl FnOnce() -> io::Result<(ScriptGroup, T)>,
    ) -> io::Result<(ScriptGroup, T)> {
        let _starting = self.own.starting.read();
        let (group, value) =
            start().inspect_err(|_| self.own.half_started.store(true, Ordering::SeqCst))?;
        lock(&self.own.leaders).insert(group.id());
        Ok((group, value))
    }

    /// Counts a job as going on until the result is dropped.
    pub fn begin_job(&self) -> JobInProgress {
        self.own.jobs.fetch_add(1, Ordering::SeqCst);
        JobInProgress {
            own: Arc::clone(&self.own),
        }
    }

    /// Forgets the group of a script that was waited for.
    pub fn remove_leader(&self, group: ScriptGroup) {
        lock(&self.own.leaders).remove(&group.id());
    }

    /// From now on leaves processes without a marker alone: an admin may want them to live on.
    pub fn spare_unmarked(&self) {
        self.own.unmarked_live.store(true, Ordering::Relaxed);
    }

    /// The processes below a script that was not waited for, and those in its group. Empty when
    /// they cannot be read within a second.
    pub async fn script_tree(&self, group: ScriptGroup) -> ProcessTree {
        let own = Arc::clone(&self.own);
        let look = self.scanner.look(move |view| {
            // A process that has lost its parent is below the server.
            let unknown = own.unknown_children(view, ChildKind::Heirs);
            let more: Vec<(i32, ProcStat)> = unknown
                .iter()
                .filter_map(|&pid| Some((pid, view.status(pid)?)))
                .filter(|(_, status)| status.group == group.id())
                .collect();
            ProcessTree::below(view, group, more)
        });
        let tree = timeout(TREE_LIMIT, look).await;
        tree.ok().flatten().unwrap_or_default()
    }

    /// Kills and reaps leftovers, and what those started, until none is left. Returns those that
    /// were alive.
    pub async fn end_leftovers(&self, scope: &Arc<LeftoverScope>) -> HashSet<ProcessId> {
        // As the first process of a container the server inherits strangers as well.
        let are_strangers_too = own_pid() == 1 || self.own.unmarked_live.load(Ordering::Relaxed);
        if are_strangers_too && matches!(**scope, LeftoverScope::Server) {
            return HashSet::new();
        }
        let mut killed = HashSet::new();
        let started = Instant::now();
        while self.may_have(scope) || !killed.is_empty() {
            let (own, scope) = (Arc::clone(&self.own), Arc::clone(scope));
            let known = std::mem::take(&mut killed);
            let round = self
                .scanner
                .look(move |view| own.kill_leftovers(view, &scope, known));
            let Some(round) = round.await else {
                break;
            };
            killed = round.killed;
            if round.left == 0 {
                break;
            }
            if started.elapsed() > REAP_LIMIT {
                tracing::error!(
                    waiting = round.left,
                    "processes that were killed do not end, or start others without a pause"
                );
                break;
            }
            sleep(REAP_PAUSE).await;
        }
        killed
    }

    /// The leftovers that there are.
    pub async fn remaining_leftovers(&self, scope: &Arc<LeftoverScope>) -> RemainingProcesses {
        if !self.may_have(scope) {
            return RemainingProcesses::Nothing;
        }
        let (own, scope) = (Arc::clone(&self.own), Arc::clone(scope));
        let look = self.scanner.look(move |view| {
            let found = own.find_leftovers(view, &scope, &HashSet::new());
            let mut living = found.living.iter();
            match (found.living.is_empty(), found.is_ending) {
                (true, false) => RemainingProcesses::Nothing,
                _ if living.any(|(_, status)| status.state == ProcState::Waiting) => {
                    RemainingProcesses::Waiting
                }
                _ => RemainingProcesses::Busy,
            }
        });
        look.await.unwrap_or(RemainingProcesses::Nothing)
    }

    /// Sends TERM to those leftovers that are in no group which got it. Returns which.
    pub async fn terminate_leftovers(
        &self,
        scope: &Arc<LeftoverScope>,
        terminated: ScriptGroup,
    ) -> HashSet<ProcessId> {
        if !self.may_have(scope) {
            return HashSet::new();
        }
        let (own, scope) = (Arc::clone(&self.own), Arc::clone(scope));
        let look = self.scanner.look(move |view| {
            let found = own
                .find_leftovers(view, &scope, &HashSet::new())
                .living
                .into_iter();
            let others = found.filter(|(_, status)| status.group != terminated.id());
            let sent = others.filter(|(id, _)| {
                // One that is stopped could not take the first signal.
                signal_process(*id, Signal::TERM) && signal_process(*id, Signal::CONT)
            });
            sent.map(|(id, _)| id).collect()
        });
        look.await.unwrap_or_default()
    }

    /// Reaps, soon, processes of ended jobs that were left alive and have ended since.
    pub fn reap_ended(&self) {
        let own = Arc::clone(&self.own);
        self.scanner.look_later(move |view| {
            for child in own.unknown_children(view, ChildKind::Heirs) {
                own.reap_if_ended(view, child);
            }
        });
    }

    /// False where there are surely no leftovers, as after most jobs.
    fn may_have(&self, scope: &LeftoverScope) -> bool {
        if let LeftoverScope::Server = scope {
            if self.own.jobs.load(Ordering::SeqCst) > 0 {
                return false;
            }
            if self.own.half_started.load(Ordering::SeqCst) {
                return true;
            }
        }
        if scope.tree().is_some() {
            return true;
        }
        // What a job has left was inherited before its script could be waited for.
        let Some(heirs) = few_heirs() else {
            return true;
        };
        let leaders = lock(&self.own.leaders);
        !heirs.iter().all(|pid| leaders.contains(pid))
    }
}

/// A job that goes on.
#[derive(Debug)]
pub struct JobInProgress {
    own: Arc<OwnProcesses>,
}

impl Drop for JobInProgress {
    fn drop(&mut self) {
        self.own.jobs.fetch_sub(1, Ordering::SeqCst);
    }
}
