//! The keys that tokens are checked with: one secret of the settings, and a directory of named
//! ones, each with one algorithm and no other (RFC 8725, section 3.1).
//!
//! In the directory `KID.secret` is a shared secret (HS256) and `KID.pem` a public key, for tokens
//! that are made elsewhere; `KID.until` ends either at a time. KID is the header's `kid`
//! (RFC 7515, section 4.1.4), which is looked up among the names that are known and never opened.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use super::{
    SecretError, TokenSecret,
    time::{now, parse_time},
};
use crate::{
    file_digest::{Sha256, of_text},
    shown,
    transient::is_caused_by_transient,
    trust::{Trust, TrustError},
};

/// The longest key file, in bytes.
const FILE_LIMIT: u64 = 64 * 1024;

/// How the public keys that can be used begin, before the key itself (RFC 8410 section 4,
/// RFC 5480 section 2.1).
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// rsaEncryption with its empty parameters (RFC 3279, section 2.3.1), somewhere near the beginning.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// The length of the public key, as it is in PEM, of 2048 bits: shorter ones are refused.
const RSA_2048: usize = 294;

/// Identifies a key, whatever its name: its SHA-256.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyDigest(Sha256);

impl fmt::Debug for KeyDigest {
    /// A short secret could be guessed from its digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

/// A key that checks tokens, and signs them if it is a secret.
#[derive(Clone)]
pub(super) struct TokenKey {
    pub(super) digest: KeyDigest,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
    pub(super) encoding: Option<EncodingKey>,
    /// When it ends, in seconds since 1970.
    pub(super) until: Option<u64>,
    /// A warning about it.
    warning: Option<String>,
}

/// The keys by name; the settings' own secret has none.
#[derive(Clone, Default)]
pub struct TokenKeys {
    unnamed: Option<TokenKey>,
    named: BTreeMap<String, TokenKey>,
}

/// Why a key is not used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum KeyError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    #[error("{0}: cannot read it: {1}")]
    Unreadable(String, #[source] io::Error),
    #[error("{0}: {1}")]
    Unusable(String, String),
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("unnamed", &self.unnamed.is_some())
            .field("named", &self.named.keys())
            .finish()
    }
}

impl TokenKey {
    /// True after its end.
    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| now() > until)
    }

    fn of_secret(secret: &TokenSecret) -> TokenKey {
        TokenKey {
            digest: KeyDigest(of_text(secret.expose())),
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret.expose()),
            encoding: Some(EncodingKey::from_secret(secret.expose())),
            until: None,
            warning: secret.warning(),
        }
    }

    fn of_public(path: &Path) -> Result<TokenKey, KeyError> {
        let shown = shown::file(path);
        let unusable = |why: &str| KeyError::Unusable(shown.clone(), why.to_owned());
        let text = read(path)?;
        if text.windows(12).any(|part| part == b"PRIVATE KEY-") {
            return Err(unusable(
                "it holds a private key, which belongs to whoever makes tokens; put the public one here: openssl pkey -pubout",
            ));
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(&text).map_err(|_| {
            unusable("there is no PEM block PUBLIC KEY in it; make one with: openssl pkey -pubout")
        })?;
        let (algorithm, decoding) = if let Some(key) = der.strip_prefix(&ED25519) {
            (Algorithm::EdDSA, DecodingKey::from_ed_der(key))
        } else if let Some(key) = der.strip_prefix(&P256) {
            (Algorithm::ES256, DecodingKey::from_ec_der(key))
        } else if let Some(key) = rsa(&der) {
            if der.len() < RSA_2048 {
                return Err(unusable("an RSA key of less than 2048 bits can be broken"));
            }
            (Algorithm::RS256, DecodingKey::from_rsa_der(key))
        } else {
            return Err(unusable("only Ed25519, P-256 and RSA keys can be used"));
        };
        Ok(TokenKey {
            digest: KeyDigest(of_text(&der)),
            algorithm,
            decoding,
            encoding: None,
            until: None,
            warning: None,
        })
    }
}

/// The RSAPublicKey (RFC 8017, appendix A.1.1) in a public key's DER.
fn rsa(der: &[u8]) -> Option<&[u8]> {
    // 0x30, its length in two or three bytes, then the algorithm; 0x03, its length likewise, 0.
    let at = (2..=4).find(|&at| der.get(at..at + RSA.len()) == Some(&RSA))? + RSA.len();
    let long = usize::from(der.get(at + 1)?.checked_sub(0x80)?);
    der.get(at + 2 + long + 1..)
}

impl TokenKeys {
    /// Only the secret of the settings.
    pub fn of_secret(secret: &TokenSecret) -> TokenKeys {
        TokenKeys {
            unnamed: Some(TokenKey::of_secret(secret)),
            named: BTreeMap::new(),
        }
    }

    /// The secret of the settings and the keys of the directory. A file that cannot be used is returned as
    /// a fault. After a transient error the key is that of `before`.
    pub fn load(
        secret: Option<&TokenSecret>,
        directory: Option<&Path>,
        trust: Trust,
        before: Option<&TokenKeys>,
    ) -> (TokenKeys, Vec<KeyError>) {
        let mut keys = TokenKeys {
            unnamed: secret.map(TokenKey::of_secret),
            named: BTreeMap::new(),
        };
        let mut faults = Vec::new();
        if let Some(directory) = directory {
            match files(directory, trust) {
                Ok(files) => files
                    .iter()
                    .for_each(|file| keys.take(file, trust, before, &mut faults)),
                Err(error) => {
                    if is_caused_by_transient(&error) {
                        keys.named = before
                            .map(|before| before.named.clone())
                            .unwrap_or_default();
                    }
                    faults.push(error);
                }
            }
        }
        (keys, faults)
    }

    fn take(
        &mut self,
        path: &Path,
        trust: Trust,
        before: Option<&TokenKeys>,
        faults: &mut Vec<KeyError>,
    ) {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        let name = path.file_stem().and_then(|name| name.to_str());
        // An end alone is no key; other files are ignored.
        if !suffix.is_some_and(is_key_suffix) {
            return;
        }
        let key = name
            .filter(|name| is_key_id(name))
            .ok_or_else(|| {
                let rule = "a key's name is letters, digits, and _ . - after the first, at most 64";
                KeyError::Unusable(shown::file(path), rule.to_owned())
            })
            .and_then(|name| Ok((name, read_key(path, trust)?)));
        match key {
            Ok((name, _)) if self.named.contains_key(name) => faults.push(KeyError::Unusable(
                shown::file(path),
                format!("there are two keys of the name {name}"),
            )),
            Ok((name, key)) => _ = self.named.insert(name.to_owned(), key),
            Err(error) => {
                let kept = before.and_then(|before| before.named.get_key_value(name?));
                if let Some((name, key)) = kept.filter(|_| is_caused_by_transient(&error)) {
                    self.named.insert(name.clone(), key.clone());
                }
                faults.push(error);
            }
        }
    }

    /// The key of that name; without a name the settings' own secret.
    pub(super) fn get(&self, id: Option<&str>) -> Option<&TokenKey> {
        match id {
            None => self.unnamed.as_ref(),
            Some(id) => self.named.get(id),
        }
    }

    /// The key that new tokens are signed with: the named one; or the last secret of the directory
    /// by name that has no end; or that of the settings.
    pub(super) fn signing(&self, id: Option<&str>) -> Option<(Option<&str>, &TokenKey)> {
        if let Some(id) = id {
            let (id, key) = self.named.get_key_value(id)?;
            return key.encoding.is_some().then_some((Some(id), key));
        }
        let last = self
            .named
            .iter()
            .rev()
            .find(|(_, key)| key.encoding.is_some() && key.until.is_none());
        match last {
            Some((id, key)) => Some((Some(id), key)),
            None => Some((None, self.unnamed.as_ref()?)),
        }
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.unnamed.is_none() && self.named.is_empty()
    }

    /// Warnings about the secrets: see [`TokenSecret::warning`].
    pub fn warnings(&self) -> Vec<String> {
        let keys = self.unnamed.iter().chain(self.named.values());
        keys.filter_map(|key| key.warning.clone()).collect()
    }

    /// The names of the keys in the directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }
}

fn files(directory: &Path, trust: Trust) -> Result<Vec<PathBuf>, KeyError> {
    let unreadable = |error| KeyError::Unreadable(shown::file(directory), error);
    trust.check(directory)?;
    let mut files = fs::read_dir(directory)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    files.sort();
    Ok(files)
}

fn read_key(path: &Path, trust: Trust) -> Result<TokenKey, KeyError> {
    trust.check(path)?;
    let mut key = if path.extension().is_some_and(|suffix| suffix == "secret") {
        TokenKey::of_secret(&TokenSecret::read(path)?)
    } else {
        TokenKey::of_public(path)?
    };
    let end = path.with_extension("until");
    match fs::symlink_metadata(&end) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => {
            trust.check(&end)?;
            key.until = Some(read_time(&end)?);
        }
    }
    Ok(key)
}

fn read_time(path: &Path) -> Result<u64, KeyError> {
    let text = String::from_utf8_lossy(&read(path)?).trim().to_owned();
    parse_time(&text).map_err(|error| KeyError::Unusable(shown::file(path), error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let shown = shown::file(path);
    let unreadable = |error| KeyError::Unreadable(shown.clone(), error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        let why = format!("it is not a regular file of at most {FILE_LIMIT} bytes");
        return Err(KeyError::Unusable(shown, why));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let mark = "\u{feff}".as_bytes();
    Ok(bytes
        .strip_prefix(mark)
        .map(<[u8]>::to_vec)
        .unwrap_or(bytes))
}

/// True for the suffix of a file that is a key.
pub(super) fn is_key_suffix(suffix: &str) -> bool {
    suffix == "secret" || suffix == "pem"
}

/// True for what may name a key.
pub(crate) fn is_key_id(id: &str) -> bool {
    id.len() <= 64
        && id.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests;
