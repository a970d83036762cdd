//! Servers that are killed: each run that was accepted is known afterwards, tells the truth, and
//! was run once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use action_proto::v1::{ListRunsRequest, Outcome, RunEvent, run_event::Event};
use action_tests::{
    Api, CEILING, Chance, Ended, Server, Site, on, processes, program::AT_ONCE, rounds, usage,
    wait_until,
};
use rustix::process::Signal;

/// Each script says on the disk that it ran, before all else.
const RAN: &str = "echo \"$run_id $name\" >> \"$SCRIPT_ROOT/../ran\"\n";

fn site() -> Site {
    let site = Site::new();
    let nodes = (1..=8).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    let command = |name, script: &str| site.command(name, &format!("{RAN}{script}"));
    command("quick", "echo quick");
    command(
        "talk",
        "for i in {1..400}; do echo $name $i; echo $i >&2; done",
    );
    command("stay", "setsid sleep 1000 & echo staying; exec sleep 1000");
    command("fail", "sleep 0.0$((RANDOM % 9)); exit 3");
    site.write("ran", "");
    site
}

/// Starts runs until it is told to stop or the server is gone: the ids it was told, each with
/// the events it saw of it.
fn load(api: &Api, command: &str, stop: &AtomicBool) -> BTreeMap<String, Vec<RunEvent>> {
    let mut accepted = BTreeMap::new();
    while !stop.load(Ordering::Acquire) {
        let Ok(mut run) = api.start(on(command, "n[1-8]")) else {
            break;
        };
        let mut seen = 0;
        // A run that stays is left after a moment, so that there are many.
        while seen < 40 && matches!(run.read(), Ok(Some(_))) {
            seen += 1;
            if command == "stay" && seen > 9 {
                break;
            }
        }
        accepted.insert(run.id.clone(), run.events);
    }
    accepted
}

/// What must be true of a run that was accepted, whenever its server died.
#[track_caller]
fn check(server: &Server, id: &str, seen: &[RunEvent]) -> Ended {
    let ended = server.api().ended(id);
    // What was shown to a caller was on the disk: it stays as it was.
    assert!(
        ended.events.starts_with(seen),
        "{id}: {seen:#?}\n{:#?}",
        ended.events
    );
    let ends = |event: &&RunEvent| matches!(event.event, Some(Event::RunFinished(_)));
    assert_eq!(ended.events.iter().filter(ends).count(), 1, "{id}");
    for node in ended.nodes() {
        let end = ended.end_of(node);
        let lost = end.outcome() == Outcome::Lost;
        assert_eq!(
            lost,
            end.message.contains("the server died"),
            "{id} {end:?}"
        );
        assert!(
            !lost || (end.exit_code, end.signal) == (None, None),
            "{end:?}"
        );
    }
    let run = server.api().run_now(id);
    assert_eq!(run.outcome(), ended.summary().outcome(), "{id}");
    ended
}

/// Each script ran at most once, and only for a run that is known. `known` is left out, and added
/// to.
#[track_caller]
fn check_ran(server: &Server, known: &mut BTreeSet<String>) {
    let ran = server.read("ran");
    let lines: Vec<_> = ran.lines().collect();
    let once: BTreeSet<_> = lines.iter().collect();
    assert_eq!(once.len(), lines.len(), "a script ran twice:\n{ran}");
    let api = server.api();
    for line in lines {
        let id = line.split(' ').next().unwrap();
        if known.insert(id.to_owned()) {
            let run = api.get_run(id);
            assert!(run.is_ok(), "{id} ran and is not known: {run:?}");
        }
    }
}

#[test]
fn a_server_that_is_killed_under_load_forgets_nothing_and_repeats_nothing() {
    let mut chance = Chance::new();
    let mut server = site().start();
    let mut known = BTreeSet::new();
    let (mut accepted, mut lost, mut slowest) = (0, 0, Duration::ZERO);
    for round in 0..rounds(100) {
        let moment = Duration::from_micros(chance.below(250_000));
        let stop = AtomicBool::new(false);
        let seen = Mutex::new(BTreeMap::new());
        let apis = ["quick", "talk", "stay", "fail"].map(|command| (command, server.api()));
        thread::scope(|scope| {
            for (command, api) in &apis {
                let (stop, seen) = (&stop, &seen);
                scope.spawn(move || seen.lock().unwrap().append(&mut load(api, command, stop)));
            }
            thread::park_timeout(moment);
            processes::signal(server.id(), Signal::KILL);
            stop.store(true, Ordering::Release);
        });
        let begin = std::time::Instant::now();
        server = server.kill().start();
        slowest = slowest.max(begin.elapsed());
        assert_eq!(server.scripts(), [], "round {round}");
        let seen = seen.into_inner().unwrap();
        for (id, events) in &seen {
            let ended = check(&server, id, events);
            lost += u32::from(ended.summary().outcome() == Outcome::Lost);
        }
        accepted += seen.len();
        check_ran(&server, &mut known);
    }
    assert!(lost > 0, "no run was lost: the test proves nothing");
    // Also what no caller saw has its end.
    let request = ListRunsRequest {
        running: true,
        ..ListRunsRequest::default()
    };
    assert_eq!(server.api().list_runs(request).unwrap().runs, []);
    report(&format!(
        "{accepted} runs accepted, {lost} lost, slowest start {slowest:?}"
    ));
}

#[expect(clippy::print_stderr, reason = "figures for who runs this by hand")]
fn report(text: &str) {
    eprintln!("{text}");
}

/// A server that dies at a point, with a run that makes it come there: the site, and what was
/// seen of the run, if it was accepted.
fn crashed_at(point: &str) -> (Site, Option<(String, Vec<RunEvent>)>) {
    let mut server = Server::start(site(), |command| {
        command.env("ACTION_CRASH_AT", point);
    });
    let api = server.api();
    let run = api.start(on("quick", "n1")).ok().map(|mut run| {
        while matches!(run.read(), Ok(Some(_))) {}
        (run.id, run.events)
    });
    // SIGABRT, and nothing else.
    let ended = server.wait();
    assert_eq!(ended.code(), None, "{point}: {ended}");
    (server.kill(), run)
}

/// The next server, the runs that it knows, and how often scripts ran.
fn after(site: Site) -> (Server, Vec<String>, usize) {
    let server = site.start();
    let request = ListRunsRequest::default();
    let runs = server.api().list_runs(request).unwrap().runs;
    let ids = runs.into_iter().map(|run| run.run_id).collect();
    check_ran(&server, &mut BTreeSet::new());
    let ran = server.read("ran").lines().count();
    (server, ids, ran)
}

/// A server that dies at a point at which one run is on the disk: what the next one says of it,
/// and how often its script ran.
#[track_caller]
fn recorded_at(point: &str) -> (Ended, usize) {
    let (site, seen) = crashed_at(point);
    let (server, ids, ran) = after(site);
    assert_eq!(ids.len(), 1, "{point}");
    // The server may have died before its answer was out.
    let (id, events) = seen.unwrap_or((ids[0].clone(), Vec::new()));
    assert_eq!(ids, [id.as_str()], "{point}");
    (check(&server, &id, &events), ran)
}

#[test]
fn before_a_run_is_on_the_disk_nobody_hears_of_it_and_nothing_runs() {
    let (site, run) = crashed_at("before-intent");
    assert!(run.is_none());
    let (server, ids, ran) = after(site);
    assert_eq!((ids.len(), ran), (0, 0), "{ids:?}");
    assert_eq!(
        server.api().run(on("quick", "n1")).answer_of("n1"),
        "quick\n"
    );
}

#[test]
fn a_run_that_is_on_the_disk_is_known_before_anything_runs() {
    for point in ["after-intent", "before-spawn"] {
        let (ended, ran) = recorded_at(point);
        assert_eq!(ran, 0, "{point}");
        assert_eq!(ended.end_of("n1").outcome(), Outcome::Lost, "{point}");
        assert_eq!(ended.events.len(), 3, "{point}");
    }
}

#[test]
fn a_run_whose_script_was_started_is_lost_and_not_repeated() {
    for point in ["after-spawn", "first-output"] {
        let (ended, ran) = recorded_at(point);
        assert!(ran <= 1, "{point}");
        assert_eq!(ended.end_of("n1").outcome(), Outcome::Lost, "{point}");
    }
}

#[test]
fn a_run_whose_job_has_ended_is_not_lost() {
    for point in ["before-end", "after-end"] {
        let (ended, ran) = recorded_at(point);
        assert_eq!(ran, 1, "{point}");
        assert_eq!(ended.answer_of("n1"), "quick\n", "{point}");
        assert_eq!(ended.summary().outcome(), Outcome::Ok, "{point}");
    }
}

#[test]
fn what_a_dead_server_left_is_asked_to_end_before_it_is_made_to() {
    let site = Site::new();
    site.nodes("polite: {}\ndeaf: {}\n");
    // What is left carries the run's id. A shell that does not carry it outlives that, and notes by
    // which signal it ended: on a busy machine a trap might not be run before KILL comes.
    let script = r#"
        [[ $name != deaf ]] || trap '' TERM
        exec env -i /bin/bash -c '"${@:2}"; echo $? > "$1"' bash "$SCRIPT_ROOT/../ended.$name" \
            env run_id="$run_id" SCRIPT_ROOT="$SCRIPT_ROOT" setsid bash -c 'echo ready; exec sleep 1000' 2> /dev/null
    "#;
    site.command("stay", script);
    let server = site.start();
    let mut run = server.api().start(on("stay", "@*")).unwrap();
    run.wait_for("polite", "ready\n");
    run.wait_for("deaf", "ready\n");
    let site = server.kill();
    assert_ne!(site.scripts(), [], "they outlive their server");
    let server = site.start();
    assert_eq!(server.scripts(), []);
    for (node, signal) in [("polite", Signal::TERM), ("deaf", Signal::KILL)] {
        let file = format!("ended.{node}");
        let code = wait_until("the code", CEILING, || {
            let code = server.has(&file).then(|| server.read(&file))?;
            code.ends_with('\n').then_some(code)
        });
        assert_eq!(code, format!("{}\n", 128 + signal.as_raw()), "{node}");
    }
    server.wait_for_log("the last server died");
    check(&server, &run.id, &run.events);
}

#[test]
fn a_server_that_pauses_ends_no_job_that_was_in_time() {
    let site = Site::new();
    let nodes = (1..=20).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    let script = "touch \"$SCRIPT_ROOT/../started.$name\"; read -r -t 0.3 < /dev/zero\necho done; touch \"$SCRIPT_ROOT/../ended.$name\"";
    site.command_with("brief", "help: {summary: s}\ntimeout: 1500ms", script);
    let server = site.start();
    let all = |prefix: &str| {
        let prefix = prefix.to_owned();
        let all = (1..=20).all(|number| server.has(format!("{prefix}.n{number}")));
        all.then_some(())
    };
    let mut run = server.api().start(on("brief", "@*")).unwrap();
    _ = run.read();
    wait_until("the scripts to start", AT_ONCE, || all("started"));
    processes::signal(server.id(), Signal::STOP);
    wait_until("the scripts to end", CEILING, || all("ended"));
    thread::park_timeout(Duration::from_millis(1600));
    processes::signal(server.id(), Signal::CONT);
    let run = run.finish();
    for node in run.nodes() {
        let end = run.end_of(node);
        assert_eq!(end.outcome(), Outcome::Ok, "{node}: {}", end.message);
        assert_eq!(run.stdout_of(node), b"done\n");
    }
    assert_eq!(usage::children(server.id()), []);
}
