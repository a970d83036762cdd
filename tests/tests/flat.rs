//! What the server takes does not grow with what it has done, nor much with what it knows.

use std::thread;

use action_proto::v1::Outcome;
use action_tests::{Api, CEILING, Server, Site, on, rounds, usage, wait_until};

#[expect(clippy::print_stderr, reason = "figures for who runs this by hand")]
fn report(text: &str) {
    eprintln!("{text}");
}

/// Runs the command so many times from two callers at once, which also look at runs.
fn work(apis: &[Api], runs: u64) {
    thread::scope(|scope| {
        for api in apis {
            scope.spawn(move || {
                for at in 0..runs / apis.len() as u64 {
                    let run = api.run(on("hello", "n1"));
                    assert_eq!(run.end_of("n1").outcome(), Outcome::Ok);
                    if at % 20 == 0 {
                        api.get_run(&run.id).unwrap();
                        assert_eq!(api.ended(&run.id).events, run.events);
                    }
                }
            });
        }
    });
}

#[test]
fn memory_and_descriptors_do_not_grow_with_runs() {
    let site = Site::new();
    site.command("hello", "echo hello; echo world >&2");
    let server = site.start();
    let id = server.id();
    let apis = [server.api(), server.api()];
    // The allocator and the index of the records have their first pages then.
    work(&apis, 300);
    let before = (usage::memory(id, "VmRSS"), usage::descriptors(id).len());
    let runs = rounds(1000);
    work(&apis, runs);
    let settled = || (usage::descriptors(id).len() <= before.1).then_some(());
    wait_until("descriptors to be closed", CEILING, settled);
    let after = usage::memory(id, "VmRSS");
    report(&format!(
        "{runs} runs: {} KiB before, {after} KiB after",
        before.0
    ));
    assert_eq!(usage::children(id), []);
    // A few hundred bytes a run for the index of the records, and no more.
    let allowed = before.0 + 1024 + runs / 2;
    assert!(
        after <= allowed,
        "{} KiB before, {after} KiB after",
        before.0
    );
}

#[test]
fn memory_does_not_grow_with_output() {
    let site = Site::new();
    site.command("pour", "head -c 40000000 /dev/zero | tr '\\0' x");
    let server = site.start();
    let api = server.api();
    let pour = || drop(api.run(on("pour", "n1")));
    pour();
    let before = usage::memory(server.id(), "VmRSS");
    (0..3).for_each(|_| pour());
    let after = usage::memory(server.id(), "VmRSS");
    assert!(
        after < before + 8 * 1024,
        "{before} KiB before, {after} KiB after"
    );
}

#[test]
fn an_idle_server_with_ten_thousand_nodes_is_small() {
    let site = Site::new();
    let node = |number| {
        format!("n{number:05}: {{ranks: [aws], aws_region: eu-west-2, ec2_id: i-{number:012}}}\n")
    };
    site.nodes(&(0..10_000).map(node).collect::<String>());
    site.command("hello", "echo hello");
    let server: Server = site.start();
    assert_eq!(
        server.api().run(on("hello", "n00017")).answer_of("n00017"),
        "hello\n"
    );
    let memory = usage::memory(server.id(), "VmRSS");
    report(&format!("10,000 nodes: {memory} KiB"));
    assert!(memory < 40 * 1024, "{memory} KiB");
}
