//! Many nodes: a script of one line on each, so many at once, by this project, by the peers, and by
//! a bare loop that spawns the scripts and reads what they write.

use std::{path::Path, process::Stdio, sync::Arc, time::Instant};

use action_tests::program::PATH;
use tokio::{process::Command, runtime::Runtime, sync::Semaphore, task::JoinSet};

use super::{
    Scale,
    estate::{Estate, FANOUT},
    measure::{Measure, at_most, contender, median, side_by_side},
    timed::{Sink, millis},
};

/// What a script finds in its environment beside its node's name: the server sets this too.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("PATH", PATH),
    ("HOME", "/root"),
    ("USER", "root"),
    ("LOGNAME", "root"),
    ("SHELL", "/bin/sh"),
    ("LANG", "C.UTF-8"),
    ("ranks", "metal"),
    ("ip", "10.0.0.1"),
    ("SCRIPT_ROOT", "/nowhere/libexec"),
    ("command", "hello"),
    ("run_id", "0123456789abcdef"),
    ("request_username", "admin"),
    ("request_uid", ""),
];

/// 100, 1,000 and 10,000 nodes; and from these what a node costs as they become more.
pub(crate) fn measure(scale: &Scale) -> Vec<Measure> {
    let mut measures: Vec<Measure> = Vec::new();
    let mut costs = Vec::new();
    for nodes in scale.nodes {
        let measure = of(*nodes, scale);
        let cost = |at: usize| median(&measure.series[at].1) / *nodes as f64;
        costs.push((*nodes, cost(0), cost(1)));
        measures.push(measure);
    }
    if let [.., (_, small, bare_small), (nodes, large, bare_large)] = costs[..] {
        let title = format!("cost of a node at {nodes} against a tenth of them");
        let series = vec![
            ("Action".to_owned(), vec![large / small]),
            ("bare loop".to_owned(), vec![bare_large / bare_small]),
        ];
        let growth = Measure::new("growth", title, "times", series);
        measures.push(growth.goal(at_most(1.0, "bare loop")));
    }
    measures
}

fn of(nodes: usize, scale: &Scale) -> Measure {
    let estate = Estate::start(nodes, 0);
    let (output, script) = (estate.server.path("output"), estate.script("hello"));
    let (sink, path) = (Sink(&output), script.display().to_string());
    let runtime = Runtime::new().expect("a runtime");
    let (set, fanout) = (format!("n[1-{nodes}]"), FANOUT.to_string());
    let mut contenders = vec![
        contender("Action", || {
            sink.time(&mut estate.client(&["hello", "-g", "@*"]), nodes)
        }),
        contender("bare loop", || bare(&runtime, &script, nodes, FANOUT)),
    ];
    if nodes <= scale.peers_up_to {
        contenders.push(contender("pdsh", || {
            let words = ["-R", "exec", "-f", &fanout, "-w", &set, &path, "%h"];
            sink.time(&mut estate.peer("pdsh", &words), nodes)
        }));
        contenders.push(contender("clush", || {
            let words = ["-R", "exec", "-f", &fanout, "-w", &set, &path, "%h"];
            sink.time(&mut estate.peer("clush", &words), nodes)
        }));
        contenders.push(contender("GNU parallel", || {
            let line = format!("seq -f n%.0f {nodes} | parallel -j {fanout} --tag {path}");
            sink.time(&mut estate.peer("bash", &["-c", &line]), nodes)
        }));
    }
    let measure = Measure::new(
        format!("fanout-{nodes}"),
        format!("{nodes} nodes, {FANOUT} at once"),
        "ms",
        side_by_side(scale.rounds, contenders),
    );
    if nodes != 1000 {
        return measure;
    }
    let third = 1.0 / 3.0;
    measure
        .goal(at_most(1.15, "bare loop"))
        .goal(at_most(third, "pdsh"))
        .goal(at_most(third, "clush"))
}

/// The same scripts without a server: milliseconds.
pub(crate) fn bare(runtime: &Runtime, script: &Path, nodes: usize, at_once: usize) -> f64 {
    let began = Instant::now();
    let outputs = runtime.block_on(async {
        let permits = Arc::new(Semaphore::new(at_once));
        let mut jobs = JoinSet::new();
        for number in 1..=nodes {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let mut command = bare_script(script, number);
            jobs.spawn(async move {
                let output = command.output().await.expect("the script");
                drop(permit);
                assert!(output.status.success());
                output.stdout
            });
        }
        jobs.join_all().await
    });
    let took = began.elapsed();
    assert_eq!(outputs.len(), nodes);
    assert!(outputs.contains(&format!("hello from n{nodes}\n").into_bytes()));
    millis(took)
}

/// A script as the server would start it.
pub(crate) fn bare_script(script: &Path, number: usize) -> Command {
    let mut command = Command::new(script);
    command.env_clear().envs(ENVIRONMENT);
    command.env("name", format!("n{number}"));
    command.current_dir("/").stdin(Stdio::null());
    command.process_group(0);
    command
}
