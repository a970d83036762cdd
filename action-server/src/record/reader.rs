//! A reader of a run's record, at its own speed.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use action_proto::v1::RunEvent;
use tokio::sync::watch;

use super::{
    Entry, HEADER_LEN, Watermark,
    format::{self, Frame},
};

/// How much is read at once, in bytes.
const READ: usize = 128 * 1024;

/// Reads a record from some event on, and waits for more while the run goes on.
#[derive(Debug)]
pub struct Reader {
    /// As long as this is held the record is not removed.
    _entry: Arc<Entry>,
    file: File,
    watermark: watch::Receiver<Watermark>,
    /// Where the next unread byte of the file is.
    offset: u64,
    /// Events up to this one are left out.
    after: u64,
    /// The sequence of the next event to be told.
    next: u64,
    buffer: Vec<u8>,
}

impl Reader {
    /// A reader of the events after `after`.
    pub(super) fn new(
        entry: Arc<Entry>,
        file: File,
        watermark: watch::Receiver<Watermark>,
        after: u64,
    ) -> Reader {
        Reader {
            _entry: entry,
            file,
            watermark,
            offset: HEADER_LEN as u64,
            after,
            next: after.saturating_add(1),
            buffer: Vec::new(),
        }
    }

    /// The sequence of the last event that is there now.
    pub fn last_sequence(&self) -> Option<u64> {
        let mark = *self.watermark.borrow();
        (mark.end > HEADER_LEN as u64).then_some(mark.sequence)
    }

    /// The next events, in order: all that are there, up to a bound. Waits while there are none
    /// and the run goes on; none at all is the end of the record.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The record cannot be read, or is damaged where it should be whole.
    pub async fn next(&mut self) -> io::Result<Vec<RunEvent>> {
        loop {
            let mark = *self.watermark.borrow_and_update();
            if self.offset < mark.end {
                let events = self.read(mark.end)?;
                if !events.is_empty() {
                    return Ok(events);
                }
                // Far from where to begin: others shall have their turn on the way.
                tokio::task::yield_now().await;
            } else if mark.ended || self.watermark.changed().await.is_err() {
                return Ok(Vec::new());
            }
        }
    }

    /// Reads the frames that begin at the offset, up to `end`.
    fn read(&mut self, end: u64) -> io::Result<Vec<RunEvent>> {
        let mut wanted = READ;
        loop {
            let left = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
            let length = wanted.min(left);
            // It only grows: what is read over need not be cleared first.
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            self.file
                .read_exact_at(&mut self.buffer[..length], self.offset)?;
            let mut rest = &self.buffer[..length];
            let mut events = Vec::new();
            loop {
                let frame = match format::decode_after(rest, self.after)
                    .and_then(|f| self.in_order(f))
                {
                    Ok(frame) => frame,
                    // What is whole before the damage comes first.
                    Err(_) if !events.is_empty() => return Ok(events),
                    Err(damage) => return Err(io::Error::new(io::ErrorKind::InvalidData, damage)),
                };
                match frame {
                    Frame::Event(event, length) => {
                        rest = &rest[length..];
                        self.offset += length as u64;
                        self.next = event.sequence + 1;
                        events.push(*event);
                    }
                    Frame::Skipped(length) => {
                        rest = &rest[length..];
                        self.offset += length as u64;
                    }
                    // One frame that is longer than what was read: read all of it.
                    Frame::Incomplete(whole) if rest.len() == length => {
                        if whole > left {
                            let damage = format::Damage::Frame("length");
                            return Err(io::Error::new(io::ErrorKind::InvalidData, damage));
                        }
                        wanted = whole;
                        break;
                    }
                    Frame::Incomplete(_) => return Ok(events),
                }
            }
        }
    }
    /// A frame out of order is as wrong as one with a wrong checksum.
    fn in_order(&self, frame: Frame) -> Result<Frame, format::Damage> {
        match &frame {
            Frame::Event(event, _) if event.sequence != self.next => {
                Err(format::Damage::Frame("sequence"))
            }
            _ => Ok(frame),
        }
    }
}

#[cfg(test)]
mod tests;
