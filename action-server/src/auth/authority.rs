//! What is good now: keys, revocations and policy, read from their files and kept current.
//!
//! Files are looked at every [`LOOK_INTERVAL`], so that an edit counts within a second. What
//! cannot be read: a key is not known, all tokens are revoked, a policy stays as it was. After a
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

use look::Schedules;
pub use token_state::{TokenState, TokenStates};

use super::{
    Acknowledgement, Caller, Keys, Secret, Terms, TokenError,
    keys::{Key, KeyError},
    policy::{Policy, PolicyError},
    revocation::{RevocationError, Revocations},
    token,
};
use crate::{
    disk_lane::LANES,
    fingerprint::{entries, stamp},
    shown,
    trust::{Trust, Untrusted},
};

/// The longest policy, in bytes.
const POLICY_LIMIT: u64 = 1 << 20;
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Where keys, revocations and policy are, and what tokens must say.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The secret of the settings.
    pub secret: Option<Secret>,
    /// The directory of named keys.
    pub key_directory: Option<PathBuf>,
    /// The revocations.
    pub revocations: PathBuf,
    /// The policy; without one a token may do what its own claims allow.
    pub policy: Option<PathBuf>,
    /// What tokens must say.
    pub terms: Terms,
    /// Whether files that others can write are refused.
    pub trust: Trust,
}

/// Why there is no authority to begin with.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is nothing to check tokens with.
    #[error(
        "there is no key to check tokens with: jwt_secret_path and jwt_key_directory name none"
    )]
    NoKey,
    /// What is revoked is not known.
    #[error(transparent)]
    Revocations(#[from] RevocationError),
    /// The policy says something that cannot be.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy cannot be read.
    #[error("{0}: cannot read the policy: {1}")]
    Unreadable(String, #[source] std::io::Error),
    /// Others can write it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

impl OpenError {
    /// What to do about it, where that is known.
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

/// What was read anew, and how that went.
#[derive(Debug)]
pub struct Change {
    /// "keys", "revocations" or "policy".
    pub what: &'static str,
    /// What is wrong; empty when it is in use now.
    pub faults: Vec<String>,
    /// True when some of it could not be read now, which is retried: what was read before stays in
    /// use, and the log has it.
    pub is_transient: bool,
    /// What was revoked since, in words.
    pub revoked: Vec<String>,
}

#[derive(Debug)]
struct State {
    keys: Keys,
    /// `None`: what is revoked is not known.
    revocations: Option<Revocations>,
    policy: Arc<Policy>,
}

/// Judges tokens by what is good now.
#[derive(Debug)]
pub struct Authority {
    sources: Sources,
    state: ArcSwap<State>,
    /// Counts what was read anew.
    changes: watch::Sender<u64>,
    /// The stamps of the files before they were read for the first time.
    opened: [u64; 3],
}

impl Sources {
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
        // Nothing that could be waited for: revocations are looked at by the same eye.
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > POLICY_LIMIT {
            let why = "it is not a regular file of at most 1 MiB";
            return Err(unreadable(std::io::Error::other(why)));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Ok(Policy::parse(path, &text)?)
    }

    /// The keys that are there. One that cannot be read for a transient reason is that of `before`.
    fn load_keys(&self, before: Option<&Keys>) -> (Keys, Vec<KeyError>) {
        let directory = self.key_directory.as_deref();
        Keys::load(self.secret.as_ref(), directory, self.trust, before)
    }

    /// The keys that are there.
    ///
    /// # Errors
    /// One cannot be used, or there is none.
    pub fn keys(&self) -> Result<Keys, OpenError> {
        let (keys, faults) = self.load_keys(None);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault.into());
        }
        match keys.is_empty() {
            true => Err(OpenError::NoKey),
            false => Ok(keys),
        }
    }

    /// Checks that the revocations can be read, where a server has been on `state_directory` or
    /// they are there already.
    ///
    /// # Errors
    /// They cannot, and no token would be good.
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
        keys: &Keys,
        state_directory: &Path,
        token: &str,
    ) -> Result<Result<(), TokenError>, OpenError> {
        let revocations = self.known_revocations(state_directory)?;
        let checked = token::verify(keys, &self.terms, token);
        Ok(checked.and_then(|caller| check_revoked(Some(&revocations), caller).map(drop)))
    }

    fn known_revocations(&self, state_directory: &Path) -> Result<Revocations, OpenError> {
        let was_served = state_directory.join("runs").exists();
        if was_served || self.revocations.symlink_metadata().is_ok() {
            return Ok(Revocations::read(&self.revocations, self.trust)?);
        }
        Ok(Revocations::default())
    }

    /// A number for each of the files that is another one when it was edited.
    fn stamps(&self) -> [u64; 3] {
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
    pub fn open(sources: Sources) -> Result<Authority, OpenError> {
        // Before reading: what is edited from here on is news, and is told.
        let opened = sources.stamps();
        let state = State {
            keys: sources.keys()?,
            revocations: Some(Revocations::read(&sources.revocations, sources.trust)?),
            policy: Arc::new(sources.read_policy()?),
        };
        Ok(Authority {
            state: ArcSwap::from_pointee(state),
            changes: watch::Sender::new(0),
            opened,
            sources,
        })
    }

    /// What is odd about the secrets that tokens are checked with.
    pub fn warnings(&self) -> Vec<String> {
        self.state.load().keys.warnings()
    }

    /// Who bears the token.
    ///
    /// # Errors
    /// Anything about it that is not as it must be. The reason is for the log.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let state = self.state.load();
        let caller = token::verify(&state.keys, &self.sources.terms, token)?;
        check_revoked(state.revocations.as_ref(), caller)
    }

    /// True while a caller that was let pass would be let pass again, but for the ends that its token
    /// and its key had then: what was begun with a token is not cut off by time.
    pub fn is_good(&self, caller: &Caller) -> bool {
        let state = self.state.load();
        let key = state.keys.get(caller.key_id.as_deref());
        let has_key = key.is_some_and(|key| {
            let was_ended = key.until != caller.key_until && key.is_over();
            key.digest == caller.key_digest && !was_ended
        });
        has_key && is_revoked(state.revocations.as_ref(), caller) == Some(false)
    }

    /// True while it would be let pass with a new call too.
    pub fn is_current(&self, caller: &Caller) -> bool {
        let state = self.state.load();
        let key = state.keys.get(caller.key_id.as_deref());
        let is_over = token::is_over(caller.expires) || key.is_some_and(Key::is_over);
        !is_over && self.is_good(caller)
    }

    /// The policy as it is now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.state.load().policy)
    }

    /// Told whenever something was read anew.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// False while no token is good because it is not known what is revoked.
    pub fn is_healthy(&self) -> bool {
        self.state.load().revocations.is_some()
    }

    /// Reads the files whenever they change, for as long as it is polled, and tells what came of it.
    /// Acknowledges the revocations once they are in use.
    pub async fn keep_current(
        self: Arc<Self>,
        acknowledgement: Option<Acknowledgement>,
        tell: impl Fn(Change),
    ) {
        let acknowledgement = acknowledgement.map(Arc::new);
        let mut schedules = Schedules::new(self.opened);
        loop {
            let (authority, mut next) = (Arc::clone(&self), schedules.clone());
            let acknowledgement = acknowledgement.clone();
            let looked = LANES.definitions.run(move || {
                let changes = authority.look(&mut next);
                if let Some(acknowledgement) = acknowledgement {
                    authority.acknowledge(&acknowledgement, &mut next);
                }
                (changes, next)
            });
            if let Ok((changes, next)) = looked.await {
                schedules = next;
                changes.into_iter().for_each(&tell);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

fn check_revoked(revocations: Option<&Revocations>, caller: Caller) -> Result<Caller, TokenError> {
    match is_revoked(revocations, &caller) {
        None => Err(TokenError::RevocationsUnknown),
        Some(true) => Err(TokenError::Revoked(caller.token_id, caller.subject)),
        Some(false) => Ok(caller),
    }
}

/// `None` where it is not known.
fn is_revoked(revocations: Option<&Revocations>, caller: &Caller) -> Option<bool> {
    let key = caller.key_id.as_deref();
    Some(revocations?.revoke(&caller.token_id, &caller.subject, key, caller.issued))
}

#[cfg(test)]
mod tests;
