//! Tokens that are made good no more: at once, for runs and watchers, and in doubt for all.

use std::{fs, os::unix::fs::PermissionsExt};

use action_proto::v1::{
    DetachPolicy, ListNodesRequest, Outcome, RunCommandRequest, WatchRunRequest,
};
use action_tests::{CEILING, Server, Site, on, token, wait_until};
use jsonwebtoken::Algorithm;
use prost::Message;
use tonic::Code;

fn serving() -> Server {
    let site = Site::new();
    site.command("wait", "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"");
    site.start()
}

fn of(server: &Server, subject: &str, jti: &str, issued: u64) -> String {
    let claims = token::with(token::claims(), "sub", subject);
    let claims = token::with(token::with(claims, "jti", jti), "iat", issued);
    token::signed(&claims, &server.secret(), Algorithm::HS256)
}

fn is_taken(server: &Server, token: &str) -> bool {
    let api = server.api_with(Some(token));
    match api.list_nodes(ListNodesRequest::default()) {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
            assert_eq!(status.message(), "a valid token is needed");
            false
        }
    }
}

#[track_caller]
fn becomes(server: &Server, token: &str, taken: bool) {
    let what = format!("the token to be taken: {taken}");
    wait_until(&what, CEILING, || {
        (is_taken(server, token) == taken).then_some(())
    });
}

#[track_caller]
fn revoke(site: &Site, words: &[&str]) -> String {
    site.server_verb(&[&["revoke"], words].concat())
        .ok()
        .stderr()
}

#[test]
fn one_token_all_of_a_subject_and_all_there_are() {
    let server = serving();
    let now = token::now();
    let [one, two] = ["one", "two"].map(|jti| of(&server, "bob", jti, now - 10));
    let other = of(&server, "carol", "three", now - 10);
    assert!(
        [&one, &two, &other]
            .iter()
            .all(|token| is_taken(&server, token))
    );
    insta::assert_snapshot!(revoke(&server, &["--jti", "one"]), @r"
    warning: the register of issued tokens has no token of this jti: it may have been made elsewhere, or be misspelt
    revoked: the token one
    ");
    assert!(!is_taken(&server, &one));
    assert!(is_taken(&server, &two) && is_taken(&server, &other));
    revoke(&server, &["--subject", "bob"]);
    assert!(!is_taken(&server, &two));
    assert!(is_taken(&server, &other));
    // What is made from now on is good, also by a subject whose tokens were not: even at once.
    let made = server
        .server_verb(&["generate-token", "--subject", "bob"])
        .ok();
    assert!(is_taken(&server, made.stdout().trim()));
    revoke(&server, &["--all", "--before", "2026-01-01T00:00:00Z"]);
    assert!(is_taken(&server, &other));
    revoke(&server, &["--all"]);
    assert!(!is_taken(&server, &other));
    // It is not forgotten with the server.
    let server = server.stop().start();
    assert!(
        ![one, two, other]
            .iter()
            .any(|token| is_taken(&server, token))
    );
}

#[test]
fn a_key_and_all_that_it_signed() {
    let site = Site::new();
    site.settings("jwt_key_directory: keys");
    fs::create_dir(site.path("keys")).unwrap();
    let path = site.path("keys/k1.secret");
    fs::write(&path, "fedcba9876543210fedcba9876543210").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let made = site.server_verb(&["generate-token"]).ok().stdout();
    let server = site.start();
    assert!(is_taken(&server, made.trim()));
    revoke(&server, &["--key", "k1"]);
    assert!(!is_taken(&server, made.trim()));
    assert!(is_taken(&server, &server.token()));
}

#[test]
fn a_watcher_whose_token_is_revoked_sees_no_more_and_the_run_goes_on() {
    let server = serving();
    let gate = server.gate("gate");
    let bad = of(&server, "bob", "leaked", token::now() - 10);
    let mut own = server.api_with(Some(&bad)).start(on("wait", "n1")).unwrap();
    own.wait_for("n1", "ready\n");
    let run_id = own.id.clone();
    let mut watch = server.api_with(Some(&bad)).watch(&run_id, 0).unwrap();
    let mut honest = server.api().watch(&run_id, 0).unwrap();
    revoke(&server, &["--jti", "leaked"]);
    let status = wait_until("the stream to end", CEILING, || own.read().err());
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = wait_until("the watch to end", CEILING, || watch.read().err());
    assert_eq!(status.code(), Code::Unauthenticated);
    let again = WatchRunRequest {
        run_id: run_id.clone(),
        after_sequence: 0,
    };
    assert_eq!(
        server
            .api_with(Some(&bad))
            .watch(&again.run_id, 0)
            .unwrap_err()
            .code(),
        Code::Unauthenticated
    );
    gate.open();
    while honest.read().unwrap().is_some() {}
    assert_eq!(server.api().run_now(&run_id).outcome(), Outcome::Ok);
}

#[test]
fn a_call_that_was_held_back_is_judged_when_its_message_comes() {
    let server = serving();
    let held = |method: &str, message: Vec<u8>, jti: &'static str| {
        let token = of(&server, "bob", jti, token::now() - 10);
        assert!(is_taken(&server, &token));
        let mut revoke = server.server_verb_command(&["revoke", "--jti", jti]);
        let (address, fresh) = (server.address(), token.clone());
        let path = format!("/action.v1.ActionService/{method}");
        server
            .api_with(Some(&token))
            .held(&path, &message, move || {
                assert!(revoke.output().unwrap().status.success());
                wait_until("the token to be refused", CEILING, || {
                    let api = action_tests::Api::connect(address, Some(&fresh));
                    api.list_nodes(ListNodesRequest::default()).err().map(drop)
                });
            })
    };
    let status = held("RunCommand", on("wait", "n1").encode_to_vec(), "one").unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(fs::read_dir(server.path("state/runs")).unwrap().count(), 0);
    let _gate = server.gate("gate");
    let mut run = server.api().start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    let watch = WatchRunRequest {
        run_id: run.id.clone(),
        after_sequence: 0,
    };
    let status = held("WatchRun", watch.encode_to_vec(), "two").unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    server.api().cancel(&run.id, true).unwrap();
    _ = run.finish();
}

#[test]
fn a_revoked_caller_has_not_gone_away() {
    let server = serving();
    let gate = server.gate("gate");
    let token = of(&server, "bob", "leaked", token::now() - 10);
    let request = RunCommandRequest {
        detach_policy: DetachPolicy::Cancel.into(),
        ..on("wait", "n1")
    };
    let mut run = server.api_with(Some(&token)).start(request).unwrap();
    run.wait_for("n1", "ready\n");
    revoke(&server, &["--jti", "leaked"]);
    let status = wait_until("the stream to end", CEILING, || run.read().err());
    assert_eq!(status.code(), Code::Unauthenticated);
    gate.open();
    assert_eq!(server.api().ended(&run.id).summary().outcome(), Outcome::Ok);
}

#[test]
fn while_it_is_not_known_what_is_revoked_nobody_is_let_in() {
    let server = serving();
    let path = server.path("state/revoked.jsonl");
    let good = server.token();
    let health = || {
        let answer = server.api_with(None).raw(
            "/grpc.health.v1.Health/Check",
            b"\x0a\x17action.v1.ActionService",
        );
        answer.unwrap().concat()
    };
    const SERVING: &[u8] = b"\x08\x01";
    const NOT_SERVING: &[u8] = b"\x08\x02";
    assert_eq!(
        (is_taken(&server, &good), health().as_slice()),
        (true, SERVING)
    );
    let restore = || {
        _ = fs::remove_dir(&path);
        fs::write(&path, "").unwrap();
        becomes(&server, &good, true);
        wait_until("health", CEILING, || (health() == SERVING).then_some(()));
    };
    let breaks: [&dyn Fn(); 5] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::write(&path, "{\"revoke\":\"token\",\"jti\":\"x\"}").unwrap(),
        &|| fs::write(&path, "nonsense\n").unwrap(),
        &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap(),
        &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        },
    ];
    for act in breaks {
        act();
        becomes(&server, &good, false);
        wait_until("health", CEILING, || {
            (health() == NOT_SERVING).then_some(())
        });
        _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
        restore();
    }
    server.wait_for_log("no token is good until they can be read");
    // Nor does a server start without what an older one knew.
    fs::remove_file(&path).unwrap();
    let site = server.stop();
    for words in [&["check"][..], &["generate-token"]] {
        let ran = site.server_verb(words);
        assert_eq!((ran.code(), ran.stdout().as_str()), (78, ""), "{ran}");
    }
    let refused = site.refused();
    assert_eq!(refused.code(), 78, "{refused}");
    assert!(
        refused.stderr().contains("hint: restore it from a backup"),
        "{refused}"
    );
}

#[test]
fn what_is_no_revocation_is_refused_and_changes_nothing() {
    let site = serving().stop();
    let before = site.read("state/revoked.jsonl");
    for (words, code) in [
        (&["revoke"][..], 64),
        (&["revoke", "--jti", "a", "--all"], 64),
        (&["revoke", "--subject", "bob", "--before", "soon"], 64),
        (&["revoke", "--all", "--before", "2999-01-01T00:00:00Z"], 64),
        (&["revoke", "--subject", "bob*"], 64),
        (&["revoke", "--key", "old key"], 64),
        (&["revoke", "--jti", ""], 64),
        (&["revoke", "--jti", "a\nb"], 64),
        (
            &["revoke", "--jti", "a", "--before", "2026-01-01T00:00:00Z"],
            64,
        ),
    ] {
        let ran = site.server_verb(words);
        assert_eq!(ran.code(), code, "{ran}");
    }
    assert_eq!(site.read("state/revoked.jsonl"), before);
}
