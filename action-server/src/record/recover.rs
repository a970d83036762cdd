//! What a server that died left behind: records without an end, and how they get one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    sync::Arc,
    time::SystemTime,
};

use prost_types::Timestamp;

use super::{
    Entry, HEADER_LEN, RunId, Store, Watermark, Writer,
    summary::{self, Jobs},
};

/// A record without an end, read as far as it is whole.
#[derive(Debug)]
pub struct Unfinished {
    entry: Arc<Entry>,
    mark: Watermark,
    jobs: Jobs,
    began: Option<Timestamp>,
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
            let file = File::open(&entry.path)?;
            if file.metadata()?.len() > HEADER_LEN as u64 && summary::has_ended(&file)? {
                continue;
            }
            let mut jobs = Jobs::default();
            let mut began = None;
            let scanned = summary::scan(&file, |event| {
                began = began.or(event.time);
                if let Some(event) = event.event {
                    jobs.observe(event);
                }
            });
            match scanned {
                Ok(mark) if mark.sequence > 0 => unfinished.push(Unfinished {
                    entry,
                    mark,
                    jobs,
                    began,
                }),
                Ok(_) => self.remove(&entry)?,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.remove(&entry)?;
                }
                // Not ours to write in: a newer server's, or no record.
                Err(error) => tracing::error!(file = %entry.path.display(), %error, "left alone"),
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
            mark,
            jobs,
            began,
        } = unfinished;
        let file = File::options().read(true).append(true).open(&entry.path)?;
        keep_tail(&entry, &file, mark.end)?;
        file.set_len(mark.end)?;
        let events = jobs.endings(Some(SystemTime::now().into()), began);
        let mut writer = Writer::resume(entry.id.clone(), file, mark);
        writer.finish(events).map_err(|unwritten| unwritten.error)
    }
}

/// Damage is evidence: it is put aside before the record goes on.
fn keep_tail(entry: &Entry, file: &File, end: u64) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len() - end).unwrap_or(0);
    if length == 0 {
        return Ok(());
    }
    let mut tail = vec![0; length];
    file.read_exact_at(&mut tail, end)?;
    let aside = entry.path.with_extension("run.tail");
    tracing::warn!(run_id = %entry.id, bytes = length, aside = %aside.display(), "the record's end was damaged");
    fs::write(aside, tail)
}
