//! A run in brief, as it is kept in memory for each record.

use std::sync::{Arc, OnceLock};

use action_proto::v1::{Run, RunEvent, RunFinished, RunStarted, run_event::Event};
use prost_types::Timestamp;

use super::{
    RunId,
    interned::{InternedTexts, NodeList},
};

/// Arguments and reason are kept in memory up to so many bytes; longer ones are read from the record
/// when they are shown.
const KEPT_TEXTS: usize = 256;

/// A run in brief: how it began, and how it ended if it has.
#[derive(Debug)]
pub struct RunSummary {
    /// The run.
    pub id: RunId,
    /// The command's name.
    pub command: Arc<str>,
    /// The subject of the caller's token.
    pub subject: Arc<str>,
    /// The nodes, in the order of the plan.
    pub nodes: Arc<NodeList>,
    /// When it was accepted.
    pub start_time: Option<Timestamp>,
    texts: Option<Box<RunTexts>>,
    finished: OnceLock<RunEnd>,
}

/// A run's arguments and reason.
#[derive(Debug, Clone, Default)]
pub struct RunTexts {
    /// The script's arguments.
    pub arguments: Vec<String>,
    /// Why the caller ran it.
    pub reason: String,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// The result.
    pub result: RunFinished,
    /// When it ended.
    pub time: Option<Timestamp>,
    /// The sequence of the last event.
    pub sequence: u64,
    /// Where the events end in the record, in bytes.
    pub end: u64,
}

impl RunEnd {
    /// The end in a record's last event; `end` is where its events end.
    pub(super) fn of(last: RunEvent, end: u64) -> Option<RunEnd> {
        let Some(Event::RunFinished(result)) = last.event else {
            return None;
        };
        Some(RunEnd {
            result,
            time: last.time,
            sequence: last.sequence,
            end,
        })
    }
}

impl RunSummary {
    /// The summary of a run that started so, at `time`.
    pub(super) fn of(
        id: RunId,
        started: RunStarted,
        time: Option<Timestamp>,
        interned: &mut InternedTexts,
    ) -> RunSummary {
        RunSummary {
            id,
            command: interned.intern_text(&started.command),
            subject: interned.intern_text(&started.subject),
            nodes: interned.intern_list(&started.nodes),
            start_time: time,
            texts: RunTexts::of(started).kept(),
            finished: OnceLock::new(),
        }
    }

    /// How it ended, if it has.
    pub fn finished(&self) -> Option<&RunEnd> {
        self.finished.get()
    }

    /// Sets its end, once.
    pub(super) fn set_finished(&self, finished: RunEnd) {
        _ = self.finished.set(finished);
    }

    /// Arguments and reason; `None` where they are long and must be read from the record.
    pub fn texts(&self) -> Option<&RunTexts> {
        self.texts.as_deref()
    }

    /// The fields by which policy rules select runs.
    pub fn identified(&self) -> RunStarted {
        RunStarted {
            command: self.command.to_string(),
            subject: self.subject.to_string(),
            nodes: self.nodes.names().map(str::to_owned).collect(),
            ..RunStarted::default()
        }
    }

    /// The run as the API shows it, without what only a live run knows.
    pub fn to_run(&self, texts: RunTexts) -> Run {
        let jobs = self.nodes.len().max(1);
        let mut run = Run {
            run_id: self.id.to_string(),
            command: self.command.to_string(),
            arguments: texts.arguments,
            nodes: self.nodes.folded().to_owned(),
            subject: self.subject.to_string(),
            reason: texts.reason,
            start_time: self.start_time,
            jobs: u32::try_from(jobs).unwrap_or(u32::MAX),
            ..Run::default()
        };
        if let Some(finished) = self.finished() {
            run.outcome = finished.result.outcome;
            run.counts.clone_from(&finished.result.counts);
            run.end_time = finished.time;
            run.last_sequence = finished.sequence;
        }
        run
    }
}

impl RunTexts {
    /// The texts of a run's first event.
    pub(super) fn of(started: RunStarted) -> RunTexts {
        RunTexts {
            arguments: started.arguments,
            reason: started.reason,
        }
    }

    fn kept(mut self) -> Option<Box<RunTexts>> {
        let lengths = self
            .arguments
            .iter()
            .map(|it| it.len() + size_of::<String>());
        let length = lengths.sum::<usize>() + self.reason.len();
        self.arguments.shrink_to_fit();
        (length <= KEPT_TEXTS).then(|| Box::new(self))
    }
}
