//! Tokens: JSON Web Tokens (RFC 7519), checked as RFC 8725 advises.

use std::time::Duration;

use action_proto::input::shown_name;
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Caller, TokenGrant, TokenKeys,
    keys::TokenKey,
    names::{is_subject, is_token_id},
    register::IssuedToken,
    time::now,
};

/// How far the clocks of signer and server may differ, in seconds.
const LEEWAY: u64 = 30;
/// For how many days a token may be good, unless the settings say less.
pub const LONGEST_DAYS: u64 = 3650;

/// The claims of a token. Unknown claims are ignored; a duplicate claim is rejected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The subject.
    pub sub: String,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// Its unique ID, for revocation and logs.
    pub jti: String,
    /// The issuer. Checked if the settings name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it is made for. Checked before this is read, where it may be a list too.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub aud: Option<String>,
    /// The bearer's user id, passed to scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u64>,
    /// The bearer's roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Patterns of the commands it allows; all when not set.
    #[serde(
        default,
        deserialize_with = "super::deserialize_present",
        skip_serializing_if = "Option::is_none"
    )]
    pub commands: Option<Vec<String>>,
    /// The node set it allows; all when not set.
    #[serde(
        default,
        deserialize_with = "super::deserialize_present",
        skip_serializing_if = "Option::is_none"
    )]
    pub nodes: Option<String>,
}

/// The claims of a new token.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// The subject.
    pub subject: String,
    /// Its lifetime.
    pub lifetime: Duration,
    /// The bearer's user id.
    pub uid: Option<u64>,
    /// The bearer's roles.
    pub roles: Vec<String>,
    /// Its limits.
    pub grant: TokenGrant,
}

/// The rules for the claims of tokens.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The issuer (`iss`); any if not set.
    pub issuer: Option<String>,
    /// Whom they are made for (`aud`); where not set, tokens that name anybody are for another.
    pub audience: Option<String>,
    /// The longest lifetime.
    pub lifetime: Duration,
}

impl TokenRules {
    /// True if a token with these times has too long a lifetime.
    pub(super) fn is_too_long(&self, issued: u64, expires: u64) -> bool {
        expires.saturating_sub(issued) > self.lifetime.as_secs()
    }
}

impl Default for TokenRules {
    fn default() -> TokenRules {
        TokenRules {
            issuer: None,
            audience: None,
            lifetime: Duration::from_secs(LONGEST_DAYS * 24 * 3600),
        }
    }
}

/// Why a token is rejected. For the log only: callers get one constant text.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum TokenError {
    #[error("{0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    #[error("{0}")]
    Claim(&'static str),
    #[error("the key {name:?} {1}", name = shown_name(.0))]
    Key(String, &'static str),
    #[error("the token {0} of {1} is revoked")]
    Revoked(String, String),
    #[error("no token is good while the revocations cannot be read")]
    RevocationsUnknown,
}

impl TokenError {
    /// The label of the metric.
    pub fn class(&self) -> &'static str {
        use jsonwebtoken::errors::ErrorKind;
        match self {
            TokenError::Invalid(error) => match error.kind() {
                ErrorKind::InvalidSignature => "signature",
                ErrorKind::ExpiredSignature => "expired",
                ErrorKind::ImmatureSignature
                | ErrorKind::InvalidAudience
                | ErrorKind::InvalidIssuer
                | ErrorKind::MissingRequiredClaim(_) => "claim",
                _ => "malformed",
            },
            TokenError::Claim(_) => "claim",
            TokenError::Key(..) => "key",
            TokenError::Revoked(..) => "revoked",
            TokenError::RevocationsUnknown => "unknown",
        }
    }
}

/// Makes a token, signed with the key of that name or the current one. Returns it with its entry for the
/// register.
///
/// # Errors
/// The subject is invalid, or there is no such key to sign with.
pub fn mint(
    keys: &TokenKeys,
    key: Option<&str>,
    terms: &TokenRules,
    new: NewToken,
) -> Result<(String, IssuedToken), TokenError> {
    if !is_subject(&new.subject) {
        return Err(TokenError::Claim(SUBJECT_RULE));
    }
    let (id, key) = keys.signing(key).ok_or_else(|| {
        TokenError::Key(
            key.unwrap_or_default().to_owned(),
            "is no secret to sign with",
        )
    })?;
    let encoding = key
        .encoding
        .as_ref()
        .ok_or(TokenError::Claim("the key cannot sign"))?;
    let now = now();
    let claims = TokenClaims {
        sub: new.subject,
        iat: now,
        exp: now.saturating_add(new.lifetime.as_secs()),
        jti: format!("{:032x}", rand::random::<u128>()),
        iss: terms.issuer.clone(),
        aud: terms.audience.clone(),
        uid: new.uid,
        roles: new.roles,
        commands: new.grant.commands,
        nodes: new.grant.nodes,
    };
    let mut header = Header::new(key.algorithm);
    header.kid = id.map(str::to_owned);
    let token = jsonwebtoken::encode(&header, &claims, encoding)?;
    let issued = IssuedToken {
        jti: claims.jti,
        subject: claims.sub,
        uid: claims.uid,
        roles: claims.roles,
        commands: claims.commands,
        nodes: claims.nodes,
        key: id.map(str::to_owned),
        issued: claims.iat,
        expires: claims.exp,
    };
    Ok((token, issued))
}

/// Verifies a token.
///
/// # Errors
/// It is invalid. The reason is for the log.
pub(super) fn verify(
    keys: &TokenKeys,
    terms: &TokenRules,
    token: &str,
) -> Result<Caller, TokenError> {
    let header = jsonwebtoken::decode_header(token)?;
    if header.crit.is_some() {
        return Err(TokenError::Claim(
            "the header has crit, and no extension is known",
        ));
    }
    // A token that the same secret signed for something else says so here: RFC 8725, 3.11.
    if header
        .typ
        .is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt"))
    {
        return Err(TokenError::Claim("typ is not JWT"));
    }
    let shown = || {
        let id = header.kid.iter().flat_map(|id| id.chars());
        id.take(64).collect::<String>()
    };
    let key = keys
        .get(header.kid.as_deref())
        .ok_or_else(|| TokenError::Key(shown(), "is not known"))?;
    if key.is_over() {
        return Err(TokenError::Key(shown(), "has ended"));
    }
    let data = jsonwebtoken::decode::<TokenClaims>(token, &key.decoding, &validation(key, terms))?;
    let claims = data.claims;
    check(&claims, terms)?;
    Ok(Caller {
        subject: claims.sub,
        uid: claims.uid,
        token_id: claims.jti,
        key_id: header.kid,
        key_digest: key.digest,
        key_until: key.until,
        issued: claims.iat,
        expires: claims.exp,
        roles: claims.roles,
        grant: TokenGrant {
            commands: claims.commands,
            nodes: claims.nodes,
        },
    })
}

fn validation(key: &TokenKey, terms: &TokenRules) -> Validation {
    // The key's algorithm and no other, whatever the header says.
    let mut validation = Validation::new(key.algorithm);
    let mut required = vec!["exp", "sub"];
    if let Some(issuer) = &terms.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    if let Some(audience) = &terms.audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    validation.set_required_spec_claims(&required);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation
}

fn check(claims: &TokenClaims, terms: &TokenRules) -> Result<(), TokenError> {
    if claims.iat > now().saturating_add(LEEWAY) {
        return Err(TokenError::Claim("iat is in the future"));
    }
    if terms.is_too_long(claims.iat, claims.exp) {
        return Err(TokenError::Claim(
            "exp is further from iat than jwt_lifetime allows",
        ));
    }
    if !is_subject(&claims.sub) {
        return Err(TokenError::Claim(SUBJECT_RULE));
    }
    if !is_token_id(&claims.jti) {
        return Err(TokenError::Claim(
            "jti is not 1 to 128 printable ASCII characters",
        ));
    }
    Ok(())
}

const SUBJECT_RULE: &str =
    "the subject is not letters, digits, and _ . @ - after the first, at most 64";

/// True for a token that has expired.
pub(super) fn is_over(expires: u64) -> bool {
    now() > expires.saturating_add(LEEWAY)
}

#[cfg(test)]
mod edited;
#[cfg(test)]
mod tests;
