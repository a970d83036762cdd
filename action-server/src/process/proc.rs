//! The kernel's view of processes: proc(5).

use std::{fs, path::Path, thread, time::Duration};

use rustix::process::{Pid, WaitOptions, waitpid};

/// All processes, with what is known of each.
pub(super) fn processes() -> impl Iterator<Item = (i32, Status)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, Status::of(pid)?)))
}

/// This process and those above it.
pub(super) fn ancestors() -> Vec<i32> {
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

/// Takes the status of a child that has ended. True when it is gone.
pub(super) fn reap(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return true;
    };
    !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// Our children that were others' first, and what the main thread has started itself, which is
/// nothing in the server. The kernel gives a subreaper's heirs to the first of its threads that
/// lives (`find_alive_thread` in its exit.c), and the main thread lives as long as the process.
/// `None` where the kernel does not tell.
pub(super) fn heirs() -> Option<Vec<i32>> {
    let main = rustix::process::getpid().as_raw_pid();
    children_of(&Path::new("/proc/self/task").join(main.to_string()))
}

fn children_of(thread: &Path) -> Option<Vec<i32>> {
    let list = fs::read_to_string(thread.join("children")).ok()?;
    let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    Some(pids.collect())
}

/// Our direct children: proc(5), `/proc/PID/task/TID/children`.
pub(super) fn children() -> Vec<i32> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        match children_of(&thread.path()) {
            Some(more) => children.extend(more),
            // A thread that has just ended, or a kernel without the file.
            None if thread.path().exists() => return children_by_scan(),
            None => {}
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
pub(super) struct Status {
    pub(super) is_zombie: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// When it was started, in clock ticks since the system was.
    pub(super) start: u64,
}

impl Status {
    pub(super) fn of(pid: i32) -> Option<Status> {
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

/// How often, and how long after, a process is looked at again that is between two programs.
const LOOKS: u32 = 50;
const LOOK_PAUSE: Duration = Duration::from_micros(200);

/// The environment of a process; empty for one that has ended.
///
/// While a process replaces its program (execve(2)) the kernel shows neither environment nor
/// arguments, and what is being read of the old ones is cut. That is over in a moment, and it must
/// not pass for having no marker: what counts was read twice.
pub(super) fn environment(pid: i32) -> Vec<u8> {
    let read = |what| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let mut before = read("environ");
    for _ in 0..LOOKS {
        let is_between = read("cmdline").is_empty();
        let environment = read("environ");
        let lives = || Status::of(pid).is_some_and(|status| !status.is_zombie);
        if environment == before && (!is_between || !lives()) {
            return environment;
        }
        before = environment;
        thread::sleep(LOOK_PAUSE);
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_process() {
        let own = rustix::process::getpid().as_raw_pid();
        let status = Status::of(own).unwrap();
        assert!(!status.is_zombie && status.parent > 0 && status.group > 0 && status.start > 0);
        assert!(children_by_scan().iter().all(|&pid| pid != own));
        assert_eq!(ancestors()[..2], [own, status.parent]);
    }
}
