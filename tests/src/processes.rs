//! Processes as /proc shows them: for what must be gone, and what must still be there.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The processes that have a variable in their environment which begins so, each with its
/// command line. Zombies have none and do not count.
pub fn with_variable(beginning: &str) -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let found = pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable.starts_with(beginning.as_bytes()))
    });
    found.map(|pid| (pid, command_line(pid))).collect()
}

/// The processes that have this text in their command line. Zombies have none and do not count.
pub fn with_argument(text: &str) -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.map(|pid| (pid, command_line(pid)))
        .filter(|(_, line)| line.contains(text))
        .collect()
}

fn command_line(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Whether a process is there and not a zombie.
pub fn is_alive(pid: i32) -> bool {
    // The name in parentheses may hold anything: the state stands after the last one.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|text| Some(!text.rsplit_once(") ")?.1.starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Sends a signal to a process that this test started, directly or not. One that is gone is fine.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        _ = kill_process(pid, signal);
    }
}
