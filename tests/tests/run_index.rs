//! Lists and look-ups over tens of thousands of runs, which open no record; and long records, of which only
//! what is asked for is read.

use std::{collections::BTreeSet, fs, path::Path};

use action_proto::v1::{ListRunsRequest, ListRunsResponse, Outcome};
use action_tests::{Api, CEILING, Site, on, token, usage, wait_until, with_arguments};
use jsonwebtoken::Algorithm;
use prost_types::Timestamp;
use tonic::Code;

/// Alice may do everything, others see their own runs.
const POLICY: &str = "
rules:
- {name: all, allow: [all], subjects: [alice]}
- {name: own, allow: [run], subjects: ['*'], commands: [hello]}
";

/// What happens to a record, and how.
type Damage = (&'static str, fn(&Path));

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command("wait", "echo ready; exec sleep 1000");
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml");
    site
}

fn numbered(at: usize) -> String {
    format!("{at:016}")
}

/// All pages of a list.
fn pages(api: &Api, mut request: ListRunsRequest) -> Vec<ListRunsResponse> {
    let mut pages = Vec::new();
    loop {
        let page = api.list_runs(request.clone()).unwrap();
        request.page_token.clone_from(&page.next_page_token);
        pages.push(page);
        if request.page_token.is_empty() {
            return pages;
        }
    }
}

fn by_command(command: &str) -> ListRunsRequest {
    ListRunsRequest {
        command: command.into(),
        ..ListRunsRequest::default()
    }
}

#[test]
fn a_list_of_many_runs_comes_in_bounded_pages_that_join_to_all() {
    let count = 30_000;
    let server = site().start();
    let source = server.api_of("bob").run(on("hello", "n1"));
    let site = server.stop();
    site.copy_record(&source.id, count, numbered);
    let server = site.start();
    let api = server.api_of("alice");
    // Nothing is found: the page ends after some work, and says that there is more.
    let none = pages(&api, by_command("nosuch"));
    assert!(none.iter().all(|page| page.runs.is_empty()));
    assert!((2..10).contains(&none.len()), "{}", none.len());
    // No record is opened for it: none could be.
    let usual = usage::limit_descriptors(server.id(), 3);
    let listed = pages(&api, ListRunsRequest::default());
    usage::limit_descriptors(server.id(), usual);
    let ids: Vec<String> = listed
        .into_iter()
        .flat_map(|page| page.runs)
        .map(|run| run.run_id)
        .collect();
    let expected = [source.id.clone()]
        .into_iter()
        .chain((0..count).map(numbered));
    assert!(ids.into_iter().eq(expected));
    // A list that begins at some time looks at no older run.
    let start = source.events[0].time.unwrap();
    let since = ListRunsRequest {
        since: Some(Timestamp {
            seconds: start.seconds + 3600,
            ..start
        }),
        ..by_command("nosuch")
    };
    assert_eq!(pages(&api, since).len(), 1);
    // Nor does one of the runs that go on.
    let mut live = api.start(on("wait", "n1")).unwrap();
    live.wait_for("n1", "ready\n");
    let running = ListRunsRequest {
        running: true,
        ..ListRunsRequest::default()
    };
    let running = pages(&api, running);
    let ids: Vec<&str> = running
        .iter()
        .flat_map(|page| &page.runs)
        .map(|run| run.run_id.as_str())
        .collect();
    assert_eq!((running.len(), ids), (1, vec![live.id.as_str()]));
    // The client goes on behind pages in which nothing is.
    let text = format!(
        "base_url: http://{}\njwt_token: {}\n",
        server.address(),
        token::signed(&token::claims(), &server.secret(), Algorithm::HS256)
    );
    server.write("client.yaml", text);
    let client = action_tests::Client::new(&server);
    let oldest = ["runs", "--command", "hello", "-n", "0", "--output", "json"];
    let listed = client.run(&oldest).ok();
    assert_eq!(listed.stdout().lines().count(), count + 1);
    api.cancel(&live.id, true).unwrap();
    _ = live.finish();
}

#[test]
fn an_own_run_is_found_among_thousands_of_hidden_ones() {
    let server = site().start();
    let hidden = server.api_of("carol").run(on("hello", "n1"));
    let own = server.api_of("bob").run(on("hello", "n1"));
    let site = server.stop();
    site.copy_record(&hidden.id, 4_000, |at| format!("zz{at:014}"));
    site.copy_record(&own.id, 1, |_| "zzzzzzzzzzzzzzzz".into());
    let server = site.start();
    let bob = server.api_of("bob");
    assert_eq!(bob.run_now("zz").run_id, "zzzzzzzzzzzzzzzz");
    assert_eq!(bob.watch("zz", 0).unwrap().id, "zzzzzzzzzzzzzzzz");
    let (code, _) = server.api_of("dora").refused_run("zz");
    assert_eq!(code, Code::NotFound);
    let (code, text) = server.api_of("alice").refused_run("zz");
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("zz00000000000004"), "{text}");
}

/// Whatever becomes of its record, a run that goes on is to be stopped by who knows its id.
#[test]
fn a_run_that_goes_on_can_be_cancelled_without_its_record() {
    let spoil: [Damage; 4] = [
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("emptied", |path| fs::write(path, "").unwrap()),
        ("overwritten", |path| fs::write(path, [7; 5000]).unwrap()),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    let server = site().start();
    let api = server.api_of("alice");
    for (what, spoil) in spoil {
        let mut run = api.start(on("wait", "n1")).unwrap();
        run.wait_for("n1", "ready\n");
        spoil(&server.record(&run.id));
        let cancelled = api.cancel(&run.id, true);
        let cancelled = cancelled.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(cancelled.outcome(), Outcome::Unspecified, "{what}");
        wait_until("the script's end", CEILING, || {
            server.scripts().is_empty().then_some(())
        });
    }
}

#[test]
fn a_long_run_is_described_and_taken_up_anywhere() {
    let site = site();
    site.nodes("n1:\nn2:\nn3:\n");
    site.command("pour", "head -c \"$1\" /dev/zero | tr '\\0' x; exit 3");
    let server = site.start();
    let api = server.api_of("alice");
    let run = api.run(with_arguments("pour", "n[1-3]", &["3000000"]));
    let last = run.events.len() as u64;
    let jobs = api.get_run(&run.id).unwrap().jobs;
    let codes: Vec<_> = jobs
        .iter()
        .map(|job| job.finished.as_ref().unwrap().exit_code)
        .collect();
    assert_eq!(codes, [Some(3); 3]);
    let index = server.record(&run.id).with_extension("idx");
    let site = server.stop();
    assert!(index.exists());
    // Missing, of another record, cut: it is made again.
    for spoilt in [None, Some("ACTIONX\nother"), Some("")] {
        match spoilt {
            None => fs::remove_file(&index).unwrap(),
            Some(text) => fs::write(&index, text).unwrap(),
        }
    }
    let server = site.start();
    let api = server.api_of("alice");
    assert_eq!(api.get_run(&run.id).unwrap().jobs, jobs);
    assert!(fs::metadata(&index).unwrap().len() > 20);
    let afters: BTreeSet<u64> = [1, 2, last / 2, last - 2, last - 1].into();
    for after in afters {
        let (events, error) = api.watch(&run.id, after).unwrap().rest();
        assert_eq!(error.map(|it| it.code()), None, "{after}");
        assert!(
            events == run.events[usize::try_from(after).unwrap()..],
            "{after}"
        );
    }
}
