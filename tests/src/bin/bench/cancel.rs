//! Cancelling many jobs at once on a host with thousands of other processes: when the last script
//! has TERM, and how long health takes to answer meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use action_proto::v1::RunCommandRequest;
use action_tests::{Api, Crowd, Server, Site, on};

use super::{
    Scale,
    measure::{Measure, below},
    timed::millis,
};

const JOBS: usize = 300;
const CROWD: usize = 3_000;

/// Says when it gets TERM.
const HEED: &str = r#"
trap 'echo "$EPOCHREALTIME"; exit 0' TERM
sleep 1000 &
echo here
wait
"#;

/// Milliseconds from the order to the last TERM, and of the slowest answer about health until the
/// run has ended.
pub(crate) fn measure(scale: &Scale) -> Vec<Measure> {
    let jobs = (JOBS / scale.less.min(10)).max(1);
    let crowd = CROWD / scale.less.min(10);
    let mut site = Site::new();
    site.leave_behind();
    let nodes = (1..=jobs).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    site.settings(&format!("job_threads: {jobs}"));
    let metadata = format!("help: {{summary: s}}\nfanout: {jobs}\n");
    site.command_with("heed", &metadata, HEED);
    let server = site.start();
    let _crowd = Crowd::start(crowd, &server.path("home"));
    let (mut terms, mut answers) = (Vec::new(), Vec::new());
    // The first fills caches.
    let warm = usize::from(scale.rounds > 1);
    for round in 0..scale.rounds + warm {
        let (term, answer) = cancel(&server, jobs);
        if round >= warm {
            terms.push(term);
            answers.push(answer);
        }
    }
    let title = format!("cancel of {jobs} jobs beside {crowd} processes: the last TERM");
    let terms = Measure::new(
        "cancel-300",
        title,
        "ms",
        vec![("Action".to_owned(), terms)],
    );
    let title = "the slowest answer about health meanwhile";
    let series = vec![("Action".to_owned(), answers)];
    let answers = Measure::new("cancel-300-health", title, "ms", series);
    vec![terms.goal(below(200.0)), answers.goal(below(50.0))]
}

fn cancel(server: &Server, jobs: usize) -> (f64, f64) {
    let (api, prober) = (server.api(), server.api_with(None));
    let request = RunCommandRequest {
        fanout: u32::try_from(jobs).expect("a small number"),
        ..on("heed", "@*")
    };
    let mut run = api.start(request).expect("a run");
    for number in 1..=jobs {
        run.wait_for(&format!("n{number}"), "here\n");
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let slowest = scope.spawn(|| ask_health(&prober, &stop));
        let ordered = now();
        api.cancel(&run.id, false).expect("a cancel");
        let run = run.finish();
        stop.store(true, Ordering::Release);
        let last = run.nodes().into_iter().map(|node| {
            let answer = String::from_utf8(run.stdout_of(node)).expect("text");
            let time = answer.lines().last().and_then(|line| line.parse().ok());
            time.unwrap_or_else(|| panic!("{node} got no TERM: {answer:?}"))
        });
        let last = last.fold(0.0, f64::max);
        ((last - ordered) * 1e3, slowest.join().expect("health"))
    })
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock").as_secs_f64()
}

fn ask_health(api: &Api, stop: &AtomicBool) -> f64 {
    let mut slowest = Duration::ZERO;
    while !stop.load(Ordering::Acquire) {
        let asked = Instant::now();
        let answer = api
            .raw("/grpc.health.v1.Health/Check", b"")
            .expect("health");
        assert_eq!(answer[0], [8, 1].as_slice());
        slowest = slowest.max(asked.elapsed());
        thread::park_timeout(Duration::from_millis(2));
    }
    millis(slowest)
}
