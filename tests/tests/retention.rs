//! Old records go, and never one that lives or that somebody reads.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use action_server::record::{RecordStore, RetentionLimits, RunId, RunIndex};
use action_tests::{CEILING, Ended, Server, Site, on, wait_until};
use tonic::Code;

fn site() -> Site {
    let site = Site::new();
    site.command("print", "head -c 100000 /dev/zero");
    site
}

fn runs(server: &Server, count: usize) -> Vec<Ended> {
    (0..count)
        .map(|_| server.api().run(on("print", "n1")))
        .collect()
}

/// Which of these runs are known.
fn known(server: &Server, runs: &[Ended]) -> Vec<bool> {
    let api = server.api();
    let known = runs.iter().map(|run| match api.get_run(&run.id) {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status}");
            false
        }
    });
    known.collect()
}

/// How many files the records have, without their indexes.
fn files(site: &Site) -> usize {
    let files = fs::read_dir(site.path("state/runs")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let files = paths.filter(|path| path.extension().is_none_or(|it| it != "idx"));
    files.count()
}

/// Nothing is left of any record.
#[track_caller]
fn all_are_gone(site: &Site) {
    let files: Vec<_> = fs::read_dir(site.path("state/runs")).unwrap().collect();
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn records_that_are_too_old_go() {
    let site = site();
    site.settings("retention: {age: 1h}");
    let server = site.start();
    let runs = runs(&server, 3);
    let ended = Instant::now();
    let site = server.stop();
    let server = site.start();
    assert_eq!(known(&server, &runs), [true; 3]);
    let site = server.stop();
    // How long a start takes is not known, so that no run can be just young enough for the next.
    site.set("retention", "{age: 1s}");
    wait_until("the records to age", CEILING, || {
        (ended.elapsed() > Duration::from_millis(1500)).then_some(())
    });
    let server = site.start();
    server.wait_for_log("removed old records runs=3");
    assert_eq!(known(&server, &runs), [false; 3]);
    all_are_gone(&server);
}

#[test]
fn the_oldest_go_where_all_are_too_large() {
    let server = site().start();
    let all = runs(&server, 6);
    let site = server.stop();
    // Three and a half of them.
    site.settings("retention: {size: 352000}");
    let server = site.start();
    server.wait_for_log("removed old records");
    assert_eq!(
        known(&server, &all),
        [false, false, false, true, true, true]
    );
    assert_eq!(server.api().ended(&all[5].id).events, all[5].events);
}

#[test]
fn what_was_put_aside_of_a_damaged_record_goes_with_it() {
    let server = site().start();
    let run = runs(&server, 1).remove(0);
    let site = server.stop();
    let record = site.record(&run.id);
    let bytes = fs::read(&record).unwrap();
    fs::write(&record, &bytes[..bytes.len() - 40]).unwrap();
    let site = site.start().stop();
    assert_eq!(files(&site), 2, "the record and its tail");
    site.settings("retention: {size: 1}");
    let server = site.start();
    server.wait_for_log("removed old records runs=1");
    all_are_gone(&server);
}

/// What the server does each minute, without the minute.
#[test]
fn a_record_that_lives_or_is_read_stays() {
    let server = site().start();
    let all = runs(&server, 4);
    let site = server.stop();
    let store = RecordStore::open(&site.path("state")).unwrap();
    let id = |at: usize| -> RunId { all[at].id.parse().unwrap() };
    let none = RetentionLimits {
        age: Duration::ZERO,
        size: 0,
    };
    thread::park_timeout(Duration::from_millis(5));
    let reader = store.read(&id(1), None, 0).unwrap();
    // A list that is being read keeps none.
    let listed = store.list(None, usize::MAX);
    assert_eq!(store.expire_records(&none, |run| *run == id(0)).unwrap(), 2);
    let there = |at| !store.find(id(at).as_str(), None, 1).is_empty();
    assert_eq!(
        [there(0), there(1), there(2), there(3)],
        [true, true, false, false]
    );
    assert_eq!((files(&site), listed.len()), (2, 4));
    drop(reader);
    assert_eq!(store.expire_records(&none, |_| false).unwrap(), 2);
    all_are_gone(&site);
}
