//! What a job's end says beside its outcome.

use action_proto::v1::{Outcome, OutcomeCount, RunCommandRequest};
use action_tests::{Site, on};

#[test]
fn the_last_line_of_stderr_is_said() {
    let site = Site::new();
    site.nodes("n1: {__secret__: {password: sesame-open}}\nn2:\n");
    let script = "echo out; [[ $name = n1 ]] || exit 0
        echo first >&2; printf '\\033[31mno access for %s\\033[0m\\n\\n' \"${__secret___password-$password}\" >&2; exit 3";
    site.command("it", script);
    let server = site.start();
    let run = server.api().run(on("it", "@*"));
    let end = run.end_of("n1");
    assert_eq!(end.exit_code, Some(3));
    assert_eq!(end.message, "exit 3");
    assert_eq!(end.error_line, "no access for ***");
    assert_eq!(run.end_of("n2").error_line, "");
}

#[test]
fn jobs_that_were_cancelled_before_they_ran_are_told_from_others() {
    let site = Site::new();
    site.nodes("n1:\nn2:\nn3:\n");
    site.command("wait", "echo ready; exec sleep 1000");
    let server = site.start();
    let api = server.api();
    let request = RunCommandRequest {
        fanout: 1,
        ..on("wait", "@*")
    };
    let mut run = api.start(request).unwrap();
    run.wait_for("n1", "ready\n");
    api.cancel(&run.id, false).unwrap();
    let run = run.finish();
    let never = |node| run.end_of(node).never_started;
    assert_eq!(["n1", "n2", "n3"].map(never), [false, true, true]);
    let expected = OutcomeCount {
        outcome: Outcome::Cancelled.into(),
        count: 3,
        never_started: 2,
    };
    assert_eq!(run.summary().counts, [expected]);
    assert_eq!(api.run_now(&run.id).counts, [expected]);
}

#[test]
fn the_jobs_of_a_run_come_in_pages() {
    let site = Site::new();
    let nodes = (1..=25).map(|number| format!("n{number}:\n"));
    site.nodes(&nodes.collect::<String>());
    site.command("it", "echo hello");
    let server = site.start();
    let api = server.api();
    let run = api.run(on("it", "@*"));
    let whole = api.get_run(&run.id).unwrap();
    assert_eq!((whole.jobs.len(), whole.next_page_token.as_str()), (25, ""));
    let (mut jobs, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = api.get_run_page(&run.id, 10, &token).unwrap();
        assert_eq!(page.run, whole.run);
        jobs.extend(page.jobs);
        token = page.next_page_token;
        pages += 1;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((jobs, pages), (whole.jobs, 3));
    let refused = api.get_run_page(&run.id, 10, "n26").unwrap_err();
    assert!(refused.message().contains("page_token"), "{refused}");
    assert!(api.get_run_page(&run.id, -1, "").is_err());
}
