//! Cancelling many jobs at once, on a host with thousands of other processes: each script gets TERM
//! and its grace, and the server goes on answering.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use action_proto::v1::{Outcome, RunCommandRequest};
use action_tests::{Api, CEILING, Crowd, Site, on, processes, usage, wait_until};

/// Other processes on the host.
const CROWD: usize = 3_000;
/// Scripts that end when they are told to, and others.
const POLITE: usize = 260;
const DEAF: usize = 40;

/// The longest that health may take to answer. It was as long as all jobs took together; a loaded
/// machine needs more than the milliseconds that it should be.
const HEALTH_LIMIT: Duration = Duration::from_secs(4);

/// Every tenth of the polite ones has a process in a session of its own, which has put off the marker.
const SCRIPT: &str = r#"
case $name in
d*) trap 'echo term' TERM; (trap '' TERM; exec sleep 1000) & ;;
*0) trap 'echo term; exit 7' TERM; env -i setsid sleep 1000 > /dev/null 2>&1 & sleep 1000 & ;;
*) trap 'echo term; exit 7' TERM; sleep 1000 & ;;
esac
echo ready
while :; do wait; done
"#;

/// Asks for health until it is told to stop: how often there was an answer, and the longest time
/// that one took.
fn ask_health(api: &Api, stop: &AtomicBool) -> (usize, Duration) {
    let (mut answers, mut longest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Acquire) {
        let asked = Instant::now();
        let answer = api.raw("/grpc.health.v1.Health/Check", b"").unwrap();
        assert_eq!(answer[0], [8, 1].as_slice());
        longest = longest.max(asked.elapsed());
        answers += 1;
        thread::park_timeout(Duration::from_millis(5));
    }
    (answers, longest)
}

#[test]
fn each_of_many_scripts_gets_term_and_its_grace_and_the_server_answers_meanwhile() {
    let site = Site::new();
    let nodes = |prefix: char, count| (1..=count).map(move |number| format!("{prefix}{number}:\n"));
    let all: String = nodes('p', POLITE).chain(nodes('d', DEAF)).collect();
    site.nodes(&all);
    site.set("kill_grace", "3s");
    site.settings("job_threads: 300");
    site.command_with("stay", "help: {summary: s}\nfanout: 300\n", SCRIPT);
    let server = site.start();
    let crowd = Crowd::start(CROWD, &server.path("home"));
    let (api, prober) = (server.api(), server.api_with(None));
    let request = RunCommandRequest {
        fanout: 300,
        ..on("stay", "@*")
    };
    let mut run = api.start(request).unwrap();
    for node in nodes('p', POLITE).chain(nodes('d', DEAF)) {
        run.wait_for(node.trim_end_matches(":\n"), "ready\n");
    }
    let stop = AtomicBool::new(false);
    let (run, (answers, longest), took) = thread::scope(|scope| {
        let health = scope.spawn(|| ask_health(&prober, &stop));
        let began = Instant::now();
        api.cancel(&run.id, false).unwrap();
        let run = run.finish();
        stop.store(true, Ordering::Release);
        (run, health.join().unwrap(), began.elapsed())
    });
    assert_eq!(server.scripts(), []);
    assert!(processes::is_alive(crowd.id()));
    drop(crowd);
    for node in run.nodes() {
        let end = run.end_of(node);
        assert_eq!(end.outcome(), Outcome::Cancelled, "{end:?}");
        // TERM came first, and what the script does then was not cut short.
        assert_eq!(run.stdout_of(node), b"ready\nterm\n", "{end:?}");
        let is_deaf = node.starts_with('d');
        let (code, signal) = if is_deaf {
            (None, Some(9))
        } else {
            (Some(7), None)
        };
        assert_eq!((end.exit_code, end.signal), (code, signal), "{end:?}");
        assert_eq!(end.message.contains("was killed"), is_deaf, "{end:?}");
        // What was killed with its script, and what had left it.
        let left = u32::from(is_deaf || node.ends_with('0'));
        assert_eq!(end.leftover_processes, left, "{end:?}");
    }
    assert!(
        took >= Duration::from_secs(3),
        "the grace is whole: {took:?}"
    );
    assert!(
        answers >= 10 && longest < HEALTH_LIMIT,
        "{answers} answers, one after {longest:?}"
    );
    assert_eq!(usage::children(server.id()), []);
}

#[test]
fn the_scripts_of_a_dead_server_are_ended_among_thousands_of_other_processes() {
    let site = Site::new();
    let nodes = (1..=30).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    // Each needs a moment to put things in order, and says when it has.
    let script = r#"
        exec > "$SCRIPT_ROOT/../said.$name" 2> /dev/null
        trap 'read -rt 0.5 <> "$SCRIPT_ROOT/../gate"; echo done; exit' TERM
        setsid sleep 1000 &
        sleep 1000 &
        echo ready
        while :; do read -rt 0.2 <> "$SCRIPT_ROOT/../gate"; done
    "#;
    site.command("stay", script);
    let _gate = site.gate("gate");
    let server = site.start();
    let crowd = Crowd::start(CROWD, &server.path("home"));
    let api = server.api();
    let run = api.start(on("stay", "@*")).unwrap();
    let said = |site: &Site, text: &str| {
        let file = |number: i32| site.path(format!("said.n{number}"));
        let has = |number| std::fs::read_to_string(file(number)).is_ok_and(|said| said == text);
        (1..=30).all(has).then_some(())
    };
    wait_until("all scripts", CEILING, || said(&server, "ready\n"));
    let site = server.kill();
    let server = site.start();
    assert_eq!(server.scripts(), []);
    assert!(processes::is_alive(crowd.id()));
    let all = (1..=30).map(|number| server.read(format!("said.n{number}")));
    // TERM, and then time to end.
    assert_eq!(all.collect::<Vec<_>>(), vec!["ready\ndone\n"; 30]);
    // 30 scripts, each with two processes.
    server.wait_for_log("processes=90");
    let ended = server.api().ended(&run.id);
    assert_eq!(ended.summary().outcome(), Outcome::Lost);
}
