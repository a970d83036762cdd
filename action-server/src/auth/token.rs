//! Tokens: JSON Web Tokens (RFC 7519) signed with HS256, checked as RFC 8725 advises.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Caller, Grant, Secret};

/// How far the clocks of signer and server may differ, in seconds.
const LEEWAY: u64 = 30;

/// What a token says. Unknown claims are ignored; a claim given twice is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who it is for.
    pub sub: String,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// Its own name, unique; revocation and logs know it by this.
    pub jti: String,
    /// The bearer's user id, passed to scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u64>,
    /// The bearer's roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Patterns of the commands it allows; all when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<String>>,
    /// The node set it allows; all when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
}

/// What a new token shall say.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Who it is for.
    pub subject: String,
    /// For how many days it is good.
    pub days: u32,
    /// The bearer's user id.
    pub uid: Option<u64>,
    /// The bearer's roles.
    pub roles: Vec<String>,
    /// What it is narrowed to.
    pub grant: Grant,
}

/// Why a token is refused. For the log only: callers are told one constant text.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The signature, the form or a time is wrong.
    #[error("{0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// A claim that may not be so.
    #[error("{0}")]
    Claim(&'static str),
}

/// Signs and verifies tokens.
pub struct Authority {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Authority {
    /// An authority with one secret for HS256.
    pub fn new(secret: &Secret) -> Authority {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        Authority {
            encoding: EncodingKey::from_secret(secret.expose()),
            decoding: DecodingKey::from_secret(secret.expose()),
            validation,
        }
    }

    /// Makes a token. Returns it with what it says.
    ///
    /// # Errors
    /// The subject is none, or signing failed.
    pub fn mint(&self, new: NewToken) -> Result<(String, Claims), TokenError> {
        if !is_subject(&new.subject) {
            return Err(TokenError::Claim(SUBJECT_RULE));
        }
        let now = now();
        let claims = Claims {
            sub: new.subject,
            iat: now,
            exp: now.saturating_add(u64::from(new.days) * 24 * 3600),
            jti: format!("{:032x}", rand::random::<u128>()),
            uid: new.uid,
            roles: new.roles,
            commands: new.grant.commands,
            nodes: new.grant.nodes,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?;
        Ok((token, claims))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// Anything about it that is not as it must be. The reason is for the log.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)?;
        if data.header.crit.is_some() {
            return Err(TokenError::Claim(
                "the header has crit, and no extension is known",
            ));
        }
        // A token that the same secret signed for something else says so here: RFC 8725, 3.11.
        if data
            .header
            .typ
            .is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt"))
        {
            return Err(TokenError::Claim("typ is not JWT"));
        }
        let claims = data.claims;
        if claims.iat > now().saturating_add(LEEWAY) {
            return Err(TokenError::Claim("iat is in the future"));
        }
        if !is_subject(&claims.sub) {
            return Err(TokenError::Claim(SUBJECT_RULE));
        }
        if claims.jti.is_empty()
            || claims.jti.len() > 128
            || !claims.jti.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(TokenError::Claim(
                "jti is not 1 to 128 printable ASCII characters",
            ));
        }
        Ok(Caller {
            subject: claims.sub,
            uid: claims.uid,
            token_id: claims.jti,
            roles: claims.roles,
            grant: Grant {
                commands: claims.commands,
                nodes: claims.nodes,
            },
        })
    }
}

const SUBJECT_RULE: &str =
    "the subject is not letters, digits, and _ . @ - after the first, at most 64";

/// True for what may be a token's subject.
pub(crate) fn is_subject(subject: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    subject.len() <= 64
        && subject.bytes().next().is_some_and(word)
        && subject.bytes().all(|b| word(b) || b".@-".contains(&b))
}

fn now() -> u64 {
    // A clock before 1970 makes every token too new, and none valid.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn authority(byte: u8) -> Authority {
        let secret: Vec<u8> = (0..32).map(|at| byte ^ at).collect();
        Authority::new(&Secret::new(secret, "test").unwrap())
    }

    fn signed(claims: &serde_json::Value) -> String {
        jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            claims,
            &authority(7).encoding,
        )
        .unwrap()
    }

    #[test]
    fn a_token_brings_its_caller_back() {
        let new = NewToken {
            subject: "alice".into(),
            days: 1,
            uid: Some(1000),
            ..NewToken::default()
        };
        let (token, claims) = authority(7).mint(new).unwrap();
        let caller = authority(7).verify(&token).unwrap();
        assert_eq!((caller.subject.as_str(), caller.uid), ("alice", Some(1000)));
        assert_eq!(caller.token_id, claims.jti);
        assert!(authority(8).verify(&token).is_err(), "another secret");
    }

    #[test]
    fn claims_that_must_be_there_and_right() {
        let good = json!({"sub": "a", "exp": now() + 60, "iat": now(), "jti": "x"});
        assert!(authority(7).verify(&signed(&good)).is_ok());
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
        ] {
            let mut claims = good.clone();
            claims[claim] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(claim);
            }
            assert!(
                authority(7).verify(&signed(&claims)).is_err(),
                "{claim}: {value}"
            );
        }
    }

    #[test]
    fn other_algorithms_and_broken_forms_are_refused() {
        let claims = json!({"sub": "a", "exp": now() + 60, "iat": now(), "jti": "x"});
        let good = signed(&claims);
        let parts: Vec<&str> = good.split('.').collect();
        let hs512 = jsonwebtoken::encode(
            &Header::new(Algorithm::HS512),
            &claims,
            &authority(7).encoding,
        )
        .unwrap();
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
            assert!(authority(7).verify(token).is_err(), "{token:?}");
        }
    }
}
