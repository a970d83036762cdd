//! Disks that hang: each system call in turn, with each kind of call to the server. What needs no disk
//! is answered, what needs it ends with its caller's deadline, and nothing is lost.

use std::{collections::BTreeSet, fs, thread};

use action_proto::v1::{
    ListCommandsRequest, ListNodesRequest, ListRunsRequest, Outcome, PlanRunRequest,
};
use action_tests::{
    Api, CEILING, Datagrams, HangingDisk, Server, Site, on, processes, wait_until, with_arguments,
};
use tonic::{Code, Status};

/// Says that it ran, before all else.
const NOTED: &str = "echo \"$1\" >> \"$SCRIPT_ROOT/../ran\"; echo hello";
/// Prints once it is let, more than the pipes and all that is between them and the disk hold.
const POUR: &str = r#"
echo ready
read -r < "$SCRIPT_ROOT/../pour"
for line in {1..40000}; do echo "$line 0123456789012345678901234567890123456789012345678901234567890123456789"; done
"#;
/// Puts things in order when it is asked to end.
const ORDERLY: &str = r#"
trap 'echo bye; touch "$SCRIPT_ROOT/../in-order"; exit 7' TERM
echo ready
while :; do sleep 0.05; done
"#;

fn site() -> Site {
    let site = Site::new();
    let nodes = (1..=9).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    site.command("noted", NOTED);
    site.command("pour", POUR);
    site.command("orderly", ORDERLY);
    site.command(
        "stubborn",
        "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    );
    site.write("ran", "");
    site
}

/// A caller whose calls have a second.
fn hurried(server: &Server) -> Api {
    server.api().with_header("grpc-timeout", b"1S")
}

/// What needs the disk is answered, or ends in time with a code that says why.
#[track_caller]
fn is_clear<T>(what: &str, answer: Result<T, Status>) -> bool {
    match answer {
        Ok(_) => true,
        Err(status) => {
            let codes = [Code::DeadlineExceeded, Code::Cancelled, Code::Unavailable];
            assert!(codes.contains(&status.code()), "{what}: {status:?}");
            false
        }
    }
}

/// What needs no disk is answered while it hangs.
#[track_caller]
fn others_go_on(server: &Server) {
    // Who was not here before, with a token to be judged.
    let api = server.api();
    assert_eq!(
        api.list_nodes(ListNodesRequest::default())
            .unwrap()
            .nodes
            .len(),
        9
    );
    assert_eq!(
        api.list_commands(ListCommandsRequest::default())
            .unwrap()
            .commands
            .len(),
        4
    );
    let plan = PlanRunRequest {
        command: "noted".into(),
        nodes: "n[1-3]".into(),
        ..PlanRunRequest::default()
    };
    assert_eq!(api.plan(plan).unwrap().jobs.len(), 3);
    api.raw("/grpc.health.v1.Health/Check", &[]).unwrap();
    _ = server.scrape();
}

fn ids(api: &Api) -> BTreeSet<String> {
    let runs = api.list_runs(ListRunsRequest::default()).unwrap().runs;
    runs.into_iter().map(|run| run.run_id).collect()
}

fn everything_else_goes_on_while(kind: &str) {
    let site = site();
    let gate = site.gate("pour");
    let (server, disk) = HangingDisk::start(site);
    let api = server.api();
    let ended = api.run(with_arguments("noted", "n1", &["before"]));
    let mut pour = api.start(on("pour", "n1")).unwrap();
    pour.wait_for("n1", "ready\n");
    let mut orderly = api.start(on("orderly", "n2")).unwrap();
    orderly.wait_for("n2", "ready\n");
    let mut known = BTreeSet::from([ended.id.clone(), pour.id.clone(), orderly.id.clone()]);
    disk.hang(kind);
    gate.open();
    if kind == "write" {
        disk.wait_until_held(kind);
    }

    others_go_on(&server);
    let hurried = hurried(&server);
    // More than one, and more than there are threads for lists.
    let mut refused = Vec::new();
    for number in 0..12 {
        let word = format!("{kind}-{number}");
        match hurried.start(with_arguments("noted", "n3", &[&word])) {
            Ok(run) => _ = known.insert(run.id),
            Err(status) => {
                is_clear::<()>("RunCommand", Err(status));
                refused.push(word);
            }
        }
        if refused.len() > 3 {
            break;
        }
    }
    assert_eq!(
        refused.is_empty(),
        kind == "read",
        "a run starts with an open, a write, an fsync and a rename: {refused:?}"
    );
    is_clear("ListRuns", hurried.list_runs(ListRunsRequest::default()));
    is_clear("GetRun", hurried.get_run(&ended.id));
    is_clear("WatchRun of an ended run", hurried.watch(&ended.id, 0));
    is_clear("WatchRun of a live run", hurried.watch(&pour.id, 0));
    is_clear(
        "CancelRun of an ended run",
        hurried.cancel(&ended.id, false),
    );
    // The cancel reaches the script, whatever the record does.
    api.cancel(&orderly.id, false).unwrap();
    wait_until("the script to end", CEILING, || {
        server.has("in-order").then_some(())
    });
    others_go_on(&server);

    disk.release(kind);
    let pour = pour.finish();
    let lines = String::from_utf8(pour.stdout_of("n1")).unwrap();
    let lines: Vec<_> = lines.lines().skip(1).collect();
    assert_eq!(lines.len(), 40_000);
    for (line, number) in lines.iter().zip(1..) {
        assert!(line.starts_with(&format!("{number} ")), "{number}: {line}");
    }
    let end = pour.end_of("n1");
    assert_eq!((end.outcome(), end.output_incomplete), (Outcome::Ok, false));
    let orderly = orderly.finish();
    assert_eq!(orderly.end_of("n2").outcome(), Outcome::Cancelled);
    assert_eq!(orderly.stdout_of("n2"), b"ready\nbye\n");
    assert_eq!(api.ended(&pour.id).events, pour.events);
    let after = api.run(with_arguments("noted", "n4", &["after"]));
    known.insert(after.id);
    // Who was told that nothing was started is right.
    assert_eq!(ids(&api), known);
    wait_until(
        "the records of runs that were refused to go",
        CEILING,
        || {
            let files = fs::read_dir(server.path("state/runs")).unwrap();
            let records = files.filter(|file| {
                let path = file.as_ref().unwrap().path();
                let extension = path.extension();
                extension.is_some_and(|extension| extension == "run" || extension == "new")
            });
            (records.count() == known.len()).then_some(())
        },
    );
    let ran = server.read("ran");
    assert!(ran.ends_with("after\n"));
    for word in refused {
        assert!(!ran.lines().any(|line| line == word), "{word} ran");
    }
}

#[test]
fn everything_else_goes_on_while_a_write_hangs() {
    everything_else_goes_on_while("write");
}

#[test]
fn everything_else_goes_on_while_an_fsync_hangs() {
    everything_else_goes_on_while("fsync");
}

#[test]
fn everything_else_goes_on_while_a_read_hangs() {
    everything_else_goes_on_while("read");
}

#[test]
fn everything_else_goes_on_while_an_open_hangs() {
    everything_else_goes_on_while("open");
}

#[test]
fn everything_else_goes_on_while_a_rename_hangs() {
    everything_else_goes_on_while("rename");
}

/// A script that prints into full pipes and does not end when asked is killed all the same, also at
/// its time limit.
#[test]
fn scripts_are_ended_while_their_record_hangs() {
    let site = site();
    site.set("kill_grace", "500ms");
    site.command(
        "flood",
        "trap '' TERM; echo ready; read -r < \"$SCRIPT_ROOT/../pour\"; while :; do echo flood; done",
    );
    let metadata = "help: {summary: a test}\ntimeout: 3s\n";
    site.command_with("limited", metadata, "echo ready; exec sleep 1000");
    let gate = site.gate("pour");
    let (server, disk) = HangingDisk::start(site);
    let api = server.api();
    let mut flood = api.start(on("flood", "n1")).unwrap();
    flood.wait_for("n1", "ready\n");
    let mut limited = api.start(on("limited", "n2")).unwrap();
    limited.wait_for("n2", "ready\n");
    disk.hang("write");
    gate.open();
    disk.wait_until_held("write");
    api.cancel(&flood.id, false).unwrap();
    wait_until("the scripts to be killed", CEILING, || {
        server.scripts().is_empty().then_some(())
    });
    disk.release("write");
    let flood = flood.finish();
    assert_eq!(flood.end_of("n1").outcome(), Outcome::Cancelled);
    assert!(flood.stdout_of("n1").starts_with(b"ready\nflood\n"));
    let limited = limited.finish();
    assert_eq!(limited.end_of("n2").outcome(), Outcome::TimedOut);
}

/// However many callers wait for a disk that hangs, others are answered, the service manager is told
/// that the server lives, and load balancers that no run can be started.
#[test]
fn callers_who_wait_for_the_disk_hold_up_no_other() {
    let site = site();
    let path = site.path("notify");
    let mut told = Datagrams::bind(&path);
    let (server, disk) = HangingDisk::start_with(site, |command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "500000");
    });
    let mut live = server.api().start(on("orderly", "n1")).unwrap();
    live.wait_for("n1", "ready\n");
    disk.hang("fsync");
    let health = |wanted: u8| {
        let api = server.api_with(None);
        wait_until("health to change", CEILING, || {
            let answer = api.raw("/grpc.health.v1.Health/Check", &[]).unwrap();
            (answer[0][..] == [8, wanted]).then_some(())
        });
    };
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let api = server.api().with_header("grpc-timeout", b"3S");
                for _ in 0..2 {
                    let started = api.start(with_arguments("noted", "n2", &["refused"]));
                    assert!(!is_clear("RunCommand", started));
                }
            });
        }
        disk.wait_until_held("fsync");
        others_go_on(&server);
        health(2);
        told.so_far().clear();
        for _ in 0..4 {
            told.wait_for("WATCHDOG=1");
        }
        others_go_on(&server);
    });
    disk.release("fsync");
    health(1);
    server.api().cancel(&live.id, false).unwrap();
    assert_eq!(live.finish().stdout_of("n1"), b"ready\nbye\n");
    _ = server.api().run(with_arguments("noted", "n2", &["after"]));
    assert_eq!(server.read("ran"), "after\n");
}

/// A stop keeps to its limits, and the next server sees to what is left.
#[test]
fn a_server_whose_disk_hangs_stops() {
    let site = site();
    site.set("kill_grace", "500ms");
    let gate = site.gate("pour");
    let (mut server, disk) = HangingDisk::start(site);
    let mut pour = server.api().start(on("pour", "n1")).unwrap();
    pour.wait_for("n1", "ready\n");
    let mut stubborn = server.api().start(on("stubborn", "n2")).unwrap();
    stubborn.wait_for("n2", "ready\n");
    disk.hang("write");
    gate.open();
    disk.wait_until_held("write");
    server.terminate();
    let pid = server.id();
    wait_until("the server to stop", CEILING, || {
        (!processes::is_alive(pid)).then_some(())
    });
    assert!(server.wait().success());
    assert_eq!(server.scripts(), []);
    disk.release("write");
    let server = server.stop().start();
    for id in [pour.id, stubborn.id] {
        let run = server.api().run_now(&id);
        assert_eq!(run.outcome(), Outcome::Lost, "{run:?}");
    }
}
