//! Metrics: what a scrape says is what the records say, while runs go on and after; and nobody who
//! scrapes can hurt the server.

mod listener;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
};

use action_proto::v1::{ListNodesRequest, Outcome, RunCommandRequest};
use action_tests::{
    Api, CEILING, Ended, Server, Site, on,
    program::{run, tool},
    scrape::{Scrape, get},
    usage, wait_until,
};
use serde_json::Value;

/// How each node ends follows from its name.
const MIXED: &str = r#"
head -c 70000 /dev/zero | tr '\0' x
echo "$name" >&2
case $name in
    bad*) exit 3 ;;
    slow*) exec sleep 1000 ;;
esac
"#;

/// A site that answers scrapes, with nodes that end in each way.
fn site() -> Site {
    let site = Site::new();
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    site.settings("job_threads: 4");
    site.settings("limits: {output_per_job: 60000}");
    site.nodes(
        "ok1:\nok2:\nbad1:\nbad2:\nbad3:\nslow1: {ranks: other}\nhollow1: {ranks: hollow}\nn1:\n",
    );
    site.command_with("mixed", "help: {summary: a test}\ntimeout: 5s\n", MIXED);
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    // The interpreter is there and is no program.
    site.whole_script("mixed/hollow.sh", "#!/etc/passwd\n");
    site
}

/// What the counters must be, by what the records of runs say.
fn recorded(server: &Server, runs: &[&Ended]) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for run in runs {
        let exported = server.export(&run.id).ok().stdout;
        let lines = String::from_utf8(exported).unwrap();
        let events = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let events: Vec<Value> = events.collect();
        let command = &events[0]["command"];
        let mut add = |name: &str, labels: String, count: f64| {
            let sample = format!("action_{name}{{command={command}{labels}}}");
            *counts.entry(sample).or_default() += count;
        };
        for event in &events {
            let outcome = || format!(",outcome={}", event["outcome"]);
            match event["event"].as_str().unwrap() {
                "run_started" => add("runs_started_total", String::new(), 1.0),
                "node_started" => add("jobs_started_total", String::new(), 1.0),
                "node_finished" => {
                    add("jobs_finished_total", outcome(), 1.0);
                    for field in ["output_dropped_bytes", "output_lost_bytes"] {
                        let dropped = event[field].as_f64().unwrap_or(0.0);
                        add("output_dropped_bytes_total", String::new(), dropped);
                    }
                }
                "run_finished" => {
                    add("runs_finished_total", outcome(), 1.0);
                    add("run_duration_seconds_count", String::new(), 1.0);
                }
                "node_output" => {
                    let bytes = u32::try_from(event["data"].as_str().unwrap().len()).unwrap();
                    add("output_bytes_total", String::new(), f64::from(bytes));
                }
                other => panic!("{other}"),
            }
        }
    }
    counts
}

/// Waits for a scrape of which this is true.
#[track_caller]
fn scraped(server: &Server, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Scrape {
    wait_until(what, CEILING, || {
        Some(server.scrape()).filter(|scrape| is_so(scrape))
    })
}

#[test]
fn what_is_scraped_is_what_is_recorded() {
    let server = site().start();
    let api = server.api();
    let before = server.scrape();
    assert_eq!(
        before.of("action_runs_started_total{command=\"mixed\"}"),
        0.0
    );

    // One place is taken by each job that waits, and the last ones are cancelled before they begin.
    let request = RunCommandRequest {
        fanout: 8,
        ..on("wait", "ok[1-2],bad[1-3],slow1")
    };
    let waiting = api.start(request).unwrap();
    let second = api.start(on("hello", "n1")).unwrap();
    let during = scraped(&server, "four jobs", |now| {
        now.of("action_running_jobs") == 4.0 && now.of("action_waiting_runs") == 2.0
    });
    assert_eq!(during.of("action_live_runs"), 2.0);
    assert_eq!(during.of("action_job_slots"), 4.0);
    assert_eq!(during.of("action_job_slots_used"), 4.0);
    assert_eq!(during.of("action_waiting_jobs"), 3.0);
    assert_eq!(
        during.of("action_runs_started_total{command=\"wait\"}"),
        1.0
    );
    assert_eq!(during.of("action_open_calls{method=\"RunCommand\"}"), 2.0);
    assert_eq!(during.of("action_open_connections"), 1.0);
    let oldest = during.of("action_oldest_wait_seconds");
    scraped(&server, "an older wait", |now| {
        now.of("action_oldest_wait_seconds") > oldest
    });
    api.cancel(&waiting.id, false).unwrap();
    let (waiting, second) = (waiting.finish(), second.finish());

    let mixed = api
        .start(on("mixed", "ok[1-2],bad[1-3],slow1,hollow1"))
        .unwrap();
    let mixed = mixed.finish();
    let outcomes = ["ok1", "bad1", "slow1", "hollow1"].map(|node| mixed.end_of(node).outcome());
    let wanted = [
        Outcome::Ok,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::NotStarted,
    ];
    assert_eq!(outcomes, wanted);
    assert_eq!(waiting.end_of("slow1").outcome(), Outcome::Cancelled);

    let after = scraped(&server, "all to be over", |now| {
        now.of("action_live_runs") == 0.0
            && now.of("action_open_calls{method=\"RunCommand\"}") == 0.0
    });
    let recorded = recorded(&server, &[&waiting, &second, &mixed]);
    assert!(recorded.len() > 15, "{recorded:#?}");
    for (sample, count) in &recorded {
        assert_eq!(after.count(sample), *count, "{sample}");
    }
    assert!(recorded["action_output_dropped_bytes_total{command=\"mixed\"}"] > 60_000.0);
    // And nothing is counted that is not recorded.
    for sample in after
        .samples()
        .filter(|sample| sample.contains("_total{command="))
    {
        let known = recorded.get(sample).copied().unwrap_or(0.0);
        assert_eq!(after.of(sample), known, "{sample}");
    }
    for idle in [
        "running_jobs",
        "waiting_jobs",
        "waiting_runs",
        "job_slots_used",
    ] {
        assert_eq!(after.of(&format!("action_{idle}")), 0.0, "{idle}");
    }
    assert_eq!(after.of("action_run_start_delay_seconds_count"), 3.0);
    assert_eq!(after.of("action_records"), 3.0);
    let calls = "action_calls_total{code=\"ok\",method=\"RunCommand\"}";
    assert_eq!(after.of(calls), 3.0);
    let lines = f64::from(u32::try_from(server.audit().len()).unwrap());
    assert_eq!(after.of("action_audit_lines_total"), lines);
}

#[test]
fn each_answer_is_counted_by_its_method_and_code() {
    let server = site().start();
    let api = server.api();
    let code = |code: &str, method: &str| {
        let sample = format!("action_calls_total{{code=\"{code}\",method=\"{method}\"}}");
        move |scrape: &Scrape| scrape.count(&sample)
    };
    api.node_names();
    api.get_run("zzzz").unwrap_err();
    api.refused(on("nothing", "n1"));
    server
        .api_with(None)
        .list_nodes(ListNodesRequest::default())
        .unwrap_err();
    server
        .api_with(Some("a.b.c"))
        .raw("/action.v1.ActionService/Invented", b"")
        .unwrap_err();
    api.raw("/action.v1.ActionService/Invented", b"")
        .unwrap_err();
    for _ in 0..3 {
        server
            .api_with(None)
            .raw("/grpc.health.v1.Health/Check", b"")
            .unwrap();
    }
    // A watcher who goes away.
    let live = api.start(on("wait", "n1")).unwrap();
    let watch = api.watch(&live.id, 0).unwrap();
    let open = "action_open_calls{method=\"WatchRun\"}";
    assert_eq!(server.scrape().of(open), 1.0);
    drop(watch);
    // The two are counted one after the other.
    let scrape = scraped(&server, "the watcher to be gone", |now| {
        now.of(open) == 0.0 && code("cancelled", "WatchRun")(now) == 1.0
    });
    for (name, method, count) in [
        ("ok", "ListNodes", 1.0),
        ("unauthenticated", "ListNodes", 1.0),
        ("not_found", "GetRun", 1.0),
        ("not_found", "RunCommand", 1.0),
        ("unauthenticated", "other", 1.0),
        ("unimplemented", "other", 1.0),
        ("ok", "Check", 3.0),
        ("cancelled", "WatchRun", 1.0),
    ] {
        assert_eq!(code(name, method)(&scrape), count, "{name} {method}");
    }
    assert_eq!(
        scrape.of("action_token_refusals_total{reason=\"missing\"}"),
        1.0
    );
    assert_eq!(
        scrape.of("action_token_refusals_total{reason=\"malformed\"}"),
        1.0
    );
    assert_eq!(
        scrape.of("action_call_duration_seconds_count{method=\"Check\"}"),
        3.0
    );
    // None of what callers choose is a label.
    let labels: Vec<&str> = scrape.samples().collect();
    for chosen in ["n1", "nothing", "Invented", "zzzz", &live.id, "alice"] {
        let quoted = format!("\"{chosen}\"");
        assert!(
            labels.iter().all(|label| !label.contains(&quoted)),
            "{chosen}"
        );
    }
    api.cancel(&live.id, true).unwrap();
}

#[test]
fn reloads_and_definitions_are_counted() {
    let site = site();
    site.command_with("bad", "help: [\n", "true");
    let server = site.start();
    let sample = |what: &str, result: &str| {
        format!("action_reloads_total{{result=\"{result}\",what=\"{what}\"}}")
    };
    let scrape = server.scrape();
    assert_eq!(scrape.of(&sample("definitions", "failed")), 1.0);
    assert_eq!(scrape.of("action_commands"), 3.0);
    assert_eq!(scrape.of("action_broken_commands"), 1.0);
    assert_eq!(scrape.of("action_nodes"), 8.0);
    assert!(scrape.of("action_definition_errors") >= 1.0);
    let good = "action_last_good_load_timestamp_seconds{what=\"definitions\"}";
    assert_eq!(scrape.count(good), 0.0);
    server.command("bad", "true");
    server.nodes("n1:\n");
    let scrape = scraped(&server, "the mended definitions", |now| {
        now.of("action_commands") == 4.0 && now.of("action_nodes") == 1.0
    });
    assert_eq!(scrape.of("action_broken_commands"), 0.0);
    let scrape = scraped(&server, "the reload", |now| {
        now.of("action_definition_errors") == 0.0
    });
    assert!(scrape.of(good) > 1e9);
    _ = server.server_verb(&["revoke", "--jti", "some-token"]).ok();
    scraped(&server, "the revocation", |now| {
        now.of(&sample("revocations", "ok")) == 2.0
    });
}

#[test]
fn a_run_that_the_last_server_lost_is_counted() {
    let site = site();
    let server = site.start();
    let mut live = server.api().start(on("wait", "n1,ok1")).unwrap();
    live.wait_for("n1", "ready\n");
    let server = server.kill().start();
    let scrape = server.scrape();
    let lost = |what| {
        scrape.of(&format!(
            "action_{what}_finished_total{{command=\"wait\",outcome=\"lost\"}}"
        ))
    };
    assert_eq!((lost("runs"), lost("jobs")), (1.0, 2.0));
    assert_eq!(
        scrape.of("action_runs_started_total{command=\"wait\"}"),
        0.0
    );
}

/// Lets promtool judge.
#[track_caller]
pub(crate) fn promtool(words: &[&str], stdin: Option<&str>) -> String {
    let mut command = std::process::Command::new(tool("promtool").join("promtool"));
    command.args(words);
    if let Some(text) = stdin {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        command.stdin(std::fs::File::open(file.path()).unwrap());
    }
    let ran = run(command);
    let told = ran.to_string();
    _ = ran.ok();
    told
}

/// Every metric that there is, from a server on which everything happened.
#[track_caller]
pub(crate) fn full_scrape() -> Scrape {
    let server = site().start();
    let api: Api = server.api();
    api.run(on("hello", "n1"));
    scraped(&server, "the end", |now| now.of("action_live_runs") == 0.0)
}

#[test]
fn prometheus_reads_it_and_finds_nothing_to_say() {
    let told = promtool(&["check", "metrics"], Some(&full_scrape().text));
    insta::assert_snapshot!(told, @"
    ------- stderr -------
    ------- exit 0 -------
    ");
}
