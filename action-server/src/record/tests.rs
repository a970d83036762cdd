//! The record as a whole: written, followed, cut off, recovered and removed.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::Duration,
};

use action_proto::v1::{NodeStarted, Outcome, RunFinished, RunStarted, run_event::Event};

use super::{Retention, RunId, Store, StoreError, Writer};

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

    fn open(&self) -> Store {
        Store::open(&self.state()).unwrap()
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

fn begin(store: &Store) -> Writer {
    let (entry, writer) = store.create(started()).unwrap();
    store.add(entry);
    writer
}

async fn sequences(store: &Store, id: &RunId, after: u64) -> Vec<u64> {
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
    assert!(store.summary(&id).unwrap().finished.is_some());
    assert!(store.unfinished().unwrap().is_empty());
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
        let unfinished = store.unfinished().unwrap();
        assert_eq!(
            unfinished.iter().map(|run| run.id()).collect::<Vec<_>>(),
            [&id]
        );
        for run in unfinished {
            store.end_lost(run).unwrap();
        }
        let (finished, ..) = store.summary(&id).unwrap().finished.unwrap();
        assert_eq!(finished.outcome(), Outcome::Lost);
        assert_eq!(finished.counts[0].count, 2);
        let read = sequences(&store, &id, 0).await;
        assert!(read.iter().copied().eq(1..=read.len() as u64), "{read:?}");
        assert_eq!(path.with_extension("run.tail").exists(), cut > 0);
        assert!(store.unfinished().unwrap().is_empty());
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
    for run in store.unfinished().unwrap() {
        store.end_lost(run).unwrap();
    }
    assert!(fs::read(&path).unwrap() == whole);
    assert_eq!(sequences(&store, &id, 0).await, [1, 2]);
}

#[test]
fn a_record_without_its_first_event_is_of_no_run() {
    let fixture = Fixture::new();
    let store = fixture.open();
    drop(begin(&store));
    drop(store);
    let path = fixture.record();
    let whole = fs::read(&path).unwrap();
    for length in [40, 16, 3, 0] {
        fs::write(&path, &whole[..length]).unwrap();
        let store = fixture.open();
        assert!(store.unfinished().unwrap().is_empty(), "{length}");
        assert!(!path.exists(), "{length}");
    }
}

#[test]
fn one_server_at_a_time_and_nobody_else() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert!(matches!(
        Store::open(&fixture.state()),
        Err(StoreError::InUse(_))
    ));
    drop(store);
    fs::write(fixture.state().join("version"), "2\n").unwrap();
    assert!(matches!(
        Store::open(&fixture.state()),
        Err(StoreError::Newer(..))
    ));
    fs::set_permissions(fixture.state(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(
        Store::open(&fixture.state()),
        Err(StoreError::Open(_))
    ));
}

#[tokio::test]
async fn old_records_go_unless_they_are_used() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let ids: Vec<RunId> = (0..3).map(|_| begin(&store).id().clone()).collect();
    let watched = store.read(&ids[0], None, 0).unwrap();
    let nothing = Retention {
        age: Duration::from_secs(3600),
        size: 0,
    };
    assert_eq!(store.expire(&nothing, |id| *id == ids[1]).unwrap(), 1);
    assert!(store.summary(&ids[0]).is_ok() && store.summary(&ids[1]).is_ok());
    assert!(store.summary(&ids[2]).is_err());
    drop(watched);
    assert_eq!(store.expire(&nothing, |_| false).unwrap(), 2);
}
