//! Callers whose connection is cut, and who go on where they were: what they have in the end is
//! what the record has, byte for byte.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use action_proto::v1::{Outcome, RunEvent, run_event::Event};
use action_tests::{
    Api, CEILING, Chance, Client, Digest, Gate, Proxy, Server, Site, on, processes,
    program::contains, rounds, wait_until,
};
use rustix::process::Signal;

/// 10 nodes of 10,000 lines each, in four parts: between them they wait.
const LINES: &str = r#"
for part in 1 2 3 4; do
  for line in {1..2500}; do echo "$name part $part line $line ....................."; done
  [[ $part = 4 ]] || read -r < "$SCRIPT_ROOT/../gate.$name.$part"
done
"#;
const NODES: usize = 10;
/// About what the lines of a part are on the way, in bytes: less is cut off, so that most cuts
/// come while the run goes on.
const ON_THE_WAY: u64 = 2_500_000;
/// An event with all that is before it on a connection, in bytes: about.
const LARGEST_EVENT: u64 = 70_000;
/// A connection that is not cut for so long has sent all that there is.
const IDLE: Duration = Duration::from_millis(300);

struct Long {
    server: Server,
    gates: [Vec<Gate>; 3],
}

/// A server with the long command.
fn long() -> Long {
    let site = Site::new();
    let names: Vec<_> = (0..NODES).map(|number| format!("n{number}")).collect();
    let nodes: String = names.iter().map(|name| format!("{name}:\n")).collect();
    site.nodes(&nodes);
    site.command("lines", LINES);
    let gate = |part| {
        let gate = |name| site.gate(&format!("gate.{name}.{part}"));
        names.iter().map(gate).collect()
    };
    let gates = [1, 2, 3].map(gate);
    Long {
        server: site.start(),
        gates,
    }
}

impl Long {
    /// Lets every node through to its next part.
    fn open(&self, part: usize) {
        self.gates[part].iter().for_each(Gate::open);
    }

    /// Lets through who waits, once enough is cut or nothing more comes: to be called again and
    /// again.
    fn open_after(&self, proxy: &Proxy, cuts: u64, idle: Duration) {
        for (gates, part) in self.gates.iter().zip(1..) {
            if proxy.cuts() >= part * cuts / 4 || idle > IDLE {
                gates.iter().for_each(|gate| _ = gate.try_open());
            }
        }
    }

    /// All of a node's lines.
    fn lines(node: usize) -> String {
        let part = |part| {
            let line =
                move |line| format!("n{node} part {part} line {line} .....................\n");
            (1..=2500).map(line)
        };
        (1..=4).flat_map(part).collect()
    }
}

/// Reads events after `after` through the proxy until the connection is cut or the run is over.
fn read(proxy: &Proxy, token: &str, id: &str, transcript: &mut Vec<RunEvent>) {
    let api = Api::connect(proxy.address(), Some(token));
    let after = transcript.last().map_or(0, |event| event.sequence);
    if let Ok(watch) = api.watch(id, after) {
        transcript.extend(watch.rest().0);
    }
}

fn is_over(transcript: &[RunEvent]) -> bool {
    let last = transcript.last().and_then(|event| event.event.as_ref());
    matches!(last, Some(Event::RunFinished(_)))
}

#[test]
fn a_caller_that_is_cut_a_hundred_times_has_what_the_record_has() {
    let mut chance = Chance::new();
    let long = long();
    let proxy = Proxy::new(long.server.address());
    let token = long.server.token();
    // The first connection of all is cut too: the id came in the header before any event.
    let api = Api::connect(proxy.address(), Some(&token));
    proxy.cut_after(2_000);
    let mut run = api.start(on("lines", "@*")).unwrap();
    while matches!(run.read(), Ok(Some(_))) {}
    let (id, mut transcript) = (run.id, run.events);
    let cuts = rounds(100);
    let (mut broken, mut stuck) = (BTreeSet::new(), false);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut cut, mut since) = (0, Instant::now());
            wait_until("all cuts", 4 * CEILING, || {
                if proxy.cuts() != cut {
                    (cut, since) = (proxy.cuts(), Instant::now());
                }
                long.open_after(&proxy, cuts, since.elapsed());
                over.load(Ordering::Acquire).then_some(())
            });
        });
        while !is_over(&transcript) {
            // Some connections die before an event has come through whole: the next does not.
            let least = if stuck { LARGEST_EVENT } else { 1 };
            if proxy.cuts() < cuts {
                proxy.cut_after(least + chance.below(2 * ON_THE_WAY / cuts));
            }
            read(&proxy, &token, &id, &mut transcript);
            stuck = !broken.insert(transcript.len());
        }
        over.store(true, Ordering::Release);
    });
    // Cuts that did not come in time come now, anywhere in what there was.
    let mut pieces = Vec::new();
    while proxy.cuts() < cuts {
        let after = usize::try_from(chance.below(transcript.len() as u64)).unwrap();
        let mut piece = transcript[..after].to_vec();
        proxy.cut_after(1 + chance.below(ON_THE_WAY / cuts));
        read(&proxy, &token, &id, &mut piece);
        pieces.push(piece);
    }
    assert!(broken.len() > 10, "cut at {} places only", broken.len());
    let record = long.server.api().ended(&id);
    assert!(
        transcript == record.events,
        "the transcript is not the record"
    );
    for node in 0..NODES {
        let written = record.stdout_of(&format!("n{node}"));
        assert!(written == Long::lines(node).as_bytes(), "n{node}");
    }
}

#[test]
fn a_client_whose_connection_is_cut_shows_every_byte_once() {
    let mut chance = Chance::new();
    let long = long();
    let proxy = Proxy::new(long.server.address());
    let client = through(&long.server, &proxy);
    let cuts = rounds(100) / 10;
    let mut running = client.start(&["run", "lines", "-g", "@*"]);
    let (mut cut, mut since) = (0, Instant::now());
    proxy.cut_after(1 + chance.below(2 * ON_THE_WAY / cuts));
    wait_until("the client's end", CEILING, || {
        if proxy.cuts() != cut {
            (cut, since) = (proxy.cuts(), Instant::now());
            if cut < cuts {
                proxy.cut_after(1 + chance.below(2 * ON_THE_WAY / cuts));
            }
        }
        long.open_after(&proxy, cuts, since.elapsed());
        (!running.is_running()).then_some(())
    });
    let ran = running.finish().ok();
    assert!(proxy.cuts() > cuts / 2, "{} cuts", proxy.cuts());
    for node in 0..NODES {
        let prefix = format!("n{node}: ");
        let stdout = ran.stdout();
        let own = stdout.lines().filter_map(|line| line.strip_prefix(&prefix));
        let own: String = own.flat_map(|line| [line, "\n"]).collect();
        assert!(own == Long::lines(node), "n{node}");
    }
    assert!(
        ran.stderr().contains("reconnected to run"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().ends_with("ok n[0-9] (10)\n"),
        "{}",
        ran.stderr()
    );
}

/// The client, configured for a proxy of the server.
fn through(server: &Server, proxy: &Proxy) -> Client {
    let client = server.client();
    client.variable(
        "ACTION_CLIENT_BASE_URL",
        format!("http://{}", proxy.address()),
    )
}

#[test]
fn a_client_that_is_killed_takes_nothing_with_it() {
    let mut chance = Chance::new();
    let long = long();
    let client = long.server.client();
    let mut running = client.start(&["run", "lines", "-g", "@*"]);
    running.wait_for("n7: n7 part 1 line 25");
    processes::signal(running.id(), Signal::KILL);
    let killed = running.finish();
    assert_eq!(killed.code(), 128 + 9);
    let runs = long
        .server
        .api()
        .list_runs(action_proto::v1::ListRunsRequest::default());
    let id = runs.unwrap().runs[0].run_id.clone();
    // Others attach, and are killed at any moment.
    for part in 0..3 {
        long.open(part);
        let attached = client.start(&["attach", &id[..6]]);
        thread::park_timeout(Duration::from_millis(chance.below(120)));
        processes::signal(attached.id(), Signal::KILL);
        _ = attached.finish();
    }
    let attached = client.run(&["attach", &id]).ok();
    assert!(
        attached
            .stdout
            .starts_with(&killed.stdout[..killed.stdout.len().min(4096)])
    );
    let record = long.server.api().ended(&id);
    assert_eq!(record.summary().outcome(), Outcome::Ok);
    for node in 0..NODES {
        let last = format!("n{node}: n{node} part 4 line 2500 ");
        assert!(contains(&attached.stdout, last.as_bytes()), "n{node}");
    }
}

#[test]
fn a_caller_that_comes_back_has_what_came_meanwhile_and_what_comes() {
    let site = Site::new();
    site.command("talk", "echo one; read -r < \"$SCRIPT_ROOT/../a\"; echo two; read -r < \"$SCRIPT_ROOT/../b\"; echo three");
    let gates = ["a", "b"].map(|name| site.gate(name));
    let server = site.start();
    let mut run = server.api().start(on("talk", "n1")).unwrap();
    run.wait_for("n1", "one\n");
    let (id, mut transcript) = (run.id.clone(), run.events.clone());
    drop(run);
    gates[0].open();
    // From another connection, while the run goes on.
    let after = transcript.len() as u64;
    let mut watch = server.api().watch(&id, after).unwrap();
    assert_eq!(watch.read().unwrap().unwrap().sequence, after + 1);
    gates[1].open();
    transcript.extend(watch.rest().0);
    let record = server.api().ended(&id);
    assert_eq!(Digest::of(&transcript), Digest::of(&record.events));
    assert_eq!(record.answer_of("n1"), "one\ntwo\nthree\n");
}
