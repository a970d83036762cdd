//! An index of all runs by id prefix and by time. In memory; no call here reads a record.

use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{RecordEntry, RecordState, RunId};

/// A run's place in lists: when it was accepted, in milliseconds since 1970, and its id.
pub type RunPosition = (u64, RunId);

/// All runs in brief, for lists and look-ups. The caller bounds each result and continues after its last
/// run.
pub trait RunIndex: Send + Sync {
    /// The runs whose id is, or begins with, `prefix`, in the order of their ids, after `after`:
    /// at most `most`.
    fn find(&self, prefix: &str, after: Option<RunId>, most: usize) -> Vec<Arc<RecordEntry>>;

    /// The runs before `before`, the newest first: at most `most`.
    fn list(&self, before: Option<RunPosition>, most: usize) -> Vec<Arc<RecordEntry>>;

    /// The most by which the time in lists is later than a run's start, in milliseconds: a clock that was
    /// set back puts no run before older ones.
    fn lead(&self) -> u64;

    /// The state of a record. Blocks for the disk only if the record could not be read before.
    ///
    /// # Errors
    /// The record cannot be read now, or is gone (`NotFound`).
    fn summary<'a>(&self, entry: &'a RecordEntry) -> io::Result<&'a RecordState>;
}

/// The records, for looking up.
#[derive(Debug, Default)]
pub(super) struct RecordIndex {
    by_id: BTreeMap<RunId, Arc<RecordEntry>>,
    by_time: BTreeMap<RunPosition, Arc<RecordEntry>>,
    /// See [`RunIndex::lead`].
    pub(super) lead: u64,
}

impl RecordIndex {
    /// Adds a record, in place of another one of the same run.
    pub(super) fn insert(&mut self, entry: Arc<RecordEntry>) {
        self.remove(&entry.id);
        let started = entry.summary().and_then(|it| it.start_time);
        if let Some(started) = started.and_then(|it| SystemTime::try_from(it).ok()) {
            let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
            let started = u64::try_from(started.as_millis()).unwrap_or(u64::MAX);
            self.lead = self.lead.max(entry.time.saturating_sub(started));
        }
        let position = (entry.time, entry.id.clone());
        self.by_time.insert(position, Arc::clone(&entry));
        self.by_id.insert(entry.id.clone(), entry);
    }

    pub(super) fn remove(&mut self, id: &RunId) {
        if let Some(entry) = self.by_id.remove(id) {
            self.by_time.remove(&(entry.time, entry.id.clone()));
        }
    }

    pub(super) fn get(&self, id: &RunId) -> Option<Arc<RecordEntry>> {
        self.by_id.get(id).cloned()
    }

    /// See [`RunIndex::find`].
    pub(super) fn find(
        &self,
        prefix: &str,
        after: Option<RunId>,
        most: usize,
    ) -> Vec<Arc<RecordEntry>> {
        let from = match after {
            Some(id) => Bound::Excluded(id),
            None => Bound::Included(RunId::first_with(prefix)),
        };
        let from = self.by_id.range((from, Bound::Unbounded));
        let matching =
            from.take_while(|(id, _)| !prefix.is_empty() && id.as_str().starts_with(prefix));
        matching
            .take(most)
            .map(|(_, entry)| Arc::clone(entry))
            .collect()
    }

    /// See [`RunIndex::list`].
    pub(super) fn list(&self, before: Option<RunPosition>, most: usize) -> Vec<Arc<RecordEntry>> {
        let before = before.map_or(Bound::Unbounded, Bound::Excluded);
        let older = self.by_time.range((Bound::Unbounded, before)).rev();
        older
            .take(most)
            .map(|(_, entry)| Arc::clone(entry))
            .collect()
    }

    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// The time of the newest record.
    pub(super) fn newest_time(&self) -> Option<u64> {
        self.by_time.last_key_value().map(|((time, _), _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn ids_are_found_by_their_beginning() {
        let mut index = RecordIndex::default();
        for (time, id) in [
            (3, "aaaa000000000000"),
            (1, "aaab000000000000"),
            (2, "b000000000000000"),
        ] {
            let directory = Path::new("/r").into();
            index.insert(Arc::new(RecordEntry::new(
                directory,
                id.parse().unwrap(),
                time,
            )));
        }
        let ids = |text: &str| -> Vec<String> {
            let found = index.find(text, None, 2);
            found.iter().map(|entry| entry.id.to_string()).collect()
        };
        assert_eq!(ids("b"), ["b000000000000000"]);
        assert_eq!(ids("aaab"), ["aaab000000000000"]);
        assert_eq!(ids("aaaa000000000000"), ["aaaa000000000000"]);
        assert_eq!(ids("aaa").len(), 2);
        for nothing in ["", "c", "aaaa0000000000000", "../x", "\u{10ffff}"] {
            assert_eq!(ids(nothing), [""; 0], "{nothing}");
        }
        let rest = index.find(
            "aaa",
            index.find("aaa", None, 1).first().map(|it| it.id.clone()),
            9,
        );
        assert_eq!(rest.len(), 1);
        let times = |before| -> Vec<u64> {
            let listed = index.list(before, 9);
            listed.iter().map(|entry| entry.time).collect()
        };
        assert_eq!(times(None), [3, 2, 1]);
        assert_eq!(times(Some((2, "b000000000000000".parse().unwrap()))), [1]);
        index.remove(&"b000000000000000".parse().unwrap());
        assert_eq!(index.list(None, 9).len(), 2);
    }
}
