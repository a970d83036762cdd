//! What a server that died left behind: records without an end, and how they get one; and records
//! that are damaged, and where they are kept.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Seek, SeekFrom},
    mem::take,
    os::unix::fs::DirBuilderExt,
    sync::{Arc, PoisonError},
};

use action_proto::v1::run_event::Event;

use super::{
    Entry, Holder, RecordFault, RunId, Store, Watermark, Writer,
    contents::{Contents, WrittenEvent},
    file, format,
    summary::Finished,
};

use crate::{file_digest::open_regular, shown};

/// A record without an end, read as far as it is whole.
#[derive(Debug)]
pub struct Unfinished {
    entry: Arc<Entry>,
    mark: Watermark,
    contents: Contents,
    /// The run's end, when only the footer is missing, and where it begins.
    end: Option<(Finished, u64)>,
}

impl Unfinished {
    /// The run.
    pub fn id(&self) -> &RunId {
        &self.entry.id
    }
}

impl Store {
    /// The runs that another server left without an end. Call it before any run is started.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let found = take(
            &mut *self
                .unfinished
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let read = |entry: Arc<Entry>| match Unfinished::read(&entry) {
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
    pub fn newly_damaged(&self) -> Vec<Arc<Entry>> {
        take(
            &mut *self
                .newly_damaged
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Puts a damaged record aside, with what belongs to it. It is found there until retention removes it.
    ///
    /// # Errors
    /// The disk's. It is where it was then, and found there.
    pub fn put_aside(&self, entry: &Entry) -> io::Result<()> {
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
        // Of no use to anybody.
        _ = fs::remove_file(entry.index_path());
        self.add(Arc::new(aside));
        Ok(())
    }

    /// Gives a record its end: each job that has none was lost. What stood behind the whole part
    /// is kept beside the record.
    ///
    /// # Errors
    /// The disk's.
    pub fn end_lost(&self, unfinished: Unfinished) -> io::Result<()> {
        let Unfinished {
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
            .endings(self.last_holder().map(Holder::shown).as_deref());
        entry.resume(contents);
        let mut writer = Writer::resume(Arc::clone(&entry), file, own_mark, mark);
        if let Some((finished, offset)) = end {
            writer.add_footer(offset)?;
            if let Some(summary) = entry.summary() {
                summary.finish(finished);
            }
            entry.close(own_mark, mark.end + format::FOOTER_LEN as u64);
            return Ok(());
        }
        self.finish(&mut writer, events)
            .map_err(|unwritten| unwritten.error)
    }
}

impl Unfinished {
    fn read(entry: &Arc<Entry>) -> io::Result<Unfinished> {
        let file = open_regular(&entry.path())?;
        let mut contents = Contents::default();
        let mut last = None;
        let mark = file::scan(&file, |event, offset| {
            contents.observe(WrittenEvent::of(&event, offset));
            let is_end = matches!(event.event, Some(Event::RunFinished(_)));
            last = is_end.then_some((event, offset));
        })?;
        let end = last.and_then(|(event, offset)| Some((Finished::of(event, mark.end)?, offset)));
        Ok(Unfinished {
            entry: Arc::clone(entry),
            mark,
            contents,
            end,
        })
    }
}

/// Damage is evidence: it is put aside before the record goes on.
fn keep_tail(entry: &Entry, file: &File, end: u64) -> io::Result<()> {
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
