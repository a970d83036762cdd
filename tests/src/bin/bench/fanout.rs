//! Many nodes: a script of one line on each, so many at once, by this project, by the peers, and by
//! a bare loop that spawns the scripts and reads what they write.

use std::{path::Path, process::Stdio, sync::Arc, time::Instant};

use action_tests::program::PATH;
use tokio::{process::Command, runtime::Runtime, sync::Semaphore, task::JoinSet};

use super::{
    Scale,
    estate::{Estate, FANOUT},
    figures::Figures,
    measure::{Measure, at_most, below, contender, side_by_side},
    timed::{Sink, millis},
};

/// The most nodes that the peers are given: they take minutes for ten times as many.
const MOST_OF_PEERS: usize = 1000;

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

/// A run on so many nodes.
pub(crate) fn measure(nodes: usize, scale: &Scale) -> Vec<Measure> {
    vec![of(nodes / scale.less.min(10), scale)]
}

/// What a node costs at 10,000 against what it costs at 1,000, from their figures.
pub(crate) fn growth(figures: &Figures) -> Option<Measure> {
    let cost = |nodes: f64, who: &str| {
        let measure = figures.get(&format!("fanout-{nodes}"))?;
        let series = measure["series"].as_array()?;
        let series = series.iter().find(|series| series["who"] == who)?;
        Some(series["median"].as_f64()? / nodes)
    };
    let whom = ["Action", "bare loop", "pdsh", "clush", "GNU parallel"];
    let grown = whom.map(|who| Some((who.to_owned(), vec![cost(1e4, who)? / cost(1e3, who)?])));
    let title = "cost of a node at 10,000 against 1,000";
    let measure = Measure::new(
        "growth",
        title,
        "times",
        grown.into_iter().flatten().collect(),
    );
    (!measure.series.is_empty()).then(|| measure.goal(below(1.0)))
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
    let peers = [
        contender("pdsh", || {
            let words = ["-R", "exec", "-f", &fanout, "-w", &set, &path, "%h"];
            sink.time(&mut estate.peer("pdsh", &words), nodes)
        }),
        contender("clush", || {
            let words = ["-R", "exec", "-f", &fanout, "-w", &set, &path, "%h"];
            sink.time(&mut estate.peer("clush", &words), nodes)
        }),
        contender("GNU parallel", || {
            let line = format!("seq -f n%.0f {nodes} | parallel -j {fanout} --tag {path}");
            sink.time(&mut estate.peer("bash", &["-c", &line]), nodes)
        }),
    ];
    if nodes <= MOST_OF_PEERS {
        contenders.extend(peers);
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
