//! The keys of tokens: named ones beside the settings' own, changed while the server runs.

use std::{fs, os::unix::fs::PermissionsExt};

use action_proto::v1::ListNodesRequest;
use action_tests::{CEILING, Server, Site, on, token, wait_until};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;

const SECRET: &str = "fedcba9876543210fedcba9876543210";

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello to $request_username");
    site.settings("jwt_key_directory: keys");
    fs::create_dir(site.path("keys")).unwrap();
    site
}

/// Puts a file among the keys, whole from the first moment on.
fn put(site: &Site, name: &str, text: &str) {
    let (new, path) = (site.path("new-key"), site.path("keys").join(name));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

/// A token of `generate-token`, and what was told beside it.
#[track_caller]
fn made(site: &Site, words: &[&str]) -> String {
    let made = site
        .server_verb(&[&["generate-token"], words].concat())
        .ok();
    made.stdout().trim().to_owned()
}

fn is_taken(server: &Server, token: &str) -> bool {
    let api = server.api_with(Some(token));
    api.list_nodes(ListNodesRequest::default()).is_ok()
}

#[track_caller]
fn becomes(server: &Server, token: &str, taken: bool) {
    let what = format!("the token to be taken: {taken}");
    wait_until(&what, CEILING, || {
        (is_taken(server, token) == taken).then_some(())
    });
}

#[test]
fn keys_are_changed_one_after_the_other_and_nobody_is_cut_off() {
    let site = site();
    put(&site, "2026.secret", SECRET);
    let old = made(&site, &["--subject", "bob"]);
    let own = site.token();
    let server = site.start();
    assert!(is_taken(&server, &old) && is_taken(&server, &own));
    // The new key counts at once, the old one still does.
    put(&server, "2027.secret", &SECRET.replace('f', "e"));
    let new = made(&server, &["--subject", "bob"]);
    becomes(&server, &new, true);
    assert!(is_taken(&server, &old));
    let run = server.api_with(Some(&new)).run(on("hello", "n1"));
    assert_eq!(run.answer_of("n1"), "hello to bob\n");
    // An end in the future ends nothing yet; one in the past does.
    put(&server, "2026.until", "2999-01-01T00:00:00Z\n");
    server.wait_for_log("took the new keys");
    assert!(is_taken(&server, &old));
    put(&server, "2026.until", "2026-01-01T00:00:00Z\n");
    becomes(&server, &old, false);
    assert!(is_taken(&server, &new) && is_taken(&server, &own));
    // A key that is taken away is none.
    fs::remove_file(server.path("keys/2027.secret")).unwrap();
    becomes(&server, &new, false);
    assert!(is_taken(&server, &own));
}

#[test]
fn tokens_that_are_made_elsewhere_are_checked_with_a_public_key() {
    let site = site();
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    put(&site, "portal.pem", &pair.public_key_pem());
    let server = site.start();
    let sign = |kid: &str, algorithm, key: &EncodingKey| {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.into());
        jsonwebtoken::encode(&header, &token::claims(), key).unwrap()
    };
    let private = EncodingKey::from_ed_der(pair.serialized_der());
    let good = sign("portal", Algorithm::EdDSA, &private);
    let run = server.api_with(Some(&good)).run(on("hello", "n1"));
    assert_eq!(run.answer_of("n1"), "hello to alice\n");
    // The public half is known to everybody: it is no secret to sign with.
    for public in [pair.public_key_pem().as_bytes(), pair.public_key_raw()] {
        let key = EncodingKey::from_secret(public);
        for kid in ["portal", ""] {
            assert!(!is_taken(&server, &sign(kid, Algorithm::HS256, &key)));
        }
    }
    // Nor is one key good under another's name, nor under none.
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = None;
    let nameless = jsonwebtoken::encode(&header, &token::claims(), &private).unwrap();
    assert!(!is_taken(&server, &nameless));
}

#[test]
fn a_key_that_cannot_be_used_is_told_and_the_others_go_on() {
    let site = site();
    put(&site, "good.secret", SECRET);
    let good = made(&site, &["--key", "good"]);
    let server = site.start();
    put(&server, "bad.secret", "short");
    server.wait_for_log("bad.secret: the secret has 5 bytes");
    assert!(is_taken(&server, &good));
    let site = server.stop();
    // At a start there is nobody who would miss it.
    let refused = site.refused();
    assert_eq!(refused.code(), 78, "{refused}");
    assert!(
        refused
            .stderr()
            .contains("bad.secret: the secret has 5 bytes"),
        "{refused}"
    );
    let checked = site.server_verb(&["check"]);
    assert_eq!(checked.code(), 78, "{checked}");
    let made = site.server_verb(&["generate-token", "--key", "none"]);
    assert!(made.code() != 0 && made.stdout().is_empty(), "{made}");
}

#[test]
fn issuer_audience_and_lifetime_are_checked_when_they_are_set() {
    let site = Site::new();
    site.settings("jwt_issuer: gateway1\njwt_audience: action\njwt_lifetime: 2days");
    let before = site.token();
    let own = made(&site, &["--days", "1"]);
    let too_long = site.server_verb(&["generate-token", "--days", "3"]);
    assert_eq!(too_long.code(), 64, "{too_long}");
    let server = site.start();
    assert!(is_taken(&server, &own), "what generate-token makes");
    assert!(!is_taken(&server, &before), "one that names neither");
    let claims = |iss: &str, aud: serde_json::Value| {
        let claims = token::with(token::claims(), "iss", iss);
        let claims = token::with(claims, "aud", aud);
        token::signed(&claims, &server.secret(), Algorithm::HS256)
    };
    let list = |names: &[&str]| names.to_vec().into();
    assert!(is_taken(&server, &claims("gateway1", "action".into())));
    assert!(is_taken(
        &server,
        &claims("gateway1", list(&["x", "action"]))
    ));
    for bad in [
        claims("gateway2", "action".into()),
        claims("gateway1", "other".into()),
        claims("gateway1", list(&[])),
        claims("gateway1", 5.into()),
    ] {
        assert!(!is_taken(&server, &bad));
    }
    let long = token::with(token::claims(), "exp", token::now() + 3 * 24 * 3600);
    let long = token::with(token::with(long, "iss", "gateway1"), "aud", "action");
    let long = token::signed(&long, &server.secret(), Algorithm::HS256);
    assert!(!is_taken(&server, &long));
}
