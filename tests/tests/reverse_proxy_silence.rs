//! Runs that say nothing for longer than a web server lets a stream be silent, over and over.
//!
//! Ten minutes of it, by hand:
//! `ACTION_TEST_ROUNDS=250 cargo test -p action-tests --test stories front_silence -- --nocapture`

use std::time::Instant;

use action_tests::{CEILING, Front, Kind, Running, Server, Site, rounds, wait_until};

use crate::reverse_proxy::{straight, trusting};

/// Says a part, is silent until it is let on, and so on. A read that gets nothing met the gate while it
/// was being closed for the part before.
const PARTS: &str = r#"
for ((part = 1; part <= $1; part++)); do
    for line in {1..200}; do echo "part $part line $line żółć"; done
    until read -r < "$SCRIPT_ROOT/../gate"; do :; done
done
printf 'the end'
"#;

/// As short as nginx can have it.
const LIMIT: (&str, &str) = ("grpc_read_timeout 2m", "grpc_read_timeout 1s");

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\n");
    site.command("parts", PARTS);
    site.start()
}

/// How many streams nginx has ended.
fn ended(front: &Front) -> usize {
    front.calls("RunCommand") + front.calls("WatchRun")
}

/// Waits until nginx has ended so many more. Whoever follows a run goes on with it meanwhile.
#[track_caller]
fn wait_for_cuts(front: &Front, more: usize, users: &mut [&mut Running]) {
    let before = ended(front);
    wait_until("nginx to end silent streams", CEILING, || {
        let gone = users.iter_mut().position(|user| !user.is_running());
        assert_eq!(gone, None, "a client has ended: {} streams", ended(front));
        (ended(front) >= before + more).then_some(())
    });
}

/// Two users, each trusting in a way of their own, miss nothing of a run that is cut off in each silence.
#[test]
fn each_silence_ends_the_streams_and_no_byte_is_lost() {
    let rounds = rounds(2);
    let began = Instant::now();
    let server = serving();
    let gate = server.gate("gate");
    let front = Front::start(Kind::Nginx, &server, &[LIMIT], "");
    let words = ["run", "parts", "n1", &rounds.to_string()];
    let mut runner = trusting(&front, &server).start(&words);
    runner.wait_for("part 1 line 200 ");
    let anyone = front
        .client(&server)
        .variable("ACTION_CLIENT_VERIFY_SSL", "false");
    let id = crate::reverse_proxy::newest(&server);
    let mut watcher = anyone.start(&["attach", &id]);
    for part in 1..=rounds {
        let mut users = [&mut runner, &mut watcher];
        for user in &mut users {
            user.wait_for(&format!("part {part} line 200 "));
        }
        // Twice for each of the two, more or less.
        wait_for_cuts(&front, 4, &mut users);
        gate.open();
    }
    let streams = ended(&front);
    let (ran, watched) = (runner.finish().ok(), watcher.finish().ok());
    let record = straight(&server);
    assert!(ran.stdout == record, "not what the record has: {ran}");
    assert!(
        watched.stdout == record,
        "not what the record has: {watched}"
    );
    assert!(record.ends_with(b"the end"));
    for ran in [&ran, &watched] {
        let back = ran.stderr().matches("reconnected to run").count();
        assert!(back >= usize::try_from(rounds).unwrap(), "{ran}");
    }
    let events = server.api().run_now(&id).last_sequence;
    tell(&format!(
        "{:?}, {rounds} silences, {streams} streams ended by nginx, {events} events, {} bytes for each of 2",
        began.elapsed(),
        record.len()
    ));
}

#[expect(clippy::print_stderr, reason = "for whoever lets it run for long")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// What counts is the time without a connection, and not that without an event.
#[test]
fn a_run_may_be_silent_for_longer_than_the_client_would_wait_for_the_server() {
    let server = serving();
    let gate = server.gate("gate");
    let front = Front::start(Kind::Nginx, &server, &[LIMIT], "");
    let words = ["run", "parts", "n1", "1", "--reconnect-for", "3s"];
    let mut running = trusting(&front, &server).start(&words);
    running.wait_for("part 1 line 200 ");
    // A second each, and so twice the time at least.
    wait_for_cuts(&front, 6, &mut [&mut running]);
    gate.open();
    let ran = running.finish().ok();
    assert!(ran.stdout == straight(&server), "not what the record has");
    // In one silence it is said once.
    assert_eq!(ran.stderr().matches("reconnected").count(), 1, "{ran}");
}
