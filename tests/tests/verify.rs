//! Waiting for the state that a command sends its nodes to.

use action_proto::v1::{Outcome, PlanRunRequest, RunCommandRequest};
use action_tests::{CEILING, Server, Site, on, wait_until};
use tonic::Code;

/// `go` sends a node on its way; `state` tells the lines of the file `NODE.states` one after the
/// other, and the last of them for ever.
fn site() -> Site {
    let site = Site::new();
    site.nodes("n1:\nn2:\nn3:\n");
    let verify = "verify: {command: state, until: [ON, SLEEPING], every: 10ms, timeout: 1m}\n";
    site.command_with(
        "go",
        &format!("help: {{summary: s}}\n{verify}"),
        "echo going",
    );
    site.command_with(
        "go-on",
        &format!("help: {{summary: s}}\n{verify}wait: true\n"),
        "echo going",
    );
    site.command_with(
        "fail",
        &format!("help: {{summary: s}}\n{verify}wait: true\n"),
        "exit 4",
    );
    let late = "verify: {command: state, until: ON, every: 10ms, timeout: 1s}\n";
    site.command_with(
        "late",
        &format!("help: {{summary: s}}\n{late}wait: true\n"),
        "echo going",
    );
    site.command_with(
        "state",
        "help: {summary: s}\nexit_codes: {123: {state: OFF}}\n",
        r#"
states=$SCRIPT_ROOT/../$name.states
read -r state < "$states"
if [[ $(wc -l < "$states") -gt 1 ]]; then sed -i 1d "$states"; fi
case $state in
    hang) sleep 1000 & wait ;;
    silent-off) exit 123 ;;
    broken) exit 9 ;;
    *) echo "$name is $state" ;;
esac
"#,
    );
    site.command("plain", "echo plain");
    site
}

fn states(site: &Site, node: &str, states: &[&str]) {
    site.write(format!("{node}.states"), format!("{}\n", states.join("\n")));
}

fn waiting(command: &str, nodes: &str) -> RunCommandRequest {
    RunCommandRequest {
        wait: Some(true),
        ..on(command, nodes)
    }
}

#[test]
fn a_run_ends_when_each_node_is_there_and_stays() {
    let server = site().start();
    states(&server, "n1", &["OFF", "PENDING", "ON"]);
    states(
        &server,
        "n2",
        &["OFF", "ON", "OFF", "broken", "broken", "ON"],
    );
    states(&server, "n3", &["silent-off", "SLEEPING"]);
    let run = server.api().run(waiting("go", "n[1-3]"));
    assert_eq!(run.summary().outcome(), Outcome::Ok);
    let out = |node| String::from_utf8(run.stdout_of(node)).unwrap();
    let err = |node| String::from_utf8(run.stderr_of(node)).unwrap();
    assert_eq!(out("n1"), "going\nOFF\nPENDING\nON\n");
    assert_eq!(out("n2"), "going\nOFF\nON\nOFF\nON\n");
    assert_eq!(
        err("n2"),
        "fell back from ON to OFF\nthe state is not told: exit 9\n"
    );
    assert_eq!(out("n3"), "going\nOFF\nSLEEPING\n");
    for (node, state) in [("n1", "ON"), ("n2", "ON"), ("n3", "SLEEPING")] {
        assert_eq!(run.end_of(node).state, state);
    }
}

#[test]
fn it_is_waited_where_that_is_asked_for_or_the_command_s_way() {
    let server = site().start();
    let api = server.api();
    states(&server, "n1", &["ON"]);
    let answer = |request| api.run(request).answer_of("n1").to_owned();
    assert_eq!(answer(on("go", "n1")), "going\n");
    assert_eq!(answer(waiting("go", "n1")), "going\nON\n");
    assert_eq!(answer(on("go-on", "n1")), "going\nON\n");
    let not = RunCommandRequest {
        wait: Some(false),
        ..on("go-on", "n1")
    };
    assert_eq!(answer(not), "going\n");
    let (code, text) = api.refused(waiting("plain", "n1"));
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(
        text,
        "the command plain does not say what to wait for: its metadata has no `verify`"
    );
    let plan = api.plan(PlanRunRequest {
        command: "go-on".into(),
        nodes: "n1".into(),
        ..PlanRunRequest::default()
    });
    assert_eq!(plan.unwrap().waits_for, ["ON", "SLEEPING"]);
    // A script that has failed has set nothing going.
    let failed = api.run(on("fail", "n1"));
    assert_eq!(failed.end_of("n1").exit_code, Some(4));
    assert_eq!(failed.stdout_of("n1"), b"");
}

#[test]
fn a_state_that_does_not_come_is_timed_out_and_named() {
    let server = site().start();
    states(&server, "n1", &["OFF", "ON", "OFF"]);
    states(&server, "n2", &["hang"]);
    states(&server, "n3", &["broken"]);
    let run = server.api().run(on("late", "n[1-3]"));
    for (node, message) in [
        ("n1", "fell back from ON to OFF; OFF and not ON after 1s"),
        ("n2", "not known to be ON after 1s: no answer"),
        ("n3", "not known to be ON after 1s: exit 9"),
    ] {
        let end = run.end_of(node);
        assert_eq!(end.outcome(), Outcome::TimedOut, "{end:?}");
        assert!(end.message.starts_with(message), "{}", end.message);
    }
    assert_eq!(server.scripts(), []);
}

/// Also where so little time is left that a second look in a row falls behind the deadline.
#[test]
fn a_state_that_is_there_is_seen_within_any_limit() {
    let site = site();
    for (name, every, timeout) in [("a", "5s", "1s"), ("b", "1s", "1s"), ("c", "10s", "10ms")] {
        let verify =
            format!("verify: {{command: state, until: ON, every: {every}, timeout: {timeout}}}\n");
        let metadata = format!("help: {{summary: s}}\n{verify}wait: true\n");
        site.command_with(&format!("go-{name}"), &metadata, "echo going");
    }
    states(&site, "n1", &["ON"]);
    states(&site, "n2", &["OFF"]);
    let server = site.start();
    for name in ["go-a", "go-b", "go-c"] {
        let run = server.api().run(on(name, "n[1-2]"));
        let end = run.end_of("n1");
        assert_eq!(
            (end.outcome(), end.state.as_str()),
            (Outcome::Ok, "ON"),
            "{end:?}"
        );
        let end = run.end_of("n2");
        assert_eq!(end.outcome(), Outcome::TimedOut, "{end:?}");
        assert!(end.message.starts_with("OFF and not ON after"), "{end:?}");
    }
}

#[test]
fn waiting_can_be_cancelled_and_leaves_nothing() {
    let server = site().start();
    for (node, told) in [("n1", "OFF"), ("n2", "hang")] {
        states(&server, node, &[told]);
    }
    let api = server.api();
    for node in ["n1", "n2"] {
        let mut run = api.start(on("go-on", node)).unwrap();
        // Not before the waiting has begun: a cancel of the script itself has another message.
        match node {
            "n1" => run.wait_for(node, "OFF\n"),
            _ => wait_until("the look that hangs", CEILING, || {
                let scripts = server.scripts();
                let hangs = scripts.iter().any(|(_, line)| line.starts_with("sleep"));
                hangs.then_some(())
            }),
        }
        api.cancel(&run.id, false).unwrap();
        let run = run.finish();
        let end = run.end_of(node);
        assert_eq!(end.outcome(), Outcome::Cancelled, "{end:?}");
        assert!(
            end.message.contains("not yet ON or SLEEPING"),
            "{}",
            end.message
        );
    }
    assert_eq!(server.scripts(), []);
}

#[test]
fn the_client_waits_with_an_option_and_plans_it() {
    let server = site().start();
    states(&server, "n1", &["OFF", "ON"]);
    let client = server.client();
    insta::assert_snapshot!(client.run(&["run", "go", "n1", "--wait"]), @r"
    going
    OFF
    ON
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["--dry-run", "run", "go-on", "n1"]), @r"
    NODE  RANK     SCRIPT
    n1    default  go-on/default.sh
    ------- stderr -------
    would run 1 job, each for at most 1h; waits for ON or SLEEPING
    plan: p1:..
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(client.run(&["--no-wait", "go-on", "n1"]), @r"
    going
    ------- stderr -------
    ------- exit 0 -------
    ");
}

#[test]
fn what_tells_the_state_must_be_there() {
    let site = site();
    site.command_with(
        "lost",
        "help: {summary: s}\nverify: {command: nothing, until: ON}\n",
        "echo going",
    );
    let checked = site.server_verb(&["check"]);
    assert_eq!(checked.code(), 78, "{checked}");
    assert!(
        checked
            .stdout()
            .contains("lost: verify: there is no command \"nothing\""),
        "{checked}"
    );
    let server: Server = site.start();
    let (code, text) = server.api().refused(waiting("lost", "n1"));
    assert_eq!(code, Code::FailedPrecondition);
    assert_eq!(
        text,
        "the command lost cannot be run: what tells the state of its nodes: no such command: nothing"
    );
    // Without waiting nothing is missing.
    assert_eq!(
        server.api().run(on("lost", "n1")).answer_of("n1"),
        "going\n"
    );
}

/// Who reads the run may not see the command that tells the state, and nobody but the admin paths.
#[test]
fn a_script_that_tells_the_state_and_breaks_meanwhile_is_not_named() {
    for change in [
        "chmod a-x \"$state\"",
        "rm \"$state\"",
        "sed -i '1s/$/\\r/' \"$state\"",
        "sed -i '1s/^/\\xEF\\xBB\\xBF/' \"$state\"",
        "sed -i '1s/.*/#!\\/etc\\/passwd/' \"$state\"",
    ] {
        let site = site();
        site.command_with(
            "breaks",
            "help: {summary: s}\nverify: {command: state, until: ON, every: 10ms, timeout: 1s}\nwait: true\n",
            &format!("state=$SCRIPT_ROOT/state/default.sh\n{change}"),
        );
        let server: Server = site.start();
        let run = server.api().run(on("breaks", "n1"));
        let end = run.end_of("n1");
        let told = String::from_utf8(run.stderr_of("n1")).unwrap();
        let start = "the state is not told: cannot start the script that tells the state: ";
        assert!(told.starts_with(start), "{change}: {told}");
        for text in [&told, &end.message] {
            assert!(!text.contains('/') && !text.contains("os error"), "{text}");
        }
        server.wait_for_log("cannot start state/default.sh: ");
    }
}
