//! Reading what there is at the start: each record is opened once.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use action_proto::v1::run_event::Event;
use rustix::fs::OFlags;

use super::{
    Damage, Entry, Known, RecordFault, RunId, Summary,
    file::{Glance, glance},
    index::Index,
    interned::Interned,
    summary::Finished,
};
use crate::{shown, transient::is_transient};

/// So many records are read at once: a disk that is far away has its time for each.
const THREADS: usize = 8;
/// So many records a thread takes at a time.
const PART: usize = 64;

/// The records that were found.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) index: Index,
    pub(super) interned: Interned,
    /// Those without an end.
    pub(super) unfinished: Vec<Arc<Entry>>,
    /// Those whose first event cannot be read, and that are not put aside yet.
    pub(super) damaged: Vec<Arc<Entry>>,
}

/// Reads the directories of the records.
///
/// # Errors
/// The disk's, for the directories themselves.
pub(super) fn load(runs: &Arc<Path>, damaged: &Arc<Path>) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    for entry in list_records(damaged)?.0 {
        entry.learn(Known::Fault(RecordFault::Damaged));
        if let Ok(metadata) = fs::metadata(entry.path()) {
            entry.set_size(metadata.blocks() * 512);
        }
        loaded.index.insert(entry);
    }
    let (entries, with_others) = list_records(runs)?;
    let (interned, next) = (Mutex::new(Interned::default()), AtomicUsize::new(0));
    let read_some = || {
        let (mut unfinished, mut left_alone, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let begin = next.fetch_add(PART, Ordering::Relaxed);
            let Some(rest) = entries.get(begin..).filter(|rest| !rest.is_empty()) else {
                return (unfinished, left_alone);
            };
            for entry in rest.iter().take(PART) {
                match look(entry, &interned, &mut buffer) {
                    Ok(Looked::Ended) => {}
                    Ok(Looked::Unfinished) => unfinished.push(Arc::clone(entry)),
                    Ok(Looked::NoFile) => left_alone.push(entry.id.clone()),
                    // One record must not keep the server from all others.
                    Err(error) => {
                        tracing::error!(run_id = %entry.id, file = %shown::file(entry.path()), %error, "cannot read a record");
                    }
                }
            }
        }
    };
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..THREADS.min(entries.len() / PART + 1))
            .map(|_| scope.spawn(read_some))
            .collect();
        let own = read_some();
        let others = threads.into_iter().filter_map(|thread| thread.join().ok());
        others.chain([own]).collect()
    });
    let mut none: Vec<RunId> = Vec::new();
    for (unfinished, left_alone) in found {
        loaded.unfinished.extend(unfinished);
        none.extend(left_alone);
    }
    loaded.interned = interned
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for entry in entries {
        if none.contains(&entry.id) {
            continue;
        }
        if with_others.contains(&entry.id) {
            // To be measured with what belongs to it.
            entry.set_size(0);
        }
        if let Some(Known::Fault(RecordFault::Damaged)) = entry.known() {
            loaded.damaged.push(Arc::clone(&entry));
        }
        loaded.index.insert(entry);
    }
    Ok(loaded)
}

/// The records of a directory, and those that have other files beside them. What a server that died had
/// begun and told nobody of is removed.
fn list_records(directory: &Arc<Path>) -> io::Result<(Vec<Arc<Entry>>, HashSet<RunId>)> {
    let files = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        files => files?,
    };
    let (mut entries, mut with_others) = (Vec::new(), HashSet::new());
    for file in files {
        let name = file?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some((id, time)) = Entry::name_of(name) {
            entries.push(Arc::new(Entry::new(Arc::clone(directory), id, time)));
        } else if is_leftover(name) {
            _ = fs::remove_file(directory.join(name));
        } else if let Some((id, _)) = record_beside(name) {
            with_others.insert(id);
        }
    }
    Ok((entries, with_others))
}

/// The id and time of the record that a file belongs to by its name.
fn record_beside(name: &str) -> Option<(RunId, u64)> {
    let index = name.strip_suffix(".idx");
    let stem = index.or_else(|| name.strip_suffix(".run.tail"))?;
    Entry::name_of(&format!("{stem}.run"))
}

/// True for the name of a record whose first event was not on the disk, or of an index that was not
/// written whole.
fn is_leftover(name: &str) -> bool {
    let is_of_record = |stem: &str| Entry::name_of(&format!("{stem}.run")).is_some();
    let begun = name.strip_suffix(".new");
    let index = name.split_once(".idx.").map(|(stem, _)| stem);
    begun.or(index).is_some_and(is_of_record)
}

/// What a look at a record found.
pub(super) enum Looked {
    Ended,
    Unfinished,
    /// Something else has the name of a record.
    NoFile,
}

/// Looks at a record for the first time, and has its entry know what it is.
///
/// # Errors
/// The disk's, where it is worth another look later. The entry knows nothing then.
pub(super) fn look(
    entry: &Entry,
    interned: &Mutex<Interned>,
    buffer: &mut Vec<u8>,
) -> io::Result<Looked> {
    // Not to wait for the other end of a FIFO that somebody put there.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = File::options()
        .read(true)
        .custom_flags(flags)
        .open(entry.path());
    let looked = opened.and_then(|file| {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        entry.set_size(metadata.blocks() * 512);
        glance(&file, metadata.len(), buffer).map(Some)
    });
    let glance = match looked {
        Ok(Some(glance)) => glance,
        Ok(None) => return Ok(Looked::NoFile),
        Err(error) => {
            let Some(fault) = fault_of(&error) else {
                return Err(error);
            };
            entry.learn(Known::Fault(fault));
            // A damaged one is reported when it is moved aside.
            if fault != RecordFault::Damaged {
                tracing::error!(run_id = %entry.id, file = %shown::file(entry.path()), %error, "left alone");
            }
            return Ok(Looked::Ended);
        }
    };
    Ok(learn(entry, glance, interned))
}

/// Notes in an entry what the first and last event of its record say.
fn learn(entry: &Entry, glance: Glance, interned: &Mutex<Interned>) -> Looked {
    let Glance {
        first,
        has_ended,
        last,
        end,
    } = glance;
    let Some(Event::RunStarted(started)) = first.event else {
        entry.learn(Known::Fault(RecordFault::Damaged));
        return Looked::Ended;
    };
    let summary = {
        let mut interned = interned.lock().unwrap_or_else(PoisonError::into_inner);
        Summary::of(entry.id.clone(), started, first.time, &mut interned)
    };
    if let Some(finished) = last.and_then(|last| Finished::of(last, end)) {
        summary.finish(finished);
    }
    entry.learn(Known::Run(summary));
    match has_ended {
        true => Looked::Ended,
        false => Looked::Unfinished,
    }
}

/// What an error says of a record; `None` where another look may find something else.
fn fault_of(error: &io::Error) -> Option<RecordFault> {
    if is_transient(error) || error.kind() == io::ErrorKind::NotFound {
        return None;
    }
    let damage = error.get_ref().and_then(|it| it.downcast_ref::<Damage>());
    match (damage, error.kind()) {
        (Some(Damage::Newer(_)), _) => Some(RecordFault::Newer),
        (Some(_), _) | (None, io::ErrorKind::UnexpectedEof) => Some(RecordFault::Damaged),
        (None, _) => Some(RecordFault::Unreadable),
    }
}
