//! The removal of old records.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    sync::{Arc, atomic::Ordering},
};

use super::{
    RecordEntry, RecordStore, RetentionLimits, RunId, RunIndex,
    directory::{file_names, optional_file_names},
    retention::RetainedRecord,
    store::now_millis,
};

impl RecordStore {
    /// Removes the records that `retention` lets go and that neither `lives` nor a reader holds.
    ///
    /// # Errors
    /// The first that could not be removed. All others are.
    pub fn expire_records(
        &self,
        retention: &RetentionLimits,
        lives: impl Fn(&RunId) -> bool,
    ) -> io::Result<usize> {
        let entries = self.list(None, usize::MAX);
        self.forget_missing(&entries, &lives)?;
        let kept: Vec<RetainedRecord> = entries
            .iter()
            .map(|entry| RetainedRecord {
                time: entry.time,
                size: entry.size().unwrap_or_else(|| measure_entry(entry)),
                in_use: lives(&entry.id) || entry.is_held(),
            })
            .collect();
        // The system clock may jump after it was looked at.
        let now = now_millis().min(self.believed.load(Ordering::Relaxed));
        let expired = retention.expired(&kept, now);
        let all: u64 = kept.iter().map(|kept| kept.size).sum();
        let gone: u64 = expired.iter().map(|&at| kept[at].size).sum();
        self.size.store(all - gone, Ordering::Relaxed);
        let mut failed = Ok(expired.len());
        for &at in &expired {
            if let Err(error) = self.remove_record(&entries[at]) {
                failed = failed.and(Err(error));
            }
        }
        self.interned().remove_unused();
        failed
    }

    /// Forgets records that were removed by others.
    fn forget_missing(
        &self,
        entries: &[Arc<RecordEntry>],
        lives: impl Fn(&RunId) -> bool,
    ) -> io::Result<()> {
        let mut names = file_names(&self.runs)?;
        names.extend(optional_file_names(&self.damaged)?);
        let ids = names
            .iter()
            .filter_map(|name| RecordEntry::parse_name(name));
        let existing: HashSet<RunId> = ids.map(|(id, _)| id).collect();
        for entry in entries {
            if !existing.contains(&entry.id) && !lives(&entry.id) {
                self.forget_entry(&entry.id);
                remove_companions(entry);
            }
        }
        Ok(())
    }

    /// Removes a record and what belongs to it. One that is gone already counts as removed.
    pub(super) fn remove_record(&self, entry: &RecordEntry) -> io::Result<()> {
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove_companions(entry);
        self.forget_entry(&entry.id);
        Ok(())
    }
}

/// The space that a record takes on the disk, with what belongs to it: for a short one that is more
/// than its length.
fn measure_entry(entry: &RecordEntry) -> u64 {
    let files = [entry.path(), entry.tail_path(), entry.index_path()];
    let sizes = files
        .iter()
        .map(|path| fs::metadata(path).map_or(0, |it| it.blocks() * 512));
    let size = sizes.sum();
    entry.set_size(size);
    size
}

/// Removes the files beside a record.
fn remove_companions(entry: &RecordEntry) {
    for beside in [entry.tail_path(), entry.index_path()] {
        _ = fs::remove_file(beside);
    }
}
