//! What the environment of a process says of the job that it is of.

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

    /// True for a process of this run and, where one is given, this node.
    pub(super) fn are_of(&self, run_id: &str, node: Option<&str>) -> bool {
        let has = |values: &[Vec<u8>], wanted: &str| {
            values.iter().any(|value| value == wanted.as_bytes())
        };
        has(&self.run_ids, run_id) && node.is_none_or(|node| has(&self.nodes, node))
    }

    /// The runs that the process may be of.
    pub(super) fn run_ids(&self) -> impl Iterator<Item = &str> {
        let run_ids = self.run_ids.iter();
        run_ids.filter_map(|run_id| str::from_utf8(run_id).ok())
    }
}
