//! A process group: made by starting a script, signalled as a whole.

use rustix::process::{Pid, kill_process_group};

/// The signals that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends a process that lets itself be ended.
    Term,
    /// Ends any process.
    Kill,
    /// Wakes a stopped process, so that it can take what is pending.
    Continue,
}

/// A script's process group. Only starting a script makes one, so it is never the server's own
/// and never a number from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(Pid);

impl Group {
    /// The group that a new process leads.
    pub(super) fn of_leader(pid: u32) -> Option<Group> {
        i32::try_from(pid).ok().and_then(Pid::from_raw).map(Group)
    }

    /// The group's id, which is its leader's process id.
    pub fn id(self) -> i32 {
        self.0.as_raw_pid()
    }

    /// Signals each process of the group. To be called while the leader is not yet waited for:
    /// until then nobody else can get the id.
    pub fn signal(self, signal: Signal) {
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Continue => rustix::process::Signal::CONT,
        };
        // A group that is gone needs no signal.
        _ = kill_process_group(self.0, signal);
    }
}
