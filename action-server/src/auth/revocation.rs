//! Revoked tokens: a file of JSON lines.
//!
//! A file that is missing or cannot be read whole revokes all tokens, since its entries are unknown.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use action_proto::input::shown_name;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    keys::is_key_id,
    names::{is_subject, is_token_id},
    time::{TimeError, format_time, parse_time},
};
use crate::{
    atomic_file::{self, Ownership},
    file_digest::{Sha256, of_text},
    trust::{Trust, TrustError},
    yaml,
};

/// One revocation, as a line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "revoke", rename_all = "lowercase", deny_unknown_fields)]
pub enum Revocation {
    /// One token.
    Token {
        /// Its `jti`.
        jti: String,
    },
    /// The tokens of a subject.
    Subject {
        /// Its `sub`.
        subject: String,
        /// Those made up to and in this second, as RFC 3339 writes it.
        before: String,
    },
    /// The tokens that a key has signed, and will.
    Key {
        /// Its `kid`.
        key: String,
    },
    /// All tokens.
    All {
        /// Those made up to and in this second, as RFC 3339 writes it.
        before: String,
    },
}

/// Why a line is no revocation, without quoting it.
fn why_not(line: &str) -> String {
    let read = yaml::read::<Revocation>(line);
    let example = r#"{"revoke":"token","jti":"..."}"#;
    read.err().map_or_else(
        || format!("it is not JSON such as {example}"),
        |(_, why)| why,
    )
}

/// Why the file cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum RevocationError {
    #[error(
        "{}: cannot {what} the revocations: {source}",
        crate::shown::file(path)
    )]
    Unusable {
        path: PathBuf,
        /// "read" or "write".
        what: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    #[error(
        "{} can be written by others, and the revocations are in it; give them a directory of their own (revocation_path)", crate::shown::file(.0)
    )]
    OpenPlace(PathBuf),
    #[error("{0}")]
    Entry(String),
    #[error("{}:{line}: {reason}", crate::shown::file(path))]
    Malformed {
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        reason: String,
    },
}

/// What is revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RevocationList {
    tokens: HashSet<String>,
    subjects: HashMap<String, u64>,
    keys: HashSet<String>,
    all: Option<u64>,
    /// The digest of the text that they were read from.
    pub(super) digest: Sha256,
}

/// Why an entry of the file is invalid.
#[derive(Debug, Error)]
enum EntryError {
    #[error("{:?} is no token's jti: that is 1 to 128 printable ASCII characters without blanks", shown_name(.0))]
    TokenId(String),
    #[error("{:?} is no subject; patterns are not known here", shown_name(.0))]
    Subject(String),
    #[error("{:?} is no key's name", shown_name(.0))]
    Key(String),
    #[error(transparent)]
    Time(#[from] TimeError),
}

impl RevocationList {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`RevocationError`]; a last line without its end is incomplete.
    pub(super) fn read(path: &Path, trust: Trust) -> Result<RevocationList, RevocationError> {
        let unusable = |source| RevocationError::Unusable {
            path: path.to_owned(),
            what: "read",
            source,
        };
        let metadata = fs::metadata(path).map_err(unusable)?;
        if !metadata.is_file() {
            return Err(unusable(io::Error::other("it is not a regular file")));
        }
        trust.check(path)?;
        check_place(path, trust)?;
        RevocationList::parse(path, &fs::read_to_string(path).map_err(unusable)?)
    }

    fn parse(path: &Path, text: &str) -> Result<RevocationList, RevocationError> {
        let malformed = |line: usize, reason: String| RevocationError::Malformed {
            path: path.to_owned(),
            line,
            reason,
        };
        let mut revoked = RevocationList {
            digest: of_text(text.as_bytes()),
            ..RevocationList::default()
        };
        for (at, line) in text.split_inclusive('\n').enumerate() {
            // A file that was put together of several may have a byte order mark in any line.
            let line = yaml::without_mark(line);
            if line.is_empty() {
                continue;
            }
            let Some(line) = line.strip_suffix('\n') else {
                return Err(malformed(at + 1, "the line is not whole".into()));
            };
            if line.trim().is_empty() {
                continue;
            }
            let entry = serde_json::from_str(line).map_err(|_| malformed(at + 1, why_not(line)))?;
            revoked
                .add(entry)
                .map_err(|error| malformed(at + 1, error.to_string()))?;
        }
        Ok(revoked)
    }

    fn add(&mut self, entry: Revocation) -> Result<(), EntryError> {
        match entry {
            Revocation::Token { jti } if !is_token_id(&jti) => {
                return Err(EntryError::TokenId(jti));
            }
            Revocation::Token { jti } => _ = self.tokens.insert(jti),
            Revocation::Subject { subject, .. } if !is_subject(&subject) => {
                return Err(EntryError::Subject(subject));
            }
            Revocation::Key { key } if !is_key_id(&key) => {
                return Err(EntryError::Key(key));
            }
            Revocation::Key { key } => _ = self.keys.insert(key),
            Revocation::Subject { subject, before } => {
                let before = parse_time(&before)?;
                let known = self.subjects.entry(subject).or_default();
                *known = before.max(*known);
            }
            Revocation::All { before } => self.all = self.all.max(Some(parse_time(&before)?)),
        }
        Ok(())
    }

    /// The revocations that `old` does not have, in words.
    pub(super) fn since(&self, old: &RevocationList) -> Vec<String> {
        let tokens = self.tokens.difference(&old.tokens);
        let keys = self.keys.difference(&old.keys);
        let subjects = self
            .subjects
            .iter()
            .filter(|(subject, before)| old.subjects.get(*subject) != Some(before));
        let all = self.all.filter(|_| self.all != old.all);
        let mut words: Vec<String> = tokens
            .map(|jti| format!("the token {jti}"))
            .chain(keys.map(|key| format!("the tokens of the key {key}")))
            .chain(subjects.map(|(subject, before)| {
                format!(
                    "the tokens of {subject} made up to {}",
                    format_time(*before)
                )
            }))
            .chain(all.map(|before| format!("all tokens made up to {}", format_time(before))))
            .collect();
        words.sort();
        words
    }

    /// True for a revoked token.
    pub(super) fn revoke(&self, jti: &str, subject: &str, key: Option<&str>, issued: u64) -> bool {
        self.tokens.contains(jti)
            || key.is_some_and(|key| self.keys.contains(key))
            || self
                .subjects
                .get(subject)
                .is_some_and(|&before| issued <= before)
            || self.all.is_some_and(|before| issued <= before)
    }
}

/// In a directory where others may create files they could create this one first.
fn check_place(path: &Path, trust: Trust) -> Result<(), RevocationError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let metadata = fs::metadata(parent).map_err(|source| RevocationError::Unusable {
        path: path.to_owned(),
        what: "read",
        source,
    })?;
    let open = metadata.mode() & 0o022 != 0;
    if open && trust == Trust::Strict {
        Err(RevocationError::OpenPlace(parent.to_owned()))
    } else {
        Ok(())
    }
}

/// Creates an empty file if there is none.
///
/// # Errors
/// It cannot be written.
pub fn begin(path: &Path) -> Result<(), RevocationError> {
    let made = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(writing(path, error)),
        _ => Ok(()),
    }
}

/// Adds to the file. When this returns the addition is on the disk. The file is replaced, so that no reader
/// sees half of it.
///
/// # Errors
/// The file as it is cannot be used, or it cannot be written.
pub fn revoke(path: &Path, trust: Trust, entry: &Revocation) -> Result<(), RevocationError> {
    let writing = |error| writing(path, error);
    // Concurrent writers wait: the lock is a file of its own, as this one is replaced.
    // The file may be a link to one that several servers read.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = target.parent().unwrap_or(Path::new("/"));
    let directory = fs::metadata(directory).map_err(writing)?;
    let _lock = atomic_file::lock(&target, &directory).map_err(writing)?;
    // An entry that could not be read again would revoke all tokens.
    RevocationList::default()
        .add(entry.clone())
        .map_err(|error| RevocationError::Entry(error.to_string()))?;
    RevocationList::read(path, trust)?;
    let mut text = fs::read_to_string(path).map_err(writing)?;
    let line = serde_json::to_string(entry).map_err(|error| writing(error.into()))?;
    text.push_str(&line);
    text.push('\n');
    let before = fs::metadata(path).map_err(writing)?;
    atomic_file::replace(&target, text.as_bytes(), &Ownership::of(&before)).map_err(writing)
}

fn writing(path: &Path, source: io::Error) -> RevocationError {
    RevocationError::Unusable {
        path: path.to_owned(),
        what: "write",
        source,
    }
}

#[cfg(test)]
mod tests;
