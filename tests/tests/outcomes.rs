//! What became of a script: its exit code, the signal that ended it, and what both are called.

use action_proto::v1::{Outcome, RunCommandRequest};
use action_tests::{Site, on, with_arguments};

#[test]
fn exit_codes_are_reported_as_they_are() {
    let site = Site::new();
    site.command("exit", "exit \"$1\"");
    let server = site.start();
    let api = server.api();
    for code in [0, 1, 2, 3, 64, 123, 126, 127, 128, 137, 200, 252, 254, 255] {
        let run = api.run(with_arguments("exit", "n1", &[&code.to_string()]));
        let end = run.end_of("n1");
        let outcome = if code == 0 {
            Outcome::Ok
        } else {
            Outcome::Failed
        };
        assert_eq!((end.exit_code, end.signal), (Some(code), None), "{code}");
        assert_eq!(end.outcome(), outcome, "{code}");
        assert_eq!(run.summary().outcome(), outcome, "{code}");
        assert_eq!(end.message.is_empty(), code == 0, "{}", end.message);
        assert_eq!(end.state, "");
    }
}

#[test]
fn a_signal_that_was_not_ours_is_a_failure_and_named() {
    let site = Site::new();
    site.command("die", "kill -\"$1\" $$; read -r < /dev/zero");
    let server = site.start();
    for (name, number) in [("SEGV", 11), ("KILL", 9), ("TERM", 15), ("ABRT", 6)] {
        let run = server.api().run(with_arguments("die", "n1", &[name]));
        let end = run.end_of("n1");
        assert_eq!((end.exit_code, end.signal), (None, Some(number)), "{name}");
        assert_eq!(end.outcome(), Outcome::Failed, "{name}");
        assert!(
            end.message.contains(&format!("signal {number}")),
            "{}",
            end.message
        );
    }
}

#[test]
fn a_code_that_is_declared_an_answer_is_no_failure() {
    let site = Site::new();
    let metadata = "help: {summary: s}\nexit_codes: {123: {state: 'OFF'}, 124: {state: SLEEPING}}";
    site.command_with("status", metadata, "exit \"$1\"");
    let server = site.start();
    for (code, outcome, state) in [
        ("123", Outcome::Ok, "OFF"),
        ("124", Outcome::Ok, "SLEEPING"),
        ("122", Outcome::Failed, ""),
        ("0", Outcome::Ok, ""),
    ] {
        let run = server.api().run(with_arguments("status", "n1", &[code]));
        let end = run.end_of("n1");
        assert_eq!((end.outcome(), end.state.as_str()), (outcome, state));
        assert_eq!(end.exit_code, code.parse().ok());
    }
}

#[test]
fn each_node_has_its_own_outcome_and_the_run_the_gravest() {
    let site = Site::new();
    site.nodes("good: {code: 0}\nbad: {code: 4}\nworse: {code: 200}\n");
    site.command("exit", "exit $code");
    let server = site.start();
    let run = server.api().run(on("exit", "@*"));
    let code = |node| run.end_of(node).exit_code;
    assert_eq!(
        [code("good"), code("bad"), code("worse")],
        [Some(0), Some(4), Some(200)]
    );
    assert_eq!(run.summary().outcome(), Outcome::Failed);
}

#[test]
fn a_job_that_takes_too_long_is_ended() {
    let site = Site::new();
    // Not even a request to end is heard; and it is not alone.
    let script = "trap '' TERM; echo waiting; sleep 1000 & wait; sleep 1000";
    site.command_with("wait", "help: {summary: s}\ntimeout: 300ms", script);
    site.set("kill_grace", "400ms");
    let server = site.start();
    let run = server.api().run(on("wait", "n1"));
    let end = run.end_of("n1");
    assert_eq!(end.outcome(), Outcome::TimedOut);
    assert_eq!(end.signal, Some(9));
    assert!(
        end.message.starts_with("not done after 300ms"),
        "{}",
        end.message
    );
    assert_eq!(run.stdout_of("n1"), b"waiting\n");
    assert_eq!(server.scripts(), []);
}

#[test]
fn a_script_that_the_kernel_refuses_is_not_started_and_others_are() {
    let site = Site::new();
    site.nodes("n1: {ranks: odd}\nn2:\n");
    site.command("odd", "echo fine");
    // The interpreter is there and is no program.
    site.whole_script("odd/odd.sh", "#!/etc/passwd\n");
    let server = site.start();
    let run = server.api().run(on("odd", "n1,n2"));
    let end = run.end_of("n1");
    assert_eq!(end.outcome(), Outcome::NotStarted);
    assert_eq!((end.exit_code, end.signal), (None, None));
    assert!(
        end.message.contains("cannot start odd/odd.sh"),
        "{}",
        end.message
    );
    assert_eq!(run.answer_of("n2"), "fine\n");
    assert_eq!(run.summary().outcome(), Outcome::NotStarted);
}

/// Callers are told the script's name and what is wrong; the log has its path and the remedy.
#[test]
fn a_script_that_breaks_during_a_run_is_named_without_its_path() {
    for (change, reason, remedy) in [
        ("chmod a-x \"$0\"", "it is not executable", "chmod +x "),
        (
            "sed -i '1s/$/\\r/' \"$0\"",
            "its first line ends with a carriage return",
            "sed -i ",
        ),
        (
            "sed -i '1s/^/\\xEF\\xBB\\xBF/' \"$0\"",
            "it begins with a byte order mark (UTF-8 BOM) before #!",
            "sed -i ",
        ),
        (
            "sed -i '1s/.*/#!\\/no\\/such/' \"$0\"",
            "its interpreter is not there",
            "/no/such",
        ),
        (
            "rm \"$0\"",
            "it is not there (or a link that leads nowhere)",
            "",
        ),
    ] {
        let site = Site::new();
        site.nodes("n1:\nn2:\n");
        site.command("it", change);
        let server = site.start();
        let run = server.api().run(RunCommandRequest {
            fanout: 1,
            ..on("it", "n1,n2")
        });
        let end = run.end_of("n2");
        assert_eq!(end.outcome(), Outcome::NotStarted, "{change}");
        assert_eq!(
            end.message,
            format!("cannot start it/default.sh: {reason}"),
            "{change}"
        );
        server.wait_for_log("cannot start it/default.sh: ");
        let log = server.log();
        assert!(log.contains(remedy), "{remedy}: {log}");
    }
}
