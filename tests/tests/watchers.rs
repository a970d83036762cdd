//! Many watchers, and watchers that do not read: all see the same, and nobody waits for them.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use action_proto::v1::Outcome;
use action_tests::{Api, CEILING, Digest, Gate, Proxy, Server, Site, Watch, on, usage, wait_until};
use tonic::Code;

#[test]
fn fifty_watchers_at_once_see_the_same_bytes() {
    let site = Site::new();
    site.nodes("n1:\nn2:\nn3:\n");
    let script = "head -c 300000 /dev/urandom; read -r < \"$SCRIPT_ROOT/../gate.$name\"; head -c 300000 /dev/urandom >&2";
    site.command("noise", script);
    let gates = ["gate.n1", "gate.n2", "gate.n3"].map(|name| site.gate(name));
    let server = site.start();
    let api = server.api();
    let run = api.start(on("noise", "@*")).unwrap();
    let id = run.id.clone();
    let id = id.as_str();
    let watch = |at: u64| {
        // Some share a connection; some begin later.
        let api = match at % 2 {
            0 => api.clone(),
            _ => server.api(),
        };
        (at % 7, api.watch(id, at % 7).unwrap())
    };
    let (seen, after) = thread::scope(|scope| {
        let read = |(after, watch): (u64, Watch)| scope.spawn(move || (after, watch.digest()));
        let run = scope.spawn(|| run.finish());
        let mut reading: Vec<_> = (0..40).map(|at| read(watch(at))).collect();
        gates.iter().for_each(Gate::open);
        reading.extend((40..49).map(|at| read(watch(at))));
        let seen = reading.into_iter().map(|it| it.join().unwrap());
        (seen.collect::<Vec<_>>(), run.join().unwrap())
    });
    // And one after the end.
    let record = api.ended(id);
    assert_eq!(record.events, after.events);
    assert_eq!(seen.len(), 49);
    for (after, digest) in seen {
        let expected = Digest::of(&record.events[usize::try_from(after).unwrap()..]);
        assert_eq!(digest, expected, "after {after}");
    }
    assert_eq!(record.stdout_of("n1").len(), 300_000);
    assert_eq!(record.stderr_of("n3").len(), 300_000);
}

#[test]
fn a_watcher_begins_where_it_wants_and_nowhere_else() {
    let site = Site::new();
    site.command("hello", "echo hello; read -r < \"$SCRIPT_ROOT/../gate\"");
    let gate = site.gate("gate");
    let server = site.start();
    let api = server.api();
    let mut run = api.start(on("hello", "n1")).unwrap();
    run.wait_for("n1", "hello\n");
    let last = run.events.len() as u64;
    for past in [last + 1, u64::MAX] {
        let refused = api.watch(&run.id, past).unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        let said = refused.message().contains(&format!("its last is {last}"));
        assert!(said, "{refused}");
    }
    // At the end of what there is, it waits for more.
    let waiting = api.watch(&run.id, last).unwrap();
    gate.open();
    let run = run.finish();
    let (rest, error) = waiting.rest();
    assert!(error.is_none(), "{error:?}");
    assert_eq!(rest, run.events[usize::try_from(last).unwrap()..]);
    // After the end of all there is nothing, and no error.
    let all = run.events.len() as u64;
    let (none, error) = api.watch(&run.id, all).unwrap().rest();
    assert!(none.is_empty() && error.is_none());
    let refused = api.watch(&run.id, all + 1).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}

/// Much output, and how long it took the script to write them, in milliseconds.
const POUR: &str = r#"
begin=${EPOCHREALTIME/.}
head -c "$1" /dev/zero | tr '\0' x
end=${EPOCHREALTIME/.}
echo $(( (end - begin) / 1000 + 1 )) > "$SCRIPT_ROOT/../took.$name"
"#;

fn pouring() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command_with("pour", "help: {summary: s}\noutput_limit: none", POUR);
    site.command("hello", "echo hello");
    site.start()
}

fn pour(node: &str, bytes: u64) -> action_proto::v1::RunCommandRequest {
    action_tests::with_arguments("pour", node, &[&bytes.to_string()])
}

/// How long a node's script wrote, once it has: it says so itself.
fn took(server: &Server, node: &str) -> Duration {
    let file = format!("took.{node}");
    wait_until(&file, 4 * CEILING, || server.has(&file).then_some(()));
    let text = || Some(server.read(&file)).filter(|text| text.ends_with('\n'));
    let text = wait_until(&file, CEILING, text);
    Duration::from_millis(text.trim().parse().unwrap())
}

#[expect(clippy::print_stderr, reason = "figures for who runs this by hand")]
fn report(text: &str) {
    eprintln!("{text}");
}

#[test]
fn a_caller_that_stops_reading_slows_nobody_and_costs_nothing() {
    let bytes = 100_000_000;
    let server = pouring();
    let token = server.token();
    // With a caller that goes away at once, so that nobody reads at all.
    drop(server.api().start(pour("n1", bytes)).unwrap());
    let alone = took(&server, "n1");
    let usual = usage::memory(server.id(), "VmHWM");
    let before = usage::memory(server.id(), "VmRSS");
    usage::forget_peak(server.id());
    // A caller behind a connection from which nobody reads any more.
    let proxy = Proxy::new(server.address());
    let slow = Api::connect(proxy.address(), Some(&token));
    let mut run = slow.start(pour("n2", bytes)).unwrap();
    _ = run.read();
    proxy.hold(true);
    let id = run.id.clone();
    let other = server.api();
    let mut answers = Vec::new();
    let finished = || {
        let begin = Instant::now();
        assert_eq!(other.run(on("hello", "n1")).answer_of("n1"), "hello\n");
        answers.push(begin.elapsed());
        let over = other.run_now(&id).outcome() != Outcome::Unspecified;
        (server.has("took.n2") && over).then_some(())
    };
    wait_until("the script's end", 4 * CEILING, finished);
    let beside = took(&server, "n2");
    let peak = usage::memory(server.id(), "VmHWM");
    answers.sort();
    let median = answers[answers.len() / 2];
    report(&format!(
        "{bytes} bytes alone {alone:?}, beside a caller that does not read {beside:?}; memory {before} KiB, \
         peak {peak} KiB, {usual} KiB alone; other runs {median:?} (median of {})",
        answers.len()
    ));
    // That the script has ended shows that it waited for no reader: this one would have held it up
    // for good. How the times compare is for a machine that does nothing else.
    assert!(peak < before + 8 * 1024, "{before} KiB before, {peak} KiB");
    // All of it is there, for who comes later and for the slow one.
    let record = other.watch(&id, 0).unwrap().digest();
    assert_eq!(record.output, bytes);
    proxy.hold(false);
    let mut rest = Digest::of(&run.events);
    while let Some(event) = run.read().unwrap().cloned() {
        run.events.clear();
        rest.add(&event);
    }
    assert_eq!(rest, record);
    // The disk is given back with the site.
    assert!(fs::metadata(server.record(&id)).unwrap().len() >= bytes);
}
