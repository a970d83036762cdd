//! What a server that died left behind: records without an end, and how they get one.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    sync::Arc,
};

use action_proto::v1::run_event::Event;

use super::{
    Entry, Holder, RunId, Store, Watermark, Writer,
    summary::{self, Jobs},
};

use crate::shown;

/// A record without an end, read as far as it is whole.
#[derive(Debug)]
pub struct Unfinished {
    entry: Arc<Entry>,
    /// False for a record that cannot be gone on with: not even its first event can be read.
    is_readable: bool,
    mark: Watermark,
    jobs: Jobs,
    /// Where the run's end begins, when only the footer is missing.
    end: Option<u64>,
}

impl Unfinished {
    /// The run.
    pub fn id(&self) -> &RunId {
        &self.entry.id
    }
}

impl Store {
    /// The runs that another server left without an end. Call it before any run is started.
    ///
    /// A record without even its first event is of a run that nobody was told of and of which
    /// nothing was started: it is removed.
    ///
    /// # Errors
    /// The disk's.
    pub fn unfinished(&self) -> io::Result<Vec<Unfinished>> {
        let mut unfinished = Vec::new();
        for entry in self.newest_first() {
            let file = match File::open(&entry.path) {
                Ok(file) => file,
                // One record must not keep the server from all others.
                Err(error) => {
                    tracing::error!(run_id = %entry.id, file = %shown::file(&entry.path), %error, "cannot read a record");
                    continue;
                }
            };
            if summary::has_ended(&file).unwrap_or(false) {
                continue;
            }
            let mut jobs = Jobs::default();
            let mut end = None;
            let scanned = summary::scan(&file, |event, offset| {
                end = matches!(event.event, Some(Event::RunFinished(_))).then_some(offset);
                if let Some(event) = event.event {
                    jobs.observe(event);
                }
            });
            match scanned {
                Ok(mark) if mark.sequence == 0 && summary::first_is_torn(&file)? => {
                    self.remove(&entry)?;
                }
                Ok(mark) => {
                    let is_readable = mark.sequence > 0;
                    let run = Unfinished {
                        entry,
                        is_readable,
                        mark,
                        jobs,
                        end,
                    };
                    unfinished.push(run);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.remove(&entry)?;
                }
                // Not ours to write in: a newer server's, or no record.
                Err(error) => {
                    tracing::error!(run_id = %entry.id, file = %shown::file(&entry.path), %error, "left alone");
                }
            }
        }
        Ok(unfinished)
    }

    /// Gives a record its end: each job that has none was lost. What stood behind the whole part
    /// is kept beside the record.
    ///
    /// # Errors
    /// The disk's.
    pub fn end_lost(&self, unfinished: Unfinished) -> io::Result<()> {
        let Unfinished {
            entry,
            is_readable,
            mark,
            jobs,
            end,
        } = unfinished;
        if !is_readable {
            let what = "the record is damaged from its beginning, and is left as it is";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let file = File::options().read(true).append(true).open(&entry.path)?;
        let own_mark = summary::check_header(&file)?;
        keep_tail(&entry, &file, mark.end)?;
        file.set_len(mark.end)?;
        if let Some(end) = end {
            return Writer::resume(entry.id.clone(), file, own_mark, mark).add_footer(end);
        }
        let host = self.last_holder().map(Holder::shown);
        let events = jobs.endings(host.as_deref());
        let mut writer = Writer::resume(entry.id.clone(), file, own_mark, mark);
        let mut unwritten = match writer.finish(events) {
            Ok(()) => return Ok(()),
            Err(unwritten) => unwritten,
        };
        // What the reserve is for: an end must be written also on a full disk.
        while unwritten.error.kind() == io::ErrorKind::StorageFull && self.release_reserve() {
            unwritten = match writer.finish(unwritten.events) {
                Ok(()) => return Ok(()),
                Err(unwritten) => unwritten,
            };
        }
        Err(unwritten.error)
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
