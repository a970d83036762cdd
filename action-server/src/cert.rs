//! `action-server cert`: a certificate that the server signs itself, for a start and for tests.

use std::{net::IpAddr, path::Path};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use thiserror::Error;

use crate::init::{InitError, NewFiles};
use crate::shown;

/// Why no certificate was made.
#[derive(Debug, Error)]
pub(crate) enum CertError {
    /// A name cannot be in a certificate.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A certificate and a key that were made at different times do not go together.
    #[error(
        "{0} is there and {1} is not, and they are made together; move {0} away, or bring {1} back"
    )]
    Half(String, String),
    /// There is one already, which may have other names.
    #[error("{0} is there, and is not replaced; to make another, move it and {1} away")]
    Exists(String, String),
    /// The files cannot be written.
    #[error(transparent)]
    Write(#[from] InitError),
}

/// Writes a certificate and its key where there are none, and returns the message for the admin.
pub(crate) fn cert(directory: &Path, names: &[String]) -> Result<String, CertError> {
    let is_there = is_there(directory, !names.is_empty())?;
    let names = if names.is_empty() {
        own_names()
    } else {
        names.to_vec()
    };
    // rcgen distinguishes names and addresses as rustls does it.
    let mut params = CertificateParams::new(names.clone())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        names.first().map_or("action", String::as_str),
    );
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;

    let mut written = NewFiles::new(directory)?;
    written.write_file("private_key.pem", 0o600, key.serialize_pem().as_bytes())?;
    written.write_file("certificate.pem", 0o644, certificate.pem().as_bytes())?;
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let shown = shown::file(&absolute);
    let what = if is_there {
        "It stays as it is".to_owned()
    } else {
        format!("It is for {}", names.join(", "))
    };
    Ok(format!(
        "{}\n{what}. In server.yaml:\n  tls:\n    certificate: {shown}/certificate.pem\n    \
         private_key: {shown}/private_key.pem\nand in each client.yaml, with a copy of certificate.pem:\n  \
         ca_path: certificate.pem\n",
        written.report(),
    ))
}

/// Whether both are there. Refuses to make one of the two beside the other, and to keep both where others
/// are asked for.
fn is_there(directory: &Path, has_names: bool) -> Result<bool, CertError> {
    let [certificate, key] = ["certificate.pem", "private_key.pem"].map(|it| directory.join(it));
    // A link is there, wherever it leads.
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    let shown = |path: &Path| shown::file(path);
    match (is_there(&certificate), is_there(&key)) {
        (true, false) => Err(CertError::Half(shown(&certificate), shown(&key))),
        (false, true) => Err(CertError::Half(shown(&key), shown(&certificate))),
        (true, true) if has_names => Err(CertError::Exists(shown(&certificate), shown(&key))),
        (both, _) => Ok(both),
    }
}

/// The names that a server most likely has.
fn own_names() -> Vec<String> {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut names = vec![host, "localhost".to_owned()];
    names.extend(
        [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1]),
        ]
        .map(|ip| ip.to_string()),
    );
    names.dedup();
    names
}
