//! What it takes beside time: memory of the server and of the client; and how long the small verbs
//! take, up to 10,000 nodes.

use std::process::Stdio;

use action_tests::{CEILING, program::contains, usage, wait_until};

use super::{
    Scale,
    estate::Estate,
    measure::{Measure, at_most, below, contender, median, side_by_side},
    timed::{Sink, mebibytes},
};

/// The server's memory: idle, with a thousand jobs, and after much output; the client's peak.
pub(crate) fn memory(scale: &Scale) -> Vec<Measure> {
    let resident = |estate: &Estate| mebibytes(usage::memory(estate.server.id(), "VmRSS"));
    let jobs = 1000 / scale.less.min(10);
    let one = |value: f64| vec![("Action".to_owned(), vec![value])];
    let estate = Estate::start(jobs, jobs);
    let idle = resident(&estate);
    let _gate = estate.server.gate("gate");
    let mut command = estate.client(&["wait", "-g", "@*"]);
    let mut client = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the client");
    wait_until("all jobs", 4 * CEILING, || {
        (estate.server.scripts().len() >= jobs).then_some(())
    });
    let loaded = resident(&estate);
    // The jobs end with the server.
    client.kill().expect("the client to be there");
    client.wait().expect("the client's end");
    drop(estate);
    let title = format!("memory of the server with {jobs} jobs running");
    let mut measures = vec![
        Measure::new(
            "memory-idle",
            "memory of the server, idle",
            "MiB",
            one(idle),
        )
        .goal(below(20.0)),
        Measure::new("memory-jobs", title, "MiB", one(loaded)).goal(below(150.0)),
    ];
    measures.extend(memory_of_output(scale));
    measures
}

fn memory_of_output(scale: &Scale) -> Vec<Measure> {
    let output = "/dev/null".as_ref();
    let sink = Sink(output);
    let peak = |mebibytes_of_output: usize| {
        let estate = Estate::start(1, 0);
        let count = (mebibytes_of_output << 20).to_string();
        sink.run(&mut estate.client(&["bulk", "n1", &count]));
        mebibytes(usage::memory(estate.server.id(), "VmHWM"))
    };
    let (little, much) = (16, 256 / scale.less.min(8));
    let contenders = vec![
        contender("Action, much", || peak(much)),
        contender("Action, little", || peak(little)),
    ];
    let title = format!("peak of the server's memory, {much} MiB of output against {little}");
    let series = side_by_side(scale.rounds.min(3), contenders);
    let server =
        Measure::new("memory-output", title, "MiB", series).goal(at_most(1.15, "Action, little"));

    let estate = Estate::start(1, 0);
    let lines = 1_000_000 / scale.less;
    let count = lines.to_string();
    let contenders = vec![contender("Action", || {
        sink.peak(&mut estate.client(&["lines", "-g", "n1", &count]))
    })];
    let title = format!("peak of the client's memory over {lines} lines");
    let series = side_by_side(scale.rounds.min(3), contenders);
    vec![
        server,
        Measure::new("memory-client", title, "MiB", series).goal(below(20.0)),
    ]
}

/// `--help`, `nodes`, a dry run and the completion of a node's name, each as a whole program.
pub(crate) fn small_verbs(scale: &Scale) -> Vec<Measure> {
    let nodes = 10_000;
    let estate = Estate::start(nodes, 0);
    let output = estate.server.path("output");
    let sink = Sink(&output);
    sink.time(&mut estate.client(&["nodes"]), nodes);
    let complete = ["__complete", "bash", "hello", "n999"];
    // The first asks for what the next ones know.
    wait_until("completions", CEILING, || {
        sink.run(&mut estate.client(&complete));
        contains(&std::fs::read(&output).expect("the output"), b"n999").then_some(())
    });
    // Each is a few milliseconds: a round is the median of many.
    let measure_with = |config: &str, id: &str, title: &str, words: &[&str]| {
        let config = estate.server.path(config);
        let often = || {
            let times: Vec<f64> = (0..15)
                .map(|_| {
                    let mut client = estate.client(words);
                    sink.run(client.env("ACTION_CLIENT_CONFIG", &config))
                })
                .collect();
            median(&times)
        };
        Measure::new(
            id,
            title,
            "ms",
            side_by_side(scale.rounds, vec![contender("Action", often)]),
        )
    };
    let measure =
        |id: &str, title: &str, words: &[&str]| measure_with("client.yaml", id, title, words);
    // Nobody listens on port 1.
    let away = estate.server.read("client.yaml");
    let away = away.replace(&estate.url(), "https://localhost:1");
    estate.server.write("away.yaml", away);
    let without = "action-client --help, the server away";
    vec![
        measure_with("away.yaml", "help", without, &["--help"]).goal(below(5.0)),
        measure(
            "help-asked",
            "action-client --help, with what the server has",
            &["--help"],
        ),
        measure("nodes", "action-client nodes, 10,000 of them", &["nodes"]).goal(below(50.0)),
        measure(
            "plan",
            "a dry run on 10,000 nodes",
            &["hello", "-g", "@*", "--dry-run"],
        ),
        measure("complete", "completion of a name among 10,000", &complete),
    ]
}
