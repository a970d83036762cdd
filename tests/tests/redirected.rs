//! Scripts that write through a filter of their own, as by `exec > >(tee log)`: it outlives the script
//! for a moment, and all that it writes is the job's.

use std::fmt::Write;

use action_proto::v1::{NodeFinished, Outcome};
use action_tests::{CEILING, Ended, Server, Site, on, wait_until};

fn serving(nodes: usize, script: &str, metadata: &str) -> Server {
    let site = Site::new();
    let names = (1..=nodes).map(|number| format!("n{number}:\n"));
    site.nodes(&names.collect::<String>());
    site.command("it", script);
    if !metadata.is_empty() {
        let metadata = format!("help: {{summary: s}}\n{metadata}\n");
        site.write("libexec/it/metadata.yaml", &metadata);
    }
    site.command("hello", "echo hello");
    site.start()
}

/// All of its output is there, and there is nothing to say of it.
#[track_caller]
fn is_whole(run: &Ended) {
    for node in run.nodes() {
        let end = run.end_of(node);
        let seen = (end.outcome(), end.leftover_processes, end.output_incomplete);
        assert_eq!(seen, (Outcome::Ok, 0, false), "{end:?}");
        assert_eq!(end.message, "");
    }
}

#[test]
fn a_slow_filter_may_finish() {
    let script = "exec > >(while read -r line; do sleep 0.05; echo \"$line\"; done)\nseq 40";
    let server = serving(3, script, "");
    let run = server.api().run(on("it", "@*"));
    let expected: String = (1..=40).fold(String::new(), |mut all, number| {
        _ = writeln!(all, "{number}");
        all
    });
    for node in run.nodes() {
        assert_eq!(run.answer_of(node), expected);
    }
    is_whole(&run);
}

#[test]
fn every_line_of_both_streams_comes_through_filters() {
    let script = "exec > >(sed -u 's/^/out /') 2> >(sed -u 's/^/err /' >&2)\n\
                  for i in {1..1000}; do echo $i; echo $i >&2; done";
    let server = serving(12, script, "");
    let run = server.api().run(on("it", "@*"));
    let lines = |word: &str| -> String { (1..=1000).map(|i| format!("{word} {i}\n")).collect() };
    let (out, err) = (lines("out"), lines("err"));
    for node in run.nodes() {
        assert!(run.stdout_of(node) == out.as_bytes(), "stdout of {node}");
        assert!(run.stderr_of(node) == err.as_bytes(), "stderr of {node}");
    }
    is_whole(&run);
}

#[test]
fn a_filter_that_ends_by_itself_is_not_left_over() {
    let script = "exec > >(tee /dev/null) 2>&1\necho $name";
    let server = serving(300, script, "");
    let run = server.api().run(on("it", "@*"));
    is_whole(&run);
}

/// Runs it, and returns the end of its only job, which said `ready` first.
#[track_caller]
fn cut_off(server: &Server) -> NodeFinished {
    let run = server.api().run(on("it", "n1"));
    let end = run.end_of("n1").clone();
    assert_eq!(end.outcome(), Outcome::Ok, "{end:?}");
    assert!(run.stdout_of("n1").starts_with(b"ready\n"));
    assert!(end.output_incomplete, "{end:?}");
    assert!(end.message.contains("leave_running"), "{}", end.message);
    end
}

#[test]
fn who_holds_the_output_in_silence_is_ended_and_named() {
    let server = serving(1, "echo ready; sleep 1000 & exit 0", "");
    let end = cut_off(&server);
    assert_eq!(end.leftover_processes, 1);
    assert_eq!(server.scripts(), []);
}

#[test]
fn who_writes_on_is_read_until_the_job_s_limit() {
    let script = "echo ready; (while :; do echo more; sleep 0.1; done) & exit 0";
    let server = serving(1, script, "timeout: 2s");
    let run = server.api().run(on("it", "n1"));
    let more = String::from_utf8_lossy(&run.stdout_of("n1"))
        .matches("more")
        .count();
    // For two seconds, and not only for half a second of quiet; the machine may be busy.
    assert!(more >= 6, "{more}");
    cut_off(&server);
    assert_eq!(server.scripts(), []);
}

#[test]
fn with_leave_running_who_writes_on_does_not_hold_up_the_job() {
    let script = "echo ready; (while :; do echo more || exit; sleep 0.1; done) & exit 0";
    let server = serving(1, script, "leave_running: true");
    let end = cut_off(&server);
    assert_eq!(end.leftover_processes, 0);
    // The next line that it writes ends it: the pipe is closed.
    wait_until("the writer to end", CEILING, || {
        server.scripts().is_empty().then_some(())
    });
}

#[test]
fn a_job_that_is_still_written_for_can_be_cancelled() {
    let script =
        "(while :; do echo more; sleep 0.1; done) & touch \"$SCRIPT_ROOT/../gone\"; exit 0";
    let server = serving(1, script, "timeout: 1h");
    let api = server.api();
    let mut run = api.start(on("it", "n1")).unwrap();
    run.wait_for("n1", "more\n");
    api.cancel(&run.id, false).unwrap();
    let run = run.finish();
    let end = run.end_of("n1");
    assert!(
        end.leftover_processes > 0 || end.outcome() == Outcome::Cancelled,
        "{end:?}"
    );
    assert_eq!(server.scripts(), []);
    assert_eq!(api.run(on("hello", "n1")).answer_of("n1"), "hello\n");
}
