//! A run that has ended: what must be true of the events of every run, and ways to ask them.

use action_proto::v1::{
    NodeFinished, NodeStarted, Outcome, OutputStream, RunEvent, RunFinished, RunStarted,
    run_event::Event,
};

/// A run that has ended, with all its events.
#[derive(Debug)]
pub struct Ended {
    /// The run's id.
    pub id: String,
    /// The events, the first to the last.
    pub events: Vec<RunEvent>,
}

impl Ended {
    /// What must be true of the events of every run.
    #[track_caller]
    pub(super) fn check(&self) {
        let mut going: Vec<&str> = Vec::new();
        let mut ended: Vec<&str> = Vec::new();
        for (event, sequence) in self.events.iter().zip(1..) {
            assert_eq!((event.sequence, &event.run_id), (sequence, &self.id));
            assert!(event.time.is_some(), "{event:?}");
            match event.event.as_ref().unwrap() {
                Event::RunStarted(_) => assert_eq!(sequence, 1),
                Event::NodeStarted(started) => {
                    assert!(!going.contains(&started.node.as_str()));
                    going.push(&started.node);
                }
                Event::NodeOutput(output) => {
                    assert!(going.contains(&output.node.as_str()), "{output:?}");
                    assert!(!ended.contains(&output.node.as_str()), "{output:?}");
                    assert!(!output.data.is_empty(), "{output:?}");
                }
                Event::NodeFinished(finished) => {
                    assert!(!ended.contains(&finished.node.as_str()), "{finished:?}");
                    ended.push(&finished.node);
                }
                Event::RunFinished(_) => assert_eq!(sequence, self.events.len() as u64),
            }
        }
        let mut planned = self.nodes();
        if planned.is_empty() {
            planned.push("");
        }
        planned.sort_unstable();
        ended.sort_unstable();
        assert_eq!(planned, ended, "each node ends once");
        let counted: u32 = self.summary().counts.iter().map(|count| count.count).sum();
        assert_eq!(counted as usize, ended.len());
    }

    /// The first event.
    pub fn started(&self) -> &RunStarted {
        match self.events.first().and_then(|event| event.event.as_ref()) {
            Some(Event::RunStarted(started)) => started,
            other => panic!("the first event is {other:?}"),
        }
    }

    /// The last event.
    pub fn summary(&self) -> &RunFinished {
        match self.events.last().and_then(|event| event.event.as_ref()) {
            Some(Event::RunFinished(finished)) => finished,
            other => panic!("the last event is {other:?}"),
        }
    }

    /// The nodes in the order of the plan.
    pub fn nodes(&self) -> Vec<&str> {
        self.started().nodes.iter().map(String::as_str).collect()
    }

    /// How a node's script was started.
    #[track_caller]
    pub fn start_of(&self, node: &str) -> &NodeStarted {
        let starts = self.events.iter().filter_map(|event| match &event.event {
            Some(Event::NodeStarted(started)) => Some(started),
            _ => None,
        });
        let mut starts = starts.filter(|started| started.node == node);
        starts
            .next()
            .unwrap_or_else(|| panic!("{node} was not started"))
    }

    /// How a node's job ended.
    #[track_caller]
    pub fn end_of(&self, node: &str) -> &NodeFinished {
        let ends = self.events.iter().filter_map(|event| match &event.event {
            Some(Event::NodeFinished(finished)) => Some(finished),
            _ => None,
        });
        let mut ends = ends.filter(|finished| finished.node == node);
        ends.next()
            .unwrap_or_else(|| panic!("{node} did not end: {:?}", self.nodes()))
    }

    /// The bytes that a node wrote to stdout.
    pub fn stdout_of(&self, node: &str) -> Vec<u8> {
        output_of(&self.events, node, OutputStream::Stdout)
    }

    /// The bytes that a node wrote to stderr.
    pub fn stderr_of(&self, node: &str) -> Vec<u8> {
        output_of(&self.events, node, OutputStream::Stderr)
    }

    /// What a node wrote to stdout, once it is sure that it went well.
    ///
    /// # Panics
    /// The node's outcome is not OK, or it wrote to stderr.
    #[track_caller]
    pub fn answer_of(&self, node: &str) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout_of(node)).into_owned();
        let stderr = self.stderr_of(node);
        let end = self.end_of(node);
        assert!(
            end.outcome() == Outcome::Ok && stderr.is_empty(),
            "{end:?}\n{stdout}\n{}",
            String::from_utf8_lossy(&stderr)
        );
        stdout
    }
}

/// The bytes of one stream of a node.
pub(super) fn output_of(events: &[RunEvent], node: &str, stream: OutputStream) -> Vec<u8> {
    let chunks = events.iter().filter_map(|event| match &event.event {
        Some(Event::NodeOutput(output)) if output.node == node && output.stream() == stream => {
            Some(&output.data)
        }
        _ => None,
    });
    chunks.flatten().copied().collect()
}
