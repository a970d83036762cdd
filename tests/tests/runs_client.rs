//! Runs through the real client and the real server: detached, listed, shown, attached, cancelled.

use action_proto::v1::Outcome;
use action_tests::{CEILING, Ran, Server, Site, on, processes, wait_until};
use rustix::process::Signal;
use serde_json::Value;

const TALK: &str = r#"
trap 'echo "$name puts things in order"; exit 1' TERM
echo "$name begins"; echo "$name warns" >&2
read -r < "$SCRIPT_ROOT/../gate.$name" & wait $!
printf 'the end'; exit 3
"#;

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command("talk", TALK);
    site.command("hello", "echo hello $name");
    site.command(
        "long",
        "for i in {1..20000}; do echo line $i; done; touch \"$SCRIPT_ROOT/../all\"",
    );
    site.command("deaf", "trap '' TERM; echo deaf; sleep 1000");
    site.start()
}

/// A server that soon kills scripts that do not end when asked.
fn impatient() -> Server {
    let site = serving().stop();
    site.set("kill_grace", "400ms");
    site.start()
}

fn json(ran: &Ran) -> Vec<Value> {
    let text = ran.stdout();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn a_detached_run_goes_on_and_is_attached_to() {
    let server = serving();
    let gates = ["gate.n1", "gate.n2"].map(|name| server.gate(name));
    let client = server.client();
    let detached = client
        .run(&["run", "--detach", "talk", "-g", "n[1-2]"])
        .ok();
    let id = detached.stdout().trim().to_owned();
    assert_eq!(
        (id.len(), detached.stdout.len()),
        (16, 17),
        "the id and no more: {detached}"
    );
    let mut attached = client.start(&["attach", &id[..5]]);
    attached.wait_for("n1: n1 begins\n");
    attached.wait_for("n2: n2 begins\n");
    assert!(attached.is_running());
    gates.iter().for_each(action_tests::Gate::open);
    let attached = attached.finish();
    assert_eq!(attached.code(), 3, "{attached}");
    // Attached to again after the end, it is the same to the byte.
    let again = client.run(&["attach", &id]);
    assert_eq!((again.code(), &again.stdout), (3, &attached.stdout));
    assert_eq!(again.stderr, attached.stderr);
    let mut lines: Vec<_> = again.stdout().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "n1: n1 begins",
            "n1: the end",
            "n2: n2 begins",
            "n2: the end"
        ]
    );
    assert!(
        again.stderr().ends_with("failed n[1-2] (2): exit 3\n"),
        "{again}"
    );
}

#[test]
fn runs_are_listed_with_where_they_stand() {
    let server = serving();
    let client = server.client();
    _ = client.run(&["run", "hello", "n1"]).ok();
    let id = client
        .run(&["run", "--detach", "deaf", "n2"])
        .ok()
        .stdout()
        .trim()
        .to_owned();
    wait_until("the script to run", CEILING, || {
        (server.scripts().len() > 1).then_some(())
    });
    let listed = client.run(&["runs"]).ok().stdout();
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[0].starts_with("RUN "), "{listed}");
    assert!(
        lines[1].starts_with(&id) && lines[1].contains(" 1 running "),
        "{listed}"
    );
    assert!(
        lines[2].contains(" ok ") && lines[2].ends_with("hello"),
        "{listed}"
    );
    let events = json(&client.run(&["runs", "--output", "json"]).ok());
    assert_eq!(events[0]["run_id"].as_str(), Some(id.as_str()));
    assert_eq!(events[0]["running_jobs"].as_u64(), Some(1));
    assert_eq!(events[1]["outcome"].as_str(), Some("ok"));
    for (words, count) in [
        (&["runs", "--running"][..], 1),
        (&["runs", "--command", "hello"], 1),
        (&["runs", "--outcome", "failed"], 0),
        (&["runs", "-g", "n2"], 1),
        (&["runs", "--limit", "1"], 1),
        (&["runs", "--since", "1h"], 2),
        (&["runs", "--subject", "nobody"], 0),
    ] {
        let listed = client.run(words).ok().stdout();
        assert_eq!(listed.lines().count(), 1 + count, "{words:?}\n{listed}");
    }
    _ = client.run(&["cancel", "--force", &id]).ok();
    assert_eq!(
        server.api().ended(&id).summary().outcome(),
        Outcome::Cancelled
    );
}

#[test]
fn a_run_that_waits_for_a_place_is_shown_to_wait() {
    let server = serving().stop();
    server.settings("job_threads: 1");
    let server = server.start();
    let client = server.client();
    let first = client.run(&["run", "--detach", "deaf", "n1"]).ok().stdout();
    wait_until("the script to run", CEILING, || {
        (server.scripts().len() > 1).then_some(())
    });
    let second = client.run(&["run", "--detach", "deaf", "n2"]).ok().stdout();
    let events = json(&client.run(&["runs", "--running", "--output", "json"]).ok());
    let stands = |event: &Value| {
        (
            event["running_jobs"].as_u64(),
            event["waiting_jobs"].as_u64(),
        )
    };
    assert_eq!(stands(&events[0]), (Some(0), Some(1)));
    assert_eq!(stands(&events[1]), (Some(1), Some(0)));
    let listed = client.run(&["runs"]).ok().stdout();
    assert!(listed.contains("1 waiting"), "{listed}");
    for id in [second, first] {
        _ = client.run(&["cancel", "--force", id.trim()]).ok();
        _ = server.api().ended(id.trim());
    }
}

#[test]
fn an_interrupt_cancels_and_says_what_became_of_each_node() {
    let server = serving();
    let _gates = ["gate.n1", "gate.n2"].map(|name| server.gate(name));
    let started = || {
        let mut running = server.client().start(&["run", "talk", "-g", "n[1-2]"]);
        running.wait_for("n1: n1 begins\n");
        running.wait_for("n2: n2 begins\n");
        running
    };
    let running = started();
    processes::signal(running.id(), Signal::INT);
    let ran = running.finish();
    assert_eq!(ran.code(), 130, "{ran}");
    // The scripts' last words are heard.
    assert!(
        ran.stdout().contains("n2: n2 puts things in order\n"),
        "{ran}"
    );
    assert!(ran.stderr().ends_with("cancelled n[1-2] (2)\n"), "{ran}");
    assert_eq!(server.scripts(), []);
    // After SIGTERM they may not all be: the client does not wait for long.
    let running = started();
    processes::signal(running.id(), Signal::TERM);
    assert_eq!(running.finish().code(), 143);
    wait_until("the scripts to end", CEILING, || {
        server.scripts().is_empty().then_some(())
    });
}

#[test]
fn a_second_interrupt_leaves_and_the_server_goes_on_cancelling() {
    let server = impatient();
    let mut running = server.client().start(&["run", "deaf", "n1"]);
    running.wait_for("deaf\n");
    processes::signal(running.id(), Signal::INT);
    server.wait_for_log("cancelled run_id=");
    processes::signal(running.id(), Signal::INT);
    assert_eq!(running.finish().code(), 130);
    server.wait_for_log("outcome=\"cancelled\"");
    assert_eq!(server.scripts(), []);
}

#[test]
fn cancel_says_what_there_was_to_cancel() {
    let server = impatient();
    let client = server.client();
    let mut running = client.start(&["run", "deaf", "n1"]);
    running.wait_for("deaf\n");
    let events = json(&client.run(&["runs", "--running", "--output", "json"]).ok());
    let id = events[0]["run_id"].as_str().unwrap().to_owned();
    let cancelled = client.run(&["cancel", &id[..6]]).ok();
    assert!(
        cancelled
            .to_string()
            .contains(&format!("run {id}: 1 running")),
        "{cancelled}"
    );
    // Who watched is told, with the code for what somebody else ended.
    let ran = running.finish();
    assert_eq!(ran.code(), 252, "{ran}");
    assert!(ran.stderr().contains("cancelled by admin"), "{ran}");
    let again = client.run(&["cancel", &id]).ok();
    assert!(again.to_string().contains("had ended"), "{again}");
    for verb in ["cancel", "show", "attach"] {
        let unknown = client.run(&[verb, "zzzzzz"]);
        assert_eq!(unknown.code(), 255, "{unknown}");
        assert!(
            unknown.stderr().contains("no such run: zzzzzz"),
            "{unknown}"
        );
        assert_eq!(unknown.stdout(), "");
    }
}

#[test]
fn a_run_that_was_lost_is_shown_as_such() {
    let server = serving();
    let mut run = server.api().start(on("deaf", "n1")).unwrap();
    run.wait_for("n1", "deaf\n");
    let server = server.kill().start();
    let attached = server.client().run(&["attach", &run.id]);
    assert_eq!(
        (attached.code(), attached.stdout().as_str()),
        (254, "deaf\n")
    );
    assert!(attached.stderr().contains("the server died"), "{attached}");
    let listed = server.client().run(&["runs", "--outcome", "lost"]).ok();
    assert!(listed.stdout().contains(&run.id), "{listed}");
}

#[test]
fn a_reader_that_leaves_ends_the_client_and_not_the_run() {
    let server = serving();
    let client = server.client();
    let ran = client
        .start_through_shell("\"$@\" | head -1", &["run", "long", "n1"])
        .finish();
    assert_eq!(
        (ran.stdout().as_str(), ran.stderr().as_str()),
        ("line 1\n", "")
    );
    wait_until("the script's end", CEILING, || {
        server.has("all").then_some(())
    });
    let runs = server
        .api()
        .list_runs(action_proto::v1::ListRunsRequest::default());
    let id = runs.unwrap().runs[0].run_id.clone();
    assert_eq!(server.api().ended(&id).summary().outcome(), Outcome::Ok);
}
