//! Tokens in which one byte is another: none is taken.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{prelude::*, sample::Index};
use rcgen::{KeyPair, PKCS_ED25519};

use super::{Header, NewToken, TokenKeys, TokenRules, mint, verify};
use crate::{auth::TokenSecret, trust::Trust};

/// A good token of each kind of key, with the keys that know it.
fn good() -> Vec<(TokenKeys, String)> {
    let secret = TokenSecret::new((7..39).collect(), "test").unwrap();
    let secret = TokenKeys::of_secret(&secret);
    let new = NewToken {
        subject: "alice".into(),
        lifetime: std::time::Duration::from_secs(24 * 3600),
        ..NewToken::default()
    };
    let (token, _) = mint(&secret, None, &TokenRules::default(), new).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
    let claims: serde_json::Value = serde_json::from_slice(&payload.unwrap()).unwrap();

    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ed.pem"), pair.public_key_pem()).unwrap();
    let (public, faults) = TokenKeys::load(None, Some(directory.path()), Trust::Lax, None);
    assert!(faults.is_empty());
    let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.kid = Some("ed".into());
    let private = jsonwebtoken::EncodingKey::from_ed_der(pair.serialized_der());
    let signed = jsonwebtoken::encode(&header, &claims, &private).unwrap();
    vec![(secret, token), (public, signed)]
}

fn is_taken(keys: &TokenKeys, token: &[u8]) -> bool {
    // The guard lets no other bytes come here.
    std::str::from_utf8(token)
        .is_ok_and(|token| verify(keys, &TokenRules::default(), token).is_ok())
}

#[test]
fn no_edit_of_one_byte_is_taken() {
    let good = good();
    let edit = (0..good.len(), any::<Index>(), 0u8..3, 0u8..128);
    let mut runner = proptest::test_runner::TestRunner::default();
    let run = runner.run(&edit, |(which, place, kind, byte)| {
        let (keys, token) = &good[which];
        let mut edited = token.clone().into_bytes();
        let at = place.index(edited.len());
        match kind {
            0 => edited[at] = byte,
            1 => drop(edited.remove(at)),
            _ => edited.insert(at, byte),
        }
        let is_same = edited == token.as_bytes();
        prop_assert_eq!(is_taken(keys, &edited), is_same, "{:?}", edited);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn the_ends_of_parts_have_one_spelling() {
    // The last character of a part has bits that belong to no byte: they must not be free.
    for (keys, token) in good() {
        let ends = token.match_indices('.').map(|(at, _)| at);
        for end in ends.chain([token.len()]) {
            for byte in 0..128 {
                let mut edited = token.clone().into_bytes();
                edited[end - 1] = byte;
                let is_same = edited == token.as_bytes();
                assert_eq!(is_taken(&keys, &edited), is_same, "{edited:?}");
            }
        }
    }
}
