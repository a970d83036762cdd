//! The one writer of a run's record.

use std::{
    fs::File,
    io::{self, Write},
    time::SystemTime,
};

use action_proto::v1::{RunEvent, run_event::Event};
use tokio::sync::watch;

use super::{HEADER_LEN, RunId, format};

/// How far a record is written: readers may read up to `end` and no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// The length of the valid part of the file, in bytes.
    pub end: u64,
    /// The sequence of the last event in it.
    pub sequence: u64,
    /// True when nothing will follow.
    pub ended: bool,
}

/// Appends events to a record and tells the readers.
#[derive(Debug)]
pub struct Writer {
    id: RunId,
    file: File,
    watermark: watch::Sender<Watermark>,
    /// What is written, which readers are told only when they may see it.
    written: Watermark,
    buffer: Vec<u8>,
}

impl Writer {
    /// Begins a record in a new, empty file.
    pub(super) fn begin(id: RunId, mut file: File) -> io::Result<Writer> {
        file.write_all(&format::header())?;
        let start = Watermark {
            end: HEADER_LEN as u64,
            sequence: 0,
            ended: false,
        };
        let watermark = watch::Sender::new(start);
        Ok(Writer {
            id,
            file,
            watermark,
            written: start,
            buffer: Vec::new(),
        })
    }

    /// The run that is recorded.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What readers sleep on.
    pub fn watermark(&self) -> watch::Receiver<Watermark> {
        self.watermark.subscribe()
    }

    /// Numbers the events, appends them in one write, and raises the watermark.
    ///
    /// # Errors
    /// The write's. The watermark stays, so that no reader sees what may not be there.
    pub fn append(&mut self, events: impl IntoIterator<Item = Event>) -> io::Result<()> {
        self.write(events)?;
        self.publish(false);
        Ok(())
    }

    /// Appends the last events, waits until all of the record is on the disk, and only then lets
    /// the readers see them.
    ///
    /// # Errors
    /// The write's or the disk's.
    pub fn finish(&mut self, events: impl IntoIterator<Item = Event>) -> io::Result<()> {
        self.write(events)?;
        self.file.sync_data()?;
        self.publish(true);
        Ok(())
    }

    /// Appends the first event and waits until it is on the disk.
    ///
    /// # Errors
    /// The write's or the disk's.
    pub(super) fn start(&mut self, event: Event) -> io::Result<()> {
        self.write([event])?;
        self.file.sync_all()?;
        self.publish(false);
        Ok(())
    }

    /// Ends the record where it is: readers come to their end. For a record that can no longer
    /// be written.
    pub fn abandon(&mut self) {
        self.watermark.send_modify(|mark| mark.ended = true);
    }

    fn write(&mut self, events: impl IntoIterator<Item = Event>) -> io::Result<()> {
        let mut sequence = self.written.sequence;
        let time = SystemTime::now();
        self.buffer.clear();
        for event in events {
            sequence += 1;
            let event = RunEvent {
                run_id: self.id.to_string(),
                sequence,
                time: Some(time.into()),
                event: Some(event),
            };
            format::encode(&event, &mut self.buffer);
        }
        self.file.write_all(&self.buffer)?;
        self.written.end += self.buffer.len() as u64;
        self.written.sequence = sequence;
        self.buffer.clear();
        self.buffer.shrink_to(256 * 1024);
        Ok(())
    }

    fn publish(&mut self, ended: bool) {
        self.written.ended = ended;
        self.watermark.send_replace(self.written);
    }
}
