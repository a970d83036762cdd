//! Tokens that are good, and all that are not.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::*;
use crate::auth::TokenSecret;

fn keys(byte: u8) -> TokenKeys {
    let secret: Vec<u8> = (0..32).map(|at| byte ^ at).collect();
    TokenKeys::of_secret(&TokenSecret::new(secret, "test").unwrap())
}

fn read(byte: u8, token: &str) -> Result<Caller, TokenError> {
    verify(&keys(byte), &TokenRules::default(), token)
}

fn sign(header: &Header, claims: &serde_json::Value) -> String {
    let keys = keys(7);
    let (_, key) = keys.signing(None).unwrap();
    jsonwebtoken::encode(header, claims, key.encoding.as_ref().unwrap()).unwrap()
}

fn signed(claims: &serde_json::Value) -> String {
    sign(&Header::new(Algorithm::HS256), claims)
}

#[test]
fn a_token_brings_its_caller_back() {
    let new = NewToken {
        subject: "alice".into(),
        lifetime: Duration::from_secs(24 * 3600),
        uid: Some(1000),
        ..NewToken::default()
    };
    let (token, claims) = mint(&keys(7), None, &TokenRules::default(), new).unwrap();
    let caller = read(7, &token).unwrap();
    assert_eq!((caller.subject.as_str(), caller.uid), ("alice", Some(1000)));
    assert_eq!(caller.token_id, claims.jti);
    assert!(read(8, &token).is_err(), "another secret");
}

#[test]
fn claims_that_must_be_there_and_right() {
    let good = json!({"sub": "a", "exp": now() + 60, "iat": now(), "jti": "x"});
    assert!(read(7, &signed(&good)).is_ok());
    for (claim, value) in [
        ("exp", json!(null)),
        ("exp", json!(now() - LEEWAY - 1)),
        ("exp", json!("9999999999")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("iat", json!(now() + 3600)),
        ("iat", json!(null)),
        ("nbf", json!(now() + 3600)),
        ("sub", json!("")),
        ("sub", json!("../x")),
        ("sub", json!("a\nb")),
        ("sub", json!(5)),
        ("jti", json!("")),
        ("jti", json!(null)),
        ("aud", json!("somebody else")),
        ("uid", json!("0")),
        ("commands", json!("power-*")),
        ("nodes", json!(5)),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        }
        assert!(read(7, &signed(&claims)).is_err(), "{claim}: {value}");
    }
}

#[test]
fn other_algorithms_and_broken_forms_are_refused() {
    let claims = json!({"sub": "a", "exp": now() + 60, "iat": now(), "jti": "x"});
    let good = signed(&claims);
    let parts: Vec<&str> = good.split('.').collect();
    let hs512 = sign(&Header::new(Algorithm::HS512), &claims);
    // {"alg":"none"}, as base64url
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    for token in [
        hs512.as_str(),
        none.as_str(),
        "",
        ".",
        "..",
        "a.b.c",
        &format!("{}.{}", parts[0], parts[1]),
        &format!("{good}."),
        &format!("{good}\n"),
        &format!("{good}="),
        &good[..good.len() - 2],
    ] {
        assert!(read(7, token).is_err(), "{token:?}");
    }
}
