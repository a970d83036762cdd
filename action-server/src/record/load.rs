//! Reading all records at the start: each is opened once.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use action_proto::v1::run_event::Event;

use super::{
    RecordDamage, RecordEntry, RecordFault, RecordState, RunId, RunSummary, StoreError,
    directory::optional_file_names,
    file::{RecordEnds, read_ends},
    index::RecordIndex,
    interned::InternedTexts,
    summary::RunEnd,
};
use crate::{file_digest::open_regular, locks::lock, shown, transient::is_transient};

/// So many records are read at once: a disk that is far away has its time for each.
const THREADS: usize = 8;
/// So many records a thread takes at a time.
const PART: usize = 64;

/// The records that were found.
#[derive(Debug, Default)]
pub(super) struct LoadedRecords {
    pub(super) index: RecordIndex,
    pub(super) interned: InternedTexts,
    /// Those without an end.
    pub(super) unfinished: Vec<Arc<RecordEntry>>,
    /// Those whose first event cannot be read, and that are not put aside yet.
    pub(super) damaged: Vec<Arc<RecordEntry>>,
}

/// Reads the directories of the records.
///
/// # Errors
/// That of a directory, which is named.
pub(super) fn load_records(
    runs: &Arc<Path>,
    damaged: &Arc<Path>,
) -> Result<LoadedRecords, StoreError> {
    let listed = |directory: &Arc<Path>| {
        list_records(directory).map_err(|source| StoreError::Io {
            path: directory.to_path_buf(),
            source,
        })
    };
    let mut loaded = LoadedRecords::default();
    for entry in listed(damaged)?.0 {
        entry.set_state(RecordState::Fault(RecordFault::Damaged));
        if let Ok(metadata) = fs::metadata(entry.path()) {
            entry.set_size(metadata.blocks() * 512);
        }
        loaded.index.insert(entry);
    }
    let (entries, with_others) = listed(runs)?;
    let interned = Mutex::new(InternedTexts::default());
    let looks = look_at_all(&entries, &interned);
    loaded.interned = std::mem::take(&mut *lock(&interned));
    for (entry, look) in entries.into_iter().zip(looks) {
        match look {
            Some(FirstLook::NoFile) => continue,
            Some(FirstLook::Unfinished) => loaded.unfinished.push(Arc::clone(&entry)),
            Some(FirstLook::Ended) | None => {}
        }
        if with_others.contains(&entry.id) {
            // To be measured with the files that belong to it.
            entry.set_size(0);
        }
        if let Some(RecordState::Fault(RecordFault::Damaged)) = entry.known() {
            loaded.damaged.push(Arc::clone(&entry));
        }
        loaded.index.insert(entry);
    }
    Ok(loaded)
}

/// Looks at each record, on several threads; `None` for one that cannot be read now.
fn look_at_all(
    entries: &[Arc<RecordEntry>],
    interned: &Mutex<InternedTexts>,
) -> Vec<Option<FirstLook>> {
    let parts: Vec<_> = entries.chunks(PART).collect();
    let next = AtomicUsize::new(0);
    let look_at_some = || {
        let (mut looks, mut buffer) = (Vec::new(), Vec::new());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(index) else {
                return looks;
            };
            let look_at = |entry: &Arc<RecordEntry>| {
                let looked = look_at(entry, interned, &mut buffer);
                // One record must not keep the server from all others.
                looked.inspect_err(|error| {
                    tracing::error!(run_id = %entry.id, file = %shown::file(entry.path()), %error, "cannot read a record");
                }).ok()
            };
            let found: Vec<_> = part.iter().map(look_at).collect();
            looks.push((index, found));
        }
    };
    let mut looks = vec![None; entries.len()];
    thread::scope(|scope| {
        let threads: Vec<_> = (1..THREADS.min(parts.len()))
            .map(|_| scope.spawn(look_at_some))
            .collect();
        let own = look_at_some();
        let others = threads.into_iter().filter_map(|thread| thread.join().ok());
        for (index, found) in others.flatten().chain(own) {
            looks[index * PART..][..found.len()].copy_from_slice(&found);
        }
    });
    looks
}

/// The records of a directory, and those that have other files beside them. Removes files that a
/// server began before it died, and that no caller has heard of.
fn list_records(directory: &Arc<Path>) -> io::Result<(Vec<Arc<RecordEntry>>, HashSet<RunId>)> {
    let (mut entries, mut with_others) = (Vec::new(), HashSet::new());
    for name in optional_file_names(directory)? {
        if let Some((id, time)) = RecordEntry::parse_name(&name) {
            entries.push(Arc::new(RecordEntry::new(Arc::clone(directory), id, time)));
        } else if is_unfinished_file(&name) {
            _ = fs::remove_file(directory.join(name));
        } else if let Some((id, _)) = record_beside(&name) {
            with_others.insert(id);
        }
    }
    Ok((entries, with_others))
}

/// The id and time of the record that a file belongs to by its name.
fn record_beside(name: &str) -> Option<(RunId, u64)> {
    let index = name.strip_suffix(".idx");
    let stem = index.or_else(|| name.strip_suffix(".run.tail"))?;
    RecordEntry::parse_name(&format!("{stem}.run"))
}

/// True for the name of a record whose first event was not on the disk, or of an index that was not
/// written whole.
fn is_unfinished_file(name: &str) -> bool {
    let is_of_record = |stem: &str| RecordEntry::parse_name(&format!("{stem}.run")).is_some();
    let begun = name.strip_suffix(".new");
    let index = name.split_once(".idx.").map(|(stem, _)| stem);
    begun.or(index).is_some_and(is_of_record)
}

/// The result of the first look at a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum FirstLook {
    Ended,
    Unfinished,
    /// Something else has the name of a record.
    NoFile,
}

/// Reads a record for the first time, and sets the state of its entry.
///
/// # Errors
/// The disk's, if a later look may succeed. The entry has no state then.
pub(super) fn look_at(
    entry: &RecordEntry,
    interned: &Mutex<InternedTexts>,
    buffer: &mut Vec<u8>,
) -> io::Result<FirstLook> {
    let looked = open_regular(&entry.path()).and_then(|file| {
        let metadata = file.metadata()?;
        entry.set_size(metadata.blocks() * 512);
        read_ends(&file, metadata.len(), buffer)
    });
    let glance = match looked {
        Ok(glance) => glance,
        Err(error) if is_no_file(&error) => return Ok(FirstLook::NoFile),
        Err(error) => {
            let Some(fault) = fault_of(&error) else {
                return Err(error);
            };
            entry.set_state(RecordState::Fault(fault));
            // A damaged one is reported when it is moved aside.
            if fault != RecordFault::Damaged {
                tracing::error!(run_id = %entry.id, file = %shown::file(entry.path()), %error, "left alone");
            }
            return Ok(FirstLook::Ended);
        }
    };
    Ok(apply_ends(entry, glance, interned))
}

/// True for the error of [`open_regular`] that is not the disk's.
fn is_no_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported && error.raw_os_error().is_none()
}

/// Sets the state of an entry from the first and last event of its record.
fn apply_ends(
    entry: &RecordEntry,
    glance: RecordEnds,
    interned: &Mutex<InternedTexts>,
) -> FirstLook {
    let RecordEnds {
        first,
        has_ended,
        last,
        end,
    } = glance;
    let Some(Event::RunStarted(started)) = first.event else {
        entry.set_state(RecordState::Fault(RecordFault::Damaged));
        return FirstLook::Ended;
    };
    let summary = {
        let mut interned = lock(interned);
        RunSummary::of(entry.id.clone(), started, first.time, &mut interned)
    };
    if let Some(finished) = last.and_then(|last| RunEnd::of(last, end)) {
        summary.set_finished(finished);
    }
    entry.set_state(RecordState::Run(summary));
    if has_ended {
        FirstLook::Ended
    } else {
        FirstLook::Unfinished
    }
}

/// The fault behind an error; `None` if a later look may succeed.
fn fault_of(error: &io::Error) -> Option<RecordFault> {
    if is_transient(error) || error.kind() == io::ErrorKind::NotFound {
        return None;
    }
    let damage = error
        .get_ref()
        .and_then(|it| it.downcast_ref::<RecordDamage>());
    match (damage, error.kind()) {
        (Some(RecordDamage::Newer(_)), _) => Some(RecordFault::Newer),
        (Some(_), _) | (None, io::ErrorKind::UnexpectedEof) => Some(RecordFault::Damaged),
        (None, _) => Some(RecordFault::Unreadable),
    }
}
