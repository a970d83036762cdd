//! Finds and ends what a script left running.
//!
//! The server is a child subreaper, so whatever outlives its parent becomes the server's child,
//! also after setsid(2) and a double fork. Of these leftovers, those are a job's which are in its
//! process group, carry its marker in their environment, or were seen below its script.
//!
//! /proc is read by the scanner's thread; a task reads one short file of it at most.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Group, LeftoversOf, ProcessTree,
    proc::{ProcessId, State, Status, few_heirs, own_pid},
    process_scanner::ProcessScanner,
    process_signal::{reap, signal},
    process_view::{Children, ProcessView},
};

/// How long to wait for killed processes to be gone. Only one that the kernel holds (state D)
/// takes longer.
const REAP_LIMIT: Duration = Duration::from_secs(2);
const REAP_PAUSE: Duration = Duration::from_millis(2);

/// How long a job waits for its tree: TERM is never later than that, whatever the host does.
const TREE_LIMIT: Duration = Duration::from_secs(1);

/// The server's children: the leaders of its jobs, which it knows, and the leftovers.
#[derive(Debug, Clone)]
pub struct Reaper {
    scanner: ProcessScanner,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held shared while a script is started and noted. Who has held it alone after listing children
    /// knows that of the scripts among them all are noted.
    starting: RwLock<()>,
    leaders: Mutex<HashSet<i32>>,
    /// How many jobs there are, those included whose script is gone and not yet cleaned up after.
    jobs: AtomicUsize,
    /// Set when a start failed, which may have been after there was a process: one that nobody's
    /// parent has left to us.
    half_started: AtomicBool,
    /// Set once processes may live on without a marker.
    unmarked_live: AtomicBool,
    /// Children that were there before the first script: whoever started the server started them.
    strangers: Mutex<HashSet<i32>>,
}

/// What is left of a job, and how near to its end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// Nothing.
    Nothing,
    /// Processes that are ending, or would go on if they got a processor or a disk.
    Busy,
    /// Also processes that wait for something.
    Waiting,
}

impl Reaper {
    /// Takes note of the children that there are now. Call it before any script is started.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub fn new() -> io::Result<Reaper> {
        let reaper = Reaper {
            scanner: ProcessScanner::start()?,
            shared: Arc::default(),
        };
        let children = ProcessView::default().own_children(Children::All);
        lock(&reaper.shared.strangers).extend(children.pids.iter());
        Ok(reaper)
    }

    /// Starts a script by `start` and takes note of its group.
    pub(super) fn start<T>(
        &self,
        start: impl FnOnce() -> io::Result<(Group, T)>,
    ) -> io::Result<(Group, T)> {
        let starting = &self.shared.starting;
        let _starting = starting.read().unwrap_or_else(PoisonError::into_inner);
        let (group, value) =
            start().inspect_err(|_| self.shared.half_started.store(true, Ordering::SeqCst))?;
        lock(&self.shared.leaders).insert(group.id());
        Ok((group, value))
    }

    /// Takes note of a job, until what this returns is dropped.
    pub fn begin_job(&self) -> JobInProgress {
        self.shared.jobs.fetch_add(1, Ordering::SeqCst);
        JobInProgress {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Takes note that a script was waited for.
    pub fn remove_leader(&self, group: Group) {
        lock(&self.shared.leaders).remove(&group.id());
    }

    /// From now on processes without a marker may be an admin's who wants them to live on: they are
    /// left alone.
    pub fn let_unmarked_live(&self) {
        self.shared.unmarked_live.store(true, Ordering::Relaxed);
    }

    /// The processes below a script that was not waited for, and those in its group. Empty when
    /// that cannot be learnt in a second.
    pub async fn tree(&self, group: Group) -> ProcessTree {
        let shared = Arc::clone(&self.shared);
        let look = self.scanner.look(move |view| {
            // Who has lost its parent is below the server.
            let unknown = shared.unknown_children(view, Children::Heirs);
            let more: Vec<(i32, Status)> = unknown
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
    pub async fn end_leftovers(&self, of: &Arc<LeftoversOf>) -> HashSet<ProcessId> {
        // As the first process of a container the server inherits strangers as well.
        let are_strangers_too = own_pid() == 1 || self.shared.unmarked_live.load(Ordering::Relaxed);
        if are_strangers_too && matches!(**of, LeftoversOf::Everybody) {
            return HashSet::new();
        }
        let mut killed = HashSet::new();
        let started = Instant::now();
        while self.may_have(of) || !killed.is_empty() {
            let (shared, own) = (Arc::clone(&self.shared), Arc::clone(of));
            let known = std::mem::take(&mut killed);
            let round = self
                .scanner
                .look(move |view| shared.kill(view, &own, known));
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

    /// What is left.
    pub async fn remaining(&self, of: &Arc<LeftoversOf>) -> Remaining {
        if !self.may_have(of) {
            return Remaining::Nothing;
        }
        let (shared, of) = (Arc::clone(&self.shared), Arc::clone(of));
        let look = self.scanner.look(move |view| {
            let found = shared.find(view, &of, &HashSet::new());
            let mut living = found.living.iter();
            match (found.living.is_empty(), found.is_ending) {
                (true, false) => Remaining::Nothing,
                _ if living.any(|(_, status)| status.state == State::Waiting) => Remaining::Waiting,
                _ => Remaining::Busy,
            }
        });
        look.await.unwrap_or(Remaining::Nothing)
    }

    /// Sends TERM to those leftovers that are in no group which got it. Returns which.
    pub async fn terminate_leftovers(
        &self,
        of: &Arc<LeftoversOf>,
        terminated: Group,
    ) -> HashSet<ProcessId> {
        if !self.may_have(of) {
            return HashSet::new();
        }
        let (shared, of) = (Arc::clone(&self.shared), Arc::clone(of));
        let look = self.scanner.look(move |view| {
            let found = shared.find(view, &of, &HashSet::new()).living.into_iter();
            let others = found.filter(|(_, status)| status.group != terminated.id());
            let sent = others.filter(|(id, _)| {
                // One that is stopped could not take the first signal.
                signal(*id, Signal::TERM) && signal(*id, Signal::CONT)
            });
            sent.map(|(id, _)| id).collect()
        });
        look.await.unwrap_or_default()
    }

    /// Reaps, soon, leftovers that have ended: one that was left alive belongs to no job.
    pub fn reap_ended(&self) {
        let shared = Arc::clone(&self.shared);
        self.scanner.look_later(move |view| {
            for child in shared.unknown_children(view, Children::Heirs) {
                shared.reap_if_ended(view, child);
            }
        });
    }

    /// Whether it is worth to look for leftovers. Most jobs leave none.
    fn may_have(&self, of: &LeftoversOf) -> bool {
        if let LeftoversOf::Everybody = of {
            if self.shared.jobs.load(Ordering::SeqCst) > 0 {
                return false;
            }
            if self.shared.half_started.load(Ordering::SeqCst) {
                return true;
            }
        }
        if of.tree().is_some() {
            return true;
        }
        // What a job has left was inherited before its script could be waited for.
        let Some(heirs) = few_heirs() else {
            return true;
        };
        let leaders = lock(&self.shared.leaders);
        !heirs.iter().all(|pid| leaders.contains(pid))
    }
}

/// What one round of killing came to.
struct Round {
    killed: HashSet<ProcessId>,
    /// How many must be looked at again.
    left: usize,
}

/// What one look at the children found.
#[derive(Debug, Default)]
struct Found {
    living: Vec<(ProcessId, Status)>,
    /// True when some are ending by themselves, or have just ended: what they leave is seen by the
    /// next look only.
    is_ending: bool,
}

/// What the scanner's thread does.
impl Shared {
    /// The server's children that are no scripts.
    fn unknown_children(&self, view: &mut ProcessView, which: Children) -> Vec<i32> {
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
    fn find(&self, view: &mut ProcessView, of: &LeftoversOf, known: &HashSet<ProcessId>) -> Found {
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
    fn reap_if_ended(&self, view: &mut ProcessView, pid: i32) -> bool {
        let zombie = view.status(pid).filter(|it| it.state == State::Zombie);
        if let Some(Status { start, .. }) = zombie {
            reap(ProcessId { pid, start });
            lock(&self.strangers).remove(&pid);
        }
        zombie.is_some()
    }

    /// Kills the leftovers that are not known to be killed, and reaps those that are.
    fn kill(
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

/// A job that is not over.
#[derive(Debug)]
pub struct JobInProgress {
    shared: Arc<Shared>,
}

impl Drop for JobInProgress {
    fn drop(&mut self) {
        self.shared.jobs.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
