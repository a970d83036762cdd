//! The variables in the environment of a process that name its run and job.

/// The values of `run_id` and `job_id` in one environment, which may have several of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EnvMarks {
    run_ids: Vec<Vec<u8>>,
    job_ids: Vec<Vec<u8>>,
}

impl EnvMarks {
    pub(super) fn of(environment: &[u8]) -> EnvMarks {
        let values = |name: &[u8]| -> Vec<Vec<u8>> {
            let entries = environment.split(|&byte| byte == 0);
            let values = entries.filter_map(|entry| entry.strip_prefix(name));
            values.map(<[u8]>::to_vec).collect()
        };
        EnvMarks {
            run_ids: values(b"run_id="),
            job_ids: values(b"job_id="),
        }
    }

    pub(super) fn has_run(&self, run_id: &str) -> bool {
        self.run_ids.iter().any(|it| it == run_id.as_bytes())
    }

    pub(super) fn has_job(&self, job_id: &str) -> bool {
        self.job_ids.iter().any(|it| it == job_id.as_bytes())
    }

    /// The runs that the process may belong to.
    pub(super) fn run_ids(&self) -> impl Iterator<Item = &str> {
        let run_ids = self.run_ids.iter();
        run_ids.filter_map(|run_id| str::from_utf8(run_id).ok())
    }
}
