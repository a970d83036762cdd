//! Long records: the index, and runs that go on without reading their record.

use super::*;

/// Output that makes a record long.
fn print_much(writer: &mut RecordWriter, mebibytes: usize) {
    for _ in 0..mebibytes * 16 {
        let output = NodeOutput {
            node: "n1".into(),
            data: vec![b'x'; 64 << 10].into(),
            ..NodeOutput::default()
        };
        writer.append(vec![Event::NodeOutput(output)]).unwrap();
    }
}

#[tokio::test]
async fn a_long_record_has_an_index_that_is_made_again_and_goes_with_it() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut writer = begin(&store);
    let id = writer.id().clone();
    writer.append(vec![node_started("n1")]).unwrap();
    print_much(&mut writer, 2);
    let index = fixture.record().with_extension("idx");
    assert!(store.jobs(&id).unwrap().0[0].started.is_some() && !index.exists());
    let last = Event::RunFinished(RunFinished::default());
    writer.finish(vec![last]).unwrap();
    let (jobs, written) = (store.jobs(&id).unwrap().0, fs::read(&index).unwrap());
    assert_eq!(jobs.len(), 2);
    drop((writer, store));
    let all: Vec<u64> = (1..=35).collect();
    for change in [None, Some(&b""[..]), Some(&written[..40]), Some(b"other")] {
        match change {
            Some(bytes) => fs::write(&index, bytes).unwrap(),
            None => fs::remove_file(&index).unwrap(),
        }
        let store = fixture.open();
        // What is left of another server is no index.
        assert_eq!(sequences(&store, &id, 30).await, all[30..]);
        assert_eq!(store.jobs(&id).unwrap().0, jobs);
        assert!(fs::read(&index).unwrap() == written, "{change:?}");
    }
    let store = fixture.open();
    let in_its_place: [fn(&Path); 2] = [
        |path| fs::create_dir(path).unwrap(),
        |path| mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap(),
    ];
    for put in in_its_place {
        fs::remove_file(&index).unwrap_or_else(|_| fs::remove_dir(&index).unwrap());
        put(&index);
        assert_eq!(store.jobs(&id).unwrap().0, jobs);
    }
    assert!(fs::read(&index).unwrap() == written, "a FIFO is replaced");
    for after in [0, 1, 2, 17, 34] {
        assert_eq!(sequences(&store, &id, after as u64).await, all[after..]);
    }
    let nothing = RetentionLimits {
        age: Duration::from_secs(3600),
        size: 0,
    };
    assert_eq!(store.expire_records(&nothing, |_| false).unwrap(), 1);
    assert!(!index.exists());
}

#[tokio::test]
async fn a_run_that_goes_on_is_described_and_resumed_without_its_record() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut writer = begin(&store);
    let id = writer.id().clone();
    print_much(&mut writer, 1);
    writer.append(vec![node_started("n2")]).unwrap();
    let mut reader = store.read(&id, Some(writer.watermark()), 16).unwrap();
    assert_eq!(reader.next().await.unwrap()[0].sequence, 17);
    fs::write(fixture.record(), "").unwrap();
    let started: Vec<bool> = store
        .jobs(&id)
        .unwrap()
        .0
        .iter()
        .map(|job| job.started.is_some())
        .collect();
    assert_eq!(started, [false, true]);
}
