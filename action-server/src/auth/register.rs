//! The register of issued tokens: a file of JSON lines in the state directory, with the claims of tokens and
//! never the tokens.
//!
//! Only `generate-token` and `init` write it. It finds a token for `revoke`, and lists tokens for the admin.

use std::{
    fs::{self, DirBuilder, File, Metadata, Permissions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    names::{is_subject, is_token_id},
    time::{now, rfc3339},
};
use crate::{
    atomic_file::{self, Ownership, lock, open},
    trust::{Trust, TrustError},
};

/// The file in the state directory.
const NAME: &str = "issued.jsonl";
/// The byte order mark, U+FEFF as UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The largest register, in bytes: some two hundred thousand tokens.
const FILE_LIMIT: u64 = 64 << 20;
/// How long an expired token is kept, in seconds.
const KEPT_EXPIRED: u64 = 365 * 24 * 3600;
/// The most expired tokens that are kept.
const MOST_EXPIRED: usize = 10_000;

/// A token that was issued, as a line of the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Its `jti`.
    pub jti: String,
    /// The subject.
    pub subject: String,
    /// The bearer's user id.
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
    /// The name of the key that signed it; the settings' own secret has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was made, in seconds since 1970; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub issued: u64,
    /// When it ends, likewise.
    #[serde(with = "rfc3339")]
    pub expires: u64,
}

/// Why the register cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum RegisterError {
    #[error(
        "{}: cannot read the register of issued tokens: {source}",
        crate::shown::file(path)
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{}: cannot write the register of issued tokens: {source}",
        crate::shown::file(path)
    )]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Untrusted(#[from] TrustError),
}

/// The register.
#[derive(Debug, Default)]
pub struct TokenRegister {
    lines: Vec<RegisterLine>,
}

/// A line, whose bytes are kept as they are: a newer server may have written more into it, and a
/// damaged one may not be text.
#[derive(Debug)]
struct RegisterLine {
    text: Vec<u8>,
    /// `None` where it cannot be read, as the torn end of a copy.
    token: Option<IssuedToken>,
}

impl TokenRegister {
    /// Reads the register of a state directory; a missing one is empty.
    ///
    /// # Errors
    /// See [`RegisterError`]. A line that cannot be read is no error.
    pub fn read(state_directory: &Path, trust: Trust) -> Result<TokenRegister, RegisterError> {
        let path = state_directory.join(NAME);
        let unreadable = |source| RegisterError::Unreadable {
            path: path.clone(),
            source,
        };
        let file = match open(&path, File::options().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(TokenRegister::default());
            }
            opened => opened.map_err(unreadable)?,
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > FILE_LIMIT {
            let why = "it is not a regular file of at most 64 MiB";
            return Err(unreadable(io::Error::other(why)));
        }
        let owner = fs::metadata(state_directory).map_err(unreadable)?.uid();
        trust.check_for(&path, owner)?;
        let mut bytes = Vec::new();
        let read = file.take(FILE_LIMIT).read_to_end(&mut bytes);
        read.map_err(unreadable)?;
        Ok(TokenRegister::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> TokenRegister {
        // A file that was put together of several may have a byte order mark in any line.
        let lines = bytes.split(|&byte| byte == b'\n');
        let lines = lines.map(|line| line.strip_prefix(MARK).unwrap_or(line));
        let lines = lines.filter(|line| !line.trim_ascii().is_empty());
        let lines = lines.map(|line| {
            let token: Option<IssuedToken> = serde_json::from_slice(line).ok();
            RegisterLine {
                text: line.to_owned(),
                // Only values that a token can have are printed and revoked.
                token: token.filter(|token| is_token_id(&token.jti) && is_subject(&token.subject)),
            }
        });
        TokenRegister {
            lines: lines.collect(),
        }
    }

    /// The tokens, the oldest first.
    pub fn tokens(&self) -> impl Iterator<Item = &IssuedToken> {
        self.lines.iter().filter_map(|line| line.token.as_ref())
    }

    /// How many lines cannot be read.
    pub fn damaged_lines(&self) -> usize {
        let damaged = self.lines.iter().filter(|line| line.token.is_none());
        damaged.count()
    }

    /// Drops tokens that expired long ago, and the oldest of too many expired ones.
    fn drop_old(&mut self, now: u64) {
        let is_expired = |line: &RegisterLine| {
            let token = line.token.as_ref();
            token.is_some_and(|token| token.expires < now)
        };
        let is_old = |line: &RegisterLine| {
            let token = line.token.as_ref();
            token.is_some_and(|token| token.expires.saturating_add(KEPT_EXPIRED) < now)
        };
        let expired = self
            .lines
            .iter()
            .filter(|line| is_expired(line) && !is_old(line));
        let mut too_many = expired.count().saturating_sub(MOST_EXPIRED);
        self.lines.retain(|line| {
            let drops = is_old(line) || (too_many > 0 && is_expired(line));
            if drops && !is_old(line) {
                too_many -= 1;
            }
            !drops
        });
    }

    fn bytes(&self) -> Vec<u8> {
        let lines = self.lines.iter().map(|line| line.text.as_slice());
        lines
            .flat_map(|line| [line, b"\n"])
            .flatten()
            .copied()
            .collect()
    }
}

/// Adds a token. When this returns the addition is on the disk, whole: the file is replaced, so that
/// neither a crash nor a full disk leaves half of it. Makes the state directory where there is none.
///
/// # Errors
/// It cannot be read or written; it is as it was then.
pub fn register(
    state_directory: &Path,
    trust: Trust,
    token: &IssuedToken,
) -> Result<(), RegisterError> {
    let path = state_directory.join(NAME);
    let unwritable = |source| RegisterError::Unwritable {
        path: path.clone(),
        source,
    };
    let directory = state(state_directory).map_err(unwritable)?;
    let ownership = Ownership {
        permissions: Permissions::from_mode(0o600),
        ..Ownership::of(&directory)
    };
    // Concurrent writers wait: the lock is a file of its own, as this one is replaced.
    let _lock = lock(&path, &directory).map_err(unwritable)?;
    let mut register = TokenRegister::read(state_directory, trust)?;
    register.drop_old(now());
    let text = serde_json::to_vec(token).map_err(|error| unwritable(error.into()))?;
    register.lines.push(RegisterLine {
        text,
        token: Some(token.clone()),
    });
    let bytes = register.bytes();
    if u64::try_from(bytes.len()).is_ok_and(|size| size > FILE_LIMIT) {
        let why = "it would be larger than 64 MiB; move it away to begin a new one";
        return Err(unwritable(io::Error::other(why)));
    }
    atomic_file::replace(&path, &bytes, &ownership).map_err(unwritable)
}

/// The state directory. If it is missing it is created for the owner of its parent, who could create it as
/// the server.
fn state(directory: &Path) -> io::Result<Metadata> {
    let mut builder = DirBuilder::new();
    let made = builder.mode(0o700).create(directory);
    match made {
        Ok(()) => {
            let above = fs::metadata(directory.parent().unwrap_or(Path::new("/")))?;
            let made = open(directory, File::options().read(true))?;
            if made.metadata()?.uid() != above.uid() {
                fchown(&made, Some(above.uid()), Some(above.gid()))?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // As the server does.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            builder.recursive(true).create(directory)?;
        }
        Err(error) => return Err(error),
    }
    fs::metadata(directory)
}

#[cfg(test)]
mod tests;
