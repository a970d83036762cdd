//! How much runs at once: `fanout` within a run, `job_threads` on the whole server.

use std::{fs, time::Duration};

use action_proto::v1::{RunCommandRequest, run_event::Event};
use action_tests::{CEILING, Ended, Gate, Live, Server, Site, on, wait_until};

/// Says how many run now, itself among them, and waits to be let through.
const COUNT: &str = r#"
mkdir "$SCRIPT_ROOT/../running/$name"
ls "$SCRIPT_ROOT/../running" | wc -l
read -r < "$SCRIPT_ROOT/../gate.$name"
rmdir "$SCRIPT_ROOT/../running/$name"
"#;

/// Long enough for a job that is not held back to have been started.
const QUIET: Duration = Duration::from_millis(300);

struct Counted {
    server: Server,
    gates: Vec<Gate>,
}

fn counted(nodes: usize, fanout: usize, settings: &str) -> Counted {
    let site = Site::new();
    let names = (1..=nodes).map(|number| format!("n{number}"));
    site.nodes(
        &names
            .clone()
            .map(|name| format!("{name}:\n"))
            .collect::<String>(),
    );
    site.command_with(
        "count",
        &format!("help: {{summary: s}}\nfanout: {fanout}"),
        COUNT,
    );
    site.settings(settings);
    fs::create_dir(site.path("running")).unwrap();
    let gates = names
        .map(|name| site.gate(&format!("gate.{name}")))
        .collect();
    Counted {
        server: site.start(),
        gates,
    }
}

impl Counted {
    fn running(&self) -> usize {
        fs::read_dir(self.server.path("running")).unwrap().count()
    }

    /// Waits until so many run.
    #[track_caller]
    fn wait_for(&self, count: usize) {
        let what = format!("{count} scripts to run, {} do", self.running());
        wait_until(&what, CEILING, || (self.running() >= count).then_some(()));
    }
}

fn started(run: &Live) -> usize {
    let is_start = |event: &Option<Event>| matches!(event, Some(Event::NodeStarted(_)));
    run.events
        .iter()
        .filter(|event| is_start(&event.event))
        .count()
}

/// The most that any script of a run saw running.
fn most(run: &Ended) -> usize {
    let seen = run.nodes().into_iter().map(|node| run.answer_of(node));
    seen.map(|count| count.trim().parse().unwrap())
        .max()
        .unwrap()
}

/// A run of 10 nodes has exactly `limit` of them running whenever so many are left.
#[track_caller]
fn bounded(counted: &Counted, request: RunCommandRequest, limit: usize) {
    let mut run = counted.server.api().start(request).unwrap();
    counted.wait_for(limit);
    wait_until("the events of their start", CEILING, || {
        run.read_while_they_come(QUIET);
        (started(&run) >= limit).then_some(())
    });
    assert_eq!(started(&run), limit, "and no more are started");
    assert_eq!(counted.running(), limit);
    for (gate, opened) in counted.gates.iter().zip(1..) {
        gate.open();
        counted.wait_for(limit.min(counted.gates.len() - opened));
    }
    assert_eq!(most(&run.finish()), limit);
}

#[test]
fn fanout_bounds_the_jobs_of_a_run_and_is_used_to_the_full() {
    bounded(&counted(10, 4, ""), on("count", "@*"), 4);
}

#[test]
fn a_caller_may_lower_the_fanout() {
    let lower = RunCommandRequest {
        fanout: 2,
        ..on("count", "@*")
    };
    bounded(&counted(10, 4, ""), lower, 2);
}

#[test]
fn a_caller_cannot_raise_the_fanout() {
    let raise = RunCommandRequest {
        fanout: 100,
        ..on("count", "@*")
    };
    bounded(&counted(10, 4, ""), raise, 4);
}

#[test]
fn job_threads_bounds_the_jobs_of_a_run_with_a_greater_fanout() {
    bounded(&counted(10, 64, "job_threads: 3"), on("count", "@*"), 3);
}

#[test]
fn job_threads_bounds_the_jobs_of_all_runs_together() {
    let counted = counted(8, 64, "job_threads: 3");
    let api = counted.server.api();
    let mut first = api.start(on("count", "n[1-4]")).unwrap();
    let mut second = api.start(on("count", "n[5-8]")).unwrap();
    counted.wait_for(3);
    let all = wait_until("the events of their start", CEILING, || {
        first.read_while_they_come(QUIET);
        second.read_while_they_come(QUIET);
        Some(started(&first) + started(&second)).filter(|&all| all >= 3)
    });
    assert_eq!(all, 3);
    // Which three run is the server's choice: those let others in.
    let mut gates: Vec<_> = counted.gates.iter().zip(1..).collect();
    while !gates.is_empty() {
        let running = |number: &usize| counted.server.has(format!("running/n{number}"));
        let at = wait_until("a script to run", CEILING, || {
            gates.iter().position(|(_, number)| running(number))
        });
        let (gate, number) = gates.remove(at);
        gate.open();
        wait_until("its end", CEILING, || (!running(&number)).then_some(()));
        counted.wait_for(gates.len().min(3));
    }
    let most = [first, second].map(|run| most(&run.finish()));
    assert_eq!(most.into_iter().max(), Some(3));
}
