//! Output comes as it is written: before the script ends, and whatever other nodes do.
//! Scripts wait at gates, so that each order is certain and no clock is asked.

use action_proto::v1::{Outcome, run_event::Event};
use action_tests::{CEILING, Live, Site, on, wait_until};

const TALK: &str = r#"
echo first
read -r < "$SCRIPT_ROOT/../gate.$name"
echo last
"#;

/// Nobody has ended so far.
fn nobody_ended(run: &Live) -> bool {
    let is_end = |event: &Event| matches!(event, Event::NodeFinished(_) | Event::RunFinished(_));
    !run.events
        .iter()
        .any(|event| event.event.as_ref().is_some_and(is_end))
}

#[test]
fn the_first_line_arrives_while_the_script_still_runs() {
    let site = Site::new();
    site.command("talk", TALK);
    let gate = site.gate("gate.n1");
    let server = site.start();
    let mut run = server.api().start(on("talk", "n1")).unwrap();
    run.wait_for("n1", "first\n");
    assert!(nobody_ended(&run));
    gate.open();
    assert_eq!(run.finish().answer_of("n1"), "first\nlast\n");
}

#[test]
fn a_piece_of_a_line_does_not_wait_for_its_end() {
    let site = Site::new();
    site.command(
        "ask",
        "printf 'working.. '; read -r < \"$SCRIPT_ROOT/../gate\"; printf 'so far'",
    );
    let gate = site.gate("gate");
    let server = site.start();
    let mut run = server.api().start(on("ask", "n1")).unwrap();
    run.wait_for("n1", "working.. ");
    gate.open();
    assert_eq!(run.finish().answer_of("n1"), "working.. so far");
}

#[test]
fn a_slow_node_does_not_hold_up_a_fast_ones_lines() {
    let site = Site::new();
    site.nodes("slow:\nfast: {ranks: fast}\n");
    site.command("talk", TALK);
    site.script(
        "talk/fast.sh",
        "for line in 1 2 3; do echo fast $line; done",
    );
    let gate = site.gate("gate.slow");
    let server = site.start();
    let mut run = server.api().start(on("talk", "slow,fast")).unwrap();
    let fast = run.wait_for_end_of("fast");
    assert_eq!(fast.outcome(), Outcome::Ok);
    run.wait_for("slow", "first\n");
    gate.open();
    let run = run.finish();
    assert_eq!(run.answer_of("fast"), "fast 1\nfast 2\nfast 3\n");
    assert_eq!(run.answer_of("slow"), "first\nlast\n");
}

#[test]
fn the_client_shows_a_fast_node_while_a_slow_one_runs() {
    let site = Site::new();
    site.nodes("slow:\nfast: {ranks: fast}\n");
    site.command("talk", TALK);
    site.script("talk/fast.sh", "echo all of fast");
    let gate = site.gate("gate.slow");
    let server = site.start();
    let mut client = server.client().start(&["run", "talk", "-g", "slow,fast"]);
    client.wait_for("fast: all of fast\n");
    client.wait_for("slow: first\n");
    assert!(client.is_running());
    gate.open();
    let ran = client.finish().ok();
    assert!(ran.stdout().ends_with("slow: last\n"), "{ran}");
}

#[test]
fn a_caller_that_does_not_read_slows_no_script() {
    let site = Site::new();
    // Far more than all buffers on the way: the script could not end if somebody waited.
    let script = "head -c 16000000 /dev/zero; touch \"$SCRIPT_ROOT/../written\"";
    site.command("pour", script);
    let server = site.start();
    let run = server.api().start(on("pour", "n1")).unwrap();
    let written = || server.has("written").then_some(());
    wait_until("the script's end", CEILING, written);
    assert_eq!(run.finish().stdout_of("n1").len(), 16_000_000);
}

#[test]
fn two_callers_runs_do_not_mix() {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command("talk", TALK);
    let gates = ["gate.n1", "gate.n2"].map(|name| site.gate(name));
    let server = site.start();
    let mut first = server.api().start(on("talk", "n1")).unwrap();
    first.wait_for("n1", "first\n");
    let mut second = server.api().start(on("talk", "n2")).unwrap();
    second.wait_for("n2", "first\n");
    assert_ne!(first.id, second.id);
    gates[1].open();
    let second = second.finish();
    assert_eq!(second.nodes(), ["n2"]);
    assert_eq!(second.answer_of("n2"), "first\nlast\n");
    assert!(nobody_ended(&first));
    gates[0].open();
    assert_eq!(first.finish().answer_of("n1"), "first\nlast\n");
}
