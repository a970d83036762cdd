//! What runs share: the places of the server's jobs, and the room for runs that live.

use std::{fs, sync::Mutex, thread};

use action_proto::v1::{ListRunsRequest, Outcome, Run};
use action_tests::{CEILING, Gate, Live, Server, Site, on, token, wait_until};
use jsonwebtoken::Algorithm;
use tonic::Code;

/// A server with room for four jobs at once, and 500 nodes.
fn narrow(settings: &str) -> Server {
    let site = Site::new();
    let nodes = (1..=500).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    site.settings(settings);
    site.command(
        "short",
        "sleep 0.01; echo \"$run_id\" >> \"$SCRIPT_ROOT/../order\"",
    );
    site.command(
        "wait",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate.$name\"",
    );
    site.write("order", "");
    site.start()
}

fn now(server: &Server, run: &Live) -> Run {
    server.api().run_now(&run.id)
}

#[test]
fn a_small_run_does_not_wait_for_a_large_one_to_end() {
    let server = narrow("job_threads: 4");
    let api = server.api();
    let large = api.start(on("short", "@*")).unwrap();
    wait_until("the large run to be on its way", CEILING, || {
        (server.read("order").lines().count() > 20).then_some(())
    });
    let small = api.run(on("short", "n1"));
    assert_eq!(small.answer_of("n1"), "");
    let order = server.read("order");
    let before = order.lines().position(|line| line == small.id).unwrap();
    // It was among the next to be started, give or take what ran already.
    let left = 500 - before;
    assert!(left > 250, "{before} jobs of the large run came first");
    api.cancel(&large.id, true).unwrap();
    assert_eq!(large.finish().summary().outcome(), Outcome::Cancelled);
}

#[test]
fn runs_take_turns_however_many_jobs_each_has() {
    let server = narrow("job_threads: 1");
    let _gate = server.gate("gate.n1");
    let api = server.api();
    // One holds the only place until all others wait for it.
    let mut holder = api.start(on("wait", "n1")).unwrap();
    holder.wait_for("n1", "ready\n");
    let runs: Vec<_> = (0..3)
        .map(|_| api.start(on("short", "n[1-40]")).unwrap())
        .collect();
    for run in &runs {
        wait_until("the run to wait", CEILING, || {
            (now(&server, run).waiting_jobs == 40).then_some(())
        });
    }
    api.cancel(&holder.id, true).unwrap();
    assert_eq!(holder.finish().summary().outcome(), Outcome::Cancelled);
    let ids: Vec<_> = runs.iter().map(|run| run.id.clone()).collect();
    for run in runs {
        assert_eq!(run.finish().summary().outcome(), Outcome::Ok);
    }
    let order = server.read("order");
    let order: Vec<_> = order.lines().collect();
    assert_eq!(order.len(), 120);
    // While all have jobs left, each has its turn in every few places.
    for places in order[..100].chunks(10) {
        for id in &ids {
            let turns = places.iter().filter(|place| *place == id).count();
            assert!((2..=5).contains(&turns), "{turns} of 10 turns\n{places:?}");
        }
    }
}

#[test]
fn where_a_run_stands_is_shown() {
    let server = narrow("job_threads: 3");
    let gates: Vec<_> = (1..=8)
        .map(|number| server.gate(&format!("gate.n{number}")))
        .collect();
    let api = server.api();
    let run = api.start(on("wait", "n[1-8]")).unwrap();
    let stands = |running: u32, ok: u32| {
        let what = format!("{running} to run and {ok} to be done");
        let run = wait_until(&what, CEILING, || {
            let run = now(&server, &run);
            let done: u32 = run.counts.iter().map(|count| count.count).sum();
            ((run.running_jobs, done) == (running, ok)).then_some(run)
        });
        assert_eq!((run.jobs, run.waiting_jobs), (8, 8 - running - ok));
        assert_eq!((run.outcome(), run.end_time), (Outcome::Unspecified, None));
    };
    stands(3, 0);
    // Another one waits whole, and is told so: with nothing running, behind the large run's next.
    let queued = api.start(on("short", "n1")).unwrap();
    let last = api.start(on("short", "n2")).unwrap();
    let queue = |run: &Live, position: u32| {
        let what = format!("position {position}");
        let run = wait_until(&what, CEILING, || {
            let run = now(&server, run);
            (run.queue_position == position).then_some(run)
        });
        (run.running_jobs, run.waiting_jobs)
    };
    assert_eq!(queue(&run, 1), (3, 5));
    assert_eq!(queue(&queued, 2), (0, 1));
    assert_eq!(queue(&last, 3), (0, 1));
    let shown = server.client().run(&["runs"]).ok().stdout();
    for part in [
        "1 waiting, position 2 in the queue",
        "position 3 in the queue",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    api.cancel(&last.id, false).unwrap();
    assert_eq!(last.finish().summary().outcome(), Outcome::Cancelled);
    // The large run's next job stood in the queue before it, and no other of that run's.
    gates[1].open();
    stands(3, 1);
    gates[0].open();
    assert_eq!(queued.finish().answer_of("n1"), "");
    stands(3, 2);
    gates[2..7].iter().for_each(Gate::open);
    stands(1, 7);
    gates[7].open();
    let run = run.finish();
    let shown = api.run_now(&run.id);
    let open = (shown.running_jobs, shown.waiting_jobs, shown.queue_position);
    assert_eq!(open, (0, 0, 0));
    assert_eq!(shown.outcome(), Outcome::Ok);
    assert_eq!(shown.last_sequence, run.events.len() as u64);
}

#[test]
fn what_waits_for_a_place_can_be_cancelled() {
    let server = narrow("job_threads: 1");
    let _gate = server.gate("gate.n1");
    let api = server.api();
    let mut holder = api.start(on("wait", "n1")).unwrap();
    holder.wait_for("n1", "ready\n");
    let queued = api.start(on("short", "@*")).unwrap();
    api.cancel(&queued.id, false).unwrap();
    let queued = queued.finish();
    for node in queued.nodes() {
        let end = queued.end_of(node);
        assert_eq!(
            (end.outcome(), end.duration.is_some()),
            (Outcome::Cancelled, false)
        );
        assert!(
            end.message.ends_with("before it was started"),
            "{}",
            end.message
        );
    }
    assert_eq!(server.read("order"), "");
    api.cancel(&holder.id, true).unwrap();
    _ = holder.finish();
}

#[test]
fn no_more_runs_live_than_the_limit() {
    let server = narrow("limits: {live_runs: 5}");
    let _gate = server.gate("gate.n1");
    // Many ask at once.
    let (running, refused) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            let api = server.api();
            let (running, refused) = (&running, &refused);
            scope.spawn(move || {
                for _ in 0..5 {
                    match api.start(on("wait", "n1")) {
                        Ok(run) => running.lock().unwrap().push(run),
                        Err(status) => refused.lock().unwrap().push(status),
                    }
                }
            });
        }
    });
    let mut running = running.into_inner().unwrap();
    assert_eq!(running.len(), 5);
    for status in refused.into_inner().unwrap() {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("limits.live_runs"), "{status}");
    }
    let api = server.api();
    let request = || ListRunsRequest {
        running: true,
        ..ListRunsRequest::default()
    };
    assert_eq!(api.list_runs(request()).unwrap().runs.len(), 5);
    // When one has ended there is room for one.
    let first = running.pop().unwrap();
    api.cancel(&first.id, true).unwrap();
    _ = first.finish();
    let another = wait_until("room", CEILING, || api.start(on("wait", "n1")).ok());
    assert_eq!(api.refused(on("wait", "n1")).0, Code::ResourceExhausted);
    for run in running.into_iter().chain([another]) {
        api.cancel(&run.id, true).unwrap();
        _ = run.finish();
    }
    // Those that were refused are nowhere.
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 6);
}

#[test]
fn one_subject_has_its_share_of_runs_and_of_streams() {
    let server = narrow("limits: {runs_per_subject: 3, streams_per_subject: 4}");
    let _gate = server.gate("gate.n1");
    let of = |subject: &str| {
        let claims = token::with(token::claims(), "sub", subject);
        let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
        server.api_with(Some(&token))
    };
    let (bob, carol) = (of("bob"), of("carol"));
    let mut running: Vec<_> = (0..3)
        .map(|_| bob.start(on("wait", "n1")).unwrap())
        .collect();
    let (code, text) = bob.refused(on("wait", "n1"));
    assert_eq!(code, Code::ResourceExhausted, "{text}");
    assert!(text.contains("limits.runs_per_subject"), "{text}");
    // Three streams of these runs, and one more.
    let id = running[0].id.clone();
    let watch = bob.watch(&id, 0).unwrap();
    let refused = bob.watch(&id, 0).map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(
        refused.message().contains("limits.streams_per_subject"),
        "{refused}"
    );
    // Others are not held up.
    let other = carol.start(on("wait", "n1")).unwrap();
    // A place is free once its stream has gone, and once its run has ended.
    drop(watch);
    _ = wait_until("a stream", CEILING, || bob.watch(&id, 0).ok());
    let first = running.pop().unwrap();
    bob.cancel(&first.id, true).unwrap();
    _ = first.finish();
    running.push(wait_until("room", CEILING, || {
        bob.start(on("wait", "n1")).ok()
    }));
    for run in running.into_iter().chain([other]) {
        server.api().cancel(&run.id, true).unwrap();
        _ = run.finish();
    }
    // Those that were refused are nowhere.
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 5);
}
