//! How a job's processes are known when they have left their script: by their group, by what
//! they carry in their environment, or by having been seen below it.

use std::collections::{HashMap, HashSet};

use rustix::process::Pid;

use super::{
    Group,
    proc::{Status, environment, processes},
};

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

    /// A marker that no process has.
    pub(super) fn none() -> Marker {
        Marker(vec![String::from("\0")])
    }

    pub(super) fn is_on(&self, environment: &[u8]) -> bool {
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
    pub(super) fn include(&self, pid: i32, status: &Status, is_idle: bool) -> bool {
        match self {
            Strays::Job(group, marker, family) => {
                status.group == group.id()
                    || family.0.contains(&(pid, status.start))
                    || marker.is_on(&environment(pid))
            }
            Strays::Run(marker) => marker.is_on(&environment(pid)),
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
    pub(super) fn living(&self) -> impl Iterator<Item = Pid> {
        let lives = |(pid, start): &&(i32, u64)| {
            Status::of(*pid).is_some_and(|status| status.start == *start && !status.is_zombie)
        };
        self.0
            .iter()
            .filter(lives)
            .filter_map(|(pid, _)| Pid::from_raw(*pid))
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
}
