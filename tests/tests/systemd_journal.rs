//! The log as entries of systemd's journal. The test is the journal: it reads the socket, in a mount
//! namespace of the server's own.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use action_proto::v1::Outcome;
use action_tests::{
    Datagrams, Server, Site,
    datagrams::field,
    on,
    program::{Ran, run},
    with_arguments,
};

/// Puts `$0`, if it is there, where the journal's directory is, and runs the rest.
const IN_NAMESPACE: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
    { [[ ! -d $0 ]] || mount --bind \"$0\" /run/systemd/journal; } && exec \"$@\"";

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    fs::create_dir(site.path("journal")).unwrap();
    site
}

fn in_namespace(command: &mut Command, site: &std::path::Path) {
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "bash", "-c", IN_NAMESPACE]);
    inside.arg(site.join("journal")).arg(command.get_program());
    inside.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        inside.env(name, value.unwrap_or_default());
    }
    *command = inside;
}

/// What JOURNAL_STREAM is when stderr is this file.
fn stream(site: &Site) -> String {
    let log = fs::metadata(site.path("log")).unwrap();
    format!("{}:{}", log.dev(), log.ino())
}

/// A server whose stderr is said to be the journal, and the journal.
fn start(site: Site) -> (Server, Datagrams) {
    let mut journal = Datagrams::bind(&site.path("journal/socket"));
    site.write("log", "");
    let (path, stream) = (site.path(""), stream(&site));
    let server = Server::start_seen(
        site,
        |command| {
            command.env("JOURNAL_STREAM", stream);
            in_namespace(command, &path);
        },
        |_| {
            let line = journal.find("MESSAGE=listening on ")?;
            field(&line, "MESSAGE")?.rsplit_once(' ')?.1.parse().ok()
        },
    );
    (server, journal)
}

#[test]
fn each_entry_has_its_priority_and_a_run_its_id() {
    let site = site();
    let (server, mut journal) = start(site);
    let run = server.api().run(on("hello", "n1"));
    let accepted = journal.wait_for("MESSAGE=run_accepted");
    for (name, value) in [
        ("RUN_ID", run.id.as_str()),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "action-server"),
        ("COMMAND", "hello"),
        ("NODES", "n1"),
    ] {
        assert_eq!(field(&accepted, name), Some(value), "{accepted}");
    }
    let message = field(&accepted, "MESSAGE").unwrap();
    assert!(message.contains(&format!("run_id={}", run.id)), "{message}");
    let finished = journal.wait_for("MESSAGE=run_finished");
    assert_eq!(field(&finished, "RUN_ID"), Some(run.id.as_str()));
    assert_eq!(field(&finished, "OUTCOME"), Some("ok"));
    server.nodes("n1: {}\nn/2: {}\n");
    let fault = journal.wait_for("PRIORITY=3");
    assert!(field(&fault, "MESSAGE").unwrap().contains("n/2"), "{fault}");
    assert_eq!(server.log(), "", "and nothing goes to stderr");
    assert!(!accepted.contains(&server.token()) && !finished.contains(&server.secret()));
}

#[test]
fn no_caller_can_forge_a_field() {
    let (server, mut journal) = start(site());
    let arguments = [
        "x\nRUN_ID=forged\nPRIORITY=0\n",
        "\u{1b}[2J\u{85}MESSAGE=forged",
    ];
    let run = server.api().run(with_arguments("hello", "n1", &arguments));
    let entry = journal.wait_for("MESSAGE=run_accepted");
    assert_eq!(field(&entry, "RUN_ID"), Some(run.id.as_str()));
    let lines = |name: &str| entry.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(
        (lines("RUN_ID="), lines("PRIORITY="), lines("MESSAGE=")),
        (1, 1, 1),
        "{entry}"
    );
    assert!(!entry.contains(['\u{1b}', '\u{85}']), "{entry:?}");
}

#[test]
fn a_journal_that_takes_nothing_holds_up_no_run() {
    let (server, mut journal) = start(site());
    journal.fill();
    for _ in 0..50 {
        let run = server.api().run(on("hello", "n1"));
        assert_eq!(run.summary().outcome(), Outcome::Ok);
    }
    // It is read again, and what waited comes.
    let finished = (0..50).map(|_| journal.wait_for("MESSAGE=run_finished"));
    assert!(
        finished
            .map(|entry| field(&entry, "RUN_ID").unwrap().to_owned())
            .is_sorted_by(|a, b| a != b)
    );
}

#[test]
fn a_journal_that_was_started_anew_gets_what_comes_then() {
    let (server, journal) = start(site());
    drop(journal);
    fs::remove_file(server.path("journal/socket")).unwrap();
    _ = server.api().run(on("hello", "n1"));
    let mut journal = Datagrams::bind(&server.path("journal/socket"));
    let run = server.api().run(on("hello", "n1"));
    journal.wait_for(&format!("RUN_ID={}", run.id));
}

/// A start of the server in a namespace without a journal.
fn without_journal(site: &Site) -> Ran {
    fs::remove_dir(site.path("journal")).unwrap();
    let mut command = site.server_verb_command(&["serve", "--listen", "127.0.0.1:0"]);
    in_namespace(&mut command, &site.path(""));
    run(command)
}

#[test]
fn what_the_settings_say_counts() {
    // Text is text, wherever it goes.
    let site = site();
    site.settings("log_format: text");
    site.write("log", "");
    let stream = stream(&site);
    let server = Server::start(site, |command| _ = command.env("JOURNAL_STREAM", stream));
    assert!(
        server.log().contains("INFO listening on"),
        "{}",
        server.log()
    );
    // A journal that is wanted must be there.
    let site = server.stop();
    site.write(
        "server.yaml",
        site.read("server.yaml")
            .replace("format: text", "format: journald"),
    );
    let ran = without_journal(&site);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(
        ran.stderr()
            .contains("log_format: journald: there is no journal"),
        "{ran}"
    );
}

#[test]
fn without_a_journal_it_is_text() {
    // The stream of something else: a server that was started by one whose stderr is the journal.
    let server = Server::start(site(), |command| _ = command.env("JOURNAL_STREAM", "1:2"));
    assert!(server.log().contains("listening on"), "{}", server.log());
}
