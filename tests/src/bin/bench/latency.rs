//! How soon something is there: the first byte of a script, and a run that is taken up again.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    Scale,
    estate::{Estate, FANOUT},
    measure::{Measure, below, contender, median, side_by_side},
    timed::Sink,
};

/// From a script's own first write to its line's arrival at whoever reads the program's stdout,
/// with 64 of them running: the median of 64.
pub(crate) fn first_byte(scale: &Scale) -> Vec<Measure> {
    let estate = Estate::start(FANOUT, 0);
    let (set, fanout) = (format!("n[1-{FANOUT}]"), FANOUT.to_string());
    let path = estate.script("stamp").display().to_string();
    let words = ["-R", "exec", "-f", &fanout, "-w", &set, &path, "%h"];
    let contenders = vec![
        contender("Action", || delay(estate.client(&["stamp", "-g", "@*"]))),
        contender("pdsh", || delay(estate.peer("pdsh", &words))),
        contender("clush", || delay(estate.peer("clush", &words))),
        contender("GNU parallel", || {
            let line = format!("seq {FANOUT} | parallel -j {FANOUT} --tag --line-buffer {path}");
            delay(estate.peer("bash", &["-c", &line]))
        }),
    ];
    let title = format!("from a script's first write to its reader, {FANOUT} running, median");
    let series = side_by_side(scale.rounds, contenders);
    vec![Measure::new("first-byte", title, "ms", series).goal(below(5.0))]
}

/// The median over all nodes, in milliseconds. Each line is a name and when it was written.
fn delay(mut command: Command) -> f64 {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("the program");
    let stdout = BufReader::new(child.stdout.take().expect("its stdout"));
    let mut delays = Vec::new();
    for line in stdout.lines() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .as_secs_f64();
        let line = line.expect("text");
        let stamp = line
            .rsplit([' ', '\t'])
            .next()
            .and_then(|word| word.parse::<f64>().ok());
        delays.push((now - stamp.expect("a time")) * 1e3);
    }
    assert!(child.wait().expect("the program").success());
    assert_eq!(delays.len(), FANOUT);
    median(&delays)
}

/// A run that is shown again from its record, and one that is taken up near its end.
pub(crate) fn resume(scale: &Scale) -> Vec<Measure> {
    let estate = Estate::start(1, 0);
    let output = estate.server.path("output");
    let sink = Sink(&output);
    let all = 1_000_000 / scale.less;
    let count = all.to_string();
    sink.time(&mut estate.client(&["lines", "-g", "n1", &count]), all);
    let listed = estate
        .client(&["runs", "--output", "json"])
        .output()
        .expect("the client");
    let first: serde_json::Value = serde_json::from_slice(
        listed
            .stdout
            .split(|&byte| byte == b'\n')
            .next()
            .expect("a line"),
    )
    .expect("JSON");
    let run = first["run_id"].as_str().expect("an id").to_owned();
    let contenders = vec![
        contender("show again", || {
            sink.run(&mut estate.client(&["show", &run]))
        }),
        contender("the run itself", || {
            sink.time(&mut estate.client(&["lines", "-g", "n1", &count]), all)
        }),
    ];
    let title = format!("a run of {all} lines, shown again from its record");
    vec![Measure::new(
        "resume",
        title,
        "ms",
        side_by_side(scale.rounds, contenders),
    )]
}
