//! Much output: many lines of one node and of ten, long lines, and bytes.

use super::{
    Scale, bare_stream,
    estate::Estate,
    measure::{Measure, at_least, at_most, contender, side_by_side},
    timed::Sink,
};

/// A million lines, from one node or from ten at once.
pub(crate) fn lines(nodes: usize, scale: &Scale) -> Vec<Measure> {
    let all = 1_000_000 / scale.less;
    let series = with_names(scale, "lines", nodes, all / nodes);
    let from = if nodes == 1 {
        "one node"
    } else {
        "ten nodes at once"
    };
    let title = format!("{all} lines from {from}, each with its node's name");
    let measure = Measure::new(format!("lines-{nodes}"), title, "ms", series);
    vec![
        measure
            .goal(at_most(0.25, "pdsh"))
            .goal(at_most(0.6, "GNU parallel")),
    ]
}

/// Lines of 10,000 bytes.
pub(crate) fn long(scale: &Scale) -> Vec<Measure> {
    let lines = 10_000 / scale.less;
    let series = with_names(scale, "long", 1, lines);
    let title = format!("{lines} lines of 10,000 bytes from one node, each with its node's name");
    vec![Measure::new("long-lines", title, "ms", series)]
}

fn with_names(scale: &Scale, command: &str, nodes: usize, lines: usize) -> Vec<(String, Vec<f64>)> {
    let estate = Estate::start(10, 0);
    let output = estate.server.path("output");
    let (sink, path) = (Sink(&output), estate.script(command).display().to_string());
    let (set, count, total) = (format!("n[1-{nodes}]"), lines.to_string(), lines * nodes);
    let mut contenders = vec![
        contender("Action", || {
            sink.time(&mut estate.client(&[command, &count, "-g", &set]), total)
        }),
        contender("pdsh", || {
            let words = ["-R", "exec", "-w", &set, &path, &count, "%h"];
            sink.time(&mut estate.peer("pdsh", &words), total)
        }),
        contender("GNU parallel", || {
            let line =
                format!("seq -f n%.0f {nodes} | parallel -j 10 --tag --line-buffer {path} {count}");
            sink.time(&mut estate.peer("bash", &["-c", &line]), total)
        }),
    ];
    // It takes a quarter of a minute for a million lines: once is enough.
    if nodes == 1 {
        contenders.push(contender("clush", || {
            let words = ["-R", "exec", "-w", &set, &path, &count, "%h"];
            sink.time(&mut estate.peer("clush", &words), total)
        }));
    }
    side_by_side(scale.rounds, contenders)
}

/// Bytes of one node, unchanged, against a bare stream of the same messages.
pub(crate) fn bulk(scale: &Scale) -> Vec<Measure> {
    let mebibytes = 256 / scale.less.min(8);
    let bytes = mebibytes << 20;
    let estate = Estate::start(1, 0);
    let output = "/dev/null".as_ref();
    let sink = Sink(output);
    let bare = bare_stream::Bare::start(&estate, false);
    let tuned = bare_stream::Bare::start(&estate, true);
    let count = bytes.to_string();
    let rate = |millis: f64| mebibytes as f64 / millis * 1e3;
    let contenders = vec![
        contender("Action", || {
            rate(sink.run(&mut estate.client(&["bulk", "n1", &count])))
        }),
        contender("bare TLS stream", || {
            rate(sink.run(&mut bare.client(bytes)))
        }),
        contender("the same, tuned", || {
            rate(sink.run(&mut tuned.client(bytes)))
        }),
    ];
    let series = side_by_side(scale.rounds, contenders);
    let title =
        format!("{mebibytes} MiB from one node, recorded, against a bare tonic stream over TLS");
    vec![Measure::new("bulk", title, "MiB/s", series).goal(at_least(0.7, "bare TLS stream"))]
}
