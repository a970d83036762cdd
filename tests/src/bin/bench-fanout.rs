//! What a run costs beside its scripts: a run of many nodes through the real server, over TCP,
//! against a bare loop that spawns the same scripts, as many at once, and reads what they write.
//!
//! `cargo run --release -p action-tests --bin bench-fanout`; the goal is a ratio of 1.5 or less.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it reports to whoever runs it, and stops at what it does not expect"
)]

use std::{
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use action_tests::{
    bench::{FANOUT, NODES, median, ratio, site, time_of_run},
    program::PATH,
};
use tokio::{process::Command, runtime::Runtime, sync::Semaphore, task::JoinSet};

const ROUNDS: usize = 5;

fn main() {
    let site = site();
    let script = site.path("libexec/hello/default.sh");
    let server = site.start();
    let api = server.api();
    let runtime = Runtime::new().unwrap();

    // The first of each fills caches.
    time_of_run(&api);
    bare(&runtime, &script);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        ours.push(time_of_run(&api));
        theirs.push(bare(&runtime, &script));
        let (ours, theirs) = (ours[round - 1], theirs[round - 1]);
        println!("round {round}: server {ours:.0?}, bare loop {theirs:.0?}");
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ratio(ours, theirs);
    println!(
        "medians of {ROUNDS}, {NODES} scripts, {FANOUT} at once: \
         server {ours:.0?}, bare loop {theirs:.0?}, ratio {ratio:.2}"
    );
}

/// What a script finds in its environment beside its node's name: the server sets this too.
const ENVIRONMENT: [(&str, &str); 11] = [
    ("PATH", PATH),
    ("HOME", "/root"),
    ("USER", "root"),
    ("LOGNAME", "root"),
    ("SHELL", "/bin/sh"),
    ("LANG", "C.UTF-8"),
    ("SCRIPT_ROOT", "/nowhere/libexec"),
    ("command", "hello"),
    ("run_id", "0123456789abcdef"),
    ("request_username", "admin"),
    ("request_uid", ""),
];

/// The same scripts without a server.
fn bare(runtime: &Runtime, script: &Path) -> Duration {
    let began = Instant::now();
    let outputs = runtime.block_on(async {
        let permits = Arc::new(Semaphore::new(FANOUT));
        let mut jobs = JoinSet::new();
        for number in 1..=NODES {
            let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
            let mut command = Command::new(script);
            command.env_clear().envs(ENVIRONMENT);
            command.env("name", format!("n{number}"));
            command.current_dir("/").stdin(Stdio::null());
            command.process_group(0);
            jobs.spawn(async move {
                let output = command.output().await.unwrap();
                drop(permit);
                assert!(output.status.success());
                output.stdout
            });
        }
        jobs.join_all().await
    });
    let took = began.elapsed();
    assert_eq!(outputs.len(), NODES);
    assert!(outputs.contains(&b"hello from n1000\n".to_vec()));
    took
}
