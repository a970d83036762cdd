//! Which leftover processes belong to a job: by their group, by the variables in their environment,
//! or because they were seen below its script.

use super::{
    ProcessTree, ScriptGroup,
    env_marks::EnvMarks,
    proc::{ProcStat, ProcessId},
    process_view::ProcessView,
};

/// The variables that mark the process of a script and all that inherit its environment, such as
/// `run_id=fb6t8hkq5q3vxsky` and `job_id=0b1c..`. A process may serve several jobs.
#[derive(Debug, Clone)]
pub struct EnvMarker {
    run_id: String,
    job_id: String,
}

impl EnvMarker {
    /// A marker for a new process of a run, with a random job id of 128 bits.
    pub fn random(run_id: &str) -> EnvMarker {
        EnvMarker {
            run_id: run_id.to_owned(),
            job_id: format!("{:032x}", rand::random::<u128>()),
        }
    }

    /// The value of the variable `job_id`.
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    fn is_among(&self, marks: &EnvMarks) -> bool {
        marks.has_run(&self.run_id) && marks.has_job(&self.job_id)
    }
}

/// Which leftovers are meant.
#[derive(Debug, Clone)]
pub enum LeftoverScope {
    /// A job's: in its process group, with its marker, or seen below its script.
    Job(ScriptGroup, EnvMarker, ProcessTree),
    /// A run's: with its id in their environment.
    Run(String),
    /// All of the server. None counts while a job goes on, since it could be the job's.
    Server,
}

impl LeftoverScope {
    pub(super) fn includes(
        &self,
        view: &mut ProcessView,
        pid: i32,
        stat: &ProcStat,
        is_idle: bool,
    ) -> bool {
        let start = stat.start;
        match self {
            LeftoverScope::Job(group, marker, tree) => {
                stat.group == group.id()
                    || tree.contains(ProcessId { pid, start })
                    || marker.is_among(&view.env_marks(pid, stat))
            }
            LeftoverScope::Run(run_id) => view.env_marks(pid, stat).has_run(run_id),
            LeftoverScope::Server => is_idle,
        }
    }

    /// Processes that belong here whatever their parent is.
    pub(super) fn tree(&self) -> Option<&ProcessTree> {
        match self {
            LeftoverScope::Job(_, _, tree) => Some(tree).filter(|tree| !tree.is_empty()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_match_whole_variables() {
        let marker = EnvMarker {
            run_id: "abc".into(),
            job_id: "j1".into(),
        };
        let is_on = |environment| marker.is_among(&EnvMarks::of(environment));
        assert!(is_on(b"PATH=/bin\0run_id=abc\0job_id=j1\0"));
        assert!(is_on(b"job_id=j1\0run_id=x\0run_id=abc\0"));
        assert!(!is_on(b"run_id=abcd\0job_id=j1\0"));
        assert!(!is_on(b"run_id=abc\0job_id=j10\0"));
        assert!(!is_on(b"run_id=abc\0"));
        assert!(!is_on(b"xrun_id=abc\0job_id=j1\0"));
        assert!(EnvMarks::of(b"run_id=abc\0").has_run("abc"));
        assert!(!EnvMarks::of(b"").has_run("abc"));
        assert_ne!(
            EnvMarker::random("abc").job_id,
            EnvMarker::random("abc").job_id
        );
    }
}
