//! The result of a run, read from its record.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use action_proto::v1::{
    Job, NodeFinished, Outcome, Run, RunEvent, RunFinished, RunStarted, run_event::Event,
};
use prost_types::Timestamp;

use super::{
    HEADER_LEN, RunId, Watermark,
    format::{self, FOOTER_LEN, FRAME_LEN, Frame},
};

/// A run in brief: how it began, and how it ended if it has.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The run.
    pub id: RunId,
    /// What was asked for.
    pub started: RunStarted,
    /// When it was accepted.
    pub start_time: Option<Timestamp>,
    /// How it ended, when, and the sequence of that event.
    pub finished: Option<(RunFinished, Option<Timestamp>, u64)>,
}

impl Summary {
    /// Reads the first event and, by the footer, the last one.
    pub(super) fn read(id: &RunId, file: &File) -> io::Result<Summary> {
        let first = event_at(file, HEADER_LEN as u64)?;
        let Some(Event::RunStarted(started)) = first.event else {
            return Err(io::Error::other(
                "the record does not begin with the run's start",
            ));
        };
        let last = match last_offset(file)? {
            // One that is damaged says nothing.
            Some(offset) => event_at(file, offset).ok(),
            None => None,
        };
        let finished = last.and_then(|last| match last.event {
            Some(Event::RunFinished(finished)) => Some((finished, last.time, last.sequence)),
            _ => None,
        });
        Ok(Summary {
            id: id.clone(),
            started,
            start_time: first.time,
            finished,
        })
    }

    /// The run as the API shows it, without what only a live run knows.
    pub fn to_run(&self) -> Run {
        let jobs = self.started.nodes.len().max(1);
        let mut run = Run {
            run_id: self.id.to_string(),
            command: self.started.command.clone(),
            arguments: self.started.arguments.clone(),
            nodes: action_proto::fold(self.started.nodes.iter().map(String::as_str)),
            subject: self.started.subject.clone(),
            reason: self.started.reason.clone(),
            start_time: self.start_time,
            jobs: u32::try_from(jobs).unwrap_or(u32::MAX),
            ..Run::default()
        };
        if let Some((finished, time, sequence)) = &self.finished {
            run.outcome = finished.outcome;
            run.counts.clone_from(&finished.counts);
            run.end_time = *time;
            run.last_sequence = *sequence;
        }
        run
    }
}

/// The jobs of a run in the order of its plan, each as far as the events tell.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: Vec<Job>,
    by_node: HashMap<String, usize>,
}

impl Jobs {
    /// Takes the next event of the record.
    pub(super) fn observe(&mut self, event: Event) {
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
                if let Some(job) = self.job(&started.node) {
                    job.started = Some(started);
                }
            }
            Event::NodeFinished(finished) => {
                if let Some(job) = self.job(&finished.node) {
                    job.finished = Some(finished);
                }
            }
            Event::NodeOutput(_) | Event::RunFinished(_) => {}
        }
    }

    /// The jobs.
    pub(super) fn into_vec(self) -> Vec<Job> {
        self.jobs
    }

    /// What must still be said of a run that its server left without an end. `host` is another machine
    /// that its scripts may still run on. How long it took is not known.
    pub(super) fn endings(self, host: Option<&str>) -> Vec<Event> {
        let mut counts = Vec::new();
        let mut events = Vec::new();
        for job in self.jobs {
            let finished = job.finished.unwrap_or_else(|| {
                let mut message = match job.started {
                    Some(_) => "the server died while it ran",
                    None => "the server died; whether it was started is not known",
                }
                .to_owned();
                if let Some(host) = host {
                    message += &format!("; scripts may still run on {host}");
                }
                let lost = NodeFinished {
                    node: job.node,
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

    fn job(&mut self, node: &str) -> Option<&mut Job> {
        self.by_node.get(node).and_then(|&at| self.jobs.get_mut(at))
    }
}

/// Checks that a file is a record that this version reads; gives its mark.
pub(super) fn check_header(file: &File) -> io::Result<format::Mark> {
    let mut header = [0; HEADER_LEN];
    file.read_exact_at(&mut header, 0)?;
    Ok(format::check_header(&header)?)
}

/// The offset of the last event of a record that has ended.
fn last_offset(file: &File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let Some(start) = length
        .checked_sub(FOOTER_LEN as u64)
        .filter(|&start| start >= HEADER_LEN as u64)
    else {
        return Ok(None);
    };
    let mark = check_header(file)?;
    let mut footer = [0; FOOTER_LEN];
    file.read_exact_at(&mut footer, start)?;
    Ok(format::decode_footer(mark, &footer).filter(|&offset| offset < start))
}

/// True for a record whose first event was not written whole: no caller has seen that run.
pub(super) fn first_is_torn(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let start = (HEADER_LEN + FRAME_LEN) as u64;
    if length < start {
        return Ok(true);
    }
    let mut payload = [0; 4];
    file.read_exact_at(&mut payload, HEADER_LEN as u64)?;
    Ok(length - start < u64::from(u32::from_le_bytes(payload)))
}

fn event_at(file: &File, offset: u64) -> io::Result<RunEvent> {
    let mut bytes = vec![0; FRAME_LEN];
    loop {
        file.read_exact_at(&mut bytes, offset)?;
        match format::decode(&bytes)? {
            Frame::Event(event, _) => return Ok(*event),
            Frame::Incomplete(length) | Frame::Skipped(length) => bytes.resize(length, 0),
        }
    }
}

/// How far a closed record is whole, and each of its events with its offset on the way.
pub(super) fn scan(file: &File, mut see: impl FnMut(RunEvent, u64)) -> io::Result<Watermark> {
    let mut reader = io::BufReader::with_capacity(256 * 1024, file);
    let mut header = [0; HEADER_LEN];
    reader.read_exact(&mut header)?;
    format::check_header(&header)?;
    let mut mark = Watermark {
        end: HEADER_LEN as u64,
        sequence: 0,
        ended: true,
    };
    let mut frame = Vec::new();
    while let Some(event) = next_frame(&mut reader, &mut frame)? {
        // A frame out of order is as wrong as one with a wrong checksum.
        if event.sequence != mark.sequence + 1 {
            break;
        }
        mark.sequence = event.sequence;
        see(event, mark.end);
        mark.end += frame.len() as u64;
    }
    Ok(mark)
}

/// How far a closed record is whole: by its footer, or else by reading it.
pub(super) fn whole_part(file: &File) -> io::Result<Watermark> {
    if let Some(offset) = last_offset(file)? {
        let end = file.metadata()?.len() - FOOTER_LEN as u64;
        // A damaged end is told where it is read; how far it was good is told here.
        let sequence = match event_at(file, offset) {
            Ok(last) => last.sequence,
            Err(_) => scan(file, |_, _| {})?.sequence,
        };
        return Ok(Watermark {
            end,
            sequence,
            ended: true,
        });
    }
    scan(file, |_, _| {})
}

/// True for a record that has its end.
pub(super) fn has_ended(file: &File) -> io::Result<bool> {
    last_offset(file).map(|offset| offset.is_some())
}

/// Reads one frame into `frame`; `None` where the record ends or is damaged.
fn next_frame(reader: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<Option<RunEvent>> {
    frame.clear();
    let mut wanted = FRAME_LEN;
    loop {
        let have = frame.len();
        frame.resize(wanted, 0);
        match reader.read_exact(&mut frame[have..]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        match format::decode(frame) {
            Ok(Frame::Event(event, _)) => return Ok(Some(*event)),
            Ok(Frame::Incomplete(length)) => wanted = length,
            Ok(Frame::Skipped(_)) | Err(_) => return Ok(None),
        }
    }
}
