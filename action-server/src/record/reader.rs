//! A reader of a run's record, at its own speed.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt,
    sync::Arc,
};

use action_proto::v1::RunEvent;
use bytes::{Buf, Bytes};
use rustix::io::{Errno, ReadWriteFlags, preadv2, retry_on_intr};
use tokio::sync::watch;

use super::{
    HEADER_LEN, Watermark,
    entry::RecordHold,
    format::{self, RecordFrame},
};
use crate::disk_lane::LANES;

/// How much is read at once, in bytes: three frames of a script that prints without a pause. A frame
/// is a chunk of 64 KiB and its names.
const READ: usize = 3 * (64 * 1024 + 1024);

/// Reads a record from some event on, and waits for more while the run goes on.
#[derive(Debug)]
pub struct RecordReader {
    _hold: RecordHold,
    file: Arc<File>,
    watermark: watch::Receiver<Watermark>,
    /// How far the file has been read.
    offset: u64,
    /// What has been read and not returned: a part of a frame.
    unread: Bytes,
    /// Events up to this one are left out.
    after: u64,
    /// The sequence of the next event to return.
    next: u64,
    /// The most that was read at once.
    #[cfg(test)]
    most: usize,
}

impl RecordReader {
    /// A reader of the events after `after`, which begin at `offset` or behind it.
    pub(super) fn new(
        hold: RecordHold,
        file: File,
        watermark: watch::Receiver<Watermark>,
        after: u64,
        offset: u64,
    ) -> RecordReader {
        RecordReader {
            _hold: hold,
            file: Arc::new(file),
            watermark,
            offset,
            after,
            next: after.saturating_add(1),
            unread: Bytes::new(),
            #[cfg(test)]
            most: 0,
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
            if self.next_offset() < mark.end {
                let events = self.read_frames(mark.end).await?;
                if !events.is_empty() {
                    return Ok(events);
                }
                // Far from where to begin: others shall have their turn on the way.
                tokio::task::yield_now().await;
            } else if mark.ended || self.watermark.changed().await.is_err() {
                // Cut since, where one frame ends and the next begins.
                if mark.ended && self.next <= mark.sequence {
                    return Err(format::RecordDamage::Frame("sequence").into());
                }
                return Ok(Vec::new());
            }
        }
    }

    /// Reads what comes next, up to `end`, and gives the whole frames in it.
    async fn read_frames(&mut self, end: u64) -> io::Result<Vec<RunEvent>> {
        let mut wanted = READ;
        loop {
            let left = usize::try_from(end - self.next_offset()).unwrap_or(usize::MAX);
            self.fill_unread(wanted.min(left)).await?;
            let begin = self.next_offset();
            let mut events = Vec::new();
            let whole = loop {
                let frame = match format::decode_after(&self.unread, self.after)
                    .and_then(|frame| self.in_order(frame))
                {
                    Ok(frame) => frame,
                    // What is whole before the damage comes first.
                    Err(_) if !events.is_empty() => return Ok(events),
                    Err(damage) => return Err(damage.into()),
                };
                match frame {
                    RecordFrame::Event(event, length) => {
                        self.unread.advance(length);
                        self.next = event.sequence + 1;
                        events.push(*event);
                    }
                    RecordFrame::Skipped(length) => self.unread.advance(length),
                    RecordFrame::Incomplete(whole) => break whole,
                }
            };
            if self.next_offset() > begin {
                if self.unread.is_empty() {
                    // Nothing to hold memory for.
                    self.unread = Bytes::new();
                }
                return Ok(events);
            }
            // One frame that is longer than what was read: read all of it.
            if whole > left {
                return Err(format::RecordDamage::Frame("length").into());
            }
            wanted = whole;
        }
    }

    /// Where the next event's frame begins in the file.
    fn next_offset(&self) -> u64 {
        self.offset - self.unread.len() as u64
    }

    /// Reads on until so many bytes are unread. Each time into memory of its own, which the data of
    /// events stays in; and none is held while there is nothing to read.
    async fn fill_unread(&mut self, length: usize) -> io::Result<()> {
        let begin = self.next_offset();
        let mut have = self.unread.len().min(length);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.unread[..have]);
        bytes.resize(length, 0);
        have += read_cached(&self.file, &mut bytes[have..], begin + have as u64)?;
        if have < length {
            let file = Arc::clone(&self.file);
            let read = LANES.reads.run(move || {
                let rest = &mut bytes[have..];
                file.read_exact_at(rest, begin + have as u64)?;
                Ok::<_, io::Error>(bytes)
            });
            bytes = read.await??;
        }
        self.offset = begin + bytes.len() as u64;
        self.unread = bytes.into();
        #[cfg(test)]
        {
            self.most = self.most.max(length);
        }
        Ok(())
    }

    /// A frame out of order is as wrong as one with a wrong checksum.
    fn in_order(&self, frame: RecordFrame) -> Result<RecordFrame, format::RecordDamage> {
        match &frame {
            RecordFrame::Event(event, _) if event.sequence != self.next => {
                Err(format::RecordDamage::Frame("sequence"))
            }
            _ => Ok(frame),
        }
    }
}

/// Reads what the system has in memory, and waits for no disk. Returns how much that is.
fn read_cached(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        let rest = &mut [IoSliceMut::new(&mut bytes[have..])];
        let offset = offset + have as u64;
        match retry_on_intr(|| preadv2(file, rest, offset, ReadWriteFlags::NOWAIT)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => have += read,
            // It is not in memory, or the file system does not support the flag.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests;
