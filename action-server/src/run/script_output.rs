//! A script's output on its way to the run's owner: read from both pipes, masked and bounded.

use std::io;

use action_proto::v1::{NodeOutput, OutputStream, run_event::Event};
use bytes::Bytes;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};

use super::{
    error_line::ErrorLine,
    mask::{NodeSecrets, SecretMask},
    shared::RunContext,
};
use crate::{catalogue::PlannedJob, crash, process::OutputPipe, record::RunId};

/// The most bytes of stdout that are kept for the run itself.
pub(super) const CAPTURE_LIMIT: u64 = 4 * 1024;

/// Where the output goes.
pub(super) enum OutputSink<'a> {
    /// To the run's owner, who records it.
    Owner(&'a mpsc::Sender<Event>),
    /// Into memory: the beginning of stdout, and nothing else.
    Capture(Vec<u8>),
}

/// Both outputs of one script.
pub(super) struct ScriptOutput<'a> {
    run_id: &'a RunId,
    node: &'a str,
    stdout: MaskedPipe,
    stderr: MaskedPipe,
    sink: OutputSink<'a>,
    /// An event that the owner has not taken yet. Nothing more is read meanwhile: the pipes fill up,
    /// and the script waits for the record.
    pending: Option<Event>,
    /// The most bytes to pass on; `None` for all.
    limit: Option<u64>,
    kept: u64,
    dropped: u64,
    error_line: ErrorLine,
}

struct MaskedPipe {
    pipe: OutputPipe,
    mask: SecretMask,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputStep {
    /// The owner took the pending event.
    HandedOver,
    /// A chunk was read.
    Read,
}

impl<'a> ScriptOutput<'a> {
    pub(super) fn new(
        context: &'a RunContext,
        planned: &'a PlannedJob,
        (stdout, stderr): (OutputPipe, OutputPipe),
        sink: OutputSink<'a>,
    ) -> ScriptOutput<'a> {
        let secrets = NodeSecrets::new(planned.node.iter().flat_map(|node| node.secrets()));
        let masked = |pipe| MaskedPipe {
            pipe,
            mask: SecretMask::new(secrets.clone()),
        };
        ScriptOutput {
            run_id: &context.run_id,
            node: planned.node_name(),
            stdout: masked(stdout),
            stderr: masked(stderr),
            limit: match sink {
                OutputSink::Owner(_) => context.output_limit(),
                OutputSink::Capture(_) => Some(CAPTURE_LIMIT),
            },
            sink,
            pending: None,
            kept: 0,
            dropped: 0,
            error_line: ErrorLine::default(),
        }
    }

    /// False once both outputs have ended.
    pub(super) fn is_open(&self) -> bool {
        self.stdout.pipe.is_open() || self.stderr.pipe.is_open()
    }

    /// True while the owner has not taken an event.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// When output was last read, or when reading began.
    pub(super) fn last_read(&self) -> Instant {
        self.stdout
            .mask
            .last_read()
            .max(self.stderr.mask.last_read())
    }

    /// Bytes beyond the limit.
    pub(super) fn dropped_bytes(&self) -> u64 {
        self.dropped
    }

    /// The last line of stderr; empty for none.
    pub(super) fn error_line(&self) -> String {
        self.error_line.display_text(self.stderr.mask.secrets())
    }

    /// The beginning of stdout, where it was captured.
    pub(super) fn into_captured(self) -> Vec<u8> {
        match self.sink {
            OutputSink::Owner(_) => Vec::new(),
            OutputSink::Capture(captured) => captured,
        }
    }

    /// Hands the pending event over, or reads a chunk and passes it on. Never ready when both outputs
    /// have ended and nothing is pending. Cancel safe.
    pub(super) async fn advance(&mut self) -> OutputStep {
        if self.is_pending() {
            self.flush().await;
            return OutputStep::HandedOver;
        }
        // In no order: a script that never pauses on one output must not hide the other.
        tokio::select! {
            chunk = self.stdout.mask.read_masked(&mut self.stdout.pipe) => self.pass_on(OutputStream::Stdout, chunk),
            chunk = self.stderr.mask.read_masked(&mut self.stderr.pipe) => self.pass_on(OutputStream::Stderr, chunk),
        }
        OutputStep::Read
    }

    /// Passes on a chunk that is there already. False when there is none.
    pub(super) async fn advance_now(&mut self) -> bool {
        if self.is_pending() {
            return false;
        }
        tokio::select! {
            biased;
            _ = self.advance() => true,
            () = std::future::ready(()) => false,
        }
    }

    /// Passes on what the masks hold back, for outputs that did not come to their end.
    pub(super) async fn flush_masks(&mut self) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            self.flush().await;
            let rest = match stream {
                OutputStream::Stderr => self.stderr.mask.flush_held(),
                _ => self.stdout.mask.flush_held(),
            };
            self.forward_chunk(stream, &rest);
        }
        self.flush().await;
    }

    /// Hands an event to the owner, now or later. Only while nothing is pending.
    pub(super) fn emit(&mut self, event: Event) {
        if let OutputSink::Owner(events) = &self.sink {
            match events.try_send(event) {
                Err(TrySendError::Full(event)) => self.pending = Some(event),
                // The owner ends after the last of its jobs, so it is there.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
        }
    }

    /// Waits until the owner has taken the pending event. Cancel safe.
    async fn flush(&mut self) {
        if let OutputSink::Owner(events) = &self.sink
            && self.pending.is_some()
        {
            let permit = events.reserve().await;
            if let (Ok(permit), Some(event)) = (permit, self.pending.take()) {
                permit.send(event);
            }
        }
    }

    fn pass_on(&mut self, stream: OutputStream, chunk: io::Result<Bytes>) {
        match chunk {
            Ok(data) => self.forward_chunk(stream, &data),
            Err(error) => {
                tracing::warn!(run_id = %self.run_id, node = self.node, %error, "cannot read a script's output");
            }
        }
    }

    /// Passes on as much of a chunk as the limit leaves. Only while nothing is pending.
    fn forward_chunk(&mut self, stream: OutputStream, data: &Bytes) {
        if stream == OutputStream::Stderr {
            self.error_line.add_chunk(data);
        }
        let left = self
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.kept));
        let keep = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        self.kept += keep as u64;
        self.dropped += (data.len() - keep) as u64;
        if keep == 0 {
            return;
        }
        match &mut self.sink {
            OutputSink::Owner(_) => {
                crash::point("first-output");
                self.emit(Event::NodeOutput(NodeOutput {
                    node: self.node.to_owned(),
                    stream: stream.into(),
                    data: data.slice(..keep),
                }));
            }
            OutputSink::Capture(captured) if stream == OutputStream::Stdout => {
                captured.extend(&data[..keep]);
            }
            OutputSink::Capture(_) => {}
        }
    }
}
