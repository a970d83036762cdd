//! A view of the host's processes. Each part is read once, when it is first needed, for all who share
//! the view.

use std::{collections::HashMap, sync::Arc};

use super::{
    env_marks::EnvMarks,
    proc::{ProcStat, all_pids, children_of, environment, own_heirs, own_pid},
};

/// The processes as they are, from [`refresh`](ProcessView::refresh) to the next.
#[derive(Debug, Default)]
pub(super) struct ProcessView {
    statuses: HashMap<i32, Option<ProcStat>>,
    /// All processes by their parent, where one had to look at all.
    table: Option<HashMap<i32, Vec<i32>>>,
    own: HashMap<ChildKind, OwnChildren>,
    /// What the environment of a process that runs one program says. It outlives the view: reading
    /// it is the dearest part.
    marks: HashMap<i32, (u64, u64, Arc<EnvMarks>)>,
    /// How often all processes were read.
    #[cfg(test)]
    pub(super) scans: usize,
}

/// Which of the server's children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ChildKind {
    /// Those that were others' first.
    Heirs,
    /// Those that a thread of the server started, too.
    All,
}

/// Children of the server.
#[derive(Debug, Clone)]
pub(super) struct OwnChildren {
    pub(super) pids: Arc<[i32]>,
    /// False where scripts that are just being started may be among them.
    pub(super) are_heirs: bool,
}

impl ProcessView {
    /// Forgets what may have changed.
    pub(super) fn refresh(&mut self) {
        if self.table.is_some() || !self.own.is_empty() {
            // All whose environment could be asked for were looked at.
            self.marks.retain(|pid, _| self.statuses.contains_key(pid));
        }
        self.statuses.clear();
        self.table = None;
        self.own.clear();
    }

    pub(super) fn status(&mut self, pid: i32) -> Option<ProcStat> {
        *self
            .statuses
            .entry(pid)
            .or_insert_with(|| ProcStat::of(pid))
    }

    /// The server's children.
    pub(super) fn own_children(&mut self, which: ChildKind) -> OwnChildren {
        if let Some(children) = self.own.get(&which) {
            return children.clone();
        }
        let heirs = match which {
            ChildKind::Heirs => own_heirs(),
            ChildKind::All => None,
        };
        let children = OwnChildren {
            are_heirs: heirs.is_some(),
            pids: heirs.unwrap_or_else(|| self.children_of(own_pid())).into(),
        };
        self.own.insert(which, children.clone());
        children
    }

    /// A process' children.
    pub(super) fn children_of(&mut self, pid: i32) -> Vec<i32> {
        let Some(status) = self.status(pid) else {
            return Vec::new();
        };
        if self.table.is_none()
            && let Some(children) = children_of(pid, status.threads)
        {
            return children;
        }
        if self.table.is_none() && ProcStat::of(pid).is_none() {
            // It has ended meanwhile.
            return Vec::new();
        }
        self.process_table().get(&pid).cloned().unwrap_or_default()
    }

    /// All processes by their parent.
    fn process_table(&mut self) -> &HashMap<i32, Vec<i32>> {
        let statuses = &mut self.statuses;
        self.table.get_or_insert_with(|| {
            #[cfg(test)]
            {
                self.scans += 1;
            }
            let mut table: HashMap<i32, Vec<i32>> = HashMap::new();
            for pid in all_pids() {
                let status = *statuses.entry(pid).or_insert_with(|| ProcStat::of(pid));
                if let Some(status) = status {
                    table.entry(status.parent).or_default().push(pid);
                }
            }
            table
        })
    }

    /// All processes, each with its status.
    pub(super) fn all_processes(&mut self) -> Vec<(i32, ProcStat)> {
        self.process_table();
        let found = self.statuses.iter();
        found
            .filter_map(|(pid, status)| Some((*pid, (*status)?)))
            .collect()
    }

    /// The marks in a process's environment.
    pub(super) fn env_marks(&mut self, pid: i32, status: &ProcStat) -> Arc<EnvMarks> {
        if let Some((start, program, marks)) = self.marks.get(&pid)
            && (*start, *program) == (status.start, status.program)
        {
            return Arc::clone(marks);
        }
        let marks = Arc::new(if status.is_alive() && !status.is_kernel_thread {
            EnvMarks::of(&environment(pid))
        } else {
            EnvMarks::default()
        });
        let entry = (status.start, status.program, Arc::clone(&marks));
        self.marks.insert(pid, entry);
        marks
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn all_processes_are_read_once_for_each_view() {
        let mut view = ProcessView::default();
        let own = own_pid();
        for scans in 1..=2 {
            view.refresh();
            assert!(view.all_processes().iter().any(|(pid, _)| *pid == own));
            assert!(view.all_processes().len() > 1);
            assert_eq!(view.scans, scans);
        }
    }

    #[test]
    fn both_ways_to_find_children_agree() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mut view = ProcessView::default();
        let by_file = view.own_children(ChildKind::All);
        view.refresh();
        view.all_processes();
        let by_table = view.own_children(ChildKind::All);
        _ = child.kill();
        _ = child.wait();
        assert!(by_file.pids.contains(&pid) && by_table.pids.contains(&pid));
        assert!(!by_file.are_heirs && !by_file.pids.contains(&own_pid()));
    }

    #[test]
    fn an_environment_is_read_once_for_each_program_of_a_process() {
        let start = |run| {
            let mut command = Command::new("sleep");
            command.arg("1000").env("run_id", run).spawn().unwrap()
        };
        let mut child = start("abc");
        let pid = i32::try_from(child.id()).unwrap();
        let mut view = ProcessView::default();
        let status = view.status(pid).unwrap();
        let marks = view.env_marks(pid, &status);
        assert_eq!(*marks, EnvMarks::of(b"A=b\0run_id=abc\0"));
        assert!(Arc::ptr_eq(&marks, &view.env_marks(pid, &status)));
        for other in [
            ProcStat {
                program: status.program + 1,
                ..status
            },
            ProcStat {
                start: status.start + 1,
                ..status
            },
        ] {
            assert!(!Arc::ptr_eq(&marks, &view.env_marks(pid, &other)));
        }
        // What is gone is forgotten.
        view.own_children(ChildKind::Heirs);
        _ = child.kill();
        _ = child.wait();
        view.refresh();
        view.own_children(ChildKind::Heirs);
        view.refresh();
        assert!(view.marks.is_empty());
    }
}
