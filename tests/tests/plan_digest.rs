//! A run that is bound to a plan is that plan, or nothing runs.

use std::{fs, path::Path};

use action_proto::v1::{Outcome, PlanRunRequest, RunCommandRequest};
use action_tests::{Api, CEILING, Server, Site, on, wait_until, with_arguments};
use serde_json::json;
use tonic::Code;

const NODES: &str = "\
__groups__: {pair: 'n[1-2]'}
n1: {ranks: [metal], site: s1, __secret__: {pin: '1234'}}
n2: {site: s2}
n3: {}
";
const METADATA: &str = "help: {summary: s}\n";

/// A server whose command leaves a mark for each node that it touched.
fn serving() -> Server {
    let site = Site::new();
    site.nodes(NODES);
    let script = ". \"$SCRIPT_ROOT/helpers/mark.sh\"; echo \"$site $1\"";
    site.command_with("mark", METADATA, script);
    site.command("other", "echo other");
    site.write("libexec/mark/data.txt", "data");
    fs::create_dir_all(site.path("libexec/helpers/deep")).unwrap();
    site.write(
        "libexec/helpers/mark.sh",
        "touch \"$SCRIPT_ROOT/../touched.$name\"\n",
    );
    site.write("libexec/helpers/deep/more.sh", "# nothing\n");
    site.write("libexec/common.sh", "# nothing\n");
    site.start()
}

/// The plan of the same request.
fn plan_of(request: &RunCommandRequest) -> PlanRunRequest {
    PlanRunRequest {
        command: request.command.clone(),
        nodes: request.nodes.clone(),
        exclude: request.exclude.clone(),
        arguments: request.arguments.clone(),
        fanout: request.fanout,
        timeout: request.timeout,
        wait: request.wait,
        max_failures: request.max_failures,
        reason: request.reason.clone(),
        report_forbidden: false,
    }
}

#[track_caller]
fn digest_of(api: &Api, request: &RunCommandRequest) -> String {
    let plan = api.plan(plan_of(request)).unwrap();
    assert!(plan.digest.starts_with("p1:"), "{plan:?}");
    plan.digest
}

fn bound_to(digest: &str, request: RunCommandRequest) -> RunCommandRequest {
    RunCommandRequest {
        plan_digest: digest.to_owned(),
        ..request
    }
}

fn touched(site: &Site) -> bool {
    ["n1", "n2", "n3"]
        .iter()
        .any(|node| site.has(format!("touched.{node}")))
}

#[track_caller]
fn is_refused(server: &Server, digest: &str, request: RunCommandRequest, parts: &str) {
    let (code, text) = server.api().refused(bound_to(digest, request));
    assert_eq!(code, Code::FailedPrecondition, "{text}");
    assert_eq!(
        text,
        format!("the plan has changed since it was shown ({parts}); nothing was run")
    );
    assert!(!touched(server), "{parts}: a node was touched");
}

#[test]
fn every_edit_of_the_definitions_is_refused() {
    let server = serving();
    let api = server.api();
    let request = || with_arguments("mark", "@pair", &["x"]);
    let before = digest_of(&api, &request());
    let edit = |file: &str, from: &str, to: &str| (file.to_owned(), from.to_owned(), to.to_owned());
    let edits = [
        (
            edit("nodes.yaml", "pair: 'n[1-2]'", "pair: 'n[2-3]'"),
            "nodes",
        ),
        (
            edit("nodes.yaml", "pair: 'n[1-2]'", "pair: 'n[1-3]'"),
            "nodes",
        ),
        (
            edit("nodes.yaml", "n2: {site: s2}\n", "n2: {site: s3}\n"),
            "metadata",
        ),
        (edit("nodes.yaml", "1234", "4321"), "metadata"),
        (edit("nodes.yaml", "[metal]", "[ipmi]"), "metadata"),
        (
            edit("libexec/mark/default.sh", "echo", "printf %s"),
            "scripts",
        ),
        (edit("libexec/mark/data.txt", "data", "DATA"), "scripts"),
        (
            edit("libexec/mark/metadata.yaml", "help", "timeout: 5s\nhelp"),
            "scripts",
        ),
        (edit("libexec/helpers/mark.sh", "touch", "rm -f"), "scripts"),
        (
            edit("libexec/helpers/deep/more.sh", "nothing", "something"),
            "scripts",
        ),
        (edit("libexec/common.sh", "nothing", "something"), "scripts"),
    ];
    for ((file, from, to), parts) in edits {
        let text = server.read(&file);
        assert!(text.contains(&from), "{file}: {text}");
        server.write(&file, text.replace(&from, &to));
        wait_until(&format!("{file}: {from} -> {to}"), CEILING, || {
            (digest_of(&api, &request()) != before).then_some(())
        });
        is_refused(&server, &before, request(), parts);
        server.write(&file, text);
        wait_until("the old plan", CEILING, || {
            (digest_of(&api, &request()) == before).then_some(())
        });
    }
    // Files that come and go.
    for (path, parts) in [
        ("libexec/mark/metal.sh", "scripts"),
        ("libexec/helpers/new.sh", "scripts"),
        ("libexec/new-folder/new.sh", "scripts"),
    ] {
        server.script(path.strip_prefix("libexec/").unwrap(), "echo new");
        is_refused(&server, &before, request(), parts);
        remove(&server, path);
        wait_until("the old plan", CEILING, || {
            (digest_of(&api, &request()) == before).then_some(())
        });
    }
    // Other commands are not part of it, and what is as before may run.
    server.script("other/default.sh", "echo another");
    let ended = api.run(bound_to(&before, request()));
    assert_eq!(ended.answer_of("n2"), "s2 x\n");
    server.audited("run_accepted", &json!({"run_id": ended.id, "plan": before}));
    assert!(!server.has("touched.n3"));
}

fn remove(site: &Site, path: &str) {
    fs::remove_file(site.path(path)).unwrap();
    if path.contains("new-folder") {
        fs::remove_dir(site.path(Path::new(path).parent().unwrap())).unwrap();
    }
}

#[test]
fn every_field_that_shapes_the_run_is_part_of_it() {
    let server = serving();
    let api = server.api();
    let request = || with_arguments("mark", "n[1-3]", &["x"]);
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    type Change = fn(&mut RunCommandRequest);
    let changes: [(Change, &str); 6] = [
        (|it| it.arguments = vec!["y".into()], "request"),
        (
            |it| it.arguments = vec!["x".into(), String::new()],
            "request",
        ),
        (|it| it.max_failures = 1, "request"),
        (|it| it.reason = "because".into(), "request"),
        (|it| it.fanout = 1, "request"),
        (|it| it.nodes = "n[1-2]".into(), "nodes"),
    ];
    let before = digest_of(&api, &request());
    for (change, parts) in changes {
        let mut changed = request();
        change(&mut changed);
        is_refused(&server, &before, changed, parts);
    }
    let timed = RunCommandRequest {
        timeout: seconds(9),
        ..request()
    };
    is_refused(&server, &before, timed, "request");
    // How the nodes are written, and who asks, is not.
    let same = RunCommandRequest {
        nodes: "n3,@pair".into(),
        confirmed: true,
        expected_nodes: Some(3),
        request_username: "me".into(),
        ..request()
    };
    assert_eq!(api.run(bound_to(&before, same)).nodes(), ["n1", "n2", "n3"]);
}

#[test]
fn what_changes_during_the_run_is_not_started() {
    let server = serving();
    // The first job edits what the others would source.
    server.write(
        "libexec/helpers/mark.sh",
        "touch \"$SCRIPT_ROOT/../touched.$name\"; echo '#' >> \"$SCRIPT_ROOT/helpers/deep/more.sh\"\n",
    );
    let api = server.api();
    let request = || RunCommandRequest {
        fanout: 1,
        ..on("mark", "n[1-3]")
    };
    let digest = digest_of(&api, &request());
    let ended = api.run(bound_to(&digest, request()));
    assert_eq!(ended.end_of("n1").outcome(), Outcome::Ok);
    for node in ["n2", "n3"] {
        let end = ended.end_of(node);
        assert_eq!(end.outcome(), Outcome::NotStarted);
        assert_eq!(
            end.message,
            "the script, or a file beside it, has changed since the plan was shown"
        );
        assert!(!server.has(format!("touched.{node}")));
    }
    // A run that is bound to no plan goes on.
    assert_eq!(api.run(request()).end_of("n3").outcome(), Outcome::Ok);
}

#[test]
fn a_digest_outlives_a_restart_and_is_no_other_servers() {
    let server = serving();
    let request = || on("mark", "n2");
    let digest = digest_of(&server.api(), &request());
    let site = server.stop();
    let key = site.path("state/plan_key");
    assert_eq!(fs::read(&key).unwrap().len(), 32);
    let server = site.start();
    assert_eq!(digest_of(&server.api(), &request()), digest);
    let site = server.stop();
    fs::remove_file(&key).unwrap();
    let server = site.start();
    is_refused(&server, &digest, request(), "nodes, scripts, request");
}

#[test]
fn what_is_no_digest_is_refused() {
    let server = serving();
    let api = server.api();
    let good = digest_of(&api, &on("mark", "n1"));
    let cut = &good[..good.len() - 1];
    for text in [
        "p1:",
        "p2:a.b.c.d",
        "x",
        cut,
        &format!("{good}.x"),
        &format!(" {good}"),
    ] {
        let (code, message) = api.refused(bound_to(text, on("mark", "n1")));
        assert_eq!(code, Code::InvalidArgument, "{text:?}: {message}");
        assert!(message.contains("plan_digest"), "{message}");
    }
    assert!(!touched(&server));
}

/// The script's environment that the admin sets is input of the run too.
#[test]
fn the_environment_of_all_scripts_is_part_of_it() {
    let server = serving();
    let digest = digest_of(&server.api(), &on("mark", "n1"));
    let site = server.stop();
    site.settings("script_environment: {REGION: north}");
    let server = site.start();
    is_refused(&server, &digest, on("mark", "n1"), "metadata");
}

fn with_confirmation() -> Server {
    let site = Site::new();
    site.nodes(&format!("{NODES}n4: {{}}\n"));
    let metadata = "help: {summary: s}\nconfirmation: 'Mark %{nodes}, confirm to proceed [y/n]?'\n";
    site.command_with("mark", metadata, "touch \"$SCRIPT_ROOT/../touched.$name\"");
    site.start()
}

#[test]
fn a_group_that_is_edited_while_the_prompt_waits_touches_nothing() {
    let server = with_confirmation();
    let client = server.client().variable("NO_COLOR", "1");
    let mut session = client.start_on_terminal(&["mark", "-g", "@pair"], "");
    session.wait_for("Mark n[1-2]");
    server.nodes(&server.read("nodes.yaml").replace("n[1-2]", "n[3-4]"));
    wait_until("the new group", CEILING, || {
        let plan = server.api().plan(plan_of(&on("mark", "@pair"))).unwrap();
        (plan.nodes == "n[3-4]").then_some(())
    });
    session.type_text("y\n");
    let ran = session.finish();
    assert_eq!(ran.code(), 255, "{ran}");
    let shown = ran.stdout();
    let refusal = "error: the plan has changed since it was shown (nodes); nothing was run";
    assert!(shown.contains(refusal), "{ran}");
    assert!(shown.contains("was n[1-2], is n[3-4]"), "{ran}");
    assert!(!touched(&server) && !server.has("touched.n4"));
}

#[test]
fn a_dry_run_prints_what_a_later_run_is_bound_to() {
    let server = serving();
    let client = server.client();
    let dry = client.run(&["mark", "-g", "@pair", "--dry-run"]).ok();
    let digest = dry.stderr();
    let digest = digest.lines().find_map(|line| line.strip_prefix("plan: "));
    let digest = digest.unwrap();
    let json = client
        .run(&["mark", "-g", "@pair", "--dry-run", "--output", "json"])
        .ok();
    assert!(
        json.stdout().contains(&format!("\"digest\":\"{digest}\"")),
        "{json}"
    );
    // Written in another way and at another place of the line it is the same plan.
    _ = client.run(&["--plan", digest, "mark", "-g", "n1,n2"]).ok();
    fs::remove_file(server.path("touched.n1")).unwrap();
    fs::remove_file(server.path("touched.n2")).unwrap();
    let other = client.run(&["mark", "-g", "n[1-3]", "--plan", digest]);
    assert_eq!(other.code(), 255, "{other}");
    assert!(other.stderr().contains("is n[1-3]"), "{other}");
    for empty in [&["--plan="][..], &["--plan", ""], &["--plan", " "]] {
        let refused = client.run(&[&["mark", "-g", "@pair"], empty].concat());
        assert_eq!(refused.code(), 64, "{refused}");
        assert!(refused.stderr().contains("--plan is empty"), "{refused}");
        assert!(refused.stderr().contains("`--dry-run`"), "{refused}");
    }
    // Where a digest is from is said wherever one is missing or is none.
    let half = &digest[..digest.len() / 2];
    for (wrong, code) in [
        (&["--plan"][..], 64),
        (&["--plan", "n1"], 64),
        (&["--plan", "plan:"], 64),
        (&["--plan", half], 255),
        (&["--plan", "p1:x"], 255),
    ] {
        let refused = client.run(&[&["mark", "-g", "@pair"], wrong].concat());
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.stderr().contains("`--dry-run`"), "{refused}");
    }
    assert!(!touched(&server));
}
