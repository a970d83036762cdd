//! A process group: made by starting a script, signalled as a whole.

use rustix::process::{Pid, Signal, kill_process_group};

/// A script's process group. Only starting a script makes one, so it is never the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptGroup(Pid);

impl ScriptGroup {
    /// The group that a new process leads.
    pub(super) fn of_leader(pid: u32) -> Option<ScriptGroup> {
        i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .map(ScriptGroup)
    }

    /// The group's id, which is its leader's process id.
    pub fn id(self) -> i32 {
        self.0.as_raw_pid()
    }

    /// Signals each process of the group. Call it before the leader was waited for: until then no
    /// other group can get the id.
    pub fn signal(self, signal: Signal) {
        // A group that is gone needs no signal.
        _ = kill_process_group(self.0, signal);
    }
}
