//! What the benches share: an estate of many nodes with a script of one line, a run over all of
//! them, and medians.

use std::time::{Duration, Instant};

use action_proto::v1::Outcome;

use crate::{api::Api, on, site::Site};

/// How many nodes there are, and so scripts in a run.
pub const NODES: usize = 1000;
/// How many scripts run at once.
pub const FANOUT: usize = 64;
/// What each script prints, but for the node's name.
const SCRIPT: &str = "echo \"hello from $name\"";

/// A site of these nodes with the command `hello`.
///
/// # Panics
/// This is a debug build, and with it the server: its figures would say nothing.
pub fn site() -> Site {
    if cfg!(debug_assertions) {
        panic!("benches are for release builds: add --release");
    }
    let site = Site::new();
    let nodes = (1..=NODES).map(|number| format!("n{number}: {{}}\n"));
    site.nodes(&nodes.collect::<String>());
    let metadata = format!("help: {{summary: s}}\nfanout: {FANOUT}");
    site.command_with("hello", &metadata, SCRIPT);
    site
}

/// How long a whole run takes, to its last event with all output.
pub fn time_of_run(api: &Api) -> Duration {
    let began = Instant::now();
    let run = api.start(on("hello", "@*")).unwrap();
    let run = run.finish_unchecked();
    let took = began.elapsed();
    assert_eq!(run.summary().outcome(), Outcome::Ok);
    assert_eq!(run.stdout_of("n1000"), b"hello from n1000\n");
    took
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How many times as long one is as the other.
pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// A policy of 30 rules, of which each concerns a caller with the role `op`, and it takes 25 to
/// cover all nodes.
pub fn rules(nodes: usize) -> String {
    let parts = 25.min(nodes);
    let allow = (0..parts).map(|at| {
        let (first, last) = (at * nodes / parts + 1, (at + 1) * nodes / parts);
        format!(
            "- {{name: share {at}, allow: [run, 'read:own', 'cancel:own'], roles: [op], commands: ['*'], nodes: 'n[{first}-{last}]'}}\n"
        )
    });
    let deny = (0..5).map(|at| {
        format!(
            "- {{name: no {at}, deny: [run], nodes: 'n[1-{nodes}],gone[1-50]', arguments: ['-f{at}']}}\n"
        )
    });
    let rules: String = allow.chain(deny).collect();
    format!("rules:\n{rules}")
}
