//! Whose a process is that has left its script: by its group, by what it carries in its
//! environment, or by having been seen below the script.

use super::{
    Group, ProcessTree,
    env_marks::EnvMarks,
    proc::{ProcessId, Status},
    process_view::ProcessView,
};

/// What tells a job's processes from those of others: variables that all of them inherit.
#[derive(Debug, Clone)]
pub struct EnvMarker {
    run_id: String,
    node: Option<String>,
}

impl EnvMarker {
    /// The marker of one job of a run.
    pub fn job(run_id: &str, node: &str) -> EnvMarker {
        EnvMarker {
            run_id: run_id.to_owned(),
            node: Some(node.to_owned()),
        }
    }

    /// The marker of all jobs of a run.
    pub fn run(run_id: &str) -> EnvMarker {
        EnvMarker {
            run_id: run_id.to_owned(),
            node: None,
        }
    }

    fn is_among(&self, marks: &EnvMarks) -> bool {
        marks.are_of(&self.run_id, self.node.as_deref())
    }
}

/// Whose leftovers are meant.
#[derive(Debug, Clone)]
pub enum LeftoversOf {
    /// A job's: in its process group, with its marker, or seen below its script.
    Job(Group, EnvMarker, ProcessTree),
    /// A run's: with its marker.
    Run(EnvMarker),
    /// Everybody's. They can be told from those of jobs only while there is no job.
    Everybody,
}

impl LeftoversOf {
    pub(super) fn include(
        &self,
        view: &mut ProcessView,
        pid: i32,
        status: &Status,
        is_idle: bool,
    ) -> bool {
        let start = status.start;
        match self {
            LeftoversOf::Job(group, marker, tree) => {
                status.group == group.id()
                    || tree.contains(ProcessId { pid, start })
                    || marker.is_among(&view.marks(pid, status))
            }
            LeftoversOf::Run(marker) => marker.is_among(&view.marks(pid, status)),
            LeftoversOf::Everybody => is_idle,
        }
    }

    /// Those that are known by themselves, whoever is their parent.
    pub(super) fn tree(&self) -> Option<&ProcessTree> {
        match self {
            LeftoversOf::Job(_, _, tree) => Some(tree).filter(|tree| !tree.is_empty()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_match_whole_variables() {
        let marker = EnvMarker::job("abc", "n1");
        let is_on = |marker: &EnvMarker, environment| marker.is_among(&EnvMarks::of(environment));
        assert!(is_on(&marker, b"PATH=/bin\0run_id=abc\0name=n1\0"));
        assert!(is_on(&marker, b"name=n1\0run_id=x\0run_id=abc\0"));
        assert!(!is_on(&marker, b"run_id=abcd\0name=n1\0"));
        assert!(!is_on(&marker, b"run_id=abc\0name=n10\0"));
        assert!(!is_on(&marker, b"run_id=abc\0"));
        assert!(!is_on(&marker, b"xrun_id=abc\0name=n1\0"));
        assert!(is_on(&EnvMarker::run("abc"), b"run_id=abc\0name=n7\0"));
        assert!(!is_on(&EnvMarker::run("abc"), b""));
    }
}
