//! Who calls and what they may do: from a token to a [`Caller`], from a caller and a policy to a
//! verdict, and tokens for callers. Knows nothing of gRPC, and nothing of nodes but their names.

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

pub use acknowledgement::{Acknowledgement, is_in_use};
pub use authority::{Authority, Change, OpenError, Sources, TokenState, TokenStates};
pub use grant::Grant;
pub use keys::{KeyDigest, KeyError, Keys};
pub(crate) use names::{is_own_token_id, is_subject, is_token_id};
pub use secret::{Secret, SecretError};
pub use time::written;
pub use token::{Claims, LONGEST_DAYS, NewToken, Terms, TokenError, mint};

/// Who calls, as their token proved.
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
    /// What the token narrows its bearer to.
    pub grant: Grant,
}

/// For keys and claims that are limits: one that is there says something, and null is not "no limit".
fn present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}
