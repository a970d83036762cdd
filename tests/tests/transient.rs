//! Files that cannot be read for a while, for want of descriptors or memory or for a failing disk:
//! what was read before stays in use, and edits count once that is over, without another touch.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};

use action_proto::v1::{ListCommandsRequest, ListNodesRequest, ListRunsRequest, Outcome};
use action_tests::{
    Api, Base, CEILING, Server, Site, on, processes, program::AT_ONCE, token, usage, wait_until,
};
use jsonwebtoken::Algorithm;
use rustix::process::Signal;
use tonic::Code;

use crate::faults::Failing;

const ALLOW: &str = "rules:\n- {name: all, allow: [all], subjects: ['*']}\n";
const DENY: &str = "- {name: not n3, deny: [run], nodes: n3}\n";
const FILES: [&str; 5] = [
    "revocations",
    "policy",
    "keys",
    "definitions",
    "certificate and its key",
];

/// A site with all files that a server reads again.
fn site() -> Site {
    let site = Site::new();
    site.nodes("n1: {}\nn3: {}\n");
    site.command("hello", "echo hello");
    site.write("policy.yaml", ALLOW);
    site.settings("jwt_key_directory: keys\npolicy_path: policy.yaml");
    fs::create_dir(site.path("keys")).unwrap();
    write_key(&site, "old.secret", "fedcba9876543210fedcba9876543210");
    site
}

fn write_key(site: &Site, name: &str, secret: &str) {
    let path = site.path("keys").join(name);
    fs::write(&path, secret).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Has the server serve with TLS, which only the client program speaks here.
fn with_tls(site: &Site) {
    let mut command = site.server_verb_command(&["cert"]);
    command.arg(site.path("pki")).args(["--name", "localhost"]);
    assert!(command.output().unwrap().status.success());
    site.settings("tls: {certificate: pki/certificate.pem, private_key: pki/private_key.pem}");
}

fn revoke_by_hand(site: &Site, jti: &str) {
    let text = site.read("state/revoked.jsonl");
    let line = format!("{{\"revoke\":\"token\",\"jti\":\"{jti}\"}}\n");
    site.write("state/revoked.jsonl", text + &line);
}

fn is_refused(api: &Api) -> bool {
    match api.list_nodes(ListNodesRequest::default()) {
        Ok(_) => false,
        Err(status) => {
            assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
            true
        }
    }
}

fn summary(api: &Api) -> String {
    let list = api.list_commands(ListCommandsRequest::default()).unwrap();
    list.commands[0].summary.clone()
}

#[track_caller]
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_until(what, AT_ONCE, || is_so().then_some(()));
}

fn began(what: &str) -> String {
    format!("cannot read the {what} now: ")
}

fn ended(what: &str) -> String {
    format!("the {what} can be read again")
}

#[track_caller]
fn assert_logged_once(server: &Server, what: &str) {
    for text in [began(what), ended(what)] {
        let times = server.log().matches(&text).count();
        assert_eq!(times, 1, "{text:?} in\n{}", server.log());
    }
}

#[test]
fn edits_during_a_lack_of_descriptors_count_when_it_is_over() {
    let site = site();
    let of_key = site.server_verb(&["generate-token", "--key", "old"]).ok();
    // A second key in the directory, so that the edit below does not empty it.
    write_key(&site, "new.secret", "0123456789abcdef0123456789abcdef");
    let server = site.start();
    let base = Base::of(&server);
    let secret = server.secret();
    let claims = token::with(token::claims(), "jti", "bad");
    let bad = token::signed(&claims, &secret, Algorithm::HS256);
    let api = server.api();
    let bad = server.api_with(Some(&bad));
    let of_key = server.api_with(Some(of_key.stdout().trim()));
    assert!(!is_refused(&api) && !is_refused(&bad) && !is_refused(&of_key));
    let usual = usage::limit_descriptors(server.id(), 3);
    // Each takes something away.
    revoke_by_hand(&server, "bad");
    server.write("policy.yaml", [ALLOW, DENY].concat());
    fs::remove_file(server.path("keys/old.secret")).unwrap();
    server.nodes("n2: {}\nn3: {}\n");
    server.write(
        "libexec/hello/metadata.yaml",
        "help: {summary: other words}\n",
    );
    for what in &FILES[..4] {
        server.wait_for_log(&began(what));
    }
    // The last content is in use, and nobody is locked out.
    assert!(!is_refused(&api) && !is_refused(&bad) && !is_refused(&of_key));
    assert_eq!(api.node_names(), ["n1", "n3"]);
    assert_eq!(summary(&api), "a test");
    usage::limit_descriptors(server.id(), usual);
    soon("the token to be refused", || is_refused(&bad));
    soon("the key's token to be refused", || is_refused(&of_key));
    soon("the run to be denied", || {
        api.start(on("hello", "n3"))
            .is_err_and(|status| status.code() == Code::PermissionDenied)
    });
    soon("the nodes", || api.node_names() == ["n2", "n3"]);
    soon("the metadata", || summary(&api) == "other words");
    assert!(!is_refused(&api));
    for what in &FILES[..4] {
        server.wait_for_log(&ended(what));
        assert_logged_once(&server, what);
    }
    server.audited("revoked", &serde_json::json!({"what": "the token bad"}));
    // And back again, to see that no descriptor was lost.
    server.nodes("n1: {}\nn3: {}\n");
    server.write("policy.yaml", ALLOW);
    soon("runs to be allowed", || {
        api.start(on("hello", "n3")).is_ok()
    });
    drop((api, bad, of_key));
    base.is_kept(&server);
}

/// ENOMEM and EIO on each file by itself: the others go on, and an edit of it counts afterwards.
#[test]
fn a_file_that_the_system_fails_to_read_keeps_its_content() {
    let site = site();
    with_tls(&site);
    let server = site.start();
    let paths = [
        ("revocations", "state/revoked.jsonl"),
        ("policy", "policy.yaml"),
        ("keys", "keys/old.secret"),
        ("definitions", "nodes.yaml"),
        ("definitions", "libexec/hello/metadata.yaml"),
        ("definitions", "libexec/hello/default.sh"),
        ("certificate and its key", "pki/certificate.pem"),
        ("certificate and its key", "pki/private_key.pem"),
    ];
    for (index, (what, path)) in paths.iter().enumerate() {
        let count = |text: &str| server.log().matches(text).count();
        let (begun, over) = (count(&began(what)), count(&ended(what)));
        let error = ["EIO", "ENOMEM", "ENFILE"][index % 3];
        let path = server.path(path);
        let failing = Failing::new(&server, &format!("openat:error={error}"), Some(&path));
        // Another file with the same content: an edit that nothing but a reading tells from others.
        replace_by_itself(&path);
        wait_until(&format!("{path:?} to fail"), CEILING, || {
            (count(&began(what)) > begun).then_some(())
        });
        drop(failing);
        wait_until(&format!("{path:?} to be read"), CEILING, || {
            (count(&ended(what)) > over).then_some(())
        });
        assert_eq!(
            (count(&began(what)), count(&ended(what))),
            (begun + 1, over + 1),
            "{path:?}"
        );
    }
    for never in [
        "no token is good",
        "the key is not in use",
        "the last good policy",
        "mended",
    ] {
        assert!(
            !server.log().contains(never),
            "{never:?} in\n{}",
            server.log()
        );
    }
}

fn replace_by_itself(path: &PathBuf) {
    let new = path.with_extension("new");
    fs::copy(path, &new).unwrap();
    fs::rename(new, path).unwrap();
}

/// At a start nothing was read before: the server says so and ends, and the service manager starts
/// it again, which it would not after 78.
#[test]
fn a_start_without_any_content_fails_with_a_code_that_is_tried_again() {
    let site = site().start().stop();
    for path in [
        "server.yaml",
        "jwt_secret",
        "state/revoked.jsonl",
        "policy.yaml",
        "keys/old.secret",
        "state/nodes.json",
        "libexec",
    ] {
        let ran = failing_verb(&site, path);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{path}: {told}");
        assert!(told.contains("Input/output error"), "{path}: {told}");
        assert!(
            told.contains("hint: this may pass by itself"),
            "{path}: {told}"
        );
    }
    assert!(site.server_verb(&["check"]).code() == 0);
}

/// Runs `serve` where one file cannot be read.
fn failing_verb(site: &Site, path: &str) -> Output {
    let serve = site.server_verb_command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat"]);
    command.args(["-e", "inject=openat:error=EIO", "-P"]);
    command.arg(site.path(path));
    command.arg(serve.get_program()).args(serve.get_args());
    command.output().unwrap()
}

/// Who is told that there is no run starts another.
#[test]
fn runs_are_not_said_to_be_gone_while_no_record_can_be_read() {
    let site = site();
    site.command("wait", "echo ready; exec sleep 1000");
    let server = site.start();
    let api = server.api();
    let mut live = api.start(on("wait", "n1")).unwrap();
    live.wait_for("n1", "ready\n");
    let ended = api.run(on("hello", "n1"));
    let is_unavailable = |what: &str, status: tonic::Status| {
        assert_eq!(status.code(), Code::Unavailable, "{what}: {status}");
        assert!(
            status.message().contains("cannot read the records now"),
            "{what}: {status}"
        );
    };
    let usual = usage::limit_descriptors(server.id(), 3);
    // What is in memory is told: which runs there are, and of those that go on all but the events.
    for (running, count) in [(true, 1), (false, 2)] {
        let request = ListRunsRequest {
            running,
            ..ListRunsRequest::default()
        };
        assert_eq!(api.list_runs(request).unwrap().runs.len(), count);
    }
    assert_eq!(api.run_now(&live.id).outcome(), Outcome::Unspecified);
    let unknown = "0000000000000000";
    assert_eq!(api.get_run(unknown).unwrap_err().code(), Code::NotFound);
    for id in [&ended.id[..], &ended.id[..6]] {
        is_unavailable(id, api.get_run(id).unwrap_err());
    }
    for id in [&live.id[..], &live.id[..6], &ended.id] {
        is_unavailable(id, api.watch(id, 0).map(drop).unwrap_err());
    }
    assert_eq!(api.cancel(&ended.id, true).unwrap().outcome(), Outcome::Ok);
    api.cancel(&live.id, true).unwrap();
    _ = live.finish();
    usage::limit_descriptors(server.id(), usual);
}

/// A server that could read no record when it started.
#[test]
fn records_that_could_not_be_read_at_the_start_are_not_said_to_be_gone() {
    let server = site().start();
    let run = server.api().run(on("hello", "n1"));
    let site = server.stop();
    // The tracer is a process beside the server's.
    let program = site.path("failing-server");
    let script = format!(
        "#!/bin/bash\nexec strace -D -I 2 -f -qq -o /dev/null -e trace=openat -e inject=openat:error=EIO -P {} {} \"$@\"\n",
        site.record(&run.id).display(),
        site.program("action-server").display(),
    );
    action_tests::program::write_script(&program, script);
    let server = Server::start_other(site, &program);
    let tracer = || {
        let text = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let line = text.lines().find_map(|it| it.strip_prefix("TracerPid:\t"));
        line.unwrap().parse::<i32>().unwrap()
    };
    let api = server.api();
    let request = ListRunsRequest::default;
    let refused = api.list_runs(request()).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let client = server.client().run(&["runs"]);
    assert_eq!(
        (client.code(), client.stdout().as_str()),
        (255, ""),
        "{client}"
    );
    for id in [&run.id[..], &run.id[..3]] {
        assert_eq!(
            api.get_run(id).unwrap_err().code(),
            Code::Unavailable,
            "{id}"
        );
    }
    processes::signal(tracer(), Signal::INT);
    wait_until("the tracer to leave", CEILING, || {
        (tracer() == 0).then_some(())
    });
    assert_eq!(api.list_runs(request()).unwrap().runs.len(), 1);
    assert_eq!(api.ended(&run.id).events, run.events);
}
