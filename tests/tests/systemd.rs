//! What the server tells the program that started it, by the protocol of sd_notify(3).

use action_tests::{CEILING, Datagrams, Server, Site, datagrams::field, on, processes, wait_until};
use rustix::process::Signal;

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command("wait", "read -r < \"$SCRIPT_ROOT/../gate\"");
    site
}

/// A server, and what it tells.
fn told(site: Site, variables: &[(&str, &str)]) -> (Server, Datagrams) {
    let path = site.path("notify");
    let datagrams = Datagrams::bind(&path);
    let server = Server::start(site, |command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .envs(variables.iter().copied());
    });
    (server, datagrams)
}

#[test]
fn it_is_ready_when_it_takes_calls() {
    let (server, mut told) = told(site(), &[]);
    let ready = told.wait_for("READY=1");
    let status = format!("listening on {}", server.address());
    assert_eq!(field(&ready, "STATUS"), Some(status.as_str()));
    assert_eq!(server.api().node_names(), ["n1"]);
    // Nobody asked for it.
    assert!(told.find("WATCHDOG=1").is_none());
}

#[test]
fn a_reload_has_a_time_and_is_over_when_the_edit_is_in_use() {
    let (server, mut told) = told(site(), &[]);
    told.wait_for("READY=1");
    let mut before = 0;
    for round in 2..5_u64 {
        server.nodes(&format!("n{round}: {{}}\n"));
        processes::signal(server.id(), Signal::HUP);
        let begun = told.wait_for("RELOADING=1");
        let time: u64 = field(&begun, "MONOTONIC_USEC").unwrap().parse().unwrap();
        assert!(time > before, "{time} after {before}");
        before = time;
        told.wait_for("READY=1");
        assert_eq!(server.api().node_names(), [format!("n{round}")]);
    }
    server.nodes("n1: [broken\n");
    processes::signal(server.id(), Signal::HUP);
    told.wait_for("RELOADING=1");
    told.wait_for("READY=1");
    assert_eq!(server.api().node_names(), ["n4"]);
}

#[test]
fn a_drain_counts_the_runs_that_are_left_and_asks_for_time() {
    let site = site();
    site.set("drain_timeout", "1h");
    let gate = site.gate("gate");
    let (mut server, mut told) = told(site, &[]);
    let run = server.api().start(on("wait", "n1")).unwrap();
    wait_until("the script", CEILING, || {
        (!server.scripts().is_empty()).then_some(())
    });
    server.terminate();
    told.wait_for("STOPPING=1");
    let left = told.wait_for("STATUS=stopping");
    assert_eq!(field(&left, "STATUS"), Some("stopping: 1 run is left"));
    let more: u64 = field(&left, "EXTEND_TIMEOUT_USEC")
        .unwrap()
        .parse()
        .unwrap();
    assert!(more > 1_000_000, "{more}");
    // And once more, as long as it takes.
    told.wait_for("EXTEND_TIMEOUT_USEC=");
    gate.open();
    assert_eq!(run.finish().answer_of("n1"), "");
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        told.find("READY=1").is_none(),
        "ready is not said of a server that stops"
    );
}

#[test]
fn it_says_that_it_lives_while_it_does() {
    let often = [("WATCHDOG_USEC", "100000")];
    let (server, mut told) = told(site(), &often);
    // The other one shows how time goes by.
    let (_witness, mut witness) = self::told(site(), &often);
    let mut for_this_long = |told: &mut Datagrams| {
        told.so_far().clear();
        witness.so_far().clear();
        (0..6).for_each(|_| _ = witness.wait_for("WATCHDOG=1"));
        told.so_far()
            .iter()
            .filter(|text| text.contains("WATCHDOG=1"))
            .count()
    };
    for _ in 0..5 {
        told.wait_for("WATCHDOG=1");
    }
    processes::signal(server.id(), Signal::STOP);
    wait_until("the server to be stopped", CEILING, || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
        stat.contains(") T ").then_some(())
    });
    assert_eq!(for_this_long(&mut told), 0);
    processes::signal(server.id(), Signal::CONT);
    told.wait_for("WATCHDOG=1");
}

#[test]
fn it_does_not_say_so_for_another_process() {
    let (_other, mut told) = told(site(), &[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    let (_witness, mut witness) = self::told(site(), &[("WATCHDOG_USEC", "100000")]);
    (0..6).for_each(|_| _ = witness.wait_for("WATCHDOG=1"));
    told.wait_for("READY=1");
    assert!(told.find("WATCHDOG=1").is_none());
}

#[test]
fn a_supervisor_that_takes_nothing_holds_up_nothing() {
    let site = site();
    let path = site.path("notify");
    let unread = Datagrams::bind(&path);
    unread.fill();
    let mut server = Server::start(site, |command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000");
    });
    processes::signal(server.id(), Signal::HUP);
    for _ in 0..20 {
        assert_eq!(
            server.api().run(on("hello", "n1")).answer_of("n1"),
            "hello\n"
        );
    }
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn scripts_get_nothing_of_it() {
    let site = site();
    site.whole_script("show/default.sh", "#!/bin/cat /proc/self/environ\n");
    site.write("libexec/show/metadata.yaml", "help: {summary: s}");
    let directory = site.path("").display().to_string();
    let mine = [
        ("WATCHDOG_USEC", "1000000"),
        ("JOURNAL_STREAM", "1:2"),
        ("CREDENTIALS_DIRECTORY", &directory),
        ("INVOCATION_ID", "0"),
        ("LISTEN_FDS", "1"),
        ("LISTEN_PID", "1"),
        ("STATE_DIRECTORY", &directory),
    ];
    let (server, _told) = told(site, &mine);
    let run = server.api().run(on("show", "n1"));
    let seen = String::from_utf8(run.stdout_of("n1")).unwrap();
    assert!(seen.contains("SCRIPT_ROOT="));
    for (name, _) in mine.iter().chain(&[("NOTIFY_SOCKET", "")]) {
        assert!(!seen.contains(name), "{name} in {seen:?}");
    }
}
