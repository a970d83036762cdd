//! The list of issued tokens while keys or revocations cannot be read: all of them, with what can be told.

use std::{fs, os::unix::fs::PermissionsExt};

use action_tests::Site;
use serde_json::{Value, json};

use crate::issued_tokens::{jti, made, revoke, site};

/// The state of each subject's token, and what is told beside the list.
fn states(site: &Site) -> (Vec<(String, String)>, String) {
    let ran = site.server_verb(&["tokens", "--output", "json"]).ok();
    let objects = ran.stdout();
    let objects = objects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |object: &Value, key: &str| object[key].as_str().unwrap().to_owned();
    let states = objects.map(|object| (text(&object, "subject"), text(&object, "state")));
    (states.skip(1).collect(), ran.stderr())
}

#[test]
fn tokens_are_listed_while_keys_or_revocations_cannot_be_read() {
    let site = site();
    fs::create_dir(site.path("keys")).unwrap();
    site.settings("jwt_key_directory: keys");
    for name in ["a", "b", "c"] {
        site.write(
            format!("keys/{name}.secret"),
            name.repeat(3) + &"x".repeat(40),
        );
        close(&site, &format!("keys/{name}.secret"));
        _ = made(&site, &["--key", name, "--subject", name]);
    }
    let over = json!({
        "jti": "over", "subject": "over", "key": "b",
        "issued": "2026-01-01T00:00:00Z", "expires": "2026-01-02T00:00:00Z",
    });
    let text = site.read("state/issued.jsonl");
    site.write("state/issued.jsonl", format!("\u{feff}{text}{over}\n"));
    let server = site.start();
    _ = revoke(&server, &["--subject", "a"]).ok();
    let site = server.stop();
    let expect = |expected: [&str; 4], part: &str| {
        let (states, told) = states(&site);
        let pairs = ["a", "b", "c", "over"].iter().zip(expected);
        let pairs: Vec<_> = pairs.map(|(a, b)| (a.to_string(), b.to_owned())).collect();
        assert_eq!(states, pairs, "{told}");
        let is_told = told.starts_with("warning: ") && told.contains(part);
        assert!(is_told || part.is_empty() && told.is_empty(), "{told}");
    };
    expect(["revoked", "valid", "valid", "expired"], "");
    // A broken key, one that is gone, and one that is no key at all.
    site.write("keys/b.secret", "short");
    fs::remove_file(site.path("keys/c.secret")).unwrap();
    site.write("keys/d.pem", "no key");
    close(&site, "keys/d.pem");
    expect(["revoked", "unknown", "no_key", "expired"], "keys/b.secret");
    fs::rename(site.path("keys"), site.path("elsewhere")).unwrap();
    expect(["revoked", "unknown", "unknown", "expired"], "keys");
    fs::rename(site.path("elsewhere"), site.path("keys")).unwrap();
    site.write("keys/b.secret", "b".repeat(3) + &"x".repeat(40));
    fs::remove_file(site.path("keys/d.pem")).unwrap();
    expect(["revoked", "valid", "no_key", "expired"], "");
    site.write("state/revoked.jsonl", "{");
    expect(
        ["unknown", "unknown", "unknown", "expired"],
        "revoked.jsonl:1: ",
    );
}

#[test]
fn neither_the_list_nor_a_revocation_needs_the_secret() {
    let site = site();
    let own = made(&site, &["--subject", "own"]);
    let secret = site.read("jwt_secret");
    for broken in ["short", ""] {
        site.write("jwt_secret", broken);
        let (states, told) = states(&site);
        assert_eq!(states, [("own".to_owned(), "unknown".to_owned())]);
        assert!(told.contains("jwt_secret: the secret has "), "{told}");
    }
    fs::remove_file(site.path("jwt_secret")).unwrap();
    assert!(
        states(&site).1.contains("jwt_secret: "),
        "{:?}",
        states(&site)
    );
    site.write("state/revoked.jsonl", "");
    _ = revoke(&site, &["--jti", &jti(&own)]).ok();
    assert_eq!(states(&site).0[0].1, "revoked");
    site.write("jwt_secret", secret);
    close(&site, "jwt_secret");
    assert_eq!(states(&site).0[0].1, "revoked");
    assert_eq!(states(&site).1, "");
}

fn close(site: &Site, file: &str) {
    fs::set_permissions(site.path(file), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_token_that_is_good_for_longer_than_the_settings_allow_now_is_not_valid() {
    let site = site();
    _ = made(&site, &["--subject", "long", "--days", "2"]);
    site.settings("jwt_lifetime: 1d");
    _ = made(&site, &["--subject", "short", "--days", "1"]);
    let pairs = |pairs: [(&str, &str); 2]| pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
    let expected = pairs([("long", "too_long"), ("short", "valid")]);
    assert_eq!(states(&site).0, expected);
}
