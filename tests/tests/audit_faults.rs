//! An audit log that cannot be written, is moved away under load, or is not the server's own; and
//! a server's log that nobody reads.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use action_tests::{
    CEILING, Server, Site, on, processes, program::through_shell, usage, wait_until, with_arguments,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tonic::Code;

use crate::{audit::assert_complete, disk::Disk, faults::Failing};

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo ran >> \"$SCRIPT_ROOT/../ran\"");
    site.command(
        "work",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"; exit 4",
    );
    site
}

/// What the health service says of the API: 1 for SERVING, 2 for NOT_SERVING.
fn health(server: &Server) -> u8 {
    let name = "action.v1.ActionService";
    let mut message = vec![0x0a, u8::try_from(name.len()).unwrap()];
    message.extend(name.as_bytes());
    let answer = server
        .api_with(None)
        .raw("/grpc.health.v1.Health/Check", &message);
    answer.unwrap()[0][1]
}

#[track_caller]
fn wait_for_health(server: &Server, wanted: u8) {
    wait_until("another health", CEILING, || {
        (health(server) == wanted).then_some(())
    });
}

fn count_of_ran(server: &Server) -> usize {
    server.read("ran").lines().count()
}

#[test]
fn no_run_begins_while_the_log_cannot_be_written() {
    let site = site();
    let disk = Disk::mount(&site.path("small"), "size=64k,mode=700");
    site.settings("audit_path: small/audit.jsonl");
    let gate = site.gate("gate");
    let server = site.start();
    let api = server.api();
    let mut live = api.start(on("work", "n1")).unwrap();
    live.wait_for("n1", "ready\n");
    assert_eq!(health(&server), 1);
    disk.fill();
    // The last page of the file has room for some lines yet.
    let mut taken = 0;
    let status = loop {
        match api.start(on("hello", "n1")) {
            Ok(run) => _ = run.finish(),
            Err(status) => break status,
        }
        taken += 1;
        assert!(taken < 100, "the disk is not full");
    };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(
        status.message(),
        "the audit log cannot be written, so the run was not started"
    );
    wait_for_health(&server, 2);
    server.wait_for_log("cannot write the audit log");
    assert_eq!(api.refused(on("hello", "n1")).0, Code::Unavailable);
    // Nothing ran of what was refused, and no record is left of it.
    assert_eq!(count_of_ran(&server), taken);
    wait_until("the records of refused runs to be gone", CEILING, || {
        let records = fs::read_dir(server.path("state/runs")).unwrap().count();
        (records == taken + 1).then_some(())
    });
    // What runs goes on.
    gate.open();
    assert_eq!(live.finish().end_of("n1").exit_code, Some(4));
    assert_eq!(health(&server), 2);
    disk.free();
    wait_for_health(&server, 1);
    api.run(on("hello", "n1"));
    assert_eq!(count_of_ran(&server), taken + 1);
    let site = server.stop();
    let text = site.read("small/audit.jsonl");
    let lines = text.lines().filter(|line| !line.is_empty());
    let (good, torn): (Vec<_>, Vec<_>) = lines
        .map(|line| serde_json::from_str::<Value>(line).map_err(|_| line))
        .partition(Result::is_ok);
    let good: Vec<_> = good.into_iter().flatten().collect();
    assert!(
        torn.len() <= 1,
        "one line met the end of the disk: {torn:?}"
    );
    assert_complete(&good);
    let resumed = good
        .iter()
        .find(|line| line["event"] == "audit_resumed")
        .unwrap();
    assert!(resumed["lost"].as_u64() >= Some(3), "{resumed}");
    drop(site);
    drop(disk);
}

#[test]
fn a_run_whose_line_the_disk_did_not_keep_is_not_started() {
    let server = site().start();
    let log = server.path("state/audit.jsonl");
    let failing = Failing::new(&server, "fdatasync:error=EIO", Some(&log));
    let (code, text) = server.api().refused(on("hello", "n1"));
    assert_eq!(code, Code::Unavailable, "{text}");
    wait_for_health(&server, 2);
    drop(failing);
    assert!(!server.has("ran"));
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 0);
    wait_for_health(&server, 1);
    // Who reads that the run was accepted reads that it was not started, too.
    let accepted = server.audited("run_accepted", &json!({}));
    let end = json!({"run_id": accepted["run_id"], "outcome": "not-started"});
    server.audited("run_finished", &end);
    server.api().run(on("hello", "n1"));
    assert_complete(&server.audit());
}

#[test]
fn no_line_is_lost_when_the_file_is_moved_away_under_load() {
    let server = site().start();
    let stop = AtomicBool::new(false);
    let (mut names, mut ids) = (vec!["audit.jsonl".to_owned()], BTreeSet::new());
    thread::scope(|scope| {
        let call = || {
            let (api, mut ids) = (server.api(), Vec::new());
            while !stop.load(Ordering::Acquire) {
                ids.push(api.run(on("hello", "n1")).id);
            }
            ids
        };
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        let log = server.path("state/audit.jsonl");
        for round in 0..6 {
            wait_until("lines", CEILING, || {
                (server.audit().len() > 10).then_some(())
            });
            names.push(format!("old.{round}"));
            fs::rename(&log, server.path("state").join(&names[round + 1])).unwrap();
            processes::signal(server.id(), Signal::HUP);
            wait_until("the new file", CEILING, || log.exists().then_some(()));
        }
        stop.store(true, Ordering::Release);
        for caller in callers {
            ids.extend(caller.join().unwrap());
        }
    });
    let site = server.stop();
    let read = |name: &String| site.read(format!("state/{name}"));
    let mut lines: Vec<Value> = names
        .iter()
        .flat_map(|name| read(name).lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    lines.sort_by_key(|line| line["seq"].as_u64());
    assert_complete(&lines);
    for event in ["run_accepted", "run_finished"] {
        let of_event = lines.iter().filter(|line| line["event"] == event);
        let told: BTreeSet<_> = of_event
            .map(|line| line["run_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(told, ids, "{event}");
    }
}

#[test]
fn one_that_others_can_write_is_refused() {
    let site = site().start().stop();
    let log = site.path("state/audit.jsonl");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o622)).unwrap();
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: cannot trust the audit log: SITE/state/audit.jsonl can be written by others; run: chmod go-w SITE/state/audit.jsonl
    ------- exit 1 -------
    ");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("elsewhere", &log).unwrap();
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: the audit log SITE/state/audit.jsonl is not a regular file (a link is not followed)
    ------- exit 1 -------
    ");
    fs::remove_file(&log).unwrap();
}

/// No more than this fits into a pipe: pipe(7).
const PIPE: usize = 64 * 1024;

#[test]
fn a_log_that_nobody_reads_stops_neither_runs_nor_their_lines() {
    let site = site();
    _ = site.gate("sink");
    let (sink, log) = (site.path("sink"), site.path("log"));
    // Reads as far as the start needs, and then no more.
    let reader = thread::spawn(move || {
        let mut sink = BufReader::with_capacity(1, File::open(&sink).unwrap());
        let mut log = wait_until("the log", CEILING, || {
            File::options().append(true).open(&log).ok()
        });
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            sink.read_line(&mut line).unwrap();
            log.write_all(line.as_bytes()).unwrap();
        }
        sink
    });
    let to_sink = format!("exec \"$@\" 2> '{}'", site.path("sink").display());
    let server = Server::start(site, |command| *command = through_shell(command, &to_sink));
    let sink = reader.join().unwrap();
    let argument = "z".repeat(10_000);
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        ids.insert(
            server
                .api()
                .run(with_arguments("hello", "n1", &[&argument]))
                .id,
        );
    }
    let unread = rustix::io::ioctl_fionread(sink.get_ref()).unwrap();
    assert!(
        unread > 0 && ids.len() * argument.len() > PIPE,
        "{unread}: the log was not held up"
    );
    let accepted = server
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "run_accepted");
    let told: BTreeSet<_> = accepted
        .map(|line| line["run_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, ids);
    drop(server);
    drop(sink);
}

/// A file that was moved away must not take lines until the next SIGHUP, which may not come before it is
/// compressed and gone.
#[test]
fn a_log_that_could_not_be_opened_anew_is_when_there_are_descriptors() {
    let server = site().start();
    let api = server.api();
    _ = api.run(on("hello", "n1"));
    let usual = usage::limit_descriptors(server.id(), 3);
    let (log, moved) = (
        server.path("state/audit.jsonl"),
        server.path("state/audit.1"),
    );
    fs::rename(&log, &moved).unwrap();
    processes::signal(server.id(), Signal::HUP);
    server.wait_for_log("cannot reopen the audit log");
    usage::limit_descriptors(server.id(), usual);
    let run = api.run(on("hello", "n1"));
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains(&format!("\"{}\"", run.id)), "{text}");
    assert_eq!(
        server.log().matches("cannot reopen the audit log").count(),
        1
    );
}
