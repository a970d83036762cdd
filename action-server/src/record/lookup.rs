//! Reading one run's record: its events, its jobs, and texts that are not in memory.

use std::{fs::File, io, sync::Arc};

use action_proto::v1::{Job, run_event::Event};
use tokio::sync::watch;

use super::{
    HEADER_LEN, RecordEntry, RecordReader, RecordStore, RunId, RunSummary, Watermark,
    contents::{RecordContents, StoredContents, WrittenEvent},
    entry::RecordHold,
    file::{check_header, event_at, has_ended, scan_events, whole_part},
    format::{FOOTER_LEN, RecordDamage, RecordMark},
    index_file,
    summary::RunTexts,
};
use crate::file_digest::open_regular;

impl RecordStore {
    /// A reader of a run's events after `after`. `watermark` is the writer's while the run lives; without
    /// one the record is read as far as it is whole. Blocks for the disk.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn read(
        &self,
        id: &RunId,
        watermark: Option<watch::Receiver<Watermark>>,
        after: u64,
    ) -> io::Result<RecordReader> {
        let (hold, file) = self.open_record(id)?;
        let begin = match after {
            0 => HEADER_LEN as u64,
            _ => self.place_of(&hold, &file, after)?,
        };
        let watermark = match watermark {
            Some(watermark) => watermark,
            None => watch::Sender::new(end_of(&hold, &file)?).subscribe(),
        };
        Ok(RecordReader::new(hold, file, watermark, after, begin))
    }

    /// Where to begin to read for the events after `after`.
    fn place_of(&self, entry: &RecordEntry, file: &File, after: u64) -> io::Result<u64> {
        if let Some(offset) = entry.live_offset(after) {
            return Ok(offset);
        }
        // The reader reports damage where it is.
        Ok(self.stored_contents(entry, file)?.0.offset_before(after))
    }

    /// Each job of a run, as far as its record goes now, and where that is damaged before its end, in words.
    /// Blocks for the disk, but for a run that is being recorded.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn jobs(&self, id: &RunId) -> io::Result<(Vec<Job>, Option<String>)> {
        if let Some(jobs) = self.get(id).and_then(|entry| entry.live_jobs()) {
            return Ok((jobs, None));
        }
        let (hold, file) = self.open_record(id)?;
        let (contents, damage) = self.stored_contents(&hold, &file)?;
        Ok((contents.jobs, damage))
    }

    /// The contents besides output, from the index, or from the record, which gets a new index then; and
    /// where the record is damaged, in words.
    fn stored_contents(
        &self,
        entry: &RecordEntry,
        file: &File,
    ) -> io::Result<(StoredContents, Option<String>)> {
        let length = file.metadata()?.len();
        let mark = check_header(file)?;
        // Without an end there is no index.
        let end = entry
            .summary()
            .and_then(RunSummary::finished)
            .map(|it| it.end);
        let is_whole = end.is_some_and(|end| length == end + FOOTER_LEN as u64);
        let has_index = is_whole && index_file::is_wanted(length);
        if has_index && let Some(stored) = read_index(entry, mark, length) {
            return Ok((stored, None));
        }
        let mut contents = RecordContents::default();
        let scanned = scan_events(file, |event, offset| {
            contents.observe_event(WrittenEvent::of(&event, offset));
        })?;
        let end = match end {
            None if has_ended(file)? => Some(whole_part(file)?.end),
            end => end,
        };
        let stored = contents.to_stored();
        if end.is_some_and(|end| scanned.end < end) {
            let damage = format!("record damaged behind event {}", scanned.sequence);
            return Ok((stored, Some(damage)));
        }
        if has_index
            && let Err(error) = index_file::write_index(&entry.index_path(), mark, length, &stored)
        {
            tracing::warn!(run_id = %entry.id, %error, "cannot write the index of a record");
        }
        Ok((stored, None))
    }

    /// Arguments and reason of a run, which are not in memory where they are long. Blocks for the disk
    /// then.
    ///
    /// # Errors
    /// The record cannot be read, or is damaged.
    pub fn texts(&self, entry: &RecordEntry) -> io::Result<RunTexts> {
        if let Some(texts) = entry.summary().and_then(RunSummary::texts) {
            return Ok(texts.clone());
        }
        let file = open_regular(&entry.path())?;
        check_header(&file)?;
        match event_at(&file, HEADER_LEN as u64)?.event {
            Some(Event::RunStarted(started)) => Ok(RunTexts::of(started)),
            _ => Err(RecordDamage::Frame("content").into()),
        }
    }

    fn open_record(&self, id: &RunId) -> io::Result<(RecordHold, File)> {
        let entry = self.get(id).ok_or(io::ErrorKind::NotFound)?;
        // Before it is opened: retention leaves it alone from here on.
        let hold = Arc::clone(&entry).hold();
        let file = open_regular(&entry.path()).inspect_err(|error| {
            // It was removed by others. A live one stays, so that it can be cancelled.
            if error.kind() == io::ErrorKind::NotFound && entry.is_closed() {
                self.forget_entry(id);
            }
        })?;
        check_header(&file)?;
        Ok((hold, file))
    }
}

/// The index of a record, where there is one that can be used: it is only a cache.
fn read_index(entry: &RecordEntry, mark: RecordMark, length: u64) -> Option<StoredContents> {
    let read = index_file::read_index(&entry.index_path(), mark, length);
    read.unwrap_or_else(|error| {
        tracing::warn!(run_id = %entry.id, %error, "cannot read the index of a record: the record is read instead");
        None
    })
}

/// Where the events end of a record that is not being written.
fn end_of(entry: &RecordEntry, file: &File) -> io::Result<Watermark> {
    match entry.summary().and_then(RunSummary::finished) {
        // One that was cut since has the same last event: its readers miss it, and say so.
        Some(finished) => Ok(Watermark {
            end: finished.end.min(file.metadata()?.len()),
            sequence: finished.sequence,
            ended: true,
        }),
        None => whole_part(file),
    }
}
