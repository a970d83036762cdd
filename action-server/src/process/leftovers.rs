//! Whose a process is that has left its script: by its group, by what it carries in its
//! environment, or by having been seen below the script.

use super::{
    Group, ProcessTree,
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
        let has = |values: &[Vec<u8>], wanted: &str| {
            values.iter().any(|value| value == wanted.as_bytes())
        };
        has(&marks.run_ids, &self.run_id)
            && self
                .node
                .as_ref()
                .is_none_or(|node| has(&marks.nodes, node))
    }
}

/// The values of the variables that markers are made of, in one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EnvMarks {
    run_ids: Vec<Vec<u8>>,
    nodes: Vec<Vec<u8>>,
}

impl EnvMarks {
    pub(super) fn of(environment: &[u8]) -> EnvMarks {
        let values = |name: &[u8]| -> Vec<Vec<u8>> {
            let entries = environment.split(|&byte| byte == 0);
            let values = entries.filter_map(|entry| entry.strip_prefix(name));
            values.map(<[u8]>::to_vec).collect()
        };
        let run_ids = values(b"run_id=");
        EnvMarks {
            nodes: match run_ids.is_empty() {
                // No marker is without a run.
                true => Vec::new(),
                false => values(b"name="),
            },
            run_ids,
        }
    }

    /// The runs that the process may be of.
    pub(super) fn run_ids(&self) -> impl Iterator<Item = &str> {
        let run_ids = self.run_ids.iter();
        run_ids.filter_map(|run_id| str::from_utf8(run_id).ok())
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
