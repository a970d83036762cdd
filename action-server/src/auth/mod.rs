//! Who calls: from a token to a [`Caller`], and tokens for callers. Knows nothing of gRPC.

mod grant;
mod secret;
mod token;

pub use grant::Grant;
pub use secret::{Secret, SecretError};
pub(crate) use token::is_subject;
pub use token::{Authority, Claims, NewToken, TokenError};

/// Who calls, as their token proved.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    /// The token's `uid`, if it has one.
    pub uid: Option<u64>,
    /// The token's `jti`: names the token in logs, never the token itself.
    pub token_id: String,
    /// The token's roles.
    pub roles: Vec<String>,
    /// What the token narrows its bearer to.
    pub grant: Grant,
}
