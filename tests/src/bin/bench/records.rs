//! Many records, and long ones: the start, lists, and what is asked of one run.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use action_proto::v1::{ListRunsRequest, Outcome};
use action_tests::{Api, Server, Site, on, usage, with_arguments};

use super::{
    Scale,
    measure::{Measure, at_most, below, contender, median, side_by_side},
    timed::{mebibytes, millis},
};

/// How many callers list at once.
const LISTS: usize = 20;

/// A site with one run, and the run's id.
fn site_of_one(command: &str, arguments: &[&str]) -> (Site, String) {
    let mut site = Site::new();
    site.leave_behind();
    site.command("hello", "echo hello");
    let metadata = "help: {summary: s}\noutput_limit: none\n";
    site.command_with("bulk", metadata, "head -c \"$1\" /dev/zero");
    let server = site.start();
    let api = server.api();
    let run = api.start(with_arguments(command, "n1", arguments));
    let id = run.expect("a run").id;
    // To its end, without holding its output.
    _ = api.watch(&id, 0).expect("the run").digest();
    assert_eq!(api.run_now(&id).outcome(), Outcome::Ok);
    (server.stop(), id)
}

/// 100,000 records: how long a start takes, what they take in memory, and what a list of them costs.
pub(crate) fn many(scale: &Scale) -> Vec<Measure> {
    let count = 100_000 / scale.less;
    let (site, run) = site_of_one("hello", &[]);
    let resident = |server: &Server| mebibytes(usage::memory(server.id(), "VmRSS"));
    let server = site.start();
    let alone = resident(&server);
    let site = server.stop();
    site.copy_record(&run, count, |at| format!("{at:016}"));
    let mut site = Some(site);
    let mut starts = Vec::new();
    // The first fills caches.
    for _ in 0..=scale.rounds {
        let begin = Instant::now();
        let server = site.take().expect("the site").start();
        starts.push(begin.elapsed().as_secs_f64());
        site = Some(server.stop());
    }
    let server = site.take().expect("the site").start();
    let memory = resident(&server) - alone;
    let api = server.api();
    let list = || {
        let times = 50;
        let before = usage::ticks(server.id());
        for _ in 0..times {
            nothing(&api);
        }
        // In hundredths of a second.
        (usage::ticks(server.id()) - before) as f64 * 10.0 / f64::from(times)
    };
    let one = |values| vec![("Action".to_owned(), values)];
    let list = side_by_side(scale.rounds, vec![contender("Action", list)]);
    let beside = contender("Action", || beside_lists(&server));
    let starts_beside = side_by_side(
        scale.rounds,
        vec![beside, contender("alone", || time_to_start(&api))],
    );
    let beside = format!("a run's first event, beside {LISTS} lists of {count} runs");
    let start = format!("a start with {count} records, warm");
    let held = format!("memory of {count} runs of one kind");
    let listed = format!("processor time of a list of {count} runs that finds none");
    vec![
        Measure::new("records-start", start, "s", one(starts.split_off(1))).goal(below(2.0)),
        Measure::new("records-memory", held, "MiB", one(vec![memory])).goal(below(100.0)),
        Measure::new("records-list", listed, "ms", list).goal(below(50.0)),
        Measure::new("records-beside", beside, "ms", starts_beside).goal(at_most(2.0, "alone")),
    ]
}

/// How long a run takes to its first event, in milliseconds: the median of many.
fn time_to_start(api: &Api) -> f64 {
    let times = (0..50).map(|_| {
        let begin = Instant::now();
        let run = api.start(on("hello", "n1")).expect("a run");
        let time = millis(begin.elapsed());
        _ = run.finish();
        time
    });
    median(&times.collect::<Vec<_>>())
}

/// The same while callers list without a pause.
fn beside_lists(server: &Server) -> f64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..LISTS {
            scope.spawn(|| {
                let api = server.api();
                while !is_over.load(Ordering::Relaxed) {
                    nothing(&api);
                }
            });
        }
        let time = time_to_start(&server.api());
        is_over.store(true, Ordering::Relaxed);
        time
    })
}

/// All pages of a list that finds nothing.
fn nothing(api: &Api) {
    let mut request = ListRunsRequest {
        command: "nosuch".into(),
        ..ListRunsRequest::default()
    };
    loop {
        let page = api.list_runs(request.clone()).expect("a page");
        assert!(page.runs.is_empty());
        if page.next_page_token.is_empty() {
            return;
        }
        request.page_token = page.next_page_token;
    }
}

/// A record of 525 MB: its jobs, and its last event.
pub(crate) fn long(scale: &Scale) -> Vec<Measure> {
    let megabytes = 525 / scale.less.min(25);
    let (site, run) = site_of_one("bulk", &[&(megabytes * 1_000_000).to_string()]);
    let server = site.start();
    let api = server.api();
    let last = api.run_now(&run).last_sequence;
    // Each takes a moment: a round is the median of many.
    let often = |call: &dyn Fn()| {
        let times = (0..15).map(|_| {
            let begin = Instant::now();
            call();
            begin.elapsed().as_secs_f64() * 1e3
        });
        median(&times.collect::<Vec<_>>())
    };
    let get = || often(&|| assert_eq!(api.get_run(&run).expect("the run").jobs.len(), 1));
    let resume = || {
        often(&|| {
            let (events, error) = api.watch(&run, last - 1).expect("the run").rest();
            assert!(events.len() == 1 && error.is_none());
        })
    };
    let measure = |id: &str, title: String, contender| {
        Measure::new(id, title, "ms", side_by_side(scale.rounds, vec![contender])).goal(below(10.0))
    };
    vec![
        measure(
            "record-get",
            format!("GetRun of a run with {megabytes} MB of output"),
            contender("Action", get),
        ),
        measure(
            "record-resume",
            format!("WatchRun of the last event behind {megabytes} MB"),
            contender("Action", resume),
        ),
    ]
}
