//! What a process takes and holds, as /proc shows it: memory, descriptors, children, time.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// A line of `/proc/PID/status` in KiB, as `VmRSS` or `VmHWM`.
#[track_caller]
pub fn memory(pid: i32, line: &str) -> u64 {
    try_memory(pid, line).unwrap()
}

/// The same of a process that may have ended.
pub fn try_memory(pid: i32, line: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = text.lines();
    let number = lines.find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
    number.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Sets the peak `VmHWM` back to what is used now: proc(5), clear_refs.
pub fn forget_peak(pid: i32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Sets how many descriptors a process may have; returns how many it might.
#[track_caller]
pub fn limit_descriptors(pid: i32, most: u64) -> u64 {
    // A process that is not root's could not raise the hard one again: it stays.
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let mut lines = limits.lines();
    let hard = lines
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let limits = Rlimit {
        current: Some(most),
        maximum: hard.split_whitespace().nth(4).unwrap().parse().ok(),
    };
    let before = prlimit(Pid::from_raw(pid), Resource::Nofile, limits).unwrap();
    before.current.unwrap()
}

/// What each open descriptor is.
pub fn descriptors(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let mut targets: Vec<_> = targets.map(|path| path.display().to_string()).collect();
    targets.sort();
    targets
}

/// The children of a process: each with its state, such as `Z` for a zombie.
pub fn children(pid: i32) -> Vec<(i32, char)> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let child = |child: i32| {
        let text = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        // The name in parentheses may hold anything.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent: i32 = fields.next()?.parse().ok()?;
        (parent == pid).then_some((child, state))
    };
    pids.filter_map(child).collect()
}

/// How much time of processors a process has taken, in ticks of a hundredth of a second.
#[track_caller]
pub fn ticks(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
    // utime and stime: proc(5), counted from the state.
    let field = |at: usize| fields[at].parse::<u64>().unwrap();
    field(11) + field(12)
}

/// How many connections over TCP a process has: those of /proc/PID/net/tcp that are its own.
pub fn connections(pid: i32) -> usize {
    let own = descriptors(pid);
    let text = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split_whitespace());
    // The state is the fourth column, 0A for a listener; the inode is the tenth.
    let rows = rows.filter_map(|mut row| Some((row.nth(3)?.to_owned(), row.nth(5)?.to_owned())));
    rows.filter(|(state, inode)| state != "0A" && own.contains(&format!("socket:[{inode}]")))
        .count()
}
