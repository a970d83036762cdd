//! The client's warning that its token is about to expire: for people, once, and for no program.

use action_tests::{Client, Server, Site, token};
use jsonwebtoken::Algorithm;
use serde_json::Value;

const WARNING: &str = "warning: your token expires in ";

fn serving() -> Server {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.start()
}

fn client(server: &Server, claims: &Value) -> Client {
    let token = token::signed(claims, &server.secret(), Algorithm::HS256);
    let client = server.client().variable("NO_COLOR", "1");
    client.variable("ACTION_CLIENT_JWT_TOKEN", token)
}

/// Claims of a token with so much of its time gone and left, in seconds.
fn claims(gone: u64, left: u64) -> Value {
    let now = token::now();
    let claims = token::with(token::claims(), "iat", now - gone);
    token::with(claims, "exp", now + left)
}

#[test]
fn who_sits_at_a_terminal_is_warned_once_a_call() {
    let server = serving();
    let ending = client(&server, &claims(30_000, 3_000));
    for words in [
        &["run", "hello", "n1"][..],
        &["hello", "n1"],
        &["help"],
        &["help", "hello"],
        &["nodes"],
        &["runs"],
        &["can-i", "hello", "n1"],
    ] {
        let shown = ending.run_on_terminal(words, "").ok().stdout();
        assert_eq!(shown.matches(WARNING).count(), 1, "{words:?}: {shown}");
        let times = ["expires in 50m;", "expires in 49m 5"];
        assert!(
            times.iter().any(|time| shown.contains(time)),
            "{words:?}: {shown}"
        );
    }
    let fresh = client(&server, &claims(30_000, 4_000));
    let shown = fresh.run_on_terminal(&["hello", "n1"], "").ok().stdout();
    assert!(!shown.contains("warning"), "{shown}");
}

#[test]
fn an_expired_token_is_named_beside_the_refusal() {
    let server = serving();
    let expired = client(&server, &claims(30_000, 0)).run_on_terminal(&["nodes"], "");
    assert!(
        expired.stdout().contains("warning: your token expired "),
        "{expired}"
    );
    let over = token::with(claims(30_000, 0), "exp", token::now() - 7_200);
    let expired = client(&server, &over).run_on_terminal(&["nodes"], "");
    assert!(
        expired.stdout().contains("your token expired 2h"),
        "{expired}"
    );
    assert_eq!(expired.code(), 255, "{expired}");
}

#[test]
fn programs_and_completion_are_not_warned() {
    let server = serving();
    let ending = client(&server, &claims(30_000, 3_000));
    for words in [&["hello", "n1"][..], &["nodes"], &["help"]] {
        let ran = ending.run(words).ok();
        assert!(!ran.stderr().contains("warning"), "{ran}");
    }
    for words in [
        &["hello", "n1", "--output", "json"][..],
        &["nodes", "--json"],
    ] {
        let ran = ending.run_on_terminal(words, "").ok();
        assert!(!ran.stdout().contains("warning"), "{words:?}: {ran}");
    }
}
