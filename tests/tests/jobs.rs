//! What a script cannot do to the server or to other jobs, and what the server leaves it with.

use std::fs;

use action_proto::v1::Outcome;
use action_tests::{CEILING, Server, Site, on, wait_until};

fn serving(script: &str) -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\nn3:\n");
    site.command("it", script);
    site.command("hello", "echo hello");
    site.start()
}

#[test]
fn signals_are_as_a_login_shell_has_them() {
    let server = serving(
        "grep -E '^(SigBlk|SigIgn|ShdPnd|SigPnd)' /proc/self/status | sort; read -r -a stat < /proc/$$/stat; echo tty ${stat[6]}",
    );
    let run = server.api().run(on("it", "n1"));
    let answer = run.answer_of("n1");
    let (sets, tty) = answer.split_once("tty ").unwrap();
    // The C library keeps two signals to itself, and posix_spawn(3) ignores them.
    let internal = 1 << 31 | 1 << 32;
    for line in sets.lines() {
        let (name, set) = line.split_once(":\t").unwrap();
        let set = u64::from_str_radix(set, 16).unwrap();
        assert_eq!(set & !internal, 0, "{name} {set:x}");
    }
    assert_eq!((sets.lines().count(), tty), (4, "0\n"));
}

#[test]
fn a_script_that_signals_its_own_group_hits_nobody_else() {
    let server =
        serving("[[ $name = n1 ]] || { sleep 0.3; echo fine; exit; }; echo now; kill -KILL 0");
    let run = server.api().run(on("it", "@*"));
    let end = run.end_of("n1");
    assert_eq!((end.outcome(), end.signal), (Outcome::Failed, Some(9)));
    assert_eq!(run.answer_of("n2"), "fine\n");
    assert_eq!(run.answer_of("n3"), "fine\n");
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}

#[test]
fn a_child_that_kills_the_script_ends_the_job_and_not_more() {
    let server = serving("(sleep 0.05; kill -KILL $$) & wait; sleep 1000");
    let run = server.api().run(on("it", "n2"));
    let end = run.end_of("n2");
    assert_eq!((end.outcome(), end.signal), (Outcome::Failed, Some(9)));
    assert!(end.message.contains("signal 9"), "{}", end.message);
    assert_eq!(server.scripts(), []);
}

#[test]
fn a_working_directory_that_is_gone_is_said_to_be_and_none_other_is_taken() {
    let site = Site::new();
    site.settings("working_directory_path: work");
    fs::create_dir(site.path("work")).unwrap();
    site.command("it", "pwd");
    let server = site.start();
    assert!(
        server
            .api()
            .run(on("it", "n1"))
            .answer_of("n1")
            .ends_with("/work\n")
    );
    fs::remove_dir(server.path("work")).unwrap();
    let run = server.api().run(on("it", "n1"));
    let end = run.end_of("n1");
    assert_eq!(end.outcome(), Outcome::NotStarted, "{end:?}");
    assert!(end.message.contains("working directory"), "{}", end.message);
    assert_eq!(run.stdout_of("n1"), b"");
    fs::create_dir(server.path("work")).unwrap();
    assert_eq!(
        server.api().run(on("it", "n1")).end_of("n1").outcome(),
        Outcome::Ok
    );
}

#[test]
fn many_processes_of_one_script_are_all_ended() {
    // Bounded, unlike a fork bomb: 400 at once, in ever new sessions.
    let server =
        serving("for i in {1..200}; do setsid sleep 1000 & sleep 1000 & done; echo ready; wait");
    let mut run = server.api().start(on("it", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    assert_eq!(
        server.api().run(on("hello", "n2")).answer_of("n2"),
        "hello\n"
    );
    // Each is where it wants to be.
    wait_until("400 processes", CEILING, || {
        let scripts = server.scripts();
        let there = scripts
            .iter()
            .filter(|(_, line)| line.starts_with("sleep 1000"));
        (there.count() >= 400).then_some(())
    });
    server.api().cancel(&run.id, true).unwrap();
    let run = run.finish();
    assert_eq!(server.scripts(), []);
    let end = run.end_of("n1");
    assert!(end.leftover_processes >= 200, "{end:?}");
}
