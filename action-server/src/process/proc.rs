//! The kernel's view of processes: proc(5). Reads, and never signals.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::Path,
    thread,
    time::Duration,
};

/// A process, and no later one that gets the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    pub(super) pid: i32,
    /// When it was started, in clock ticks since the system was.
    pub(super) start: u64,
}

/// The numbers of all processes.
pub(super) fn all_pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// This process and those above it.
pub(super) fn own_ancestors() -> Vec<i32> {
    let mut pid = own_pid();
    let mut ancestors = vec![pid];
    while let Some(parent) = ProcStat::of(pid)
        .map(|status| status.parent)
        .filter(|&parent| parent > 0)
    {
        ancestors.push(parent);
        pid = parent;
    }
    ancestors
}

/// This process.
pub(super) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

/// The longest list of heirs that is read without a thread of its own.
const BRIEF: usize = 512;

/// The same as [`heirs`], read at once: `None` also where there are many.
pub(super) fn few_heirs() -> Option<Vec<i32>> {
    let mut list = [0; BRIEF];
    let read = File::open(children_file(own_pid(), own_pid()))
        .and_then(|mut file| file.read(&mut list))
        .ok()?;
    (read < BRIEF).then(|| parse_numbers(&list[..read]))
}

/// Our children that were others' first, and what the main thread has started itself, which is
/// nothing in the server. The kernel gives a subreaper's heirs to the first of its threads that
/// lives (`find_alive_thread` in its exit.c), and the main thread lives as long as the process.
/// `None` where the kernel lacks CONFIG_PROC_CHILDREN.
pub(super) fn own_heirs() -> Option<Vec<i32>> {
    children_of_thread(own_pid(), own_pid())
}

/// A process' children, whichever of its threads started them. `None` where the kernel lacks
/// CONFIG_PROC_CHILDREN, or when the process is gone.
pub(super) fn children_of(pid: i32, threads: u64) -> Option<Vec<i32>> {
    if threads <= 1 {
        return children_of_thread(pid, pid);
    }
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let thread = thread.file_name().to_str()?.parse().ok()?;
        match children_of_thread(pid, thread) {
            Some(more) => children.extend(more),
            None if Path::new(&format!("/proc/{pid}/task/{thread}")).exists() => return None,
            // A thread that has just ended.
            None => {}
        }
    }
    Some(children)
}

fn children_of_thread(pid: i32, thread: i32) -> Option<Vec<i32>> {
    Some(parse_numbers(&fs::read(children_file(pid, thread)).ok()?))
}

fn children_file(pid: i32, thread: i32) -> String {
    format!("/proc/{pid}/task/{thread}/children")
}

fn parse_numbers(list: &[u8]) -> Vec<i32> {
    let words = list.split(u8::is_ascii_whitespace);
    words
        .filter_map(|word| str::from_utf8(word).ok()?.parse().ok())
        .collect()
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProcStat {
    pub(super) state: ProcState,
    pub(super) is_kernel_thread: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) threads: u64,
    /// When it was started, in clock ticks since the system was.
    pub(super) start: u64,
    /// Differs between two programs that the process runs one after the other.
    pub(super) program: u64,
}

/// How far a process is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcState {
    /// It waits for something.
    Waiting,
    /// It runs, waits for a processor or for a disk.
    Busy,
    /// It is ending by itself or by a signal, and nothing can change that.
    Exiting,
    /// It has ended and was not waited for.
    Zombie,
}

/// Flags of a task: the kernel's include/linux/sched.h.
const PF_EXITING: u64 = 0x4;
const PF_KTHREAD: u64 = 0x0020_0000;

impl ProcStat {
    pub(super) fn of(pid: i32) -> Option<ProcStat> {
        ProcStat::parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse_stat(text: &[u8]) -> Option<ProcStat> {
        // The name in parentheses may itself hold anything, also what is no UTF-8: the last ) ends it.
        let end = text.windows(2).rposition(|two| two == b") ")?;
        let (name, rest) = text.split_at(end);
        let fields: Vec<&str> = str::from_utf8(&rest[2..])
            .ok()?
            .split_whitespace()
            .collect();
        // As numbered in proc(5), where the state is field 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse::<u64>().ok();
        let flags = number(9)?;
        let mut program = DefaultHasher::new();
        // Where its code, stack and environment are: 0 without the right to read it.
        let places = [26, 28, 50, 51].map(number);
        (name, places).hash(&mut program);
        Some(ProcStat {
            state: match field(3)? {
                "Z" | "X" => ProcState::Zombie,
                _ if flags & PF_EXITING != 0 => ProcState::Exiting,
                "R" | "D" => ProcState::Busy,
                _ => ProcState::Waiting,
            },
            is_kernel_thread: flags & PF_KTHREAD != 0,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            threads: number(20)?,
            start: number(22)?,
            program: program.finish(),
        })
    }

    /// True for a process that a signal can still end.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, ProcState::Waiting | ProcState::Busy)
    }
}

/// How often, and how long after, a process is looked at again that is between two programs.
const LOOKS: u32 = 50;
const LOOK_PAUSE: Duration = Duration::from_micros(200);

/// The environment of a process; empty for one that has ended. May sleep.
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
        let lives = || ProcStat::of(pid).is_some_and(|status| status.is_alive());
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
        let own = own_pid();
        let status = ProcStat::of(own).unwrap();
        assert!(status.is_alive() && !status.is_kernel_thread);
        assert!(status.parent > 0 && status.group > 0 && status.start > 0);
        assert_eq!(own_ancestors()[..2], [own, status.parent]);
        assert!(all_pids().any(|pid| pid == own));
    }

    /// Fields 3 to 52, as proc(5) numbers them, with these ones changed.
    fn stat(name: &str, changed: &[(usize, &str)]) -> Vec<u8> {
        let mut fields = vec!["0"; 50];
        fields[0] = "S";
        for (number, value) in changed {
            fields[number - 3] = value;
        }
        format!("7 ({name}) {}\n", fields.join(" ")).into_bytes()
    }

    #[test]
    fn the_fields_of_a_status() {
        let changed = [(4, "5"), (5, "6"), (20, "3"), (22, "123")];
        // A name may look like the rest of the line.
        for name in ["sleep", "a) R 1 2", ") Z ("] {
            let status = ProcStat::parse_stat(&stat(name, &changed)).unwrap();
            let seen = (status.parent, status.group, status.threads, status.start);
            assert_eq!(seen, (5, 6, 3, 123), "{name}");
            assert_eq!(status.state, ProcState::Waiting, "{name}");
        }
        assert!(ProcStat::parse_stat(b"7 (cut) S 1 2").is_none());
        assert!(ProcStat::parse_stat(b"").is_none());
    }

    #[test]
    fn the_state_of_a_process() {
        let state = |letter, flags: u64| {
            let flags = flags.to_string();
            let status = ProcStat::parse_stat(&stat("it", &[(3, letter), (9, &flags)])).unwrap();
            (status.state, status.is_kernel_thread)
        };
        assert_eq!(state("R", 0), (ProcState::Busy, false));
        assert_eq!(state("D", 0), (ProcState::Busy, false));
        assert_eq!(state("T", 0x0040_0000), (ProcState::Waiting, false));
        assert_eq!(state("R", PF_EXITING), (ProcState::Exiting, false));
        assert_eq!(state("Z", PF_EXITING), (ProcState::Zombie, false));
        assert_eq!(state("I", 0x0420_8040), (ProcState::Waiting, true));
    }

    #[test]
    fn another_program_is_told_from_the_one_before() {
        let program = |name, place| {
            ProcStat::parse_stat(&stat(name, &[(50, place)]))
                .unwrap()
                .program
        };
        assert_eq!(program("bash", "1"), program("bash", "1"));
        assert_ne!(program("bash", "1"), program("sleep", "1"));
        assert_ne!(program("bash", "1"), program("bash", "2"));
    }

    #[test]
    fn the_children_of_a_process() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // The test runs in a thread of its own, of several.
        let children = children_of(own_pid(), 2);
        _ = child.kill();
        _ = child.wait();
        assert!(children.is_none_or(|children| children.contains(&pid)));
    }
}
