//! Which records there are: by id, by the beginning of an id, and by time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::RunId;

/// One record on the disk.
#[derive(Debug)]
pub struct Entry {
    /// The run.
    pub id: RunId,
    /// When it was accepted, in milliseconds since 1970.
    pub time: u64,
    /// Its file.
    pub path: PathBuf,
}

impl Entry {
    /// A new run's entry, in the directory of the records.
    pub(super) fn new(runs: &Path, id: RunId, time: u64) -> Entry {
        let path = runs.join(format!("{time:013}-{id}.run"));
        Entry { id, time, path }
    }

    /// Where a damaged end of the record is put aside.
    pub(super) fn tail_path(&self) -> PathBuf {
        self.path.with_extension("run.tail")
    }

    /// The entry of a file's name; `None` for other files.
    pub(super) fn of_file(path: PathBuf) -> Option<Entry> {
        let name = path.file_name()?.to_str()?;
        let (time, id) = name.strip_suffix(".run")?.split_once('-')?;
        Some(Entry {
            id: id.parse().ok()?,
            time: time.parse().ok()?,
            path,
        })
    }
}

/// The records, for looking up.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_id: BTreeMap<RunId, Arc<Entry>>,
    by_time: BTreeSet<(u64, RunId)>,
}

impl Index {
    pub(super) fn insert(&mut self, entry: impl Into<Arc<Entry>>) {
        let entry = entry.into();
        self.by_time.insert((entry.time, entry.id.clone()));
        self.by_id.insert(entry.id.clone(), entry);
    }

    pub(super) fn remove(&mut self, id: &RunId) {
        if let Some(entry) = self.by_id.remove(id) {
            self.by_time.remove(&(entry.time, entry.id.clone()));
        }
    }

    pub(super) fn get(&self, id: &RunId) -> Option<Arc<Entry>> {
        self.by_id.get(id).cloned()
    }

    /// The runs whose id is, or begins with, `text`: at most `most`.
    pub(super) fn matching(&self, text: &str, most: usize) -> Vec<Arc<Entry>> {
        let from = self.by_id.iter().skip_while(|(id, _)| id.as_str() < text);
        let matching = from.take_while(|(id, _)| !text.is_empty() && id.as_str().starts_with(text));
        matching
            .take(most)
            .map(|(_, entry)| Arc::clone(entry))
            .collect()
    }

    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// The time of the newest record.
    pub(super) fn newest_time(&self) -> Option<u64> {
        self.by_time.last().map(|(time, _)| *time)
    }

    /// All records, the newest first.
    pub(super) fn newest_first(&self) -> Vec<Arc<Entry>> {
        let newest = self.by_time.iter().rev();
        newest
            .filter_map(|(_, id)| self.by_id.get(id).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_their_beginning() {
        let mut index = Index::default();
        for (time, id) in [
            (3, "aaaa000000000000"),
            (1, "aaab000000000000"),
            (2, "b000000000000000"),
        ] {
            index.insert(Entry::new(Path::new("/r"), id.parse().unwrap(), time));
        }
        let ids = |text: &str| -> Vec<String> {
            index
                .matching(text, 2)
                .iter()
                .map(|entry| entry.id.to_string())
                .collect()
        };
        assert_eq!(ids("b"), ["b000000000000000"]);
        assert_eq!(ids("aaab"), ["aaab000000000000"]);
        assert_eq!(ids("aaaa000000000000"), ["aaaa000000000000"]);
        assert_eq!(ids("aaa").len(), 2);
        for nothing in ["", "c", "aaaa0000000000000", "../x"] {
            assert_eq!(ids(nothing), [""; 0], "{nothing}");
        }
        let times: Vec<_> = index
            .newest_first()
            .iter()
            .map(|entry| entry.time)
            .collect();
        assert_eq!(times, [3, 2, 1]);
        index.remove(&"b000000000000000".parse().unwrap());
        assert_eq!(index.newest_first().len(), 2);
    }

    #[test]
    fn files_name_their_runs() {
        let entry = Entry::new(Path::new("/r"), RunId::random(), 1_795_539_045_326);
        let back = Entry::of_file(entry.path.clone()).unwrap();
        assert_eq!((back.id, back.time), (entry.id, entry.time));
        for other in [
            "lock",
            "x.run",
            "1-short.run",
            "12-aaaa000000000000.run.tail",
        ] {
            assert!(Entry::of_file(other.into()).is_none(), "{other}");
        }
    }
}
