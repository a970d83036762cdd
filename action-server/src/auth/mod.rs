//! Authentication and authorization: from a token to a [`Caller`], from a caller and a policy to a verdict,
//! and new tokens. Knows nothing of gRPC, and only the names of nodes.

mod acknowledgement;
mod authority;
mod grant;
mod keys;
mod names;
mod patterns;
pub mod policy;
pub mod register;
pub mod revocation;
mod secret;
mod time;
mod token;

pub use acknowledgement::{RevocationReceipt, is_in_use};
pub use authority::{AuthChange, AuthSources, Authority, OpenError, TokenState, TokenStates};
pub use grant::TokenGrant;
pub use keys::{KeyDigest, KeyError, TokenKeys};
pub(crate) use names::{is_own_token_id, is_subject, is_token_id};
pub use secret::{SecretError, TokenSecret};
pub use time::format_time;
pub use token::{LONGEST_DAYS, NewToken, TokenClaims, TokenError, TokenRules, mint};

/// The caller, as its token proves.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    /// The token's `uid`, if it has one.
    pub uid: Option<u64>,
    /// The token's `jti`: names the token in logs, never the token itself.
    pub token_id: String,
    /// The name of the key that signed it; the settings' own secret has none.
    pub key_id: Option<String>,
    /// The key itself: another one may get its name.
    pub key_digest: KeyDigest,
    /// When the key was to end, in seconds since 1970, as the token was checked.
    pub key_until: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub issued: u64,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
    /// The token's roles.
    pub roles: Vec<String>,
    /// The limits of the token.
    pub grant: TokenGrant,
}

/// Deserializes a limit that is present: null does not mean "no limit".
fn deserialize_present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}
