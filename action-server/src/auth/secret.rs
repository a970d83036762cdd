//! The shared secret that signs tokens: read, checked, and never shown.

use std::{fmt, fs, io, path::Path};

use action_proto::input::secret_fault;
use thiserror::Error;

use crate::shown;
use crate::trust;

/// The shortest secret, in bytes: as long as the hash of HS256 (RFC 7518, section 3.2).
const LEAST: usize = 32;

const REMEDY: &str = "make one with: (umask 077; openssl rand -base64 48 > FILE)";

/// A secret. `Debug` hides it.
#[derive(Clone)]
pub struct TokenSecret {
    bytes: Vec<u8>,
    from: String,
    /// True where the file had one more newline, at its end.
    lost_newline: bool,
}

/// Why a secret is rejected. Names its origin, never its value.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum SecretError {
    #[error("{0}: cannot read the secret: {1}")]
    Unreadable(String, #[source] io::Error),
    #[error("{0}: the secret is not a regular file")]
    NotAFile(String),
    #[error("{0}: the secret can be read or written by others; run: chmod 600 {0}")]
    Open(String),
    #[error("{0}: {1}; {REMEDY}")]
    Weak(String, String),
}

impl TokenSecret {
    /// A secret from bytes; `from` says where they came from.
    ///
    /// # Errors
    /// It is short, one byte repeated, or a PEM key.
    pub fn new(bytes: Vec<u8>, from: &str) -> Result<TokenSecret, SecretError> {
        let weak = |why: String| Err(SecretError::Weak(from.to_owned(), why));
        if bytes.len() < LEAST {
            return weak(format!(
                "the secret has {} bytes, fewer than {LEAST}",
                bytes.len()
            ));
        }
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return weak("the secret is one byte repeated".into());
        }
        if bytes.starts_with(b"-----BEGIN") {
            return weak("this is a PEM key, and its public half is no secret".into());
        }
        Ok(TokenSecret {
            bytes,
            from: from.to_owned(),
            lost_newline: false,
        })
    }

    /// Reads a secret's file, without its last newline. Others must not be able to read it.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(path: &Path) -> Result<TokenSecret, SecretError> {
        let from = shown::file(path);
        let unreadable = |error| SecretError::Unreadable(from.clone(), error);
        let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(SecretError::NotAFile(from));
        }
        if !trust::is_closed(path, &metadata) {
            return Err(SecretError::Open(from));
        }
        let mut bytes = fs::read(path).map_err(unreadable)?;
        let lost_newline = bytes.pop_if(|last| *last == b'\n').is_some();
        Ok(TokenSecret {
            lost_newline,
            ..TokenSecret::new(bytes, &from)?
        })
    }

    /// A warning about bytes that are hardly intended. Another program whose copy lacks them rejects the
    /// tokens; the secret stays as it is, for the tokens that it signed.
    pub fn warning(&self) -> Option<String> {
        let found = secret_fault(&self.bytes)?;
        let (from, count) = (&self.from, self.bytes.len());
        let beside = if self.lost_newline && self.bytes.ends_with(b"\n") {
            ", beside the one that ends the file"
        } else {
            ""
        };
        Some(format!(
            "{from}: the secret {found}{beside}; this is a part of the secret: all its {count} bytes sign tokens"
        ))
    }

    /// The bytes, to sign or verify with.
    pub(super) fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_that_can_be_guessed_or_read_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let read = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            TokenSecret::read(&path)
                .map(|secret| secret.bytes.len())
                .map_err(|error| error.to_string())
        };
        let good = "0123456789abcdef0123456789abcdef";
        assert_eq!(read(&format!("{good}\n"), 0o600), Ok(32));
        assert_eq!(read(good, 0o400), Ok(32));
        for (text, mode, part) in [
            (good, 0o644, "chmod 600"),
            (good, 0o620, "chmod 600"),
            ("", 0o600, "0 bytes"),
            (&good[1..], 0o600, "31 bytes"),
            (&"a".repeat(40), 0o600, "one byte repeated"),
            ("-----BEGIN PUBLIC KEY-----\nxxxxxxxx", 0o600, "PEM key"),
        ] {
            let error = read(text, mode).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        for (end, part) in [
            ("", None),
            ("\n", None),
            (
                "\n\n",
                Some("ends with a newline, beside the one that ends the file;"),
            ),
            ("\r\n", Some("a carriage return")),
            (" \n", Some("ends with a blank")),
            ("\t", Some("ends with a blank")),
        ] {
            fs::write(&path, format!("{good}{end}")).unwrap();
            let warning = TokenSecret::read(&path).unwrap().warning();
            let fits = |text: &str| part.is_some_and(|part| text.contains(part));
            assert!(
                warning.as_deref().map_or(part.is_none(), fits),
                "{end:?}: {warning:?}"
            );
        }
        let inline = TokenSecret::new(format!("{good}\n").into(), "jwt_secret").unwrap();
        assert_eq!(
            inline.warning().as_deref(),
            Some(
                "jwt_secret: the secret ends with a newline; this is a part of the secret: all its 33 bytes sign tokens"
            )
        );
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(
            TokenSecret::read(&link),
            Err(SecretError::NotAFile(_))
        ));
        assert!(matches!(
            TokenSecret::read(Path::new("/nowhere/x")),
            Err(SecretError::Unreadable(..))
        ));
    }
}
