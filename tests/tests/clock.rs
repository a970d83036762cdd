//! A system clock that jumps makes no record old.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use action_proto::v1::ListRunsRequest;
use action_tests::{CEILING, Ended, Ran, Running, Server, Site, on, token, wait_until};
use jsonwebtoken::Algorithm;

const AHEAD: &str = "100 days ahead of what uptime explains";

fn site() -> Site {
    let site = Site::new();
    site.command("print", "head -c 100000 /dev/zero");
    site.settings("retention: {age: 30days}");
    site
}

/// Has a program read the clock as the file `clock` of the site says, such as `+100d`.
fn faked(command: &mut Command, site: &Path) {
    // tests/run installs it.
    let libraries = fs::read_dir("/usr/lib").unwrap();
    let mut paths = libraries.map(|entry| {
        let directory = entry.unwrap().path();
        directory.join("faketime/libfaketimeMT.so.1")
    });
    let library = paths.find(|path| path.exists());
    command.env("LD_PRELOAD", library.unwrap());
    command.env("FAKETIME_TIMESTAMP_FILE", site.join("clock"));
    command.env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// Replaces the file as a whole: an empty one is another time.
fn set_clock(site: &Site, clock: &str) {
    site.write("clock.new", format!("{clock}\n"));
    fs::rename(site.path("clock.new"), site.path("clock")).unwrap();
}

/// Starts a server whose clock is off by so much.
fn start_at(site: Site, clock: &str) -> Server {
    set_clock(&site, clock);
    let path = site.path("");
    Server::start(site, |command| faked(command, &path))
}

/// The same for a verb.
fn verb(site: &Site, words: &[&str]) -> Ran {
    let mut command = site.server_verb_command(words);
    faked(&mut command, &site.path(""));
    Running::start(command, site.hidden()).finish()
}

fn files(site: &Site) -> usize {
    let files = fs::read_dir(site.path("state/runs")).unwrap();
    let is_record = |path: PathBuf| path.extension().is_some_and(|it| it == "run");
    files
        .filter(|file| is_record(file.as_ref().unwrap().path()))
        .count()
}

fn with_runs(count: usize) -> (Site, Vec<Ended>) {
    let server = site().start();
    let runs = (0..count).map(|_| server.api().run(on("print", "n1")));
    let runs = runs.collect();
    (server.stop(), runs)
}

#[track_caller]
fn wait_for_files(site: &Site, count: usize) {
    wait_until("another number of records", CEILING, || {
        (files(site) == count).then_some(())
    });
}

#[test]
fn a_jump_before_the_start_removes_nothing_until_it_is_accepted() {
    let (site, _) = with_runs(3);
    site.settings("metrics_listen: 127.0.0.1:0");
    let server = start_at(site, "+100d");
    server.wait_for_log(AHEAD);
    let jump = wait_until("the metric", CEILING, || {
        let jump = server.scrape().of("action_clock_jump_seconds");
        (jump > 0.0).then_some(jump)
    });
    assert!((jump - 8_640_000.0).abs() < 3600.0, "{jump}");
    let checked = verb(&server, &["check"]).ok();
    assert!(checked.stdout().contains(AHEAD), "{checked}");
    assert!(checked.stdout().contains("accept-clock"), "{checked}");
    assert_eq!(files(&server), 3);
    let accepted = verb(&server, &["accept-clock"]).ok();
    assert!(accepted.stdout().contains(AHEAD), "{accepted}");
    server.wait_for_log("removed old records runs=3");
    assert_eq!(files(&server), 0);
    assert_eq!(server.scrape().of("action_clock_jump_seconds"), 0.0);
    let nothing = verb(&server, &["accept-clock"]).ok();
    assert!(nothing.stderr().contains("not doubted"), "{nothing}");
}

#[test]
fn a_jump_while_the_server_runs_removes_nothing_and_may_be_undone() {
    let (site, _) = with_runs(3);
    let server = start_at(site, "+0");
    set_clock(&server, "+100d");
    server.wait_for_log(AHEAD);
    set_clock(&server, "+0");
    server.wait_for_log("the system clock is believed");
    assert_eq!(files(&server), 3);
    // What a stopped server doubted the next one doubts, and a clock that is right again it does not.
    set_clock(&server, "+100d");
    wait_until("another doubt", CEILING, || {
        (server.log().matches(AHEAD).count() == 2).then_some(())
    });
    let site = start_at(server.stop(), "+100d");
    site.wait_for_log(AHEAD);
    assert_eq!(files(&site), 3);
    let server = start_at(site.stop(), "+0");
    server.wait_for_log("listening on");
    assert_eq!(verb(&server, &["check"]).ok().stdout(), "");
    assert_eq!(files(&server), 3);
}

#[test]
fn the_size_is_kept_while_the_clock_is_doubted() {
    let (site, runs) = with_runs(5);
    // Two and a half of them.
    site.set("retention", "{age: 30days, size: 250000}");
    let server = start_at(site, "+100d");
    server.wait_for_log(AHEAD);
    wait_for_files(&server, 2);
    for run in &runs[3..] {
        assert!(server.record(&run.id).exists());
    }
}

#[test]
fn a_steady_day_is_enough() {
    let (site, _) = with_runs(3);
    let server = start_at(site, "+100d");
    server.wait_for_log(AHEAD);
    let site = server.stop();
    // As if it had been so for a day.
    let text = site.read("state/clock.json");
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let since = state["pause"]["since"].as_i64().unwrap();
    state["pause"]["since"] = (since - 24 * 3_600_000).into();
    site.write("state/clock.json", state.to_string());
    let server = start_at(site, "+100d");
    server.wait_for_log("removed old records runs=3");
    assert!(!server.log().contains(AHEAD));
}

#[test]
fn records_of_a_clock_that_went_back_come_after_the_older_ones() {
    let (site, runs) = with_runs(3);
    let server = start_at(site, "-2h");
    server.wait_for_log("behind what uptime explains");
    let claims = token::with(token::claims(), "iat", token::now() - 3 * 3600);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    let run = server.api_with(Some(&token)).run(on("print", "n1"));
    let name = |id: &str| server.record(id).file_name().unwrap().to_owned();
    assert!(name(&run.id) > name(&runs[2].id));
    // It is listed by the time of its start all the same.
    let until = prost_types::Timestamp {
        seconds: i64::try_from(token::now()).unwrap() - 3600,
        nanos: 0,
    };
    let request = ListRunsRequest {
        until: Some(until),
        ..ListRunsRequest::default()
    };
    let listed = server.api_with(Some(&token)).list_runs(request).unwrap();
    let listed: Vec<_> = listed.runs.iter().map(|it| &it.run_id).collect();
    assert_eq!(listed, [&run.id]);
    let site = server.stop();
    // The oldest are those of before.
    site.set("retention", "{age: 30days, size: 250000}");
    let server = start_at(site, "+0");
    wait_for_files(&server, 2);
    assert!(server.record(&run.id).exists());
    assert!(server.record(&runs[2].id).exists());
}
