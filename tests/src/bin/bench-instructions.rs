//! How many instructions the hot paths take, against what they took when that was last written down:
//! a node's run in the server, a mebibyte of output through the server, a line shown by the client.
//!
//! `.ci/bench` runs it on the programs that the tests use. Times differ from machine to machine and
//! hour to hour; instructions do so hardly at all. Each is counted by valgrind for a little work and
//! for more, and the difference is what counts: starting up is in both. `UPDATE=1` writes them down
//! anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it reports to whoever runs it, and stops at what it does not expect"
)]

use std::{env, fs, path::PathBuf, process::ExitCode};

use action_proto::v1::Outcome;
use action_tests::{
    Server, Site, on,
    program::{program, write_script},
    with_arguments,
};
use serde_json::{Map, Value};

/// How many times what was written down may be counted: room for other compilers and for the order
/// in which threads get their turn.
const ROOM: f64 = 1.2;

fn main() -> ExitCode {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fixtures", "instructions.json"]
        .iter()
        .collect();
    let text = fs::read(&path).unwrap_or_default();
    let known: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
    let counted = [
        (
            "server: a node of a run",
            (of_nodes(150) - of_nodes(50)) / 100,
        ),
        (
            "server: a MiB of output",
            (of_output(40) - of_output(8)) / 32,
        ),
        (
            "client: a line with its node's name",
            (of_lines(120_000) - of_lines(20_000)) / 100_000,
        ),
    ];
    if env::var_os("UPDATE").is_some() {
        let new: Map<String, Value> = counted
            .iter()
            .map(|(what, count)| ((*what).to_owned(), (*count).into()))
            .collect();
        fs::write(&path, format!("{:#}\n", Value::Object(new))).unwrap();
    }
    let mut code = ExitCode::SUCCESS;
    for (what, count) in counted {
        let was = known.get(what).and_then(Value::as_i64);
        let ratio = was.map_or(f64::NAN, |was| count as f64 / was as f64);
        println!("{what}: {count} instructions, {ratio:.2} times what was written down");
        if ratio > ROOM {
            println!("error: more than {ROOM} times; if that is worth it: UPDATE=1 .ci/bench");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn site(nodes: usize) -> Site {
    let site = Site::new();
    site.nodes(
        &(1..=nodes)
            .map(|number| format!("n{number}: {{}}\n"))
            .collect::<String>(),
    );
    let metadata = "help: {summary: s}\noutput_limit: none\n";
    site.command_with("hello", metadata, "echo \"hello from $name\"");
    site.command_with("bulk", metadata, "head -c \"$1\" /dev/zero");
    site.command_with(
        "lines",
        metadata,
        "yes 'a line of forty characters, as usual it is' | head -n \"$1\"",
    );
    site
}

/// Has a program of the site run under valgrind from now on.
fn count(site: &Site, name: &str) {
    let (link, log) = (site.path("bin").join(name), site.path("counted"));
    fs::remove_file(&link).unwrap();
    let line = format!(
        "#!/bin/sh\nexec valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null --log-file={} {} \"$@\"\n",
        log.display(),
        program(name).display()
    );
    write_script(&link, line);
}

/// What was counted until the program ended.
fn counted(site: &Site) -> i64 {
    let text = site.read("counted");
    let line = text
        .lines()
        .find_map(|line| line.split_once("refs:"))
        .unwrap_or_else(|| panic!("{text}"));
    let digits: String = line.1.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn with_server(nodes: usize, work: impl FnOnce(&Server)) -> i64 {
    let site = site(nodes);
    count(&site, "action-server");
    let server = site.start();
    work(&server);
    counted(&server.stop())
}

fn of_nodes(nodes: usize) -> i64 {
    with_server(150, |server| {
        let run = server.api().run(on("hello", &format!("n[1-{nodes}]")));
        assert_eq!(run.summary().outcome(), Outcome::Ok);
    })
}

fn of_output(mebibytes: usize) -> i64 {
    with_server(1, |server| {
        let bytes = (mebibytes << 20).to_string();
        let run = server.api().run(with_arguments("bulk", "n1", &[&bytes]));
        assert_eq!(run.stdout_of("n1").len(), mebibytes << 20);
    })
}

fn of_lines(lines: usize) -> i64 {
    let site = site(1);
    let server = site.start();
    let client = server.client();
    count(&server, "action-client");
    let ran = client.run(&["lines", "-g", "n1", &lines.to_string()]).ok();
    assert_eq!(
        ran.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        lines
    );
    counted(&server)
}
