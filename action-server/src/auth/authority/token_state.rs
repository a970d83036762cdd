//! What became of issued tokens, as keys and revocations are now.

use std::path::Path;

use super::AuthSources;
use crate::auth::{
    keys::is_key_suffix, register::IssuedToken, revocation::RevocationList, time::now,
};

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
    /// It lasts longer than `jwt_lifetime` allows now.
    TooLong,
    /// The revocations, or the key that signed it, cannot be read.
    Unknown,
}

/// The states of issued tokens, as far as they are known.
#[derive(Debug)]
pub struct TokenStates {
    /// One for each token, in their order.
    pub states: Vec<TokenState>,
    /// What cannot be read of keys and revocations.
    pub faults: Vec<String>,
}

impl AuthSources {
    /// The state of each issued token, as far as keys and revocations can be read; the settings' own
    /// secret is none of these where it is not known.
    pub fn token_states<'a>(
        &self,
        state_directory: &Path,
        is_secret_known: bool,
        tokens: impl Iterator<Item = &'a IssuedToken>,
    ) -> TokenStates {
        let (keys, faults) = self.load_keys(None);
        let mut faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let revocations = match self.known_revocations(state_directory) {
            Ok(revocations) => Some(revocations),
            Err(error) => {
                faults.push(error.to_string());
                None
            }
        };
        let state = |token: &IssuedToken| {
            let key = token.key.as_deref();
            let revoke = |revocations: &RevocationList| {
                revocations.revoke(&token.jti, &token.subject, key, token.issued)
            };
            match (revocations.as_ref().map(revoke), keys.get(key)) {
                (Some(true), _) => TokenState::Revoked,
                _ if token.expires < now() => TokenState::Expired,
                _ if self.terms.is_too_long(token.issued, token.expires) => TokenState::TooLong,
                (None, _) => TokenState::Unknown,
                (_, Some(key)) if !key.is_over() => TokenState::Valid,
                (_, None) if key.is_none() && !is_secret_known => TokenState::Unknown,
                (_, None) if self.has_key_file(key) => TokenState::Unknown,
                _ => TokenState::NoKey,
            }
        };
        TokenStates {
            states: tokens.map(state).collect(),
            faults,
        }
    }

    /// Whether a file of the key directory has this name, or that cannot be seen.
    fn has_key_file(&self, name: Option<&str>) -> bool {
        let Some((directory, name)) = self.key_directory.as_ref().zip(name) else {
            return false;
        };
        match std::fs::read_dir(directory) {
            Err(_) => true,
            Ok(entries) => entries.flatten().any(|entry| {
                let file = entry.file_name();
                let file = file.to_str().and_then(|file| file.rsplit_once('.'));
                file.is_some_and(|(stem, suffix)| stem == name && is_key_suffix(suffix))
            }),
        }
    }

    /// Whether there is a key of this name.
    pub fn has_key(&self, name: &str) -> bool {
        self.load_keys(None).0.get(Some(name)).is_some()
    }
}
