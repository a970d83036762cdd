//! The methods about runs: listing, describing and finding them, and who may.

use std::time::SystemTime;

use action_proto::v1::{ListRunsRequest, NodeStarted, Outcome};
use action_tests::{Api, Ended, Server, Site, on, with_arguments};
use prost_types::Timestamp;
use tonic::Code;

fn serving(settings: &str) -> Server {
    let site = Site::new();
    site.settings(settings);
    site.nodes("n1:\nn2:\nn3:\n");
    site.command("exit", "exit \"$1\"");
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.command_with(
        "once",
        "help: {summary: s, has_context: false}",
        "echo once",
    );
    site.start()
}

fn ids(api: &Api, request: ListRunsRequest) -> Vec<String> {
    let response = api.list_runs(request).unwrap();
    assert_eq!(response.next_page_token, "");
    response.runs.into_iter().map(|run| run.run_id).collect()
}

fn list() -> ListRunsRequest {
    ListRunsRequest::default()
}

fn now() -> Option<Timestamp> {
    Some(SystemTime::now().into())
}

#[test]
fn runs_are_listed_the_newest_first_and_filtered() {
    let server = serving("");
    let api = server.api();
    let bob = server_token(&server, &["--subject", "bob"]);
    let bob = server.api_with(Some(&bob));
    let begin = now();
    let first = api.run(with_arguments("exit", "n1,n2", &["0"])).id;
    let second = bob.run(with_arguments("exit", "n2", &["4"])).id;
    let middle = now();
    let third = api.run(on("once", "")).id;
    let mut live = api.start(on("wait", "n3")).unwrap();
    live.wait_for("n3", "ready\n");
    let fourth = live.id.clone();
    let all = [&fourth, &third, &second, &first].map(String::clone);
    assert_eq!(ids(&api, list()), all);
    let only = |request| ids(&api, request);
    let of = |command: &str| ListRunsRequest {
        command: command.into(),
        ..list()
    };
    assert_eq!(only(of("exit")), [second.as_str(), &first]);
    assert_eq!(only(of("no-such-command")), [""; 0]);
    let on_nodes = |nodes: &str| ListRunsRequest {
        nodes: nodes.into(),
        ..list()
    };
    assert_eq!(only(on_nodes("n1")), [first.as_str()]);
    assert_eq!(only(on_nodes("n[1-2]")), [second.as_str(), &first]);
    assert_eq!(only(on_nodes("@*!n1!n2")), [fourth.as_str()]);
    let by = |subject: &str| ListRunsRequest {
        subject: subject.into(),
        ..list()
    };
    assert_eq!(only(by("bob")), [second.as_str()]);
    let with = |outcome: Outcome| ListRunsRequest {
        outcome: outcome.into(),
        ..list()
    };
    assert_eq!(only(with(Outcome::Failed)), [second.as_str()]);
    assert_eq!(only(with(Outcome::Ok)), [third.as_str(), &first]);
    assert_eq!(
        only(ListRunsRequest {
            running: true,
            ..list()
        }),
        [fourth.as_str()]
    );
    let between = |since, until| ListRunsRequest {
        since,
        until,
        ..list()
    };
    assert_eq!(only(between(begin, middle)), [second.as_str(), &first]);
    assert_eq!(only(between(middle, None)), [fourth.as_str(), &third]);
    assert_eq!(only(between(now(), None)), [""; 0]);
    assert_eq!(
        only(ListRunsRequest {
            subject: "bob".into(),
            ..of("once")
        }),
        [""; 0]
    );
    let unknown = api.list_runs(on_nodes("n9")).unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);
    assert!(unknown.message().contains("n9"), "{unknown}");
    api.cancel(&fourth, true).unwrap();
    _ = live.finish();
}

#[test]
fn pages_join_to_the_list_while_runs_come() {
    let server = serving("");
    let api = server.api();
    let mut made: Vec<_> = (0..7).map(|_| api.run(on("hello", "n1")).id).collect();
    made.reverse();
    for size in [1, 2, 3, 7, 100] {
        let mut request = ListRunsRequest {
            page_size: size,
            ..list()
        };
        let mut seen = Vec::new();
        loop {
            let page = api.list_runs(request.clone()).unwrap();
            assert!(page.runs.len() <= usize::try_from(size).unwrap());
            seen.extend(page.runs.into_iter().map(|run| run.run_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            if size == 2 {
                // A run that comes in between stands before all pages.
                api.run(on("once", ""));
            }
        }
        seen.retain(|id| made.contains(id));
        assert_eq!(seen, made, "{size} a page");
    }
    for (page_size, page_token) in [(-1, ""), (0, "nonsense"), (0, "x-y")] {
        let request = ListRunsRequest {
            page_size,
            page_token: page_token.into(),
            ..list()
        };
        let refused = api.list_runs(request).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{page_token:?}");
    }
}

#[test]
fn a_run_is_described_with_each_of_its_jobs() {
    let server = serving("job_threads: 1");
    let api = server.api();
    let mut live = api
        .start(with_arguments("wait", "n2,n1", &["a b"]))
        .unwrap();
    live.wait_for("n1", "ready\n");
    let described = api.get_run(&live.id).unwrap();
    let run = described.run.unwrap();
    assert_eq!(
        (run.command.as_str(), run.nodes.as_str()),
        ("wait", "n[1-2]")
    );
    assert_eq!(
        (run.arguments, run.subject),
        (vec!["a b".to_owned()], "admin".to_owned())
    );
    assert_eq!((run.jobs, run.running_jobs, run.waiting_jobs), (2, 1, 1));
    let [first, second] = &described.jobs[..] else {
        panic!("two jobs")
    };
    let script = |node: &str| NodeStarted {
        node: node.into(),
        rank: "default".into(),
        script: "wait/default.sh".into(),
    };
    assert_eq!(
        (first.node.as_str(), &first.started, &first.finished),
        ("n1", &Some(script("n1")), &None)
    );
    assert_eq!(
        (second.node.as_str(), &second.started, &second.finished),
        ("n2", &None, &None)
    );
    api.cancel(&live.id, false).unwrap();
    let ended = live.finish();
    let described = api.get_run(&ended.id).unwrap();
    for job in &described.jobs {
        assert_eq!(job.finished.as_ref(), Some(ended.end_of(&job.node)));
    }
    let run = described.run.unwrap();
    assert_eq!(
        (run.outcome(), &run.counts),
        (Outcome::Cancelled, &ended.summary().counts)
    );
    assert_eq!(run.start_time, ended.events[0].time);
    assert_eq!(run.end_time, ended.events.last().unwrap().time);
    assert_eq!(run.last_sequence, ended.events.len() as u64);
    let once = api.run(on("once", ""));
    let jobs = api.get_run(&once.id).unwrap().jobs;
    assert_eq!((jobs.len(), jobs[0].node.as_str()), (1, ""));
}

#[test]
fn the_beginning_of_an_id_is_enough_where_it_is_no_others() {
    let server = serving("");
    let api = server.api();
    // More runs than letters: two begin with the same one.
    let runs: Vec<_> = (0..33).map(|_| api.run(on("hello", "n1"))).collect();
    let alike = |run: &Ended, length: usize| {
        let beginning = &run.id[..length];
        runs.iter()
            .filter(|run| run.id.starts_with(beginning))
            .count()
    };
    let mut ambiguous = 0;
    for run in &runs {
        assert_eq!(api.run_now(&run.id).run_id, run.id);
        for length in 1..4 {
            let beginning = &run.id[..length];
            if alike(run, length) == 1 {
                assert_eq!(api.run_now(beginning).run_id, run.id);
                assert_eq!(api.watch(beginning, 0).unwrap().rest().0, run.events);
                break;
            }
            let (code, text) = api.refused_run(beginning);
            assert_eq!(code, Code::InvalidArgument);
            assert!(
                text.contains("more than one") && text.contains(&run.id[..1]),
                "{text}"
            );
            ambiguous += 1;
        }
    }
    assert!(ambiguous > 1);
}

#[test]
fn ids_of_no_run_are_not_found() {
    let server = serving("");
    let api = server.api();
    let run = api.run(on("hello", "n1"));
    let longer = format!("{}0", run.id);
    let upper = run.id.to_uppercase();
    let long = "x".repeat(100_000);
    let file = format!("../runs/{}", run.id);
    for id in [
        "zzzzzzzzzzzzzzzz",
        "",
        " ",
        "../../etc/passwd",
        "%",
        "*",
        "\u{1b}[31m",
        "a\nb",
        &longer,
        &upper,
        &long,
        &file,
    ] {
        let (code, text) = api.refused_run(id);
        assert!(
            matches!(code, Code::NotFound | Code::InvalidArgument),
            "{id:?}: {code:?} {text}"
        );
        assert!(
            text.len() < 300 && !text.contains(['\u{1b}', '\n']),
            "{text:?}"
        );
    }
}

fn server_token(server: &Server, words: &[&str]) -> String {
    let words = [&["generate-token"], words].concat();
    server.server_verb(&words).ok().stdout().trim().to_owned()
}

#[test]
fn a_narrowed_token_does_not_learn_that_other_runs_exist() {
    let server = serving("");
    let admin = server.api();
    let narrow = server_token(
        &server,
        &["--subject", "eve", "--command", "hello", "--nodes", "n1"],
    );
    let narrow = server.api_with(Some(&narrow));
    let own = narrow.run(on("hello", "n1"));
    let mut secret = admin.start(on("wait", "n1")).unwrap();
    secret.wait_for("n1", "ready\n");
    // More hidden runs than letters, so that some ids begin alike.
    let others: Vec<_> = (0..34)
        .map(|at| admin.run(on("hello", ["n2", "n1,n2"][at % 2])).id)
        .collect();
    let told_of = |id: &str| narrow.refused_run(id);
    let unknown = "z".repeat(16);
    let (code, text) = told_of(&unknown);
    assert_eq!(code, Code::NotFound);
    for id in others.iter().chain([&secret.id]) {
        assert_eq!(told_of(id), (code, text.replace(&unknown, id)));
    }
    // The beginning of an id is as good as none, of how many hidden runs it ever is.
    for id in &others {
        let beginning = &id[..1];
        if !own.id.starts_with(beginning) {
            assert_eq!(
                told_of(beginning),
                (code, text.replace(&unknown, beginning))
            );
        }
    }
    // Its own run is found by what no other run that it may see has.
    assert_eq!(narrow.run_now(&own.id[..1]).run_id, own.id);
    assert_eq!(ids(&narrow, list()), [own.id.as_str()]);
    assert_eq!(
        admin.run_now(&secret.id).outcome(),
        Outcome::Unspecified,
        "not cancelled"
    );
    // Who may run it may see and stop it.
    let wide = server_token(&server, &["--subject", "bob", "--command", "wait"]);
    let wide = server.api_with(Some(&wide));
    assert_eq!(ids(&wide, list()), [secret.id.as_str()]);
    wide.cancel(&secret.id, false).unwrap();
    let ended = secret.finish();
    assert_eq!(ended.end_of("n1").message, "cancelled by bob");
}
