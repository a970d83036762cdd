//! What action-client would say of a server's certificates: they are verified with the library and
//! by the rules that it uses, as far as that can be done without its authorities.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::certificate::Certificate;

/// So many certificates of a file are verified. Real chains have three.
const LONGEST: usize = 8;

/// The first of the certificates that a client refuses, by its index, and why. What
/// `certificate.rs` tells in its own words is left out: times, and authorities in a server's place.
pub(super) fn refused(chain: &[CertificateDer<'_>], now: SystemTime) -> Option<(usize, String)> {
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
            && let Some(reason) = verify(&RootCertStore::empty(), between).and_then(|it| words(&it))
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
        if let Some(reason) = error.and_then(|it| words(&it)) {
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
pub(super) fn unreadable(leaf: &CertificateDer<'_>) -> Option<String> {
    let error = ParsedCertificate::try_from(leaf).err()?;
    Some(words(&error).unwrap_or_else(|| error.to_string()))
}

/// Whether a client that calls the server by the name accepts the certificate. `*` in it stands for
/// a first label.
pub(super) fn accepts(leaf: &ParsedCertificate<'_>, name: &ServerName<'_>) -> bool {
    verify_server_name(leaf, name).is_ok()
}

/// The library's error in words; `None` for what is told otherwise, or cannot be known here.
fn words(error: &Error) -> Option<String> {
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
