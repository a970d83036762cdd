//! Records of a server that died: unfinished ones get an end, damaged ones are moved aside.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Seek, SeekFrom},
    mem::take,
    os::unix::fs::DirBuilderExt,
    sync::Arc,
};

use action_proto::v1::run_event::Event;

use super::{
    RecordEntry, RecordFault, RecordStore, RecordWriter, RunId, StateHolder, Watermark,
    contents::{RecordContents, WrittenEvent},
    file, format,
    summary::RunEnd,
};

use crate::{file_digest::open_regular, locks::lock, shown};

/// A record without an end, read as far as it is whole.
#[derive(Debug)]
pub struct UnfinishedRun {
    entry: Arc<RecordEntry>,
    mark: Watermark,
    contents: RecordContents,
    /// The run's end, when only the footer is missing, and where it begins.
    end: Option<(RunEnd, u64)>,
}

impl UnfinishedRun {
    /// The run.
    pub fn id(&self) -> &RunId {
        &self.entry.id
    }
}

impl RecordStore {
    /// The runs that another server left without an end. Call it before any run is started.
    pub fn unfinished(&self) -> Vec<UnfinishedRun> {
        let found = take(&mut *lock(&self.unfinished));
        let read = |entry: Arc<RecordEntry>| match UnfinishedRun::read(&entry) {
            Ok(unfinished) => Some(unfinished),
            // One record must not keep the server from all others.
            Err(error) => {
                tracing::error!(run_id = %entry.id, file = %shown::file(entry.path()), %error, "left alone");
                None
            }
        };
        found.into_iter().filter_map(read).collect()
    }

    /// The records whose first event is damaged, since the last start. They are to be reported, and then
    /// put aside.
    pub fn newly_damaged(&self) -> Vec<Arc<RecordEntry>> {
        take(&mut *lock(&self.newly_damaged))
    }

    /// Puts a damaged record aside, with what belongs to it. It is found there until retention removes it.
    ///
    /// # Errors
    /// The disk's. It is where it was then, and found there.
    pub fn put_aside(&self, entry: &RecordEntry) -> io::Result<()> {
        let mut directory = DirBuilder::new();
        match directory.mode(0o700).create(&self.damaged) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let aside = entry.moved_to(Arc::clone(&self.damaged), RecordFault::Damaged);
        if entry.tail_path().exists() {
            fs::rename(entry.tail_path(), aside.tail_path())?;
        }
        fs::rename(entry.path(), aside.path())?;
        // It is useless now.
        _ = fs::remove_file(entry.index_path());
        self.add(Arc::new(aside));
        Ok(())
    }

    /// Gives a record its end: each job that has none was lost. What stood behind the whole part
    /// is kept beside the record.
    ///
    /// # Errors
    /// The disk's.
    pub fn end_lost(&self, unfinished: UnfinishedRun) -> io::Result<()> {
        let UnfinishedRun {
            entry,
            mark,
            contents,
            end,
        } = unfinished;
        let file = File::options().read(true).append(true).open(entry.path())?;
        let own_mark = file::check_header(&file)?;
        keep_tail(&entry, &file, mark.end)?;
        file.set_len(mark.end)?;
        let events = contents
            .jobs
            .lost_endings(self.last_holder().map(StateHolder::shown).as_deref());
        entry.resume(contents);
        let mut writer = RecordWriter::resume(Arc::clone(&entry), file, own_mark, mark);
        if let Some((finished, offset)) = end {
            writer.add_footer(offset)?;
            if let Some(summary) = entry.summary() {
                summary.set_finished(finished);
            }
            entry.close(own_mark, mark.end + format::FOOTER_LEN as u64);
            return Ok(());
        }
        self.finish_record(&mut writer, events)
            .map_err(|unwritten| unwritten.error)
    }
}

impl UnfinishedRun {
    fn read(entry: &Arc<RecordEntry>) -> io::Result<UnfinishedRun> {
        let file = open_regular(&entry.path())?;
        let mut contents = RecordContents::default();
        let mut last = None;
        let mark = file::scan_events(&file, |event, offset| {
            contents.observe_event(WrittenEvent::of(&event, offset));
            let is_end = matches!(event.event, Some(Event::RunFinished(_)));
            last = is_end.then_some((event, offset));
        })?;
        let end = last.and_then(|(event, offset)| Some((RunEnd::of(event, mark.end)?, offset)));
        Ok(UnfinishedRun {
            entry: Arc::clone(entry),
            mark,
            contents,
            end,
        })
    }
}

/// Damage is evidence: it is put aside before the record goes on.
fn keep_tail(entry: &RecordEntry, file: &File, end: u64) -> io::Result<()> {
    let length = file.metadata()?.len().saturating_sub(end);
    if length == 0 {
        return Ok(());
    }
    let aside = entry.tail_path();
    tracing::warn!(run_id = %entry.id, bytes = length, aside = %shown::file(&aside), "the record's end was damaged");
    let mut tail = file.try_clone()?;
    tail.seek(SeekFrom::Start(end))?;
    io::copy(&mut tail, &mut File::create(aside)?).map(drop)
}
