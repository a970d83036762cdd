//! Ending scripts that do not want to end: nothing of a run is alive when the run is over.

use action_proto::v1::{NodeFinished, Outcome, RunCommandRequest};
use action_tests::{
    Ended, Server, Site, on, processes, processes::with_argument, usage, wait_until,
};

/// What each script does, by its node. `$T` is a process that does nothing for long, and that is
/// known by its command line whatever becomes of its environment.
const BEHAVIOURS: &[(&str, &str)] = &[
    ("plain", "$T & echo ready; wait"),
    ("deaf", "trap '' TERM INT HUP; echo ready; $T; $T"),
    ("deaf-child", "(trap '' TERM; exec $T) & echo ready; wait"),
    ("session", "setsid $T >/dev/null 2>&1 & echo ready; wait"),
    ("holder", "setsid $T & echo ready; wait"),
    (
        "double-fork",
        "(setsid bash -c \"$T & $T & exit\" &); echo ready; $T",
    ),
    (
        "nohup",
        "nohup setsid $T >/dev/null 2>&1 & echo ready; wait",
    ),
    ("stopped", "$T & echo ready; kill -STOP $$"),
    (
        "stopped-deaf",
        "trap '' TERM; $T & echo ready; kill -STOP $$; $T",
    ),
    (
        "stopped-child",
        "setsid bash -c \"kill -STOP \\$\\$; $T\" & echo ready; wait",
    ),
    (
        "breeder",
        "setsid bash -c \"trap '' TERM; while sleep 0.02; do setsid $T & done\" & echo ready; wait",
    ),
    ("renamed", "name=other setsid $T & echo ready; wait"),
    ("another-job", "job_id=other setsid $T & echo ready; wait"),
    ("another-run", "run_id=other setsid $T & echo ready; wait"),
    ("cleared", "env -i setsid $T & echo ready; wait"),
    (
        "cleared-parent",
        "env -i setsid bash -c \"run_id=$run_id job_id=$job_id $T & wait\" & echo ready; wait",
    ),
    (
        "everything",
        "trap '' TERM INT HUP PIPE; env -i setsid $T & name=x setsid $T & echo ready; $T; $T",
    ),
];

struct Kill {
    server: Server,
    /// What the command line of all processes of the test begins with; the last digits are the
    /// behaviour's.
    tag: String,
}

/// A server with a command `resist` that does on each node what the node's name says.
fn kill(metadata: &str) -> Kill {
    let site = Site::new();
    // Those that end when asked must be able to, also on a busy machine.
    site.set("kill_grace", "3s");
    let nodes = BEHAVIOURS.iter().map(|(name, _)| format!("{name}:\n"));
    site.nodes(&nodes.collect::<String>());
    // Seconds to sleep, and a fraction that nobody else sleeps.
    let address = site.path("").display().to_string();
    let unique = address
        .bytes()
        .fold(7_u64, |hash, byte| hash.wrapping_mul(131) + u64::from(byte));
    let tag = format!("sleep 1000.{:012}", unique % 1_000_000_000_000);
    let cases = BEHAVIOURS.iter().zip(10..);
    let case = |((name, script), at): (&(&str, &str), i32)| {
        format!("{name})\nT='{tag}{at}'\n{script}\n;;\n")
    };
    let script = format!("case $name in\n{}esac", cases.map(case).collect::<String>());
    site.command_with("resist", metadata, &script);
    site.command("busy", "echo busy; exec sleep 1001");
    Kill {
        server: site.start(),
        tag,
    }
}

impl Kill {
    /// The behaviours of which a process is alive.
    fn alive(&self) -> Vec<&'static str> {
        let lines: Vec<_> = with_argument(&self.tag);
        let alive = BEHAVIOURS.iter().zip(10..).filter(|(_, at)| {
            let own = format!("{}{at}", self.tag);
            lines.iter().any(|(_, line)| line.contains(&own))
        });
        alive.map(|((name, _), _)| *name).collect()
    }

    /// Nothing that any script started is alive.
    #[track_caller]
    fn assert_all_ended(&self, run: &Ended) {
        let alive = self.alive();
        for (pid, _) in with_argument(&self.tag) {
            processes::signal(pid, rustix::process::Signal::KILL);
        }
        assert_eq!(alive, [""; 0], "alive after {:?}", run.summary());
        assert_eq!(self.server.scripts(), []);
        self.assert_no_child();
    }

    /// No child of the server is left, not even a dead one.
    #[track_caller]
    fn assert_no_child(&self) {
        let id = self.server.id();
        let none = || usage::children(id).is_empty().then_some(());
        wait_until("the server to have no child", action_tests::CEILING, none);
    }
}

fn everywhere() -> RunCommandRequest {
    on("resist", "@*")
}

/// Waits until each script is where it resists.
#[track_caller]
fn started(kill: &Kill) -> action_tests::Live {
    let mut run = kill.server.api().start(everywhere()).unwrap();
    for (name, _) in BEHAVIOURS {
        run.wait_for(name, "ready\n");
    }
    run
}

/// What is told of jobs that were asked to end: those who did not listen were killed, with all
/// that they started.
#[track_caller]
fn assert_told(run: &Ended) {
    let end = |node| -> &NodeFinished { run.end_of(node) };
    for deaf in ["deaf", "stopped-deaf", "everything"] {
        assert_eq!(end(deaf).signal, Some(9), "{deaf}");
        let told = end(deaf).message.contains("was killed");
        assert!(told, "{deaf}: {}", end(deaf).message);
    }
    for polite in ["plain", "session", "stopped"] {
        assert_eq!(end(polite).signal, Some(15), "{polite}");
        let told = end(polite).message.contains("killed");
        assert!(!told, "{polite}: {}", end(polite).message);
    }
    // Those that had left the group, and those that were killed, with the script or after it.
    for (node, count) in [
        ("plain", 0),
        ("stopped", 0),
        ("deaf", 1),
        ("deaf-child", 1),
        ("session", 1),
        ("holder", 1),
        ("double-fork", 2),
        ("nohup", 1),
        ("renamed", 1),
        ("another-job", 1),
        ("another-run", 1),
        ("cleared", 1),
        ("cleared-parent", 2),
        ("everything", 3),
    ] {
        assert_eq!(end(node).leftover_processes, count, "{node}");
    }
}

#[test]
fn a_cancelled_run_leaves_nothing() {
    let kill = kill("help: {summary: s}");
    let run = started(&kill);
    kill.server.api().cancel(&run.id, false).unwrap();
    let run = run.finish();
    kill.assert_all_ended(&run);
    assert_eq!(run.summary().outcome(), Outcome::Cancelled);
    for (name, _) in BEHAVIOURS {
        assert_eq!(run.end_of(name).outcome(), Outcome::Cancelled, "{name}");
        assert!(run.end_of(name).message.starts_with("cancelled by admin"));
    }
    assert_told(&run);
}

#[test]
fn a_run_that_is_cancelled_by_force_leaves_nothing() {
    let kill = kill("help: {summary: s}");
    let run = started(&kill);
    kill.server.api().cancel(&run.id, true).unwrap();
    let run = run.finish();
    kill.assert_all_ended(&run);
    for (name, _) in BEHAVIOURS {
        assert_eq!(run.end_of(name).outcome(), Outcome::Cancelled, "{name}");
        assert_eq!(run.end_of(name).signal, Some(9), "{name}");
        let message = &run.end_of(name).message;
        let told = message.starts_with("cancelled by admin") && message.contains("by force");
        assert!(told, "{name}: {message}");
    }
}

#[test]
fn force_does_not_wait_for_the_grace_of_a_cancel_before_it() {
    let kill = kill("help: {summary: s}");
    let site = kill.server.stop();
    site.set("kill_grace", "1h");
    let server = site.start();
    let api = server.api();
    let mut run = api.start(on("resist", "deaf")).unwrap();
    run.wait_for("deaf", "ready\n");
    api.cancel(&run.id, false).unwrap();
    api.cancel(&run.id, true).unwrap();
    let run = run.finish();
    assert_eq!(run.end_of("deaf").signal, Some(9));
    assert_eq!(run.end_of("deaf").outcome(), Outcome::Cancelled);
}

#[test]
fn a_run_that_takes_too_long_leaves_nothing() {
    let kill = kill("help: {summary: s}\ntimeout: 3s");
    let run = started(&kill).finish();
    kill.assert_all_ended(&run);
    assert_eq!(run.summary().outcome(), Outcome::TimedOut);
    for (name, _) in BEHAVIOURS {
        assert_eq!(run.end_of(name).outcome(), Outcome::TimedOut, "{name}");
        assert!(run.end_of(name).message.starts_with("not done after 3s"));
    }
    assert_told(&run);
}

#[test]
fn a_cancelled_run_leaves_nothing_while_others_go_on() {
    let kill = kill("help: {summary: s}");
    let api = kill.server.api();
    let mut busy = api.start(on("busy", "plain")).unwrap();
    busy.wait_for("plain", "busy\n");
    let run = started(&kill);
    api.cancel(&run.id, false).unwrap();
    let run = run.finish();
    let alive = kill.alive();
    api.cancel(&busy.id, true).unwrap();
    let busy = busy.finish();
    assert_eq!(busy.end_of("plain").outcome(), Outcome::Cancelled);
    // What can hide from its run cannot outlive the last of them.
    kill.assert_all_ended(&run);
    assert_eq!(alive, [""; 0], "alive after the run, while another goes on");
}

#[test]
fn a_script_that_ends_by_itself_leaves_nothing_and_keeps_its_exit_code() {
    let site = Site::new();
    site.command(
        "leave",
        "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 >/dev/null 2>&1 &)\necho done; exit 7",
    );
    let server = site.start();
    let run = server.api().run(on("leave", "n1"));
    assert_eq!(server.scripts(), []);
    let end = run.end_of("n1");
    assert_eq!((end.outcome(), end.exit_code), (Outcome::Failed, Some(7)));
    assert_eq!(end.leftover_processes, 3);
    assert_eq!(run.stdout_of("n1"), b"done\n");
}

#[test]
fn a_process_is_found_by_its_job_id_whatever_node_it_names() {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command(
        "leave",
        "name=n2 setsid -f sleep 1000; job_id=other setsid -f sleep 1000; echo \"$job_id\"",
    );
    let server = site.start();
    let run = server.api().run(on("leave", "n[1-2]"));
    assert_eq!(server.scripts(), []);
    // What hides from its job is ended with the run.
    let ended = ["n1", "n2"].map(|node| run.end_of(node).leftover_processes);
    assert_eq!(ended, [1, 1]);
    let ids = ["n1", "n2"].map(|node| run.answer_of(node));
    assert_ne!(ids[0], ids[1], "each process has an id of its own");
}

#[test]
fn what_is_written_after_the_script_but_soon_is_the_jobs() {
    let site = Site::new();
    site.command("late", "(sleep 0.1; echo late) & echo early");
    let server = site.start();
    let run = server.api().run(on("late", "n1"));
    assert_eq!(run.answer_of("n1"), "early\nlate\n");
}

#[test]
fn a_command_may_leave_processes_running() {
    let site = Site::new();
    let script = "setsid sleep 1000 >/dev/null 2>&1 & echo $!";
    let metadata = |leave| format!("help: {{summary: s}}\nleave_running: {leave}");
    site.command_with("daemon", &metadata(true), script);
    site.command_with("no-daemon", &metadata(false), script);
    let server = site.start();
    let api = server.api();
    let kept = api.run(on("daemon", "n1"));
    let pid: i32 = kept.answer_of("n1").trim().parse().unwrap();
    assert_eq!(kept.end_of("n1").leftover_processes, 0);
    // Other runs, which clean up after themselves, do not touch it.
    let ended = api.run(on("no-daemon", "n1"));
    let gone: i32 = ended.answer_of("n1").trim().parse().unwrap();
    assert_eq!(ended.end_of("n1").leftover_processes, 1);
    assert!(!processes::is_alive(gone));
    assert!(processes::is_alive(pid));
    // When it has ended the server reaps it, at the end of the next run at the latest.
    processes::signal(pid, rustix::process::Signal::KILL);
    let dead = || (!processes::is_alive(pid)).then_some(());
    wait_until("the daemon's end", action_tests::CEILING, dead);
    api.run(on("no-daemon", "n1"));
    assert_eq!(usage::children(server.id()), []);
}

#[test]
fn three_hundred_quick_runs_leave_no_zombie_and_no_descriptor() {
    let site = Site::new();
    // Every other one leaves something behind.
    site.command("quick", "true");
    site.command("untidy", "setsid sleep 1000 >/dev/null 2>&1 &");
    let server = site.start();
    let api = server.api();
    let one = |at: u32| {
        let command = if at.is_multiple_of(10) {
            "untidy"
        } else {
            "quick"
        };
        let run = api.run(on(command, "n1"));
        assert_eq!(run.end_of("n1").outcome(), Outcome::Ok);
    };
    (0..20).for_each(one);
    let before = usage::descriptors(server.id());
    (0..300).for_each(one);
    let same = || (usage::descriptors(server.id()).len() <= before.len()).then_some(());
    wait_until("the descriptors to be closed", action_tests::CEILING, same);
    assert_eq!(usage::children(server.id()), []);
    assert_eq!(server.scripts(), []);
}
