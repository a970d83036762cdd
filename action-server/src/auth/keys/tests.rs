//! Keys of each kind, good and bad, as files.

use std::{os::unix::fs::PermissionsExt, time::UNIX_EPOCH};

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};

use super::*;
use crate::auth::{Caller, NewToken, TokenError, TokenRules, mint, token::verify};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> &Directory {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn load(&self) -> (TokenKeys, Vec<String>) {
        let (keys, faults) = TokenKeys::load(None, Some(self.0.path()), Trust::Strict, None);
        (keys, faults.iter().map(ToString::to_string).collect())
    }
}

fn claims() -> serde_json::Value {
    let now = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    serde_json::json!({"sub": "a", "exp": now + 60, "iat": now, "jti": "x"})
}

fn signed(algorithm: Algorithm, kid: &str, key: &EncodingKey) -> String {
    let mut header = jsonwebtoken::Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, &claims(), key).unwrap()
}

fn read(keys: &TokenKeys, token: &str) -> Result<Caller, TokenError> {
    verify(keys, &TokenRules::default(), token)
}

#[test]
fn public_keys_check_what_their_private_halves_sign_and_nothing_else() {
    let directory = Directory::new();
    let pairs = [
        (
            "ed",
            Algorithm::EdDSA,
            KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        ),
        (
            "ec",
            Algorithm::ES256,
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        ),
        (
            "rsa",
            Algorithm::RS256,
            KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(),
        ),
    ];
    for (kid, _, pair) in &pairs {
        directory.put(&format!("{kid}.pem"), &pair.public_key_pem());
    }
    let (keys, faults) = directory.load();
    assert_eq!(faults, [""; 0]);
    for (kid, algorithm, pair) in &pairs {
        let der = pair.serialized_der();
        let private = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(der),
            Algorithm::ES256 => EncodingKey::from_ec_der(der),
            // Without what PKCS #8 wraps around it.
            _ => EncodingKey::from_rsa_der(&der[26..]),
        };
        let token = signed(*algorithm, kid, &private);
        assert_eq!(read(&keys, &token).unwrap().key_id.as_deref(), Some(*kid));
        // Another key's name, and the public half taken for a shared secret.
        for (other, _, _) in pairs.iter().filter(|(other, ..)| other != kid) {
            assert!(read(&keys, &signed(*algorithm, other, &private)).is_err());
        }
        for public in [
            pair.public_key_pem().as_bytes(),
            pair.public_key_pem().trim_end().as_bytes(),
            pair.public_key_raw(),
        ] {
            let confused = signed(Algorithm::HS256, kid, &EncodingKey::from_secret(public));
            assert!(read(&keys, &confused).is_err(), "{kid}");
        }
    }
    for unknown in ["", "none", "../ed", "ed.pem", "/dev/null", "ed\0"] {
        let token = signed(Algorithm::HS256, unknown, &EncodingKey::from_secret(b"x"));
        assert!(
            matches!(read(&keys, &token), Err(TokenError::Key(..))),
            "{unknown:?}"
        );
    }
    // None of them signs.
    assert!(keys.signing(None).is_none() && keys.signing(Some("ed")).is_none());
}

#[test]
fn the_last_secret_without_an_end_signs_and_an_end_ends() {
    let directory = Directory::new();
    directory
        .put("2026.secret", SECRET)
        .put("2027.secret", &SECRET.replace('0', "x"))
        .put("2028.secret", &SECRET.replace('0', "y"))
        .put("2028.until", "2999-01-01T00:00:00Z\n")
        .put("notes.txt", "");
    let (keys, faults) = directory.load();
    assert_eq!(faults, [""; 0]);
    assert_eq!(keys.signing(None).unwrap().0, Some("2027"));
    let new = || NewToken {
        subject: "a".into(),
        lifetime: std::time::Duration::from_secs(24 * 3600),
        ..NewToken::default()
    };
    let make = |key| {
        mint(&keys, Some(key), &TokenRules::default(), new())
            .unwrap()
            .0
    };
    let tokens = ["2026", "2027", "2028"].map(make);
    assert!(tokens.iter().all(|token| read(&keys, token).is_ok()));
    directory.put("2026.until", "2026-01-01T00:00:00Z");
    fs::remove_file(directory.0.path().join("2027.secret")).unwrap();
    let (keys, _) = directory.load();
    let told = tokens.map(|token| read(&keys, &token).map_err(|error| error.to_string()));
    assert_eq!(told[0].as_ref().unwrap_err(), "the key \"2026\" has ended");
    assert_eq!(
        told[1].as_ref().unwrap_err(),
        "the key \"2027\" is not known"
    );
    assert!(told[2].is_ok());
}

#[test]
fn what_cannot_be_used_is_named_and_takes_nothing_else_down() {
    let directory = Directory::new();
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    directory
        .put("good.secret", SECRET)
        .put("a.secret", "short")
        .put("b.pem", &pair.serialize_pem())
        .put("c.pem", "nothing")
        .put("d.pem", &p384.public_key_pem())
        .put("-e.secret", SECRET)
        .put("f.pem", &pair.public_key_pem())
        .put("f.secret", SECRET)
        .put("g.secret", SECRET)
        .put("g.until", "soon")
        .put("h.secret", SECRET);
    fs::set_permissions(
        directory.0.path().join("h.secret"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let (keys, faults) = directory.load();
    assert_eq!(keys.names().collect::<Vec<_>>(), ["f", "good"]);
    for (file, part) in [
        ("a.secret", "5 bytes"),
        ("b.pem", "a private key"),
        ("c.pem", "no PEM block"),
        ("d.pem", "only Ed25519"),
        ("-e.secret", "a key's name"),
        ("f.secret", "two keys"),
        ("g.until", "\"soon\" is not a time"),
        ("h.secret", "chmod 600"),
    ] {
        let named = |fault: &&String| fault.contains(file) && fault.contains(part);
        assert_eq!(
            faults.iter().filter(named).count(),
            1,
            "{file}: {faults:#?}"
        );
    }
    assert_eq!(faults.len(), 8);
}
