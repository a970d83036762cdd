//! PEM files of certificates and keys, and clear words about what is wrong with them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use action_proto::pem::{is_pem_label, pem_fault};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;

use crate::shown;
use crate::trust;

/// Why the files cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum TlsError {
    #[error("{}: cannot read it: {source}", shown::file(path))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: no {expected} in it; it has {found}", shown::file(path))]
    Missing {
        path: PathBuf,
        expected: &'static str,
        found: String,
    },
    #[error("{}: {reason}", shown::file(path))]
    Damaged { path: PathBuf, reason: String },
    #[error("{shown}: the key can be read or written by others; run: chmod 600 {shown}", shown = shown::file(path))]
    Open { path: PathBuf },
    #[error(
        "{} and {} do not go together: {reason}",
        shown::file(certificate),
        shown::file(private_key)
    )]
    Mismatch {
        certificate: PathBuf,
        private_key: PathBuf,
        reason: String,
    },
}

pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_file(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = read.map_err(|_| damaged_file(path, &pem_fault(&text)))?;
    if certificates.is_empty() {
        Err(missing_block(path, "CERTIFICATE", &text))
    } else {
        Ok(certificates)
    }
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_file(path)?;
    let metadata = fs::metadata(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if !trust::is_closed_key(path, &metadata) {
        return Err(TlsError::Open {
            path: path.to_owned(),
        });
    }
    let shown = String::from_utf8_lossy(&text);
    if shown.contains("ENCRYPTED PRIVATE KEY-----") || shown.contains("4,ENCRYPTED") {
        let place = shown::file(path);
        return Err(damaged_file(
            path,
            &format!(
                "the key is encrypted with a passphrase, and nobody can be asked for it; run: (umask 077; openssl pkey -in {place} -out NEW)"
            ),
        ));
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(missing_block(
            path,
            "PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY",
            &text,
        )),
        // The library's text has the line, which is the key.
        Err(_) => Err(damaged_file(path, &pem_fault(&text))),
    }
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let text = fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let without_mark = text.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec);
    Ok(without_mark.unwrap_or(text))
}

/// The labels of the PEM blocks of a text.
pub(super) fn block_labels(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split(['\n', '\r']);
    let labels = lines.filter_map(|line| {
        let line = line.trim_end();
        line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
    });
    labels.filter(|label| is_pem_label(label))
}

pub(super) fn damaged_file(path: &Path, error: &impl ToString) -> TlsError {
    TlsError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn missing_block(path: &Path, expected: &'static str, text: &[u8]) -> TlsError {
    let shown = String::from_utf8_lossy(text);
    let labels: Vec<&str> = block_labels(&shown).collect();
    if labels.is_empty() && shown.contains("-----BEGIN") {
        return damaged_file(path, &pem_fault(text));
    }
    let found = if labels.is_empty() {
        "no PEM block at all".to_owned()
    } else {
        labels.join(", ")
    };
    TlsError::Missing {
        path: path.to_owned(),
        expected,
        found,
    }
}
