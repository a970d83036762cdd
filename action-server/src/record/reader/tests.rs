//! Readers of damaged records: they tell a beginning of what was true, and that it is damaged.

use std::{fs, io, path::PathBuf};

use action_proto::v1::{NodeOutput, RunFinished, RunStarted, run_event::Event};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    corruption,
    record::{RecordStore, RunId, file},
};

/// A record that has ended, as its writer left it, and what is true of it.
struct Fixture {
    _directory: tempfile::TempDir,
    store: RecordStore,
    id: RunId,
    path: PathBuf,
    bytes: Vec<u8>,
    events: Vec<RunEvent>,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let store = RecordStore::open(&directory.path().join("state")).unwrap();
        let (entry, mut writer) = store
            .create(Event::RunStarted(RunStarted::default()))
            .unwrap();
        let (id, path) = (writer.id().clone(), entry.path());
        store.add(entry);
        // One is longer than what is read at once.
        for length in [1, 40, 200, READ + 1, 3] {
            let data = vec![b'x'; length].into();
            let output = NodeOutput {
                data,
                ..NodeOutput::default()
            };
            writer.append(vec![Event::NodeOutput(output)]).unwrap();
        }
        let last = Event::RunFinished(RunFinished::default());
        writer.finish(vec![last]).unwrap();
        let mut fixture = Fixture {
            _directory: directory,
            bytes: fs::read(&path).unwrap(),
            store,
            id,
            path,
            events: Vec::new(),
        };
        let (events, end) = fixture.read(&fixture.bytes, 0);
        assert!(end.is_ok() && events.len() == 7);
        fixture.events = events;
        fixture
    }

    /// What a reader of these bytes tells, and how it ends.
    fn read(&self, bytes: &[u8], after: u64) -> (Vec<RunEvent>, io::Result<()>) {
        fs::write(&self.path, bytes).unwrap();
        let mut told = Vec::new();
        let mut reader = match self.store.read(&self.id, None, after) {
            Ok(reader) => reader,
            Err(error) => return (told, Err(error)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread();
        let end = { runtime }.build().unwrap().block_on(async {
            loop {
                let events = reader.next().await?;
                if events.is_empty() {
                    return Ok(());
                }
                told.extend(events);
            }
        });
        // What a frame says of its length is not believed further than the file goes.
        assert!(reader.most <= bytes.len());
        (told, end)
    }

    /// What is told is a beginning of what is true. Where that is not all of it, it is said that
    /// there is damage, or the record is one without an end.
    fn check(&self, bytes: &[u8], after: u64) {
        let (told, end) = self.read(bytes, after);
        let after = usize::try_from(after).unwrap().min(self.events.len());
        let expected = &self.events[after..];
        assert!(expected.starts_with(&told), "told what was not so");
        match end {
            Ok(()) => {
                let has_ended = file::has_ended(&File::open(&self.path).unwrap()).unwrap_or(false);
                assert!(!has_ended || told.len() == expected.len(), "damage hidden");
            }
            Err(error) => {
                let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
                assert!(kinds.contains(&error.kind()), "{error:?}");
            }
        }
    }
}

/// The fixture is made once: it waits for the disk.
fn each_of<S: Strategy>(strategy: S, check: impl Fn(&Fixture, S::Value)) {
    let fixture = Fixture::new();
    let mut runner = proptest::test_runner::TestRunner::default();
    let run = runner.run(&strategy, |value| {
        check(&fixture, value);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn damage_is_told_and_nothing_that_was_not_so() {
    each_of(
        (corruption::damages(), 0u64..9),
        |fixture, (damages, after)| {
            fixture.check(&corruption::apply(&damages, &fixture.bytes), after);
        },
    );
}

#[test]
fn whole_frames_out_of_order_are_damage() {
    let order = vec(0usize..7, 0..9);
    each_of(order, |fixture, order| {
        let mut starts = vec![HEADER_LEN];
        while let Ok(RecordFrame::Event(_, length)) =
            format::decode_frame(&fixture.bytes[starts[starts.len() - 1]..])
        {
            starts.push(starts[starts.len() - 1] + length);
        }
        let frames = order
            .iter()
            .flat_map(|&at| &fixture.bytes[starts[at]..starts[at + 1]]);
        let parts = [
            &fixture.bytes[..HEADER_LEN],
            &frames.copied().collect::<Vec<u8>>(),
            &fixture.bytes[fixture.bytes.len() - 16..],
        ];
        fixture.check(&parts.concat(), 0);
    });
}

#[test]
fn any_bytes_are_no_record() {
    let bytes = vec(any::<u8>(), 0..300);
    each_of((any::<bool>(), bytes), |fixture, (has_header, bytes)| {
        let header = &fixture.bytes[..if has_header { HEADER_LEN } else { 0 }];
        let (told, _) = fixture.read(&[header, &bytes].concat(), 0);
        assert_eq!(told, []);
    });
}
