//! Tokens of all sorts, made by hand: the good, the old and the forged.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// What a good token says: for `alice`, for an hour from now.
pub fn claims() -> Value {
    let now = now();
    json!({"sub": "alice", "exp": now + 3600, "iat": now, "jti": "token-of-a-test"})
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Claims without one of them.
pub fn without(mut claims: Value, claim: &str) -> Value {
    claims.as_object_mut().unwrap().remove(claim).unwrap();
    claims
}

/// Claims with one of them replaced or added.
pub fn with(mut claims: Value, claim: &str, value: impl Into<Value>) -> Value {
    claims[claim] = value.into();
    claims
}

/// Signs claims with a secret.
pub fn signed(claims: &Value, secret: &str, algorithm: Algorithm) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// A token that says of itself that nobody signed it.
pub fn unsigned(claims: &Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "none", "typ": "JWT"});
    format!("{}.{}.", part(header), part(claims.clone()))
}

/// Signs claims with a secret, under a header of which each part can be anything.
pub fn with_header(header: &str, claims: &str, secret: &str) -> String {
    let parts = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(parts.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{parts}.{signature}")
}
