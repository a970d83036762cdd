//! The current keys, revocations and policy, read from their files.
//!
//! Files are checked every [`LOOK_INTERVAL`], so that an edit counts within a second. A key that cannot be
//! read is unknown; revocations that cannot be read revoke all tokens; a policy stays as it was. After a
//! transient error all three stay as they were, until a retry succeeds.

mod look;
mod token_state;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::watch;

use look::FileSchedules;
pub use token_state::{TokenState, TokenStates};

use super::{
    Caller, RevocationReceipt, TokenError, TokenKeys, TokenRules, TokenSecret,
    keys::{KeyError, TokenKey},
    policy::{Policy, PolicyError},
    revocation::{RevocationError, RevocationList},
    token,
};
use crate::{
    disk_lane::LANES,
    fingerprint::{entries, stamp},
    shown,
    trust::{Trust, TrustError},
};

/// The longest policy, in bytes.
const POLICY_LIMIT: u64 = 1 << 20;
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Where keys, revocations and policy are, and the rules for tokens.
#[derive(Debug, Clone)]
pub struct AuthSources {
    /// The secret of the settings.
    pub secret: Option<TokenSecret>,
    /// The directory of named keys.
    pub key_directory: Option<PathBuf>,
    /// The revocations.
    pub revocations: PathBuf,
    /// The policy; without one a token may do what its own claims allow.
    pub policy: Option<PathBuf>,
    /// The rules for tokens.
    pub terms: TokenRules,
    /// Whether files that others can write are refused.
    pub trust: Trust,
}

/// Why the server cannot check tokens from the start.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum OpenError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "there is no key to check tokens with: jwt_secret_path and jwt_key_directory name none"
    )]
    NoKey,
    #[error(transparent)]
    Revocations(#[from] RevocationError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("{0}: cannot read the policy: {1}")]
    Unreadable(String, #[source] std::io::Error),
    #[error(transparent)]
    Untrusted(#[from] TrustError),
}

impl OpenError {
    /// A hint what to do, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            OpenError::Revocations(RevocationError::Unusable { path, source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let path = shown::file(path);
                Some(format!(
                    "restore it from a backup; if no token was ever revoked: (umask 077; touch {path})"
                ))
            }
            _ => None,
        }
    }
}

/// A reload of keys, revocations or policy.
#[derive(Debug)]
pub struct AuthChange {
    /// "keys", "revocations" or "policy".
    pub what: &'static str,
    /// The faults; none if it is in use now.
    pub faults: Vec<String>,
    /// True after a transient error, which is retried and logged: the last good version stays in use.
    pub is_transient: bool,
    /// The new revocations, in words.
    pub revoked: Vec<String>,
}

#[derive(Debug)]
struct AuthState {
    keys: TokenKeys,
    /// `None` if they cannot be read.
    revocations: Option<RevocationList>,
    policy: Arc<Policy>,
}

/// Checks tokens with the current keys and revocations.
#[derive(Debug)]
pub struct Authority {
    sources: AuthSources,
    state: ArcSwap<AuthState>,
    /// Counts reloads.
    changes: watch::Sender<u64>,
    /// The stamps of the files before they were read for the first time.
    opened: [u64; 3],
}

impl AuthSources {
    /// The policy as its file is now.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn read_policy(&self) -> Result<Policy, OpenError> {
        let Some(path) = &self.policy else {
            return Ok(Policy::open());
        };
        self.trust.check(path)?;
        let unreadable = |error| OpenError::Unreadable(shown::file(path), error);
        // Never block: the same task checks revocations.
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > POLICY_LIMIT {
            let why = "it is not a regular file of at most 1 MiB";
            return Err(unreadable(std::io::Error::other(why)));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Ok(Policy::parse(path, &text)?)
    }

    /// The keys. After a transient error a key is that of `before`.
    fn load_keys(&self, before: Option<&TokenKeys>) -> (TokenKeys, Vec<KeyError>) {
        let directory = self.key_directory.as_deref();
        TokenKeys::load(self.secret.as_ref(), directory, self.trust, before)
    }

    /// The keys.
    ///
    /// # Errors
    /// One cannot be used, or there is none.
    pub fn keys(&self) -> Result<TokenKeys, OpenError> {
        let (keys, faults) = self.load_keys(None);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault.into());
        }
        if keys.is_empty() {
            Err(OpenError::NoKey)
        } else {
            Ok(keys)
        }
    }

    /// Checks that the revocations can be read, if a server has used `state_directory` or the file exists.
    ///
    /// # Errors
    /// They cannot, and no token would be valid.
    pub fn check_revocations(&self, state_directory: &Path) -> Result<(), OpenError> {
        self.known_revocations(state_directory).map(drop)
    }

    /// Checks a new token with these keys and the revocations alone, without the policy. Before a
    /// server was on `state_directory` nothing is revoked.
    ///
    /// # Errors
    /// The revocations cannot be read. The inner error: the token would be refused.
    pub fn check_new_token(
        &self,
        keys: &TokenKeys,
        state_directory: &Path,
        token: &str,
    ) -> Result<Result<(), TokenError>, OpenError> {
        let revocations = self.known_revocations(state_directory)?;
        let checked = token::verify(keys, &self.terms, token);
        Ok(checked.and_then(|caller| check_revoked(Some(&revocations), caller).map(drop)))
    }

    fn known_revocations(&self, state_directory: &Path) -> Result<RevocationList, OpenError> {
        let was_served = state_directory.join("runs").exists();
        if was_served || self.revocations.symlink_metadata().is_ok() {
            return Ok(RevocationList::read(&self.revocations, self.trust)?);
        }
        Ok(RevocationList::default())
    }

    /// A fingerprint of each of the files.
    fn fingerprints(&self) -> [u64; 3] {
        let directory = self.key_directory.iter();
        let keys = directory.flat_map(|path| [vec![path.clone()], entries(path)].concat());
        [stamp(keys), stamp([&self.revocations]), stamp(&self.policy)]
    }
}

impl Authority {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// Anything that cannot be used.
    pub fn open(sources: AuthSources) -> Result<Authority, OpenError> {
        // Before reading, so that later edits are noticed.
        let opened = sources.fingerprints();
        let state = AuthState {
            keys: sources.keys()?,
            revocations: Some(RevocationList::read(&sources.revocations, sources.trust)?),
            policy: Arc::new(sources.read_policy()?),
        };
        Ok(Authority {
            state: ArcSwap::from_pointee(state),
            changes: watch::Sender::new(0),
            opened,
            sources,
        })
    }

    /// Warnings about the secrets.
    pub fn warnings(&self) -> Vec<String> {
        self.state.load().keys.warnings()
    }

    /// The caller with this token.
    ///
    /// # Errors
    /// The token is invalid. The reason is for the log.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let state = self.state.load();
        let caller = token::verify(&state.keys, &self.sources.terms, token)?;
        check_revoked(state.revocations.as_ref(), caller)
    }

    /// True while an authenticated caller is not revoked. The expiry of its token and key does not count:
    /// calls that have begun may go on.
    pub fn is_good(&self, caller: &Caller) -> bool {
        let state = self.state.load();
        let key = state.keys.get(caller.key_id.as_deref());
        let has_key = key.is_some_and(|key| {
            let was_ended = key.until != caller.key_until && key.is_over();
            key.digest == caller.key_digest && !was_ended
        });
        has_key && is_revoked(state.revocations.as_ref(), caller) == Some(false)
    }

    /// True while its token would be accepted for a new call.
    pub fn is_current(&self, caller: &Caller) -> bool {
        let state = self.state.load();
        let key = state.keys.get(caller.key_id.as_deref());
        let is_over = token::is_over(caller.expires) || key.is_some_and(TokenKey::is_over);
        !is_over && self.is_good(caller)
    }

    /// The current policy.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.state.load().policy)
    }

    /// Notices of reloads.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// False while revocations cannot be read, so that no token is valid.
    pub fn is_healthy(&self) -> bool {
        self.state.load().revocations.is_some()
    }

    /// Reads the files whenever they change, for as long as it is polled, and reports each reload. Writes a
    /// receipt for revocations once they are in use.
    pub async fn keep_current(
        self: Arc<Self>,
        acknowledgement: Option<RevocationReceipt>,
        report: impl Fn(AuthChange),
    ) {
        let acknowledgement = acknowledgement.map(Arc::new);
        let mut schedules = FileSchedules::new(self.opened);
        loop {
            let (authority, mut next) = (Arc::clone(&self), schedules.clone());
            let acknowledgement = acknowledgement.clone();
            let looked = LANES.definitions.run(move || {
                let changes = authority.read_changes(&mut next);
                if let Some(acknowledgement) = acknowledgement {
                    authority.write_receipt(&acknowledgement, &mut next);
                }
                (changes, next)
            });
            if let Ok((changes, next)) = looked.await {
                schedules = next;
                changes.into_iter().for_each(&report);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

fn check_revoked(
    revocations: Option<&RevocationList>,
    caller: Caller,
) -> Result<Caller, TokenError> {
    match is_revoked(revocations, &caller) {
        None => Err(TokenError::RevocationsUnknown),
        Some(true) => Err(TokenError::Revoked(caller.token_id, caller.subject)),
        Some(false) => Ok(caller),
    }
}

/// `None` where it is not known.
fn is_revoked(revocations: Option<&RevocationList>, caller: &Caller) -> Option<bool> {
    let key = caller.key_id.as_deref();
    Some(revocations?.revoke(&caller.token_id, &caller.subject, key, caller.issued))
}

#[cfg(test)]
mod tests;
