//! Signals to single processes, and reaping. Both go to the process that was seen, never to another
//! one that has got its number since: pidfd_open(2).

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open,
        pidfd_send_signal, waitid,
    },
};

use super::proc::{ProcStat, ProcState, ProcessId};

/// Signals a process. True when it was there to get the signal.
pub(super) fn signal_process(id: ProcessId, signal: Signal) -> bool {
    match open_process(id) {
        OpenedProcess::Process(process) => pidfd_send_signal(process, signal).is_ok(),
        OpenedProcess::Unsupported(pid) => kill_process(pid, signal).is_ok(),
        OpenedProcess::Gone => false,
    }
}

/// Takes the status of a process that has ended, where it is a child. True when nothing of it runs.
pub(super) fn reap_process(id: ProcessId) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let waited = match open_process(id) {
        OpenedProcess::Process(process) => waitid(WaitId::PidFd(process.as_fd()), options),
        OpenedProcess::Unsupported(pid) => waitid(WaitId::Pid(pid), options),
        OpenedProcess::Gone => return true,
    };
    match waited {
        Ok(ended) => ended.is_some(),
        // Another's child, which that one has to wait for.
        Err(_) => stat_now(id).is_none_or(|status| status.state == ProcState::Zombie),
    }
}

enum OpenedProcess {
    Process(OwnedFd),
    /// The kernel is older than 5.3, a sandbox refuses the call, or no descriptor is left.
    Unsupported(Pid),
    Gone,
}

/// Holds on to a process: its number stays its own as long as the descriptor refers to it.
fn open_process(id: ProcessId) -> OpenedProcess {
    let Some(pid) = Pid::from_raw(id.pid) else {
        return OpenedProcess::Gone;
    };
    let opened = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => OpenedProcess::Process(process),
        Err(Errno::SRCH) => return OpenedProcess::Gone,
        Err(_) => OpenedProcess::Unsupported(pid),
    };
    // In this order: the number cannot pass to another process after it was opened.
    match stat_now(id) {
        Some(_) => opened,
        None => OpenedProcess::Gone,
    }
}

/// The process's status now; `None` when it is gone, even if its number is in use again.
fn stat_now(id: ProcessId) -> Option<ProcStat> {
    ProcStat::of(id.pid).filter(|status| status.start == id.start)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, ProcessId) {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let start = ProcStat::of(pid).unwrap().start;
        (child, ProcessId { pid, start })
    }

    #[test]
    fn a_process_that_got_the_number_of_another_is_neither_signalled_nor_reaped() {
        let (mut child, id) = sleeper();
        // As it would look if the number had been another's when it was noted.
        let before = ProcessId {
            start: id.start - 1,
            ..id
        };
        assert!(!signal_process(before, Signal::KILL));
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        while stat_now(id).is_some_and(|status| status.state != ProcState::Zombie) {
            std::thread::yield_now();
        }
        assert!(reap_process(before), "the one that was noted is gone");
        assert!(stat_now(id).is_some(), "the other still waits to be reaped");
        child.wait().unwrap();
    }

    #[test]
    fn a_child_is_signalled_and_reaped_once() {
        let (child, id) = sleeper();
        assert!(!reap_process(id), "it runs");
        assert!(signal_process(id, Signal::KILL));
        while !reap_process(id) {
            std::thread::yield_now();
        }
        assert!(stat_now(id).is_none());
        assert!(!signal_process(id, Signal::KILL));
        assert!(reap_process(id));
        drop(child);
    }
}
