//! Bad input: tokens. One answer for all of them, nothing run, for unary and streaming calls.

use action_proto::v1::ListNodesRequest;
use action_tests::{Server, Site, on, token};
use jsonwebtoken::Algorithm;
use serde_json::Value;
use tonic::{Code, Status};

fn serving() -> Server {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"; echo hello");
    site.start()
}

/// What everybody without a valid token is told, whatever is wrong with it.
#[track_caller]
fn is_refusal(what: &str, status: &Status) {
    assert_eq!(status.code(), Code::Unauthenticated, "{what}: {status:?}");
    assert_eq!(status.message(), "a valid token is needed", "{what}");
    assert!(status.details().is_empty(), "{what}");
}

/// A unary and a streaming call with this token are refused, and an honest one after is not.
#[track_caller]
fn is_refused(server: &Server, what: &str, token: Option<&str>) {
    let api = server.api_with(token);
    is_refusal(
        what,
        &api.list_nodes(ListNodesRequest::default()).unwrap_err(),
    );
    is_refusal(what, &api.start(on("hello", "n1")).unwrap_err());
    assert!(!server.has("ran"), "{what}: the script was run");
    assert_eq!(
        server.api().node_names(),
        ["n1"],
        "{what}: honest callers are served"
    );
    if let Some(token) = token.filter(|token| token.len() > 20) {
        assert!(
            !server.log().contains(token),
            "{what}: the token is in the log"
        );
    }
}

fn signed(server: &Server, claims: &Value) -> String {
    token::signed(claims, &server.secret(), Algorithm::HS256)
}

#[test]
fn a_good_token_made_by_hand_is_taken() {
    // What the others here have, but for one thing each.
    let server = serving();
    let api = server.api_with(Some(&signed(&server, &token::claims())));
    for nodes in ["n1", "@*", "n*"] {
        assert_eq!(api.run(on("hello", nodes)).nodes(), ["n1"]);
    }
}

#[test]
fn no_token() {
    is_refused(&serving(), "none", None);
}

#[test]
fn an_expired_token() {
    let server = serving();
    for age in [60, 3600, 100_000_000] {
        let claims = token::with(token::claims(), "exp", token::now() - age);
        is_refused(&server, "expired", Some(&signed(&server, &claims)));
    }
}

#[test]
fn a_token_without_exp() {
    let server = serving();
    let claims = token::without(token::claims(), "exp");
    is_refused(&server, "no exp", Some(&signed(&server, &claims)));
    for exp in [Value::Null, "soon".into(), (-1).into()] {
        let claims = token::with(token::claims(), "exp", exp);
        is_refused(&server, "odd exp", Some(&signed(&server, &claims)));
    }
}

#[test]
fn a_token_signed_with_another_secret() {
    let server = serving();
    let other = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for secret in [other, "", &server.secret()[1..]] {
        let token = token::signed(&token::claims(), secret, Algorithm::HS256);
        is_refused(&server, "another secret", Some(&token));
    }
}

#[test]
fn a_token_that_nobody_signed() {
    let server = serving();
    let unsigned = token::unsigned(&token::claims());
    is_refused(&server, "alg none", Some(&unsigned));
    // With the signature of a good one, and a good one without its signature.
    let good = signed(&server, &token::claims());
    let (body, signature) = good.rsplit_once('.').unwrap();
    is_refused(
        &server,
        "alg none, signed",
        Some(&format!("{unsigned}{signature}")),
    );
    is_refused(&server, "no signature", Some(&format!("{body}.")));
    is_refused(&server, "no signature", Some(body));
}

#[test]
fn a_token_of_another_algorithm() {
    let server = serving();
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = token::signed(&token::claims(), &server.secret(), algorithm);
        is_refused(&server, "another algorithm", Some(&token));
    }
}

#[test]
fn a_token_with_claims_that_cannot_be() {
    let server = serving();
    for (claim, value) in [
        ("sub", Value::from("")),
        ("sub", "a b".into()),
        ("sub", "../x".into()),
        ("jti", "".into()),
        ("iat", (token::now() + 3600).into()),
        ("nbf", (token::now() + 3600).into()),
        ("uid", "0".into()),
        ("commands", "power-*".into()),
        ("nodes", 5.into()),
    ] {
        let claims = token::with(token::claims(), claim, value.clone());
        let what = format!("{claim} is {value}");
        is_refused(&server, &what, Some(&signed(&server, &claims)));
    }
    for claim in ["sub", "iat", "jti"] {
        let claims = token::without(token::claims(), claim);
        is_refused(&server, claim, Some(&signed(&server, &claims)));
    }
}

#[test]
fn what_is_no_token_at_all() {
    let server = serving();
    let good = server.token();
    for token in [
        "a",
        "a.b.c",
        "..",
        ".",
        "null",
        &format!("{good}x"),
        &format!("{good}="),
        &format!(" {good}"),
        &format!("{good}.{good}"),
        &good[1..],
        &"a".repeat(9000),
    ] {
        is_refused(&server, token, Some(token));
    }
}

#[test]
fn a_token_that_does_not_allow_it() {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"; echo hello");
    site.command("other", "touch \"$SCRIPT_ROOT/../ran\"");
    let server = site.start();
    let claims = token::with(token::claims(), "nodes", "n1");
    let claims = token::with(claims, "commands", vec!["hel*"]);
    let api = server.api_with(Some(&signed(&server, &claims)));
    for (command, nodes) in [("other", "n1"), ("hello", "n2"), ("hello", "n1,n2")] {
        let (code, text) = api.refused(on(command, nodes));
        assert_eq!(code, Code::PermissionDenied, "{command} on {nodes}: {text}");
    }
    assert!(!server.has("ran"));
    for nodes in ["n1", "@*", "n*"] {
        assert_eq!(api.run(on("hello", nodes)).nodes(), ["n1"]);
    }
}
