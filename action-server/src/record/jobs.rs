//! The jobs of a run, from its events.

use std::collections::HashMap;

use action_proto::v1::{Job, NodeFinished, Outcome, RunFinished, run_event::Event};

/// The jobs of a run in the order of its plan, each as far as the events go.
#[derive(Debug, Default)]
pub(super) struct JobTable {
    jobs: Vec<Job>,
    by_node: HashMap<String, usize>,
}

impl JobTable {
    /// Takes the next event of the record.
    pub(super) fn observe_event(&mut self, event: Event) {
        match event {
            Event::RunStarted(started) => {
                let nodes = if started.nodes.is_empty() {
                    vec![String::new()]
                } else {
                    started.nodes
                };
                for node in nodes {
                    self.by_node.insert(node.clone(), self.jobs.len());
                    self.jobs.push(Job {
                        node,
                        ..Job::default()
                    });
                }
            }
            Event::NodeStarted(started) => {
                if let Some(job) = self.find_job(&started.node) {
                    job.started = Some(started);
                }
            }
            Event::NodeFinished(finished) => {
                if let Some(job) = self.find_job(&finished.node) {
                    job.finished = Some(finished);
                }
            }
            Event::NodeOutput(_) | Event::RunFinished(_) => {}
        }
    }

    /// The jobs.
    pub(super) fn as_slice(&self) -> &[Job] {
        &self.jobs
    }

    /// What must still be said of a run that its server left without an end. `host` is another machine
    /// that its scripts may still run on. How long it took is not known.
    pub(super) fn lost_endings(&self, host: Option<&str>) -> Vec<Event> {
        let mut counts = Vec::new();
        let mut events = Vec::new();
        for job in &self.jobs {
            let finished = job.finished.clone().unwrap_or_else(|| {
                let mut message = match job.started {
                    Some(_) => "the server died while it ran",
                    None => "the server died; whether it was started is not known",
                }
                .to_owned();
                if let Some(host) = host {
                    message += &format!("; scripts may still run on {host}");
                }
                let lost = NodeFinished {
                    node: job.node.clone(),
                    outcome: Outcome::Lost.into(),
                    message,
                    ..NodeFinished::default()
                };
                events.push(Event::NodeFinished(lost.clone()));
                lost
            });
            Outcome::count(&mut counts, &finished);
        }
        let outcome = Outcome::gravest(&counts).into();
        events.push(Event::RunFinished(RunFinished {
            outcome,
            counts,
            duration: None,
        }));
        events
    }

    fn find_job(&mut self, node: &str) -> Option<&mut Job> {
        self.by_node.get(node).and_then(|&at| self.jobs.get_mut(at))
    }
}
