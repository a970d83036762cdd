//! What became of issued tokens, as keys and revocations are now.

use std::path::Path;

use super::{OpenError, Sources};
use crate::auth::{register::IssuedToken, time::now};

/// What became of an issued token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It is taken.
    Valid,
    /// It, its subject, its key or all tokens were revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// The key that signed it is gone or has ended.
    NoKey,
}

impl Sources {
    /// The state of each issued token, in their order.
    ///
    /// # Errors
    /// Keys or revocations cannot be read.
    pub fn states<'a>(
        &self,
        state_directory: &Path,
        tokens: impl Iterator<Item = &'a IssuedToken>,
    ) -> Result<Vec<TokenState>, OpenError> {
        let keys = self.keys()?;
        let revocations = self.known_revocations(state_directory)?;
        let state = |token: &IssuedToken| {
            let key = token.key.as_deref();
            let is_revoked = revocations.revoke(&token.jti, &token.subject, key, token.issued);
            match keys.get(key) {
                _ if is_revoked => TokenState::Revoked,
                _ if token.expires < now() => TokenState::Expired,
                Some(key) if !key.is_over() => TokenState::Valid,
                _ => TokenState::NoKey,
            }
        };
        Ok(tokens.map(state).collect())
    }

    /// Whether there is a key of this name.
    pub fn has_key(&self, name: &str) -> bool {
        self.load_keys(None).0.get(Some(name)).is_some()
    }
}
