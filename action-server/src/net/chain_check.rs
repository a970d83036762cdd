//! Faults of certificates that stand in one file. They are verified with the library and the rules of
//! action-client, as far as that is possible without its authorities.

use std::{
    net::SocketAddr,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
};

use super::certificate::Certificate;
use crate::shown;

/// So many certificates of a file are verified. Real chains have three.
const LONGEST: usize = 8;

/// Why clients would refuse a certificate, or what of it is worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFault {
    /// False for what works, or works for some clients.
    pub is_error: bool,
    /// The file, and which of its certificates.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

/// What is wrong with the certificates of a file. Those of a server, which listens there, stand in
/// the order of RFC 8446, section 4.4.2; others are authorities.
pub(super) fn chain_faults(
    path: &Path,
    chain: &[CertificateDer<'_>],
    listen: Option<SocketAddr>,
    now: SystemTime,
) -> Vec<ChainFault> {
    let read: Vec<_> = chain.iter().map(|it| Certificate::read(it)).collect();
    let mut faults = Vec::new();
    let mut refused = listen.and_then(|_| find_refusal(chain, now));
    for (at, certificate) in read.iter().enumerate() {
        let Some(certificate) = certificate else {
            continue;
        };
        let place = match chain.len() {
            1 => shown::file(path),
            _ => format!("{}: certificate {}", shown::file(path), at + 1),
        };
        let mut add = |(is_error, reason)| {
            let place = place.clone();
            faults.push(ChainFault {
                is_error,
                place,
                reason,
            });
        };
        if let Some((is_error, reason)) = certificate.time_fault(now) {
            let is_own = listen.is_some() && at == 0;
            let whom = if is_error && !is_own {
                "; who needs it cannot connect, and others can"
            } else {
                ""
            };
            add((is_error && is_own, reason + whom));
        }
        let Some(listen) = listen else { continue };
        if at == 0 {
            let found = certificate.server_faults(&own_names(listen));
            // The library stops at the first, which is one of these.
            refused = refused.filter(|(it, _)| *it > 0 || !found.iter().any(|it| it.0));
            found.into_iter().for_each(&mut add);
        }
        if let Some((_, reason)) = refused.take_if(|(it, _)| *it == at) {
            add((false, reason));
        }
        if let Some(Some(next)) = read.get(at + 1)
            && next.subject != certificate.issuer
        {
            let reason = format!(
                "certificate {} is not its issuer: each one's issuer follows it",
                at + 2
            );
            add((false, reason));
        }
    }
    faults
}

/// What this machine is called, as far as it knows: by its name, and by the address it listens on.
fn own_names(listen: SocketAddr) -> Vec<String> {
    let host = rustix::system::uname();
    let mut names = vec![host.nodename().to_string_lossy().into_owned()];
    let address = listen.ip();
    if address.is_loopback() {
        names.push("localhost".to_owned());
    }
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    names
}

/// The first of the certificates that a client refuses, by its index, and why. What
/// `certificate.rs` reports in its own words is left out: times, and authorities in a server's place.
fn find_refusal(chain: &[CertificateDer<'_>], now: SystemTime) -> Option<(usize, String)> {
    let since = now.duration_since(UNIX_EPOCH).ok()?;
    let now = UnixTime::since_unix_epoch(since);
    let chain = chain.get(..LONGEST).unwrap_or(chain);
    let leaf = ParsedCertificate::try_from(chain.first()?).ok()?;
    let verify = |roots: &RootCertStore, between: &[CertificateDer<'_>]| {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(&leaf, roots, between, now, algorithms.all).err()
    };
    for (index, issuer) in chain.iter().enumerate() {
        // Without any authority the library looks at what each certificate says by itself.
        let between = chain.get(1..=index).unwrap_or_default();
        let is_root = Certificate::read(issuer).is_some_and(|it| it.issuer == it.subject);
        if (index == 0 || !is_root)
            && let Some(reason) =
                verify(&RootCertStore::empty(), between).and_then(|it| error_in_words(&it))
        {
            return Some((index, reason));
        }
        // The signatures up to this one, as if a client had it as its authority.
        let mut roots = RootCertStore::empty();
        if roots.add(issuer.clone()).is_err() {
            continue;
        }
        let between = chain.get(1..index).unwrap_or_default();
        let error = verify(&roots, between);
        if let Some(Error::InvalidCertificate(CertificateError::BadSignature)) = error {
            return Some((index, bad_signature(issuer)));
        }
        if let Some(reason) = error.and_then(|it| error_in_words(&it)) {
            return Some((index.saturating_sub(1), reason));
        }
    }
    None
}

fn bad_signature(issuer: &CertificateDer<'_>) -> String {
    let fault = Certificate::read(issuer).and_then(|it| it.key_fault());
    fault.unwrap_or_else(|| {
        "it has the name of an issuer and not its key: it has not signed the one before it"
            .to_owned()
    })
}

/// Why a certificate cannot be read as a server's.
pub(super) fn unreadable_reason(leaf: &CertificateDer<'_>) -> Option<String> {
    let error = ParsedCertificate::try_from(leaf).err()?;
    Some(error_in_words(&error).unwrap_or_else(|| error.to_string()))
}

/// The library's error in words; `None` for what is reported elsewhere, or cannot be known here.
fn error_in_words(error: &Error) -> Option<String> {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidYet,
        NotValidYetContext, Other, UnknownIssuer, UnsupportedSignatureAlgorithmContext,
        UnsupportedSignatureAlgorithmForPublicKeyContext,
    };
    let Error::InvalidCertificate(kind) = error else {
        return Some(error.to_string());
    };
    let text = match kind {
        Expired
        | ExpiredContext { .. }
        | NotValidYet
        | NotValidYetContext { .. }
        | UnknownIssuer => return None,
        BadSignature => "its signature is not its issuer's",
        InvalidPurpose | InvalidPurposeContext { .. } => {
            "its extended key usage has no serverAuth, and action-client refuses it"
        }
        UnsupportedSignatureAlgorithmContext { .. }
        | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that clients do not accept, such as with SHA-1: make another"
        }
        Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => return None,
            "EndEntityUsedAsCa" => {
                "it is no authority (CA:TRUE is missing), and cannot be another one's issuer"
            }
            "PathLenConstraintViolated" => {
                "an authority above it may not have that many authorities below it (pathlen)"
            }
            "NameConstraintViolation" => "its authority may not make certificates for its names",
            "UnsupportedCriticalExtension" => {
                "it has a critical extension that clients do not know, so they refuse it"
            }
            other => return Some(format!("action-client refuses it: {other}")),
        },
        other => return Some(format!("action-client refuses it: {other}")),
    };
    Some(text.to_owned())
}
