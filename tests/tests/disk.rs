//! Disks that are full or broken: runs go on and end, nothing is claimed that is not there, and
//! no new run is taken.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use action_proto::v1::Outcome;
use action_tests::{CEILING, Ended, Server, Site, on, program::run, usage, wait_until};
use serde_json::json;
use tonic::Code;

/// A small disk of its own for a directory. Needs root. Taken away with the value, which must
/// live longer than the server.
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    pub(crate) fn mount(path: &Path, options: &str) -> Disk {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(path);
        _ = run(mount).ok();
        Disk {
            path: path.to_owned(),
        }
    }

    /// Takes all of its space, to the last byte.
    pub(crate) fn fill(&self) {
        let mut options = File::options();
        let ballast = self.path.join("ballast");
        let mut ballast = options.create(true).append(true).open(ballast).unwrap();
        for size in [1 << 16, 1 << 12, 1 << 8, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives the space back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        umount.arg("-l").arg(&self.path).stderr(Stdio::null());
        _ = umount.status();
    }
}

/// Prints at each gate, `a` to `c`, what the test can tell apart.
const STEPS: &str = r#"
for step in a b c; do
  read -r < "$SCRIPT_ROOT/../gate.$step"
  for piece in {1..30}; do head -c 100000 /dev/zero | tr '\0' $step; sleep 0.01; done
  touch "$SCRIPT_ROOT/../printed.$step"
done
exit 4
"#;

/// On 60 nodes: prints more than is set aside for the ends of runs, and waits before and after.
const POUR: &str = r#"
echo ready
until [[ -e $SCRIPT_ROOT/../pour ]]; do sleep 0.05; done
head -c 150000 /dev/zero | tr '\0' y
touch "$SCRIPT_ROOT/../printed.$name"
until [[ -e $SCRIPT_ROOT/../end ]]; do sleep 0.05; done
exit 5
"#;

/// A server whose records are on a disk of 24 MB.
fn small() -> (Disk, Server) {
    let site = Site::new();
    let disk = Disk::mount(&site.path("state"), "size=24m,mode=700");
    let nodes = (1..=200).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    site.command("steps", STEPS);
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.command("pour", POUR);
    site.command(
        "either",
        "echo ready; until [[ -e $SCRIPT_ROOT/../end.$name ]]; do sleep 0.05; done; exit 6",
    );
    (disk, site.start())
}

#[track_caller]
fn printed(server: &Server, step: &str) {
    let file = format!("printed.{step}");
    wait_until(&file, CEILING, || server.has(&file).then_some(()));
}

/// What is not in the record is said to be missing, and all else is there.
#[track_caller]
pub(crate) fn is_honest(run: &Ended, printed: usize) {
    let end = run.end_of("n1");
    let (kept, dropped) = (run.stdout_of("n1").len(), end.output_lost_bytes);
    assert_eq!(end.output_dropped_bytes, 0);
    assert_eq!(kept as u64 + dropped, printed as u64);
    assert!(dropped > 0, "the disk was never full");
    let said = format!("{dropped} bytes of output could not be recorded");
    assert!(end.message.contains(&said), "{}", end.message);
}

/// As when the ends of many runs have used the reserve.
#[test]
fn an_end_that_was_not_written_for_long_is_written_when_there_is_room() {
    let (disk, server) = small();
    let api = server.api();
    // Their ends take more than the rest of a page.
    let mut run = api.start(on("either", "n[1-60]")).unwrap();
    for number in 1..=60 {
        run.wait_for(&format!("n{number}"), "ready\n");
    }
    fs::write(server.path("state/reserve"), "").unwrap();
    disk.fill();
    for number in 1..=60 {
        server.write(format!("end.n{number}"), "");
    }
    server.wait_for_log("the end of the run cannot be recorded, retrying every second");
    disk.free();
    let run = run.finish();
    assert_eq!(run.end_of("n1").exit_code, Some(6));
    server.wait_for_log("the end of the run is recorded");
    let audited = json!({"run_id": run.id, "outcome": "failed"});
    server.audited("run_finished", &audited);
}

#[test]
fn a_run_on_a_full_disk_goes_on_and_ends_and_no_other_begins() {
    let (disk, server) = small();
    let gates = ["gate.a", "gate.b", "gate.c"].map(|name| server.gate(name));
    let api = server.api();
    let mut run = api.start(on("steps", "n1")).unwrap();
    gates[0].open();
    run.wait_for("n1", "aaa");
    printed(&server, "a");
    disk.fill();
    gates[1].open();
    // The script is not held up.
    printed(&server, "b");
    let (code, text) = api.refused(on("hello", "n1"));
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(text.contains("cannot be recorded"), "{text}");
    disk.free();
    wait_until("a run to be taken again", CEILING, || {
        api.start(on("hello", "n1")).ok()
    });
    gates[2].open();
    let run = run.finish();
    is_honest(&run, 9_000_000);
    let end = run.end_of("n1");
    assert_eq!((end.outcome(), end.exit_code), (Outcome::Failed, Some(4)));
    let out = String::from_utf8(run.stdout_of("n1")).unwrap();
    assert_eq!(out.matches('a').count(), 3_000_000, "from before");
    assert!(out.matches('c').count() > 0, "and from after");
    assert_eq!(run.events, api.ended(&run.id).events);
    assert_eq!(api.run(on("hello", "n1")).answer_of("n1"), "hello\n");
}

#[test]
fn a_run_ends_on_a_disk_that_stays_full() {
    let (disk, server) = small();
    let gates = ["gate.a", "gate.b", "gate.c"].map(|name| server.gate(name));
    let api = server.api();
    let run = api.start(on("steps", "n1")).unwrap();
    gates[0].open();
    printed(&server, "a");
    disk.fill();
    gates[1].open();
    gates[2].open();
    let run = run.finish();
    is_honest(&run, 9_000_000);
    assert_eq!(run.end_of("n1").exit_code, Some(4));
    // The end is on the disk: another server knows it.
    let id = run.id.clone();
    let server = server.stop().start();
    assert_eq!(server.api().ended(&id).events, run.events);
    disk.free();
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
    drop(server);
    drop(disk);
}

/// The reserve is restored by the server itself, and not only by the next run.
#[test]
fn output_is_recorded_again_once_there_is_space() {
    let (disk, server) = small();
    let gates = ["gate.a", "gate.b", "gate.c"].map(|name| server.gate(name));
    let api = server.api();
    let mut run = api.start(on("steps", "n1")).unwrap();
    gates[0].open();
    run.wait_for("n1", "aaa");
    printed(&server, "a");
    // More jobs than their ends fit on what is left of a page.
    let mut other = api.start(on("wait", "n[2-61]")).unwrap();
    other.wait_for("n2", "ready\n");
    disk.fill();
    gates[1].open();
    printed(&server, "b");
    // Its end takes of the reserve.
    api.cancel(&other.id, true).unwrap();
    _ = other.finish();
    server.wait_for_log("the reserve is used for the end of the run");
    disk.free();
    server.wait_for_log("the reserve is restored");
    gates[2].open();
    let run = run.finish();
    is_honest(&run, 9_000_000);
    let out = String::from_utf8(run.stdout_of("n1")).unwrap();
    assert_eq!(out.matches('c').count(), 3_000_000);
}

/// The end of a job that could not be recorded is recorded as soon as it can be, also where nothing
/// else happens in the run.
#[test]
fn the_end_of_a_job_is_recorded_once_there_is_space() {
    let (disk, server) = small();
    let api = server.api();
    let request = on("either", "n[1-2]");
    let mut run = api.start(request).unwrap();
    run.wait_for("n1", "ready\n");
    run.wait_for("n2", "ready\n");
    disk.fill();
    server.write("end.n1", "");
    wait_until("the job to end", CEILING, || {
        (api.run_now(&run.id).running_jobs == 1).then_some(())
    });
    disk.free();
    // n2 goes on in silence.
    assert_eq!(run.wait_for_end_of("n1").exit_code, Some(6));
    server.write("end.n2", "");
    assert_eq!(run.finish().end_of("n2").exit_code, Some(6));
}

/// The disk is full and somebody else takes what becomes free: the space that was set aside does
/// for all that live.
#[test]
fn every_run_ends_on_a_disk_that_stays_full() {
    let (disk, server) = small();
    let api = server.api();
    let mut many = api.start(on("wait", "@*")).unwrap();
    many.wait_for("n1", "ready\n");
    let mut pour = api.start(on("pour", "n[1-60]")).unwrap();
    pour.wait_for("n60", "ready\n");
    disk.fill();
    // The ends of 200 jobs need some of what was set aside.
    api.cancel(&many.id, true).unwrap();
    let many = many.finish();
    assert_eq!(many.summary().outcome(), Outcome::Cancelled);
    server.write("pour", "");
    (1..=60).for_each(|number| printed(&server, &format!("n{number}")));
    disk.fill();
    server.write("end", "");
    let pour = pour.finish();
    assert_eq!(pour.summary().outcome(), Outcome::Failed);
    for node in pour.nodes() {
        assert_eq!(pour.end_of(node).exit_code, Some(5), "{node}");
        let kept = pour.stdout_of(node).len() as u64;
        assert_eq!(kept + pour.end_of(node).output_lost_bytes, 150_006);
    }
    drop(server);
    drop(disk);
}

#[test]
fn a_server_starts_on_a_full_disk_and_sees_to_the_runs_of_the_last() {
    let (disk, server) = small();
    let mut run = server.api().start(on("wait", "@*")).unwrap();
    run.wait_for("n1", "ready\n");
    disk.fill();
    let server = server.kill().start();
    assert_eq!(server.scripts(), []);
    let ended = server.api().ended(&run.id);
    assert_eq!(ended.end_of("n1").outcome(), Outcome::Lost);
    let (code, text) = server.api().refused(on("hello", "n1"));
    assert_eq!(code, Code::Unavailable, "{text}");
    disk.free();
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
    drop(server);
    drop(disk);
}

#[test]
fn a_full_disk_costs_neither_memory_nor_descriptors() {
    let (disk, server) = small();
    let api = server.api();
    assert_eq!(api.run(on("hello", "n1")).answer_of("n1"), "hello\n");
    disk.fill();
    let refuse = |count| {
        (0..count).for_each(|_| assert_eq!(api.refused(on("hello", "n1")).0, Code::Unavailable));
    };
    refuse(20);
    let before = (
        usage::memory(server.id(), "VmRSS"),
        usage::descriptors(server.id()).len(),
    );
    refuse(300);
    let after = (
        usage::memory(server.id(), "VmRSS"),
        usage::descriptors(server.id()).len(),
    );
    assert!(
        after.0 < before.0 + 4096 && after.1 <= before.1,
        "{before:?} {after:?}"
    );
    // Nothing is left of those that were refused.
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 1);
    drop(server);
    drop(disk);
}
