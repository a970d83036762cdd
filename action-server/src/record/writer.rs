//! The one writer of a run's record.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use action_proto::v1::{RunEvent, run_event::Event};
use tokio::sync::watch;

use super::{
    RecordEntry, RunId, UnwrittenEvents, contents::WrittenEvent, format, frames::FrameBatch,
    interned::InternedTexts, syncing::RecordSync,
};
use crate::crash;

/// How often what is written is put on the disk while a run goes on, and after how many bytes: so
/// the end of a run, which waits for the disk, does not wait for all that was printed.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
const SYNC_BYTES: u64 = 4 << 20;

/// How far a record is written: readers may read up to `end` and no further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The length of the valid part of the file, in bytes.
    pub end: u64,
    /// The sequence of the last event in it.
    pub sequence: u64,
    /// True when nothing will follow.
    pub ended: bool,
}

/// Appends events to a record and wakes the readers.
#[derive(Debug)]
pub struct RecordWriter {
    entry: Arc<RecordEntry>,
    file: File,
    mark: format::RecordMark,
    watermark: watch::Sender<Watermark>,
    /// How far the file is written, ahead of the watermark.
    written: Watermark,
    /// Events that readers may not see yet.
    unpublished: Vec<WrittenEvent>,
    /// True when a failed write may have left something behind the valid part.
    torn: bool,
    /// Up to where the disk was asked to keep it.
    synced: u64,
    /// When that was.
    synced_at: Instant,
    syncing: RecordSync,
}

impl RecordWriter {
    /// Begins a record in a new, empty file, and waits until its first event is on the disk.
    pub(super) fn begin(
        entry: Arc<RecordEntry>,
        file: File,
        first: Event,
        interned: &Mutex<InternedTexts>,
    ) -> io::Result<RecordWriter> {
        let mark: format::RecordMark = rand::random();
        let start = Watermark::default();
        let mut writer = RecordWriter::resume(entry, file, mark, start);
        writer
            .write_events(vec![first], false)
            .map_err(|unwritten| unwritten.error)?;
        writer.file.sync_all()?;
        writer.synced = writer.written.end;
        if let Some(first) = writer.unpublished.first() {
            writer.entry.set_first_event(first, interned);
        }
        writer.publish_events(false);
        Ok(writer)
    }

    /// Goes on with a record that is valid up to `written` and has nothing after it.
    pub(super) fn resume(
        entry: Arc<RecordEntry>,
        file: File,
        mark: format::RecordMark,
        written: Watermark,
    ) -> RecordWriter {
        let watermark = watch::Sender::new(written);
        RecordWriter {
            entry,
            file,
            mark,
            watermark,
            written,
            unpublished: Vec::new(),
            torn: false,
            synced: written.end,
            synced_at: Instant::now(),
            syncing: RecordSync::default(),
        }
    }

    /// The run that is recorded.
    pub fn id(&self) -> &RunId {
        &self.entry.id
    }

    /// Readers sleep on this.
    pub fn watermark(&self) -> watch::Receiver<Watermark> {
        self.watermark.subscribe()
    }

    /// Numbers the events, appends them in one write, and raises the watermark. Blocks for the disk.
    ///
    /// # Errors
    /// The write's, with the events.
    pub fn append(&mut self, events: Vec<Event>) -> Result<(), UnwrittenEvents> {
        self.write_events(events, false)?;
        self.publish_events(false);
        Ok(())
    }

    /// Appends the last events, waits until all of the record is on the disk, and only then lets
    /// the readers see them. Blocks for the disk.
    ///
    /// # Errors
    /// The write's, with the events. A disk that took them and then failed to keep them ends the
    /// record all the same: asking it again could only be answered with a lie (fsync(2), EIO).
    pub fn finish(&mut self, events: Vec<Event>) -> Result<(), UnwrittenEvents> {
        crash::point("before-end");
        self.write_events(events, true)?;
        if let Err(error) = self.file.sync_data() {
            tracing::error!(run_id = %self.entry.id, %error, "the disk may not keep the end of this record");
        }
        crash::point("after-end");
        self.publish_events(true);
        let length = self.written.end + format::FOOTER_LEN as u64;
        self.entry.close(self.mark, length);
        Ok(())
    }

    /// Requests a sync now and then, without waiting for it.
    pub(super) fn sync_when_due(&mut self) {
        let unsynced = self.written.end - self.synced;
        if unsynced < SYNC_BYTES && self.synced_at.elapsed() < SYNC_INTERVAL {
            return;
        }
        self.synced_at = Instant::now();
        if let Ok(file) = self.file.try_clone() {
            self.synced = self.written.end;
            let run_id = self.entry.id.clone();
            self.syncing.request_sync(self.synced, move || {
                if let Err(error) = file.sync_data() {
                    tracing::error!(%run_id, %error, "the disk may not keep this record");
                }
            });
        }
    }

    /// Writes the footer of a record that has its last event, which begins at `last`.
    pub(super) fn add_footer(&mut self, last: u64) -> io::Result<()> {
        let mut footer = Vec::with_capacity(format::FOOTER_LEN);
        format::encode_footer(self.mark, last, &mut footer);
        self.file.write_all(&footer)?;
        self.file.sync_data()
    }

    /// Writes the events' frames: before the first one of a run the header, and behind the last
    /// ones the footer.
    fn write_events(&mut self, events: Vec<Event>, are_last: bool) -> Result<(), UnwrittenEvents> {
        let time = SystemTime::now();
        let mut sequence = self.written.sequence;
        let mut last = 0;
        let mut frames = FrameBatch::default();
        if self.written.end == 0 {
            frames.add_header(self.mark);
        }
        let mut numbered = Vec::with_capacity(events.len());
        let mut written_events = Vec::with_capacity(events.len());
        for event in events {
            sequence += 1;
            last = self.written.end + frames.len() as u64;
            let event = RunEvent {
                run_id: self.entry.id.to_string(),
                sequence,
                time: Some(time.into()),
                event: Some(event),
            };
            frames.add_event(&event);
            written_events.push(WrittenEvent::of(&event, last));
            numbered.push(event);
        }
        let end = self.written.end + frames.len() as u64;
        if are_last {
            frames.add_footer(self.mark, last);
        }
        // A part may be written when a write fails: what comes next must not stand behind it.
        let written = self.take_back().and_then(|()| frames.write_to(&self.file));
        if let Err(error) = written {
            self.torn = true;
            _ = self.take_back();
            let events = numbered
                .into_iter()
                .filter_map(|event| event.event)
                .collect();
            return Err(UnwrittenEvents { error, events });
        }
        self.written.end = end;
        self.written.sequence = sequence;
        self.unpublished.append(&mut written_events);
        Ok(())
    }

    /// Takes back what a failed write left behind the valid part.
    fn take_back(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.written.end)?;
            self.torn = false;
        }
        Ok(())
    }

    fn publish_events(&mut self, ended: bool) {
        self.written.ended = ended;
        // First, so that readers who see the end find it in the summary.
        let events = std::mem::take(&mut self.unpublished);
        self.entry.observe_events(events, self.written.end);
        self.watermark.send_replace(self.written);
    }
}
