//! Which script of a command runs on a node: the first of its ranks that has one, else default.

use action_proto::v1::PlanRunRequest;
use action_tests::{Site, on};
use tonic::Code;

fn site() -> Site {
    let site = Site::new();
    site.nodes(
        "
none: {}
empty: {ranks: []}
metal: {ranks: [metal]}
aws: {ranks: [aws]}
text: {ranks: aws}
first: {ranks: [aws, ipmi]}
second: {ranks: [ipmi, aws]}
third: {ranks: [metal, cloud, aws]}
other: {ranks: [python]}
named: {ranks: [default, aws]}
broken: {ranks: [broken, aws]}
",
    );
    site.command("which", "echo default");
    for rank in ["aws", "ipmi"] {
        site.script(&format!("which/{rank}.sh"), &format!("echo {rank}"));
    }
    site.whole_script("which/python.py", "#!/usr/bin/env python3\nprint('python')");
    site.write("libexec/which/broken.sh", "#!/bin/bash\necho broken\n");
    site
}

const CHOICES: [(&str, &str); 10] = [
    ("none", "default"),
    ("empty", "default"),
    ("metal", "default"),
    ("aws", "aws"),
    ("text", "aws"),
    ("first", "aws"),
    ("second", "ipmi"),
    ("third", "aws"),
    ("other", "python"),
    ("named", "default"),
];

#[test]
fn the_first_rank_with_a_script_wins_and_default_is_the_fallback() {
    let server = site().start();
    let run = server.api().run(on("which", "@*!broken"));
    let planned = server.api().plan(PlanRunRequest {
        command: "which".into(),
        nodes: "@*!broken".into(),
        ..PlanRunRequest::default()
    });
    let planned = planned.unwrap().jobs;
    assert_eq!(planned.len(), CHOICES.len());
    for (node, rank) in CHOICES {
        assert_eq!(run.answer_of(node), format!("{rank}\n"), "{node}");
        let started = run.start_of(node);
        assert_eq!(started.rank, rank, "{node}");
        let extension = if rank == "python" { "py" } else { "sh" };
        assert_eq!(started.script, format!("which/{rank}.{extension}"));
        let job = planned.iter().find(|job| job.node == node).unwrap();
        assert_eq!(
            (&job.rank, &job.script),
            (&started.rank, &started.script),
            "the plan says the same"
        );
    }
}

#[test]
fn a_rank_whose_script_cannot_run_is_not_replaced_by_another() {
    let server = site().start();
    let (code, text) = server.api().refused(on("which", "broken,aws"));
    assert_eq!(code, Code::FailedPrecondition, "{text}");
    assert!(
        text.contains("the script of rank broken is not usable"),
        "{text}"
    );
    // And nobody else is affected.
    let run = server.api().run(on("which", "aws"));
    assert_eq!(run.answer_of("aws"), "aws\n");
}
