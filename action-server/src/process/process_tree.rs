//! Finds and ends what a script left running.
//!
//! The server is a child subreaper, so whatever outlives its parent becomes the server's child,
//! also after setsid(2) and a double fork. Of these strays, those are a job's which are in its
//! process group or carry its marker in their environment.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::{
    Group, Marker, Strays,
    proc::{Status, ancestors, children, environment, heirs, processes, reap},
};

/// How long to wait for killed processes to be gone. Only one that the kernel holds (state D)
/// takes longer.
const REAP_LIMIT: Duration = Duration::from_secs(2);
const REAP_PAUSE: Duration = Duration::from_millis(2);

/// How long what an earlier server left behind has to end by itself.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// The server's children: the leaders of its jobs, which it knows, and the strays.
#[derive(Debug, Clone, Default)]
pub struct Descendants {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Held shared while a script is started and noted, and alone while children are listed: a
    /// child that is listed and not noted is a stray then, and never a script just started.
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

impl Descendants {
    /// Takes note of the children that there are now. Call it before any script is started.
    pub fn new() -> Descendants {
        let descendants = Descendants::default();
        descendants.strangers().extend(children());
        descendants
    }

    fn strangers(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.shared
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a script by `start` and takes note of its group.
    pub(super) fn start<T>(
        &self,
        start: impl FnOnce() -> io::Result<(Group, T)>,
    ) -> io::Result<(Group, T)> {
        let _starting = self
            .shared
            .starting
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let (group, value) =
            start().inspect_err(|_| self.shared.half_started.store(true, Ordering::Relaxed))?;
        self.leaders().insert(group.id());
        Ok((group, value))
    }

    /// Takes note of a job, until what this returns is dropped.
    pub fn begin_job(&self) -> JobInProgress {
        self.shared.jobs.fetch_add(1, Ordering::SeqCst);
        JobInProgress {
            descendants: self.clone(),
        }
    }

    /// Takes note that a script was waited for.
    pub fn remove_leader(&self, group: Group) {
        self.leaders().remove(&group.id());
    }

    /// From now on processes without a marker may be an admin's who wants them to live on: they are
    /// left alone.
    pub fn let_unmarked_live(&self) {
        self.shared.unmarked_live.store(true, Ordering::Relaxed);
    }

    fn leaders(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.shared
            .leaders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills and reaps strays, and what those started, until none is left. Returns those that
    /// were alive.
    pub async fn end_strays(&self, whose: &Strays) -> HashSet<i32> {
        // As the first process of a container the server inherits strangers as well.
        let strangers_too = rustix::process::getpid().as_raw_pid() == 1
            || self.shared.unmarked_live.load(Ordering::Relaxed);
        if strangers_too && matches!(whose, Strays::All) {
            return HashSet::new();
        }
        let mut killed = HashSet::new();
        let started = Instant::now();
        loop {
            let found = self.strays(whose, &killed);
            for &pid in &found.living {
                // A stray's children become ours when it ends: the next round finds them.
                _ = kill_process(pid, Signal::KILL);
                killed.insert(pid.as_raw_pid());
            }
            let waiting = killed.iter().filter(|&&pid| !reap(pid)).count();
            // One that has just ended may have left another, which only the next round sees.
            if found.living.is_empty() && !found.reaped && waiting == 0 {
                return killed;
            }
            if started.elapsed() > REAP_LIMIT {
                tracing::error!(
                    waiting,
                    "processes that were killed do not end, or start others without a pause"
                );
                return killed;
            }
            sleep(REAP_PAUSE).await;
        }
    }

    /// The living strays that are meant. Dead ones, whosever they were, are reaped: nobody else
    /// will.
    fn strays(&self, whose: &Strays, known: &HashSet<i32>) -> Found {
        let (children, is_idle) = match self.may_have(whose) {
            true => self.unknown_children(),
            false => Default::default(),
        };
        let mut found = Found::default();
        for child in children {
            if known.contains(&child) {
                continue;
            }
            let Some(status) = Status::of(child) else {
                continue;
            };
            if status.is_zombie {
                reap(child);
                self.strangers().remove(&child);
                found.reaped = true;
            } else if self.strangers().contains(&child) {
                // Not ours to end.
            } else if whose.include(child, &status, is_idle) {
                found.living.extend(Pid::from_raw(child));
            }
        }
        if let Strays::Job(_, _, family) = whose {
            let more = family
                .living()
                .filter(|pid| !known.contains(&pid.as_raw_pid()));
            found.living.extend(more);
            found.living.sort_unstable_by_key(|pid| pid.as_raw_pid());
            found.living.dedup();
        }
        found
    }

    /// Reaps strays that have ended: one that was left alive belongs to no job.
    pub fn reap_the_dead(&self) {
        _ = self.strays(&Strays::Run(Marker::none()), &HashSet::new());
    }

    /// True while there are strays that live.
    pub fn has_strays(&self, whose: &Strays) -> bool {
        !self.strays(whose, &HashSet::new()).living.is_empty()
    }

    /// Asks those strays to end that are in no group which was asked. Returns which.
    pub fn ask_strays(&self, whose: &Strays, asked: Group) -> HashSet<i32> {
        let mut strays = HashSet::new();
        for pid in self.strays(whose, &HashSet::new()).living {
            let is_asked = |status: Status| status.group == asked.id();
            if !Status::of(pid.as_raw_pid()).is_none_or(is_asked) {
                _ = kill_process(pid, Signal::TERM);
                _ = kill_process(pid, Signal::CONT);
                strays.insert(pid.as_raw_pid());
            }
        }
        strays
    }

    /// Whether it is worth to look for strays. Most jobs leave none, and a look at all children
    /// holds up the start of others.
    fn may_have(&self, whose: &Strays) -> bool {
        if let Strays::All = whose {
            if self.shared.jobs.load(Ordering::SeqCst) > 0 {
                return false;
            }
            if self.shared.half_started.load(Ordering::Relaxed) {
                return true;
            }
        }
        // What a job has left was inherited before its script could be waited for.
        let Some(heirs) = heirs() else { return true };
        let leaders = self.leaders();
        !heirs.iter().all(|pid| leaders.contains(pid))
    }

    /// The server's children that are no scripts, and whether there is no job.
    fn unknown_children(&self) -> (Vec<i32>, bool) {
        let _alone = self
            .shared
            .starting
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let leaders = self.leaders();
        let mut unknown = children();
        unknown.retain(|child| !leaders.contains(child));
        let is_idle = self.shared.jobs.load(Ordering::SeqCst) == 0;
        if is_idle {
            // Nothing is being started now. What is here is looked at until it is gone.
            let any = !unknown.is_empty();
            self.shared.half_started.store(any, Ordering::Relaxed);
        }
        (unknown, is_idle)
    }
}

/// A job that is not over.
#[derive(Debug)]
pub struct JobInProgress {
    descendants: Descendants,
}

impl Drop for JobInProgress {
    fn drop(&mut self) {
        self.descendants.shared.jobs.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What one look at the children found.
#[derive(Debug, Default)]
struct Found {
    living: Vec<Pid>,
    /// True when some had ended and were taken leave of.
    reaped: bool,
}

/// Ends what runs of an earlier server left behind: processes anywhere that carry the id of one of
/// these runs. They are asked first, and made to after [`ORPHAN_GRACE`]. Returns how many.
pub async fn end_orphans(run_ids: &[&str]) -> u32 {
    let markers: Vec<Marker> = run_ids.iter().map(|id| Marker::run(id)).collect();
    let mut seen = HashSet::new();
    let mut asked: Option<Instant> = None;
    loop {
        let orphans = orphans(&markers);
        // Not counted from the start: on a busy machine one look at all processes can take longer
        // than the grace.
        let waited = asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        let signal = match waited < ORPHAN_GRACE {
            true => Signal::TERM,
            false => Signal::KILL,
        };
        for &pid in &orphans {
            // One signal to ask is enough; a stopped process must be woken to take it.
            if signal == Signal::KILL || seen.insert(pid.as_raw_pid()) {
                _ = kill_process(pid, signal);
                _ = kill_process(pid, Signal::CONT);
            }
        }
        if orphans.is_empty() || waited > ORPHAN_GRACE + REAP_LIMIT {
            return u32::try_from(seen.len()).unwrap_or(u32::MAX);
        }
        asked.get_or_insert_with(Instant::now);
        sleep(10 * REAP_PAUSE).await;
    }
}

/// The living processes that carry one of the markers.
fn orphans(markers: &[Marker]) -> Vec<Pid> {
    let pids = processes().map(|(pid, _)| pid);
    // A server that was started by a script carries a marker itself.
    let own = ancestors();
    let pids = pids.filter(|pid| !own.contains(pid));
    let marked = pids.filter(|pid| {
        // A process that has ended has no environment, so that this finds living ones only.
        let environment = environment(*pid);
        markers.iter().any(|marker| marker.is_on(&environment))
    });
    marked.filter_map(Pid::from_raw).collect()
}
