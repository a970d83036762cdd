use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::*;
use crate::{
    catalogue::{Nodes, ScriptListing, read_command, read_nodes},
    yaml::Fault,
};

fn catalogue() -> Catalogue {
    let command = |name: &str, text: &str, ranks: &[&str]| {
        let directory = Path::new("/libexec").join(name);
        let scripts = ranks
            .iter()
            .map(|rank| ((*rank).to_owned(), directory.join(format!("{rank}.sh"))));
        let unusable = BTreeMap::from([(
            "bad".to_owned(),
            Fault::error(
                directory.join("bad.sh"),
                1,
                "run: chmod +x /libexec/off/bad.sh",
            )
            .with_brief("not executable"),
        )]);
        let listing = ScriptListing {
            scripts: scripts.collect(),
            unusable,
            nameless: Vec::new(),
            directory,
        };
        (
            name.to_owned(),
            Arc::new(read_command(name, text, listing).0.unwrap()),
        )
    };
    let nodes = "n1: {ranks: [aws]}\nn2: {}\nn3: {ranks: [bad, aws]}\n";
    let (file, _) = read_nodes(Path::new("f"), nodes).unwrap();
    Catalogue {
        nodes: Arc::new(Nodes::build(file, None, BTreeSet::new()).0),
        untrusted: Default::default(),
        commands: BTreeMap::from([
            command(
                "off",
                "help: {summary: s}\nconfirmation: 'Off %{nodes}?'\ntimeout: 10s\nfanout: 8",
                &["default", "aws"],
            ),
            command(
                "once",
                "help: {summary: s, has_context: false}",
                &["default"],
            ),
        ]),
        broken: BTreeMap::from([("broken".to_owned(), "no summary".to_owned())]),
        script_root: "/libexec".into(),
        node_limit: 10,
        ..Catalogue::default()
    }
}

fn request(command: &str, nodes: &str) -> Request {
    Request {
        command: command.into(),
        nodes: nodes.into(),
        ..Request::default()
    }
}

#[test]
fn a_plan_says_what_runs_where() {
    let plan = catalogue().plan(&request("off", "n2,n1"), None).unwrap();
    let jobs: Vec<_> = plan
        .jobs
        .iter()
        .map(|job| (job.node_name(), plan.script_name(&job.script)))
        .collect();
    assert_eq!(
        jobs,
        [
            ("n1", "off/aws.sh".to_owned()),
            ("n2", "off/default.sh".to_owned())
        ]
    );
    assert_eq!(plan.confirmation.as_deref(), Some("Off n[1-2] (2 nodes)?"));
    let once = catalogue().plan(&request("once", ""), None).unwrap();
    assert_eq!((once.jobs.len(), once.jobs[0].node_name()), (1, ""));
}

#[test]
fn callers_lower_limits_and_never_raise_them() {
    let mut request = request("off", "n1");
    request.fanout = Some(100);
    request.timeout = Some(Duration::from_secs(3));
    let plan = catalogue().plan(&request, None).unwrap();
    assert_eq!((plan.fanout, plan.timeout), (8, Duration::from_secs(3)));
    request.timeout = Some(Duration::ZERO);
    assert!(matches!(
        catalogue().plan(&request, None),
        Err(PlanError::Limit(_))
    ));
}

#[test]
fn what_cannot_be_planned_is_refused_whole() {
    let error = |request: Request| catalogue().plan(&request, None).unwrap_err().to_string();
    assert_eq!(
        error(request("../../bin/sh", "n1")),
        "no such command: ../../bin/sh"
    );
    assert_eq!(
        error(request("broken", "n1")),
        "the command broken cannot be run: no summary"
    );
    assert_eq!(
        error(request("off", "")),
        "the node set is empty; name a node, or @* for all"
    );
    assert_eq!(error(request("off", "n1,n9")), "no such node: n9");
    assert_eq!(
        error(request("once", "n1")),
        "the command once takes no nodes"
    );
    let unusable =
        "the command off cannot be run: the script of rank bad is not usable: not executable";
    assert_eq!(error(request("off", "n1,n3")), unusable);
    let with = |arguments: Vec<String>| Request {
        arguments,
        ..request("off", "n1")
    };
    assert!(error(with(vec!["a\0b".into()])).contains("NUL"));
    assert!(error(with(vec![String::new(); 65])).contains("65 arguments"));
    assert!(error(with(vec!["x".repeat(ARGUMENT_BYTES + 1)])).contains("argument 1 has"));
    assert!(error(with(vec!["x".repeat(ARGUMENT_BYTES); 5])).contains("arguments have"));
}
