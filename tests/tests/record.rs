//! The record of a run on the disk: what damage does to it, who may use it, and how it is read
//! without a server.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
};

use action_proto::v1::{Outcome, RunEvent, run_event::Event};
use action_server::record;
use action_tests::{Chance, Ended, Server, Site, on, wait_until};
use serde_json::Value;
use tonic::Code;

/// Some output of both streams, so that a record has more than a few events.
const TALK: &str = "for i in {1..8}; do echo $i; echo $i >&2; read -r -t 0.001 < /dev/zero; done";

fn site() -> Site {
    let site = Site::new();
    site.command("talk", TALK);
    site.command("hello", "echo hello; exit 3");
    site.command("wait", "echo waiting; exec sleep 1000");
    site
}

/// Runs a command so many times.
fn runs(server: &Server, command: &str, count: usize) -> Vec<Ended> {
    let api = server.api();
    let run = |_| api.run(on(command, "n1"));
    (0..count).map(run).collect()
}

/// The run has its events up to some point, and one end. Says whether the whole of it is as it was.
#[track_caller]
fn is_prefix_with_one_end(server: &Server, before: &Ended) -> bool {
    let after = server.api().ended(&before.id);
    let ends = |event: &&RunEvent| matches!(event.event, Some(Event::RunFinished(_)));
    assert_eq!(after.events.iter().filter(ends).count(), 1);
    let same = after.events.iter().zip(&before.events);
    let same = same.take_while(|(after, before)| after == before).count();
    let lost = after.events.len() - same;
    if lost == 0 {
        assert_eq!(after.events.len(), before.events.len());
        return true;
    }
    // What was lost of the one job is its end, or all but the beginning.
    let end = after.end_of("n1");
    if end.outcome() == Outcome::Lost {
        assert_eq!(lost, 2, "{:#?}", after.events);
        assert!(end.message.contains("the server died"), "{end:?}");
        assert_eq!(after.summary().outcome(), Outcome::Lost);
    } else {
        assert_eq!(lost, 1, "{:#?}", after.events);
    }
    false
}

/// What is beside a record: the part of it that was put aside.
fn aside(record: &Path) -> Vec<u8> {
    fs::read(record.with_extension("run.tail")).unwrap_or_default()
}

#[test]
fn a_record_that_was_cut_anywhere_is_read_as_far_as_it_is_whole() {
    let server = site().start();
    let ended = runs(&server, "hello", 64);
    let site = server.stop();
    let mut cut = Vec::new();
    for (run, length) in ended.iter().zip(1..) {
        let record = site.record(&run.id);
        let bytes = fs::read(&record).unwrap();
        let left = &bytes[..bytes.len() - length];
        fs::write(&record, left).unwrap();
        cut.push(left.to_vec());
    }
    let server = site.start();
    for ((run, left), length) in ended.iter().zip(cut).zip(1..) {
        // The footer is 16 bytes: without it, or a part, nothing of the run is lost.
        let whole = is_prefix_with_one_end(&server, run);
        assert_eq!(whole, length <= 16, "cut by {length}");
        // What is no whole event is kept: all bytes are still there.
        let record = server.record(&run.id);
        let tail = aside(&record);
        assert!(left.ends_with(&tail), "cut by {length}");
        assert!(
            fs::read(&record)
                .unwrap()
                .starts_with(&left[..left.len() - tail.len()])
        );
    }
}

#[test]
fn a_record_with_zeros_at_its_end_is_read_as_far_as_it_is_whole() {
    let server = site().start();
    let ended = runs(&server, "hello", 24);
    let site = server.stop();
    for (run, at) in ended.iter().zip(0..) {
        let record = site.record(&run.id);
        let mut bytes = fs::read(&record).unwrap();
        let length = bytes.len();
        // Half of them lost their last bytes, the others have zeros where nothing was written yet.
        match at % 2 {
            0 => bytes[length - 1 - at * 4..].fill(0),
            _ => bytes.resize(length + at * 400, 0),
        }
        fs::write(&record, bytes).unwrap();
    }
    let server = site.start();
    for (run, at) in ended.iter().zip(0..) {
        let whole = is_prefix_with_one_end(&server, run);
        assert_eq!(whole, at % 2 == 1 || at * 4 < 16, "{at}");
    }
}

#[test]
fn a_record_that_is_cut_while_the_server_has_it_is_said_to_be_damaged() {
    let server = site().start();
    let ended = runs(&server, "talk", 1).remove(0);
    let record = server.record(&ended.id);
    let whole = fs::metadata(&record).unwrap().len();
    // Behind nothing at all, in the header, in the first event.
    for length in [0, 10, 16, 30] {
        assert!(length < whole);
        let file = fs::File::options().write(true).open(&record).unwrap();
        file.set_len(length).unwrap();
        let watch = server.api().watch(&ended.id, 0);
        let status = watch.map_or_else(Some, |watch| watch.rest().1);
        let status = status.unwrap_or_else(|| panic!("cut at {length}, and nobody says so"));
        assert_eq!(status.code(), Code::DataLoss, "cut at {length}: {status}");
    }
}

#[test]
fn a_flipped_bit_hides_what_is_behind_it_and_nothing_before() {
    let server = site().start();
    let ended = runs(&server, "talk", 40);
    let mut site = server.stop();
    let mut chance = Chance::new();
    let mut damaged = Vec::new();
    for run in &ended {
        let record = site.record(&run.id);
        let mut bytes = fs::read(&record).unwrap();
        // Behind the header and the first event: the run is still known.
        let at = 16 + 200 + chance.below(bytes.len() as u64 - 216);
        let at = usize::try_from(at).unwrap();
        bytes[at] ^= 1 << chance.below(8);
        fs::write(&record, &bytes).unwrap();
        damaged.push(at);
    }
    let server = site.start();
    let api = server.api();
    assert_eq!(api.run(on("hello", "n1")).end_of("n1").exit_code, Some(3));
    for (run, at) in ended.iter().zip(&damaged) {
        let watch = api.watch(&run.id, 0);
        let (events, error) = watch.unwrap_or_else(|error| panic!("{at}: {error}")).rest();
        assert!(!events.is_empty(), "flipped at {at}: {error:?}");
        match error {
            // The damage is told, and what is whole is shown.
            Some(status) => {
                assert_eq!(status.code(), Code::DataLoss);
                assert!(run.events.starts_with(&events), "flipped at {at}");
            }
            // The end of the file was hit: it counts as a record without an end.
            None => _ = is_prefix_with_one_end(&server, run),
        }
    }
    site = server.stop();
    // The file says the same without a server, and does not pretend to be whole.
    for (run, at) in ended.iter().zip(&damaged) {
        let exported = site.export(&run.id);
        let whole = exported.stdout().lines().count() == run.events.len();
        let silent = exported.code() == 0 && exported.stderr().is_empty();
        assert!(whole || !silent, "flipped at {at}: {exported}");
    }
}

/// A run whose server was killed while its script ran, and its events until then.
fn crashed() -> (Site, String, Vec<RunEvent>) {
    let server = site().start();
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "waiting\n");
    (server.kill(), run.id.clone(), run.events)
}

#[test]
fn damage_to_a_record_without_an_end_loses_no_run_and_no_evidence() {
    for at in [20, 40, 60, 150] {
        let (site, id, events) = crashed();
        let record = site.record(&id);
        let mut bytes = fs::read(&record).unwrap();
        bytes[at] ^= 0x10;
        fs::write(&record, &bytes).unwrap();
        let server = site.start();
        let directories =
            ["state/runs", "state/damaged"].map(|name| fs::read_dir(server.path(name)));
        let beside = directories.into_iter().flatten().flatten();
        let kept = beside.map(|entry| fs::read(entry.unwrap().path()).unwrap());
        let tail = &bytes[at..];
        let mut kept = kept.filter(|kept| action_tests::program::contains(kept, tail));
        assert!(kept.next().is_some(), "byte {at} flipped: evidence is gone");
        assert_eq!(server.scripts(), [], "byte {at} flipped: its script lives");
        let (code, text) = match server.api().watch(&id, 0) {
            Err(status) => (status.code(), status.message().to_owned()),
            Ok(watch) => {
                let (found, _) = watch.rest();
                assert_eq!(found[0], events[0], "byte {at} flipped");
                continue;
            }
        };
        assert_ne!(
            code,
            Code::NotFound,
            "byte {at} flipped, run unknown: {text}"
        );
    }
}

#[test]
fn a_script_cannot_write_the_end_of_its_own_record() {
    let site = site();
    // A footer as records of format 1 have it: one that points into the middle of an event, and
    // one that points to the first event.
    site.write("forge.footer", b"ACTREND\n\x11\0\0\0\0\0\0\0");
    site.write("fake.footer", b"ACTREND\n\x10\0\0\0\0\0\0\0");
    let script = "cat \"$SCRIPT_ROOT/../$command.footer\"; exec sleep 1000";
    site.command("forge", script);
    site.command("fake", script);
    let mut server = site.start();
    for command in ["forge", "fake"] {
        let mut run = server.api().start(on(command, "n1")).unwrap();
        run.wait_for("n1", "\0\0\0\0\0\0\0");
        // While it lives it can be seen, and stopped.
        let api = server.api();
        assert_eq!(api.run_now(&run.id).outcome(), Outcome::Unspecified);
        let mut second = api.start(on(command, "n1")).unwrap();
        second.wait_for("n1", "\0\0\0\0\0\0\0");
        api.cancel(&second.id, true).unwrap();
        assert_eq!(second.finish().end_of("n1").outcome(), Outcome::Cancelled);
        // When the server dies the run is lost, and not believed to have ended.
        server = server.kill().start();
        assert_eq!(server.scripts(), [], "{command}");
        let ended = server.api().ended(&run.id);
        assert_eq!(ended.end_of("n1").outcome(), Outcome::Lost);
        assert!(ended.events.starts_with(&run.events));
    }
}

#[test]
fn a_record_of_a_newer_server_is_left_alone() {
    let (site, lost, _) = crashed();
    let server = site.start();
    let ended = runs(&server, "hello", 2);
    let site = server.stop();
    let newer = site.record(&ended[0].id);
    let file = fs::File::options().write(true).open(&newer).unwrap();
    file.write_all_at(&2_u32.to_le_bytes(), 8).unwrap();
    let before = fs::read(&newer).unwrap();
    let server = site.start();
    let api = server.api();
    // What it means is for a newer server to say.
    let refused = api.watch(&ended[0].id, 0).map(|watch| watch.rest());
    match refused {
        Err(status) => assert_ne!(status.code(), Code::NotFound),
        Ok((events, error)) => assert!(events.is_empty() && error.is_some(), "{events:?}"),
    }
    assert_eq!(api.ended(&ended[1].id).events, ended[1].events);
    assert_eq!(api.ended(&lost).end_of("n1").outcome(), Outcome::Lost);
    assert_eq!(fs::read(&newer).unwrap(), before);
    let exported = server.export(&ended[0].id);
    assert_ne!(exported.code(), 0);
    assert!(exported.stderr().contains("newer"), "{exported}");
}

#[test]
fn an_export_is_what_the_api_says() {
    let site = site();
    site.nodes("n1:\nn2:\n");
    site.command(
        "bytes",
        "printf 'a\\nb\\xff\\0'; printf '\"\u{1f600}\\033[31m\u{9b}31m\u{202e}\u{2028}\u{7f}' >&2; exit 4",
    );
    let server = site.start();
    let run = server.api().run(on("bytes", "@*"));
    let exported = server.export(&run.id[..8]).ok();
    let told: Vec<Value> = run.events.iter().map(record::to_json).collect();
    let lines = exported.stdout();
    let written: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(written, told);
    let kinds: Vec<_> = written.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds.first().unwrap().as_str(), Some("run_started"));
    assert_eq!(kinds.last().unwrap().as_str(), Some("run_finished"));
    let is_bad = |c: char| c != '\n' && action_proto::is_unsafe_to_show(c);
    assert!(!lines.contains(is_bad), "{lines:?}");
    assert!(lines.contains(r#""data_base64":"#) && lines.contains(r#""exit_code":4"#));
    let unknown = server.export("zzzzzzzzzzzzzzzz");
    assert_ne!(unknown.code(), 0);
    assert!(unknown.stderr().contains("no such run"), "{unknown}");
}

#[test]
fn an_export_of_a_run_that_goes_on_says_so() {
    let server = site().start();
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "waiting\n");
    let exported = server.export(&run.id).ok();
    assert_eq!(exported.stdout().lines().count(), run.events.len());
    server.api().cancel(&run.id, true).unwrap();
    _ = run.finish();
}

#[test]
fn records_are_for_the_servers_user_only() {
    let server = site().start();
    let run = server.api().run(on("hello", "n1"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.path("state")), 0o700);
    assert_eq!(mode(&server.record(&run.id)), 0o600);
}

#[test]
fn a_version_that_was_never_written_out_is_no_newer_one() {
    // A machine that lost its power right after the first start may have it so.
    let server = site().start();
    let run = server.api().run(on("hello", "n1"));
    let site = server.stop();
    site.write("state/version", "");
    let server = site.start();
    assert_eq!(server.api().ended(&run.id).events, run.events);
    wait_until("the version", action_tests::CEILING, || {
        (!server.read("state/version").is_empty()).then_some(())
    });
}
