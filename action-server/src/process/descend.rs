//! Finds and ends what a script left running.
//!
//! The server is a child subreaper, so whatever outlives its parent becomes the server's child,
//! also after setsid(2) and a double fork. Of these strays, those are a job's which are in its
//! process group or carry its marker in their environment.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::time::{Instant, sleep};

use super::Group;

/// How long to wait for killed processes to be gone. Only one that the kernel holds (state D)
/// takes longer.
const REAP_LIMIT: Duration = Duration::from_secs(2);
const REAP_PAUSE: Duration = Duration::from_millis(2);

/// How long what an earlier server left behind has to end by itself.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// What tells a job's processes from those of others: variables that all of them inherit.
#[derive(Debug, Clone)]
pub struct Marker(Vec<String>);

impl Marker {
    /// The marker of one job of a run.
    pub fn job(run_id: &str, node: &str) -> Marker {
        Marker(vec![format!("run_id={run_id}"), format!("name={node}")])
    }

    /// The marker of all jobs of a run.
    pub fn run(run_id: &str) -> Marker {
        Marker(vec![format!("run_id={run_id}")])
    }

    fn is_on(&self, environment: &[u8]) -> bool {
        let has = |wanted: &String| {
            environment
                .split(|&b| b == 0)
                .any(|entry| entry == wanted.as_bytes())
        };
        self.0.iter().all(has)
    }
}

/// Whose strays are meant.
#[derive(Debug, Clone)]
pub enum Strays {
    /// A job's: in its process group, with its marker, or known to be of its family.
    Job(Group, Marker, Family),
    /// A run's: with its marker.
    Run(Marker),
    /// Everybody's. They can be told from those of jobs only while there is no job.
    All,
}

impl Strays {
    fn include(&self, pid: i32, status: &Status, is_idle: bool) -> bool {
        let environment = || fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        match self {
            Strays::Job(group, marker, family) => {
                status.group == group.id()
                    || family.0.contains(&(pid, status.start))
                    || marker.is_on(&environment())
            }
            Strays::Run(marker) => marker.is_on(&environment()),
            Strays::All => is_idle,
        }
    }
}

/// Processes that were seen below a script while it lived, each with the time of its start: a pid
/// alone may be another's later.
#[derive(Debug, Clone, Default)]
pub struct Family(HashSet<(i32, u64)>);

impl Family {
    /// Those below a group's leader now, and the group's own.
    pub fn of(group: Group) -> Family {
        let mut below: HashMap<i32, Vec<(i32, u64)>> = HashMap::new();
        let mut family = HashSet::new();
        for (pid, status) in processes() {
            below
                .entry(status.parent)
                .or_default()
                .push((pid, status.start));
            if status.group == group.id() && pid != group.id() {
                family.insert((pid, status.start));
            }
        }
        let mut parents = vec![group.id()];
        parents.extend(family.iter().map(|(pid, _)| *pid));
        while let Some(parent) = parents.pop() {
            for child in below.remove(&parent).unwrap_or_default() {
                family.insert(child);
                parents.push(child.0);
            }
        }
        Family(family)
    }

    /// Adds those that another look found.
    pub fn extend(&mut self, other: Family) {
        self.0.extend(other.0);
    }

    /// Those that live, whoever is their parent now.
    fn living(&self) -> impl Iterator<Item = Pid> {
        let lives = |(pid, start): &&(i32, u64)| {
            Status::of(*pid).is_some_and(|status| status.start == *start && !status.is_zombie)
        };
        self.0
            .iter()
            .filter(lives)
            .filter_map(|(pid, _)| Pid::from_raw(*pid))
    }
}

/// All processes, with what is known of each.
fn processes() -> impl Iterator<Item = (i32, Status)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, Status::of(pid)?)))
}

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
        let (group, value) = start()?;
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

    /// Kills and reaps strays, and what those started, until none is left. Returns how many were
    /// alive.
    pub async fn end_strays(&self, whose: &Strays) -> u32 {
        // As the first process of a container the server inherits strangers as well.
        let strangers_too = rustix::process::getpid().as_raw_pid() == 1
            || self.shared.unmarked_live.load(Ordering::Relaxed);
        if strangers_too && matches!(whose, Strays::All) {
            return 0;
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
            let count = u32::try_from(killed.len()).unwrap_or(u32::MAX);
            // One that has just ended may have left another, which only the next round sees.
            if found.living.is_empty() && !found.reaped && waiting == 0 {
                return count;
            }
            if started.elapsed() > REAP_LIMIT {
                tracing::error!(
                    waiting,
                    "processes that were killed do not end, or start others without a pause"
                );
                return count;
            }
            sleep(REAP_PAUSE).await;
        }
    }

    /// The living strays that are meant. Dead ones, whosever they were, are reaped: nobody else
    /// will.
    fn strays(&self, whose: &Strays, known: &HashSet<i32>) -> Found {
        let (children, is_idle) = self.unknown_children();
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

    /// True while there are strays that live.
    pub fn has_strays(&self, whose: &Strays) -> bool {
        !self.strays(whose, &HashSet::new()).living.is_empty()
    }

    /// Asks strays to end.
    pub fn ask_strays(&self, whose: &Strays) {
        for pid in self.strays(whose, &HashSet::new()).living {
            _ = kill_process(pid, Signal::TERM);
            _ = kill_process(pid, Signal::CONT);
        }
    }

    /// The server's children that are no scripts, and whether there is no job.
    fn unknown_children(&self) -> (Vec<i32>, bool) {
        let _alone = self
            .shared
            .starting
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let leaders = self.leaders();
        let strangers = children()
            .into_iter()
            .filter(|child| !leaders.contains(child));
        let is_idle = self.shared.jobs.load(Ordering::SeqCst) == 0;
        (strangers.collect(), is_idle)
    }
}

/// Ends what runs of an earlier server left behind: processes anywhere that carry the id of one of
/// these runs. They are asked first, and made to after [`ORPHAN_GRACE`]. Returns how many.
pub async fn end_orphans(run_ids: &[&str]) -> u32 {
    let markers: Vec<Marker> = run_ids.iter().map(|id| Marker::run(id)).collect();
    let mut seen = HashSet::new();
    let started = Instant::now();
    loop {
        let orphans = orphans(&markers);
        let signal = match started.elapsed() < ORPHAN_GRACE {
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
        if orphans.is_empty() || started.elapsed() > ORPHAN_GRACE + REAP_LIMIT {
            return u32::try_from(seen.len()).unwrap_or(u32::MAX);
        }
        sleep(10 * REAP_PAUSE).await;
    }
}

/// This process and those above it.
fn ancestors() -> Vec<i32> {
    let mut pid = rustix::process::getpid().as_raw_pid();
    let mut ancestors = vec![pid];
    while let Some(parent) = Status::of(pid)
        .map(|status| status.parent)
        .filter(|&parent| parent > 0)
    {
        ancestors.push(parent);
        pid = parent;
    }
    ancestors
}

/// The living processes that carry one of the markers.
fn orphans(markers: &[Marker]) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // A server that was started by a script carries a marker itself.
    let own = ancestors();
    let pids = pids.filter(|pid| !own.contains(pid));
    let marked = pids.filter(|pid| {
        // A process that has ended has no environment, so that this finds living ones only.
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| markers.iter().any(|marker| marker.is_on(&environment)))
    });
    marked.filter_map(Pid::from_raw).collect()
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

/// Takes the status of a child that has ended. True when it is gone.
fn reap(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return true;
    };
    !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// Our direct children: proc(5), `/proc/PID/task/TID/children`.
fn children() -> Vec<i32> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => children.extend(
                list.split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            ),
            // A thread that has just ended, or a kernel without the file.
            Err(_) if thread.path().exists() => return children_by_scan(),
            Err(_) => {}
        }
    }
    children
}

/// The same where the kernel lacks CONFIG_PROC_CHILDREN: slower, over all processes.
fn children_by_scan() -> Vec<i32> {
    let own = rustix::process::getpid().as_raw_pid();
    processes()
        .filter(|(_, status)| status.parent == own)
        .map(|(pid, _)| pid)
        .collect()
}

/// What `/proc/PID/stat` says of a process.
struct Status {
    is_zombie: bool,
    parent: i32,
    group: i32,
    /// When it was started, in clock ticks since the system was.
    start: u64,
}

impl Status {
    fn of(pid: i32) -> Option<Status> {
        // A process may call itself anything, also what is no UTF-8.
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The name in parentheses may itself hold anything: the last ) ends it.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // Field 22 of proc(5); the group is field 5.
        let start = fields.nth(16)?.parse().ok()?;
        Some(Status {
            is_zombie: state == "Z" || state == "X",
            parent,
            group,
            start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_match_whole_variables() {
        let marker = Marker::job("abc", "n1");
        assert!(marker.is_on(b"PATH=/bin\0run_id=abc\0name=n1\0"));
        assert!(!marker.is_on(b"run_id=abcd\0name=n1\0"));
        assert!(!marker.is_on(b"run_id=abc\0name=n10\0"));
        assert!(!marker.is_on(b"xrun_id=abc\0name=n1\0"));
        assert!(Marker::run("abc").is_on(b"run_id=abc\0name=n7\0"));
    }

    #[test]
    fn the_status_of_a_process() {
        let own = rustix::process::getpid().as_raw_pid();
        let status = Status::of(own).unwrap();
        assert!(!status.is_zombie && status.parent > 0 && status.group > 0);
        assert!(children_by_scan().iter().all(|&pid| pid != own));
    }
}
