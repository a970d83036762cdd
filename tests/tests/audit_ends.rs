//! Each run that was accepted has exactly one end, in its record and in the audit log, however and
//! whenever its server dies.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use action_proto::v1::{RunEvent, run_event::Event};
use action_tests::{Api, CEILING, Chance, Server, Site, on, processes, rounds, wait_until};
use rustix::process::Signal;
use serde_json::Value;

fn site() -> Site {
    let site = Site::new();
    site.nodes("n1:\nn2:\nn3:\n");
    site.command("quick", "echo quick");
    site.command("fail", "exit 3");
    site.command("brief", "sleep 0.0$((RANDOM % 9))");
    site.command("stay", "echo ready; exec sleep 1000");
    site
}

/// The lines of an event in the audit log and in what was moved away from it, by run.
fn lines(site: &Site, event: &str) -> BTreeMap<String, Vec<Value>> {
    let mut lines = BTreeMap::<_, Vec<_>>::new();
    for file in fs::read_dir(site.path("state")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("audit.jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["event"] == event {
                let id = line["run_id"].as_str().unwrap().to_owned();
                lines.entry(id).or_default().push(line);
            }
        }
    }
    lines
}

/// The only end of a run in the audit log.
#[track_caller]
fn end_of(site: &Site, id: &str) -> Value {
    let ends = lines(site, "run_finished").remove(id).unwrap_or_default();
    let [end] = ends.as_slice() else {
        panic!("{id} has {} ends: {ends:?}", ends.len());
    };
    end.clone()
}

/// What must be true after any start: both know the same runs, each with one end, and the same. Records
/// that were checked are left out.
#[track_caller]
fn compare(server: &Server, started: &BTreeSet<String>, checked: &mut BTreeSet<String>) {
    let (accepted, ended) = (lines(server, "run_accepted"), lines(server, "run_finished"));
    for id in started {
        assert!(accepted.contains_key(id), "{id} is known to a caller");
    }
    for (id, lines) in &accepted {
        assert_eq!(lines.len(), 1, "{id} is accepted twice");
        assert!(ended.contains_key(id), "{id} has no end: {lines:?}");
    }
    for (id, lines) in &ended {
        assert_eq!(lines.len(), 1, "{id} has two ends: {lines:?}");
    }
    let runs = fs::read_dir(server.path("state/runs")).unwrap();
    let names = runs.map(|file| file.unwrap().file_name().into_string().unwrap());
    let recorded = names.filter_map(|name| {
        let (_, id) = name.strip_suffix(".run")?.split_once('-')?;
        Some(id.to_owned())
    });
    let recorded: BTreeSet<String> = recorded.collect();
    for id in &recorded {
        assert!(ended.contains_key(id), "{id} is recorded and has no line");
    }
    for (id, lines) in &ended {
        // A run that was refused after its line has no record.
        let is_refused = lines[0]["outcome"] == "not-started" && !recorded.contains(id);
        if is_refused || !checked.insert(id.clone()) {
            continue;
        }
        let run = server.api().ended(id);
        let ends = |event: &&RunEvent| matches!(event.event, Some(Event::RunFinished(_)));
        assert_eq!(run.events.iter().filter(ends).count(), 1, "{id}");
        let outcome = run.summary().outcome().label();
        assert_eq!(lines[0]["outcome"], outcome, "{id}: {lines:?}");
    }
}

/// Starts runs and follows them until `stop` is set or the server is gone.
fn call(api: &Api, command: &str, stop: &AtomicBool, started: &Mutex<BTreeSet<String>>) {
    while !stop.load(Ordering::Acquire) {
        let Ok(mut run) = api.start(on(command, "n[1-3]")) else {
            return;
        };
        started.lock().unwrap().insert(run.id.clone());
        while matches!(run.read(), Ok(Some(_))) {}
    }
}

#[test]
fn both_know_the_same_ends_after_kills_at_random_moments() {
    let mut chance = Chance::new();
    let mut server = site().start();
    let (started, mut checked) = (Mutex::new(BTreeSet::new()), BTreeSet::new());
    for round in 0..rounds(50) {
        let moment = Duration::from_micros(chance.below(200_000));
        let stop = AtomicBool::new(false);
        let apis = ["quick", "fail", "brief"].map(|command| (command, server.api()));
        thread::scope(|scope| {
            for (command, api) in &apis {
                let (stop, started) = (&stop, &started);
                scope.spawn(move || call(api, command, stop, started));
            }
            thread::park_timeout(moment);
            processes::signal(server.id(), Signal::KILL);
            stop.store(true, Ordering::Release);
        });
        let site = server.kill();
        // As logrotate may do, also while no server runs.
        if round % 10 == 5 {
            let moved = site.path(format!("state/audit.jsonl.{round}"));
            fs::rename(site.path("state/audit.jsonl"), moved).unwrap();
        }
        server = site.start();
        compare(&server, &started.lock().unwrap(), &mut checked);
    }
    assert!(!started.lock().unwrap().is_empty(), "no run was accepted");
}

/// Starts the server with a point at which it dies, has a run come there, and starts it again.
fn killed_at(site: Site, point: &str, started: &mut BTreeSet<String>) -> Server {
    let mut server = Server::start(site, |command| {
        command.env("ACTION_CRASH_AT", point);
    });
    if let Ok(mut run) = server.api().start(on("quick", "n1")) {
        started.insert(run.id.clone());
        while matches!(run.read(), Ok(Some(_))) {}
    }
    let ended = server.wait();
    assert_eq!(ended.code(), None, "{point}: {ended}");
    server.kill().start()
}

#[test]
fn both_know_the_same_ends_after_a_crash_at_each_point() {
    let mut started = BTreeSet::new();
    let mut site = site();
    for point in [
        "before-intent",
        "after-intent",
        "before-spawn",
        "after-spawn",
        "first-output",
        "before-end",
        "after-end",
    ] {
        let server = killed_at(site, point, &mut started);
        compare(&server, &started, &mut BTreeSet::new());
        // Once is enough: another start adds nothing.
        let server = server.kill().start();
        compare(&server, &started, &mut BTreeSet::new());
        site = server.stop();
    }
}

/// The server dies after it has recorded an end and before the line, and then after each line of the
/// starts that complete them.
#[test]
fn a_start_that_dies_is_completed_by_the_next() {
    let site = site();
    let server = site.start();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let mut run = server.api().start(on("stay", "n1")).unwrap();
        run.wait_for("n1", "ready\n");
        ids.push(run.id.clone());
    }
    let site = server.kill();
    for point in ["after-end", "audit-end", "audit-end", "audit-end"] {
        let mut serve = site.server_verb_command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.env("ACTION_CRASH_AT", point);
        let ended = serve.output().unwrap().status;
        assert_eq!(ended.code(), None, "{point}: {ended}");
    }
    let server = site.start();
    let started = ids.iter().cloned().collect();
    compare(&server, &started, &mut BTreeSet::new());
    for id in &ids {
        assert_eq!(end_of(&server, id)["outcome"], "lost");
    }
}

#[test]
fn an_end_that_is_recorded_is_logged_as_the_record_has_it() {
    let mut server = Server::start(site(), |command| {
        command.env("ACTION_CRASH_AT", "after-end");
    });
    let run = server.api().start(on("fail", "n[1-2]")).unwrap();
    let id = run.id.clone();
    server.wait();
    let server = server.kill().start();
    let end = end_of(&server, &id);
    assert_eq!(end["outcome"], "failed");
    assert_eq!(end["counts"]["failed"], 2);
    let accepted = lines(&server, "run_accepted").remove(&id).unwrap();
    for key in ["subject", "jti", "command", "nodes"] {
        assert_eq!(end[key], accepted[0][key], "{key}");
    }
    let reason = end["reason"].as_str().unwrap();
    assert!(reason.starts_with("completed at a start"), "{reason}");
}

#[test]
fn a_run_without_a_good_record_has_an_honest_end() {
    let mut site = site();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut server = Server::start(site, |command| {
            command.env("ACTION_CRASH_AT", "after-end");
        });
        let run = server.api().start(on("quick", "n1")).unwrap();
        ids.push(run.id.clone());
        server.wait();
        site = server.kill();
        // A start would complete it.
        if ids.len() == 1 {
            let state = site.path("state");
            fs::copy(state.join("audit.jsonl"), state.join("before")).unwrap();
            fs::remove_file(site.record(&ids[0])).unwrap();
        }
    }
    let record = site.record(&ids[1]);
    let mut bytes = fs::read(&record).unwrap();
    bytes[60..].fill(0xff);
    fs::write(&record, bytes).unwrap();
    let server = site.start();
    let gone = end_of(&server, &ids[0]);
    assert_eq!(gone["outcome"], "lost");
    assert!(
        gone["reason"].as_str().unwrap().contains("no record"),
        "{gone}"
    );
    assert_eq!(gone["command"], "quick");
    let damaged = end_of(&server, &ids[1]);
    assert_eq!(damaged["outcome"], "lost", "{damaged}");
    let server = server.kill().start();
    assert_eq!(end_of(&server, &ids[0]), gone);
    assert_eq!(end_of(&server, &ids[1]), damaged);
}

#[test]
fn a_record_that_was_restored_or_cut_gives_no_second_end() {
    let server = site().start();
    let api = server.api();
    let cut = api.run(on("quick", "n1"));
    let restored = api.run(on("quick", "n1"));
    // A clean stop, so that the lines stand before the checkpoint.
    let site = server.stop();
    let ends = [&cut.id, &restored.id].map(|id| end_of(&site, id));
    for (id, by) in [(&cut.id, 16), (&restored.id, 100)] {
        let file = fs::File::options()
            .write(true)
            .open(site.record(id))
            .unwrap();
        file.set_len(file.metadata().unwrap().len() - by).unwrap();
    }
    let server = site.start();
    for (id, end) in [&cut.id, &restored.id].into_iter().zip(ends) {
        assert_eq!(end_of(&server, id), end);
    }
}

#[test]
fn scripts_of_a_run_whose_record_was_removed_are_ended_at_the_next_start() {
    let site = site();
    site.command(
        "stay",
        "echo $$ >\"$SCRIPT_ROOT/../pid\"; echo ready; exec sleep 1000",
    );
    let server = site.start();
    let mut run = server.api().start(on("stay", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let pid: i32 = server.read("pid").trim().parse().unwrap();
    fs::remove_file(server.record(&run.id)).unwrap();
    let server = server.kill().start();
    assert!(!processes::is_alive(pid), "{}", server.log());
    assert_eq!(end_of(&server, &run.id)["outcome"], "lost");
}

#[test]
fn what_a_run_may_leave_running_lives_on_while_its_end_is_added_to_the_log() {
    let site = site();
    let script = "sleep 1000 >/dev/null 2>&1 & echo $! >\"$SCRIPT_ROOT/../pid\"";
    site.command_with(
        "daemon",
        "help: {summary: s}\nleave_running: true\n",
        script,
    );
    let mut server = Server::start(site, |command| {
        command.env("ACTION_CRASH_AT", "after-end");
    });
    let run = server.api().start(on("daemon", "n1")).unwrap();
    server.wait();
    let server = server.kill().start();
    assert_eq!(end_of(&server, &run.id)["outcome"], "ok");
    let pid: i32 = server.read("pid").trim().parse().unwrap();
    assert!(processes::is_alive(pid), "{}", server.log());
    processes::signal(pid, Signal::KILL);
}

#[test]
fn lines_go_to_the_file_that_has_the_name() {
    let server = site().start();
    let log = server.path("state/audit.jsonl");
    let api = server.api();
    let run = || api.run(on("quick", "n1")).id;
    _ = run();
    // Moved away without a signal, also in the middle of a run.
    let mut stay = api.start(on("stay", "n1")).unwrap();
    stay.wait_for("n1", "ready\n");
    fs::rename(&log, log.with_extension("jsonl.1")).unwrap();
    let second = run();
    assert!(server.read("state/audit.jsonl").contains(&second));
    assert!(!server.read("state/audit.jsonl.1").contains(&second));
    wait_until("the end of the second", CEILING, || {
        lines(&server, "run_finished")
            .contains_key(&second)
            .then_some(())
    });
    // A line that is written after it is of a batch that came after it.
    let fence = run();
    assert!(server.read("state/audit.jsonl").contains(&fence));
    // Removed.
    fs::remove_file(&log).unwrap();
    let third = run();
    wait_until("the end of the third", CEILING, || {
        lines(&server, "run_finished")
            .contains_key(&third)
            .then_some(())
    });
    assert!(!server.read("state/audit.jsonl").contains(&second));
    // The next server knows of the run whose acceptance is in a file that was moved.
    let server = server.kill().start();
    assert_eq!(end_of(&server, &stay.id)["outcome"], "lost");
    assert_eq!(
        end_of(&server, &stay.id)["subject"],
        lines(&server, "run_accepted")[&third][0]["subject"]
    );
}

#[test]
fn no_run_begins_while_the_directory_of_the_log_is_gone() {
    let site = site();
    fs::create_dir(site.path("log.d")).unwrap();
    site.settings("audit_path: log.d/audit.jsonl");
    let server = site.start();
    let api = server.api();
    _ = api.run(on("quick", "n1"));
    let mut stay = api.start(on("stay", "n1")).unwrap();
    stay.wait_for("n1", "ready\n");
    fs::remove_dir_all(server.path("log.d")).unwrap();
    let (code, text) = api.refused(on("quick", "n1"));
    assert_eq!(code, tonic::Code::Unavailable, "{text}");
    server.wait_for_log("cannot write the audit log");
    // The run ends meanwhile: its line follows.
    api.cancel(&stay.id, true).unwrap();
    let id = stay.finish().id;
    fs::create_dir(server.path("log.d")).unwrap();
    let text = wait_until("the line", CEILING, || {
        let text = fs::read_to_string(server.path("log.d/audit.jsonl")).ok()?;
        text.contains("run_finished").then_some(text)
    });
    let text: Vec<&str> = text.lines().collect();
    assert!(text[0].contains("audit_resumed"), "{text:?}");
    assert!(
        text[1].contains(&id) && text[1].contains("cancelled"),
        "{text:?}"
    );
    wait_until("a run", CEILING, || api.start(on("quick", "n1")).ok());
}
