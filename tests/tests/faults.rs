//! System calls that fail or take long, at the right moment, as broken and slow disks have it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use action_proto::v1::Outcome;
use action_tests::{
    CEILING, Server, Site,
    http2::{self, Wire, kind},
    on, processes,
    program::AT_ONCE,
    wait_until,
};
use rustix::process::Signal;
use serde_json::json;
use tonic::Code;

use crate::disk::is_honest;

/// Between two looks at a program that ends.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a slow disk takes, in microseconds: longer than any wait.
const SLOW: u64 = 100_000_000;

/// Has some of a server's system calls fail, by strace(1), as long as it lives.
pub(crate) struct Failing {
    strace: Child,
    /// The calls, as strace tells of them when they begin.
    seen: PathBuf,
}

impl Failing {
    /// `calls` as in strace's `inject=`, on one file or on all.
    pub(crate) fn new(server: &Server, calls: &str, file: Option<&Path>) -> Failing {
        let seen = server.path("strace");
        let mut strace = Command::new("strace");
        let name = calls.split(':').next().unwrap();
        strace.args(["-f", "-qq", "-p", &server.id().to_string()]);
        strace.arg("-o").arg(&seen);
        strace.args([
            "-e",
            &format!("trace={name}"),
            "-e",
            &format!("inject={calls}"),
        ]);
        file.inspect(|file| _ = strace.arg("-P").arg(file));
        strace.stdin(Stdio::null());
        let strace = strace.spawn().unwrap();
        let failing = Failing { strace, seen };
        let traced = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            !text.contains("TracerPid:\t0\n")
        };
        wait_until("strace to hold all threads", CEILING, || {
            let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
            tasks.flatten().all(traced).then_some(())
        });
        failing
    }

    /// Waits until the server makes one of the calls.
    fn wait_for_call(&self) {
        wait_until("one of the calls", CEILING, || {
            (!fs::read(&self.seen).ok()?.is_empty()).then_some(())
        });
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // It lets go of the server before it ends; where a script is just being started it may
        // never come to that, and the kernel does it.
        processes::signal(self.strace.id().try_into().unwrap(), Signal::INT);
        let end = Instant::now() + AT_ONCE;
        while matches!(self.strace.try_wait(), Ok(None)) {
            if Instant::now() > end {
                _ = self.strace.kill();
            }
            std::thread::park_timeout(PAUSE);
        }
    }
}

#[test]
fn a_run_that_the_disk_did_not_keep_is_not_started() {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"");
    let server = site.start();
    // The record itself, and its name in the directory.
    for which in ["1", "2"] {
        let failing = Failing::new(&server, &format!("fsync:error=EIO:when={which}"), None);
        let (code, text) = server.api().refused(on("hello", "n1"));
        assert_eq!(code, Code::Unavailable, "{text}");
        drop(failing);
        assert!(!server.has("ran"));
        assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 0);
    }
    server.wait_for_log("its record cannot be written");
    assert_eq!(
        server.api().run(on("hello", "n1")).end_of("n1").outcome(),
        Outcome::Ok
    );
}

#[test]
fn a_disk_that_fails_for_a_while_costs_output_and_says_so() {
    let site = Site::new();
    let script = "echo ready; read -r < \"$SCRIPT_ROOT/../gate.a\"; echo lost; read -r < \"$SCRIPT_ROOT/../gate.b\"; exit 6";
    site.command("talk", script);
    let gates = ["gate.a", "gate.b"].map(|name| site.gate(name));
    let server = site.start();
    let mut run = server.api().start(on("talk", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let failing = Failing::new(
        &server,
        "write,writev:error=EIO",
        Some(&server.record(&run.id)),
    );
    gates[0].open();
    server.wait_for_log("cannot write the record");
    gates[1].open();
    // The end is tried again until the disk takes it.
    wait_until("the script's end", CEILING, || {
        server.scripts().is_empty().then_some(())
    });
    drop(failing);
    let run = run.finish();
    is_honest(&run, "ready\nlost\n".len());
    assert_eq!(run.end_of("n1").exit_code, Some(6));
    assert_eq!(run.stdout_of("n1"), b"ready\n");
    assert_eq!(server.api().ended(&run.id).events, run.events);
}

#[test]
fn who_leaves_while_a_slow_disk_is_asked_for_the_scripts_starts_nothing() {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"");
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    let server = site.start();
    let script = server.path("libexec/hello/default.sh");
    let slow = Failing::new(
        &server,
        &format!("openat:delay_enter={SLOW}"),
        Some(&script),
    );
    server
        .api()
        .give_up(on("hello", "n1"), || slow.wait_for_call());
    // The disk answers after the server knows that the caller is gone.
    let gone = r#"action_calls_total{code="cancelled",method="RunCommand"}"#;
    wait_until("the caller to be gone", CEILING, || {
        (server.scrape().count(gone) > 0.0).then_some(())
    });
    drop(slow);
    server.wait_for_log("a caller went away before its run was started");
    assert!(!server.has("ran"));
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 0);
}

#[test]
fn a_deadline_that_passes_while_a_slow_disk_keeps_the_run_starts_nothing() {
    let server = deadline_passes("fsync", None);
    assert!(!server.read("state/audit.jsonl").contains("run_accepted"));
    starts_nothing(&server);
}

#[test]
fn a_deadline_that_passes_while_a_slow_disk_keeps_the_audit_line_starts_nothing() {
    let server = deadline_passes("fdatasync", Some("state/audit.jsonl"));
    let line = server.audited("run_finished", &json!({"outcome": "not-started"}));
    assert!(
        line["reason"]
            .as_str()
            .unwrap()
            .contains("its deadline passed")
    );
    _ = server.audited("run_accepted", &json!({"run_id": line["run_id"]}));
    starts_nothing(&server);
}

/// A server whose disk answered a call that keeps a run only after its caller's deadline.
fn deadline_passes(call: &str, file: Option<&str>) -> Server {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"");
    let server = site.start();
    let file = file.map(|file| server.path(file));
    let what = format!("{call}:delay_enter={SLOW}");
    let slow = Failing::new(&server, &what, file.as_deref());
    // The deadline is long enough for the server to come to the disk.
    let mut wire = Wire::open(server.address());
    let deadline = [("grpc-timeout", "2S")];
    wire.send(&http2::headers(
        1,
        "RunCommand",
        Some(&server.token()),
        &deadline,
    ));
    wire.send(&http2::message(1, &on("hello", "n1")));
    slow.wait_for_call();
    let answer = wire.find(|frame| frame.stream == 1).unwrap();
    assert_eq!(answer.kind, kind::HEADERS);
    assert_ne!(answer.flags & http2::END_STREAM, 0, "an error");
    drop(slow);
    server
}

#[track_caller]
fn starts_nothing(server: &Server) {
    wait_until("the record to be gone", CEILING, || {
        (fs::read_dir(server.path("state/runs")).unwrap().count() == 0).then_some(())
    });
    assert!(!server.has("ran"));
    let honest = server.api().run(on("hello", "n1"));
    assert_eq!(honest.end_of("n1").outcome(), Outcome::Ok);
}

#[test]
fn a_script_whose_start_fails_half_way_does_not_live_on() {
    let site = Site::new();
    site.nodes("n1: {}\nn2: {}\n");
    let script =
        "[[ $name = n1 ]] || exec sleep 100; echo ready; read -r < \"$SCRIPT_ROOT/../gate\"";
    site.command_with("two", "help: {summary: a test}\nfanout: 1\n", script);
    let gate = site.gate("gate");
    let server = site.start();
    let mut run = server.api().start(on("two", "n1,n2")).unwrap();
    run.wait_for("n1", "ready\n");
    // The kernel watches no more descriptors: that is noticed when the script is there already.
    let failing = Failing::new(&server, "epoll_ctl:error=ENOSPC", None);
    gate.open();
    let run = run.finish();
    drop(failing);
    assert_eq!(run.end_of("n2").outcome(), Outcome::NotStarted);
    assert_eq!(server.scripts(), []);
}
