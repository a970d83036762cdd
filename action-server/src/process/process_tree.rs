//! The processes below a script, noted before it is terminated, so that they are found if they hide
//! later.

use std::collections::HashMap;

use super::{
    ScriptGroup,
    proc::{ProcStat, ProcessId},
    process_view::ProcessView,
};

/// Processes that were seen below a script, or in its group, while it lived; the script itself is
/// none of them.
#[derive(Debug, Clone, Default)]
pub struct ProcessTree {
    /// Each with its group.
    members: HashMap<ProcessId, i32>,
}

impl ProcessTree {
    /// The living processes below a group's leader, and below `more` and with these.
    pub(super) fn below(
        view: &mut ProcessView,
        group: ScriptGroup,
        more: impl IntoIterator<Item = (i32, ProcStat)>,
    ) -> ProcessTree {
        let mut tree = ProcessTree::default();
        let mut parents = vec![group.id()];
        let mut found: Vec<(i32, ProcStat)> = more.into_iter().collect();
        loop {
            for (pid, status) in found.drain(..) {
                if status.is_alive() && tree.add(pid, &status) {
                    parents.push(pid);
                }
            }
            let Some(parent) = parents.pop() else {
                return tree;
            };
            for child in view.children_of(parent) {
                found.extend(view.status(child).map(|status| (child, status)));
            }
        }
    }

    fn add(&mut self, pid: i32, status: &ProcStat) -> bool {
        let start = status.start;
        let before = self.members.insert(ProcessId { pid, start }, status.group);
        before.is_none()
    }

    /// Adds those that another look found.
    pub fn extend(&mut self, other: ProcessTree) {
        self.members.extend(other.members);
    }

    /// Those that were in this group.
    pub fn in_group(&self, group: ScriptGroup) -> impl Iterator<Item = ProcessId> {
        let members = self.members.iter();
        members.filter_map(move |(id, own)| (*own == group.id()).then_some(*id))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn contains(&self, id: ProcessId) -> bool {
        self.members.contains_key(&id)
    }

    pub(super) fn member_ids(&self) -> impl Iterator<Item = ProcessId> {
        self.members.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn whoever_is_below_a_script_is_found_in_whatever_session() {
        let script = "sleep 1000 & env -i setsid bash -c 'sleep 1000 & echo ready; wait' & wait";
        let mut leader = Command::new("bash")
            .args(["-c", script])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = leader.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let group = ScriptGroup::of_leader(leader.id()).unwrap();
        let mut view = ProcessView::default();
        let by_files = ProcessTree::below(&mut view, group, []);
        view.refresh();
        // As where the kernel lacks CONFIG_PROC_CHILDREN.
        view.all_processes();
        let by_table = ProcessTree::below(&mut view, group, []);
        for id in by_files.member_ids() {
            super::super::process_signal::signal_process(id, rustix::process::Signal::KILL);
        }
        leader.wait().unwrap();
        for tree in [by_files, by_table] {
            assert_eq!(tree.members.len(), 3);
            assert_eq!(tree.in_group(group).count(), 1);
        }
    }
}
