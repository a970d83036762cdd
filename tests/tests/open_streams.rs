//! Streams that are open when keys, tokens, rules, groups or nodes change.

use std::{fs, os::unix::fs::PermissionsExt};

use action_proto::v1::{DetachPolicy, Outcome, RunCommandRequest};
use action_tests::{Api, CEILING, Server, Site, on, token, wait_until};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use tonic::Code;

const SECRET: &str = "fedcba9876543210fedcba9876543210";
const HEALTH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn site() -> Site {
    let site = Site::new();
    site.nodes("__groups__: {team: 'n[1-2]'}\nn1:\nn2:\nn3:\n");
    site.command("wait", "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"");
    site
}

/// Puts a file among the keys, whole from the first moment on.
fn put(site: &Site, name: &str, text: &str) {
    let (new, path) = (site.path("new-key"), site.path("keys").join(name));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

fn keyed(subject: &str) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("team".into());
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let claims = token::with(token::claims(), "sub", subject);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

fn of(server: &Server, subject: &str) -> Api {
    let claims = token::with(token::claims(), "sub", subject);
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

/// One change of the keys after which no token of the key is good.
fn streams_end_when(act: impl Fn(&Site)) {
    let site = site();
    site.settings("jwt_key_directory: keys");
    fs::create_dir(site.path("keys")).unwrap();
    put(&site, "team.secret", SECRET);
    let server = site.start();
    let gate = server.gate("gate");
    let api = server.api_with(Some(&keyed("bob")));
    let request = RunCommandRequest {
        detach_policy: DetachPolicy::Cancel.into(),
        ..on("wait", "n1")
    };
    let mut run = api.start(request).unwrap();
    run.wait_for("n1", "ready\n");
    let mut watch = api.watch(&run.id, 0).unwrap();
    assert!(watch.read().unwrap().is_some());
    let mut honest = server.api().watch(&run.id, 0).unwrap();
    let mut others = [(HEALTH, &b""[..], false), (REFLECTION, b"\x3a\x01*", true)].map(
        |(path, message, says_more)| {
            let mut call = api.open(path, message, says_more).unwrap();
            assert!(call.read().unwrap().is_some(), "{path}");
            call
        },
    );
    act(&server);
    let ends = |what: &str, read: &mut dyn FnMut() -> Option<tonic::Status>| {
        let status = wait_until(what, CEILING, read);
        assert_eq!(status.code(), Code::Unauthenticated, "{what}: {status:?}");
    };
    ends("the call's stream", &mut || run.read().err());
    ends("the watch", &mut || watch.read().err());
    for other in &mut others {
        ends("health or reflection", &mut || other.read().err());
    }
    // It is the server that ended the streams: the caller has not gone, and the run goes on.
    gate.open();
    while honest.read().unwrap().is_some() {}
    assert_eq!(server.api().run_now(&run.id).outcome(), Outcome::Ok);
}

#[test]
fn they_end_when_their_key_is_replaced() {
    streams_end_when(|site| put(site, "team.secret", &SECRET.replace('f', "e")));
}

#[test]
fn they_end_when_their_key_is_removed_or_ended() {
    streams_end_when(|site| fs::remove_file(site.path("keys/team.secret")).unwrap());
    streams_end_when(|site| put(site, "team.until", "2026-01-01T00:00:00Z\n"));
}

#[test]
fn they_end_when_their_token_is_revoked() {
    streams_end_when(|site| {
        _ = site.server_verb(&["revoke", "--subject", "bob"]).ok();
    });
}

#[test]
fn they_go_on_when_other_keys_change() {
    let site = site();
    site.settings("jwt_key_directory: keys");
    fs::create_dir(site.path("keys")).unwrap();
    put(&site, "team.secret", SECRET);
    let server = site.start();
    let gate = server.gate("gate");
    let api = server.api_with(Some(&keyed("bob")));
    let mut run = api.start(on("wait", "n1")).unwrap();
    run.wait_for("n1", "ready\n");
    // The same key in another file, one more key, and an end that is yet to come.
    put(&server, "team.secret", SECRET);
    put(&server, "other.secret", &SECRET.replace('f', "e"));
    put(&server, "team.until", "2999-01-01T00:00:00Z\n");
    server.wait_for_log("took the new keys");
    gate.open();
    _ = run.finish();
}

const POLICY: &str = r#"
rules:
- {name: team, allow: [run, "read:any", "cancel:any"], subjects: [bob, ann], nodes: "@team"}
- {name: not for bob, deny: [all], subjects: [bob], nodes: n3}
- {name: root, allow: [all], subjects: [root, alice]}
"#;

#[test]
fn a_watch_ends_when_a_group_or_the_nodes_change() {
    for nodes in [
        "__groups__: {team: n2}\nn1:\nn2:\nn3:\n",
        "__groups__: {team: 'n[1-2]'}\nn2:\nn3:\n",
    ] {
        let site = site();
        site.write("policy.yaml", POLICY);
        site.settings("policy_path: policy.yaml");
        let server = site.start();
        let _gate = server.gate("gate");
        let root = of(&server, "root");
        let mut run = root.start(on("wait", "n1")).unwrap();
        run.wait_for("n1", "ready\n");
        let mut watch = of(&server, "ann").watch(&run.id, 0).unwrap();
        assert!(watch.read().unwrap().is_some());
        server.nodes(nodes);
        let status = wait_until("the watch to end", CEILING, || watch.read().err());
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
        root.cancel(&run.id, true).unwrap();
        _ = run.finish();
    }
}

#[test]
fn a_caller_keeps_its_own_run_when_a_node_leaves_the_nodes_file() {
    let site = site();
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml");
    let server = site.start();
    let _gate = server.gate("gate");
    let bob = of(&server, "bob");
    let mut run = bob.start(on("wait", "n[1-2]")).unwrap();
    run.wait_for("n1", "ready\n");
    let mut watch = bob.watch(&run.id, 0).unwrap();
    assert!(watch.read().unwrap().is_some());
    let mut other = of(&server, "ann").watch(&run.id, 0).unwrap();
    server.nodes("__groups__: {team: 'n[1-2]'}\nn2:\nn3:\n");
    // Whether the node was one of those that another may see is not known any more.
    _ = wait_until("the other's watch to end", CEILING, || other.read().err());
    assert_eq!(bob.node_names(), ["n2"]);
    assert_eq!(bob.run_now(&run.id).subject, "bob");
    bob.cancel(&run.id, true).unwrap();
    let (_, error) = watch.rest();
    assert!(error.is_none(), "{error:?}");
    let id = run.finish().id;
    // Once it may see none of its runs, this one is none of them either.
    server.write("policy.yaml", POLICY.replace("[bob, ann]", "[ann]"));
    wait_until("the run to be hidden", CEILING, || bob.get_run(&id).err());
}
