//! The record as a whole: written, followed, cut off, recovered and removed.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use action_proto::v1::{
    NodeOutput, NodeStarted, Outcome, RunFinished, RunStarted, run_event::Event,
};
use rustix::fs::{CWD, Mode, mkfifoat};

use super::{
    RecordFault, RecordState, RecordStore, RecordWriter, RetentionLimits, RunId, RunIndex,
    RunSummary, StoreError,
};

mod long_records;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn open(&self) -> RecordStore {
        RecordStore::open(&self.state()).unwrap()
    }

    fn record(&self) -> PathBuf {
        let mut files = fs::read_dir(self.state().join("runs")).unwrap();
        files
            .find_map(|file| {
                Some(file.unwrap().path()).filter(|path| path.extension().unwrap() == "run")
            })
            .unwrap()
    }
}

fn started() -> Event {
    let nodes = vec!["n1".to_owned(), "n2".to_owned()];
    Event::RunStarted(RunStarted {
        command: "c".into(),
        nodes,
        ..RunStarted::default()
    })
}

fn node_started(node: &str) -> Event {
    Event::NodeStarted(NodeStarted {
        node: node.into(),
        ..NodeStarted::default()
    })
}

fn begin(store: &RecordStore) -> RecordWriter {
    let (entry, writer) = store.create(started()).unwrap();
    store.add(entry);
    writer
}

/// The outcome of a run's end; `None` where it has none.
fn outcome(store: &RecordStore, id: &RunId) -> Option<Outcome> {
    let entry = store.find(id.as_str(), None, 1).pop()?;
    let finished = entry.summary().and_then(RunSummary::finished);
    finished.map(|it| it.result.outcome())
}

fn is_known(store: &RecordStore, id: &RunId) -> bool {
    !store.find(id.as_str(), None, 1).is_empty()
}

async fn sequences(store: &RecordStore, id: &RunId, after: u64) -> Vec<u64> {
    let mut reader = store.read(id, None, after).unwrap();
    let mut sequences = Vec::new();
    loop {
        let events = reader.next().await.unwrap();
        if events.is_empty() {
            return sequences;
        }
        sequences.extend(events.iter().map(|event| event.sequence));
    }
}

#[tokio::test]
async fn readers_follow_the_writer_and_read_again_later() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut writer = begin(&store);
    let id = writer.id().clone();
    let mut live = store.read(&id, Some(writer.watermark()), 0).unwrap();
    assert_eq!(live.next().await.unwrap()[0].sequence, 1);
    writer
        .append(vec![node_started("n1"), node_started("n2")])
        .unwrap();
    let more: Vec<u64> = live
        .next()
        .await
        .unwrap()
        .iter()
        .map(|event| event.sequence)
        .collect();
    assert_eq!(more, [2, 3]);
    writer
        .finish(vec![Event::RunFinished(RunFinished::default())])
        .unwrap();
    assert_eq!(live.next().await.unwrap().len(), 1);
    assert!(live.next().await.unwrap().is_empty());

    drop((writer, store));
    let store = fixture.open();
    assert_eq!(sequences(&store, &id, 2).await, [3, 4]);
    assert!(outcome(&store, &id).is_some());
    assert!(store.unfinished().is_empty());
}

#[tokio::test]
async fn events_longer_than_what_is_read_at_once_come_whole() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut writer = begin(&store);
    let long = "x".repeat(3 << 20);
    writer
        .append(vec![node_started(&long), node_started("n1")])
        .unwrap();
    assert_eq!(sequences(&store, writer.id(), 0).await, [1, 2, 3]);
}

#[tokio::test]
async fn what_a_dead_server_left_gets_its_end_and_keeps_its_evidence() {
    for cut in [0, 1, 3, 9] {
        let fixture = Fixture::new();
        let store = fixture.open();
        let mut writer = begin(&store);
        let id = writer.id().clone();
        writer.append(vec![node_started("n1")]).unwrap();
        drop((writer, store));
        let path = fixture.record();
        let length = fs::metadata(&path).unwrap().len();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - cut)
            .unwrap();

        let store = fixture.open();
        let unfinished = store.unfinished();
        assert_eq!(
            unfinished.iter().map(|run| run.id()).collect::<Vec<_>>(),
            [&id]
        );
        for run in unfinished {
            store.end_lost(run).unwrap();
        }
        let entry = store.find(id.as_str(), None, 1).remove(0);
        let finished = entry.summary().and_then(RunSummary::finished).unwrap();
        assert_eq!(finished.result.outcome(), Outcome::Lost);
        assert_eq!(finished.result.counts[0].count, 2);
        let read = sequences(&store, &id, 0).await;
        assert!(read.iter().copied().eq(1..=read.len() as u64), "{read:?}");
        assert_eq!(path.with_extension("run.tail").exists(), cut > 0);
        assert!(store.unfinished().is_empty());
    }
}

#[tokio::test]
async fn a_run_that_had_its_end_gets_no_second_one() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut writer = begin(&store);
    let id = writer.id().clone();
    writer
        .finish(vec![Event::RunFinished(RunFinished::default())])
        .unwrap();
    drop((writer, store));
    let path = fixture.record();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 16]).unwrap();
    let store = fixture.open();
    for run in store.unfinished() {
        store.end_lost(run).unwrap();
    }
    assert!(fs::read(&path).unwrap() == whole);
    assert_eq!(sequences(&store, &id, 0).await, [1, 2]);
}

#[test]
fn a_record_that_was_begun_and_never_synced_is_of_no_run() {
    let fixture = Fixture::new();
    let store = fixture.open();
    drop(begin(&store));
    drop(store);
    let path = fixture.record();
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let begun = path.with_extension("new");
    for length in [whole.len(), 40, 16, 3, 0] {
        fs::write(&begun, &whole[..length]).unwrap();
        let store = fixture.open();
        assert_eq!((store.unfinished().len(), store.count()), (0, 0));
        assert!(!begun.exists(), "{length}");
    }
}

#[test]
fn a_record_whose_first_event_is_damaged_is_put_aside_and_goes_with_the_others() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut writer = begin(&store);
    let id = writer.id().clone();
    let last = Event::RunFinished(RunFinished::default());
    writer.finish(vec![last]).unwrap();
    drop((writer, store));
    let path = fixture.record();
    let whole = fs::read(&path).unwrap();
    let aside = fixture
        .state()
        .join("damaged")
        .join(path.file_name().unwrap());
    let mut flipped = whole.clone();
    flipped[30] ^= 1;
    let bytes = [
        &whole[..0],
        &whole[..3],
        &whole[..16],
        &whole[..40],
        &flipped,
    ];
    for (at, bytes) in bytes.into_iter().enumerate() {
        _ = fs::remove_file(&aside);
        fs::write(&path, bytes).unwrap();
        let store = fixture.open();
        assert!(store.unfinished().is_empty(), "{at}");
        for entry in store.newly_damaged() {
            assert_eq!(entry.id, id);
            store.put_aside(&entry).unwrap();
        }
        assert!(!path.exists() && fs::read(&aside).unwrap() == bytes, "{at}");
        drop(store);
        // The next start tells nothing new.
        let store = fixture.open();
        assert!(store.newly_damaged().is_empty(), "{at}");
        let found = store.find(id.as_str(), None, 2);
        assert!(matches!(
            found[0].known(),
            Some(RecordState::Fault(RecordFault::Damaged))
        ));
        let nothing = RetentionLimits {
            age: Duration::from_secs(3600),
            size: 0,
        };
        // An empty file takes no space.
        let removed = store.expire_records(&nothing, |_| false).unwrap();
        assert_eq!(
            (removed, aside.exists()),
            (usize::from(at > 0), at == 0),
            "{at}"
        );
    }
}

#[tokio::test]
async fn records_that_somebody_removed_hold_up_no_others() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let ids: Vec<RunId> = (0..4).map(|_| begin(&store).id().clone()).collect();
    let file = |id: &RunId| {
        let files = fs::read_dir(fixture.state().join("runs")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let mut paths = paths.filter(|path| path.to_str().unwrap().contains(id.as_str()));
        paths.next().unwrap()
    };
    for id in &ids[..3] {
        fs::remove_file(file(id)).unwrap();
    }
    let kept = RetentionLimits {
        age: Duration::from_secs(3600),
        size: u64::MAX,
    };
    // One that lives is to be found, so that it can be cancelled.
    assert_eq!(store.expire_records(&kept, |id| *id == ids[0]).unwrap(), 0);
    let known: Vec<bool> = ids.iter().map(|id| is_known(&store, id)).collect();
    assert_eq!(known, [true, false, false, true]);
    // While the directory itself is away nothing is known to be gone.
    let runs = fixture.state().join("runs");
    fs::rename(&runs, fixture.state().join("away")).unwrap();
    store.expire_records(&kept, |_| false).unwrap_err();
    fs::rename(fixture.state().join("away"), &runs).unwrap();
    assert!(is_known(&store, &ids[3]));
    // A record that cannot be removed, since a directory has its name, keeps no other.
    fs::remove_file(file(&ids[3])).unwrap_or_default();
    let stuck = begin(&store).id().clone();
    let path = file(&stuck);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let other = begin(&store).id().clone();
    let nothing = RetentionLimits { size: 0, ..kept };
    store.expire_records(&nothing, |_| false).unwrap_err();
    assert!(!is_known(&store, &other) && is_known(&store, &stuck));
}

#[test]
fn one_server_at_a_time_and_nobody_else() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert!(matches!(
        RecordStore::open(&fixture.state()),
        Err(StoreError::InUse(_))
    ));
    drop(store);
    fs::write(fixture.state().join("version"), "2\n").unwrap();
    assert!(matches!(
        RecordStore::open(&fixture.state()),
        Err(StoreError::Newer(..))
    ));
    fs::set_permissions(fixture.state(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(
        RecordStore::open(&fixture.state()),
        Err(StoreError::Open(_))
    ));
}

#[test]
fn a_directory_that_cannot_be_read_is_named() {
    let fixture = Fixture::new();
    drop(fixture.open());
    for name in ["damaged", "runs"] {
        let path = fixture.state().join(name);
        _ = fs::remove_dir(&path);
        fs::write(&path, "").unwrap();
        let error = RecordStore::open(&fixture.state()).unwrap_err().to_string();
        assert!(error.contains(&format!("/{name}: ")), "{error}");
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn old_records_go_unless_they_are_used() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let ids: Vec<RunId> = (0..3).map(|_| begin(&store).id().clone()).collect();
    let watched = store.read(&ids[0], None, 0).unwrap();
    let nothing = RetentionLimits {
        age: Duration::from_secs(3600),
        size: 0,
    };
    assert_eq!(
        store.expire_records(&nothing, |id| *id == ids[1]).unwrap(),
        1
    );
    assert!(is_known(&store, &ids[0]) && is_known(&store, &ids[1]));
    assert!(!is_known(&store, &ids[2]));
    drop(watched);
    assert_eq!(store.expire_records(&nothing, |_| false).unwrap(), 2);
}
