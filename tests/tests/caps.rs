//! How much output of a job is kept: exactly what is allowed, and the rest is counted.

use std::fs;

use action_proto::v1::Outcome;
use action_tests::{Ended, Server, Site, with_arguments};

/// Writes so many bytes to stdout and then to stderr.
const POUR: &str = r#"
head -c "$1" /dev/zero | tr '\0' o
head -c "$2" /dev/zero | tr '\0' e >&2
"#;

fn serving(settings: &str, metadata: &str) -> Server {
    let site = Site::new();
    site.settings(settings);
    site.nodes("n1:\nn2:\n");
    site.command_with("pour", &format!("help: {{summary: s}}\n{metadata}"), POUR);
    site.start()
}

fn pour(server: &Server, nodes: &str, out: u64, err: u64) -> Ended {
    let arguments = [out.to_string(), err.to_string()];
    server.api().run(with_arguments(
        "pour",
        nodes,
        &[&arguments[0], &arguments[1]],
    ))
}

/// What is kept of both streams, and how much was dropped.
fn kept(run: &Ended, node: &str) -> (u64, u64, u64) {
    let (out, err) = (run.stdout_of(node), run.stderr_of(node));
    assert!(out.iter().all(|&byte| byte == b'o') && err.iter().all(|&byte| byte == b'e'));
    let end = run.end_of(node);
    assert_eq!((end.outcome(), end.exit_code), (Outcome::Ok, Some(0)));
    (out.len() as u64, err.len() as u64, end.output_dropped_bytes)
}

#[test]
fn exactly_as_much_as_is_allowed_is_kept() {
    let server = serving("limits: {output_per_job: 100000}", "");
    for (out, err) in [
        (99_999, 0),
        (100_000, 0),
        (100_001, 0),
        (60_000, 40_000),
        (60_000, 40_001),
        (150_000, 70_000),
        (0, 3_000_000),
    ] {
        let run = pour(&server, "n1", out, err);
        let (of_out, of_err, dropped) = kept(&run, "n1");
        // Which stream's last bytes come first is not certain; how many are kept is.
        let expected = 100_000.min(out + err);
        assert_eq!((of_out + of_err, dropped), (expected, out + err - expected));
        assert!(of_out <= out && of_err <= err, "{out} {err}");
    }
    // Each job has its own.
    let run = pour(&server, "@*", 100_010, 0);
    assert_eq!(kept(&run, "n1"), (100_000, 0, 10));
    assert_eq!(kept(&run, "n2"), (100_000, 0, 10));
}

#[test]
fn a_command_has_its_own_limit_or_none() {
    let run = |metadata, bytes| {
        let server = serving("limits: {output_per_job: 100000}", metadata);
        kept(&pour(&server, "n1", bytes, 0), "n1")
    };
    assert_eq!(run("output_limit: 1KiB", 5000), (1024, 0, 3976));
    assert_eq!(run("output_limit: 200000", 150_000), (150_000, 0, 0));
    assert_eq!(run("output_limit: none", 5_000_000), (5_000_000, 0, 0));
}

#[test]
fn a_script_that_writes_for_ever_is_cut_by_its_time_and_counted() {
    let site = Site::new();
    site.settings("limits: {output_per_job: 1MiB}");
    site.command_with("yes", "help: {summary: s}\ntimeout: 1s", "exec yes");
    let server = site.start();
    let run = server.api().run(action_tests::on("yes", "n1"));
    let end = run.end_of("n1");
    assert_eq!((end.outcome(), end.signal), (Outcome::TimedOut, Some(15)));
    assert_eq!(run.stdout_of("n1"), b"y\n".repeat(512 * 1024));
    assert!(end.output_dropped_bytes >= 1 << 20, "{end:?}");
    assert!(end.output_dropped_bytes.is_multiple_of(2), "{end:?}");
    // The disk holds no more than what is kept, and a little for each event.
    let record = fs::metadata(server.record(&run.id)).unwrap().len();
    assert!(record < (1 << 20) + (1 << 17), "{record}");
    assert_eq!(server.scripts(), []);
}

#[test]
fn what_is_dropped_is_counted_to_the_byte() {
    let server = serving("limits: {output_per_job: 64KiB}", "");
    let bytes = 200_000_000;
    let run = pour(&server, "n1", bytes, 0);
    assert_eq!(kept(&run, "n1"), (65_536, 0, bytes - 65_536));
    let job = &server.api().get_run(&run.id).unwrap().jobs[0];
    assert_eq!(
        job.finished.as_ref().unwrap().output_dropped_bytes,
        bytes - 65_536
    );
    // The user is told.
    let shown = server.client().run(&["attach", &run.id]).ok();
    let told = format!("{}", bytes - 65_536);
    assert!(shown.stderr().contains(&told), "{}", shown.stderr());
}
