//! Explains why a server's certificate is rejected, with its dates or names.

use crate::config::CaFile;
use action_proto::certificate::Validity;
use action_proto::escape_unsafe;
use action_proto::input::shown_file;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error, OtherError};
use std::error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a certificate is not accepted, and what can be done about it.
#[derive(Debug)]
pub(super) struct CertificateFault {
    reason: String,
    hint: String,
}

impl CertificateFault {
    /// What can be done.
    pub(super) fn hint(&self) -> &str {
        &self.hint
    }

    /// The fault that a connection failed for, if it was one.
    pub(super) fn of<'a>(failure: &'a (dyn error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(failure);
        while let Some(failure) = next {
            // An I/O error has the source of the one that it holds, and hides that one.
            let held = failure.downcast_ref::<io::Error>();
            let held = held.and_then(io::Error::get_ref);
            let error = held.and_then(|held| held.downcast_ref::<Error>());
            if let Some(Error::InvalidCertificate(CertificateError::Other(OtherError(fault)))) =
                error.or_else(|| failure.downcast_ref())
            {
                return fault.downcast_ref();
            }
            next = failure.source();
        }
        None
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl error::Error for CertificateFault {}

/// The verifier's error, with a [`CertificateFault`] in it where there is one.
pub(super) fn in_words(
    error: Error,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    ca: &CaFile,
    now: UnixTime,
) -> Error {
    use CertificateError::{
        Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidForName,
        NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    let Error::InvalidCertificate(kind) = &error else {
        return error;
    };
    let now = UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
    let fault = match kind {
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => {
            time_fault(end_entity, intermediates, ca, now)
        }
        NotValidForName | NotValidForNameContext { .. } => Some(name_fault(kind)),
        UnknownIssuer => issuer_fault(ca, now),
        InvalidPurpose | InvalidPurposeContext { .. } => Some(CertificateFault {
            reason: "the server's certificate is not one for servers: its extended key usage has no serverAuth".to_owned(),
            hint: "the server's admin must make another".to_owned(),
        }),
        // The library has no kind for it.
        CertificateError::Other(error) if error.to_string() == "CaUsedAsEndEntity" => Some(CertificateFault {
            reason: "the server's certificate is an authority's own (CA:TRUE)".to_owned(),
            hint: "the server's admin must make another, with basicConstraints=CA:FALSE; `action-server cert` does".to_owned(),
        }),
        _ => None,
    };
    match fault {
        Some(fault) => {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
        }
        None => error,
    }
}

fn time_fault(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    ca: &CaFile,
    now: SystemTime,
) -> Option<CertificateFault> {
    if let Some((_, fault)) = first_fault([end_entity], now) {
        let file = shown_file(&ca.path);
        let is_in_file = certificates(ca).any(|own| own == *end_entity);
        let then = if is_in_file {
            format!(", and then a copy of the new one belongs into {file} (ca_path)")
        } else {
            String::new()
        };
        return Some(CertificateFault {
            reason: format!("the server's certificate cannot be used: {fault}"),
            hint: remedy(&fault, "the server's admin must renew its certificate") + &then,
        });
    }
    let (index, fault) = first_fault(intermediates, now)?;
    let number = index + 2;
    Some(CertificateFault {
        reason: format!(
            "certificate {number} of those that the server sends cannot be used: {fault}"
        ),
        hint: remedy(
            &fault,
            "the server's admin must put its authority's current certificate into the server's file",
        ),
    })
}

/// A certificate that is not valid yet often only meets a clock that is behind.
fn remedy(fault: &str, renewal: &str) -> String {
    if fault.contains("expired") {
        renewal.to_owned()
    } else {
        format!("look whether this machine's clock is right; if it is, {renewal}")
    }
}

fn name_fault(kind: &CertificateError) -> CertificateFault {
    let reason = match kind {
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } if !presented.is_empty() => {
            let names: Vec<String> = presented.iter().map(|name| bare(name)).collect();
            let (expected, names) = (expected.to_str(), names.join(", "));
            format!("the server's certificate is not for {expected}, but for {names}")
        }
        _ => "the server's certificate has no name of a server (subjectAltName)".to_owned(),
    };
    let hint = "the host in `base_url` must be one of the names that the certificate is for";
    CertificateFault {
        reason,
        hint: hint.to_owned(),
    }
}

/// The name in the library's `DnsName("gateway1")`. An address written as a name is none.
fn bare(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, inner)| inner.strip_suffix(')'));
    let text = escape_unsafe(inner.unwrap_or(name).trim_matches('"'), &[]);
    if name.starts_with("DnsName") && text.parse::<IpAddr>().is_ok() {
        format!("{text} as a name (DNS) in place of an address (IP)")
    } else {
        text.into_owned()
    }
}

/// The reason why no authority has signed it, where a certificate of `ca_path` is out of date.
fn issuer_fault(ca: &CaFile, now: SystemTime) -> Option<CertificateFault> {
    let own: Vec<CertificateDer<'_>> = certificates(ca).collect();
    let (index, fault) = first_fault(&own, now)?;
    let (file, number) = (shown_file(&ca.path), index + 1);
    let error = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    Some(CertificateFault {
        reason: format!("{error}; {file} (ca_path): certificate {number}: {fault}"),
        hint: remedy(
            &fault,
            &format!("put the current certificate of the server or of its authority into {file}"),
        ),
    })
}

fn certificates(ca: &CaFile) -> impl Iterator<Item = CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&ca.pem).filter_map(Result::ok)
}

/// The first that cannot be used now, and why.
fn first_fault<'a, 'b: 'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'b>>,
    now: SystemTime,
) -> Option<(usize, String)> {
    let mut certificates = certificates.into_iter().enumerate();
    certificates.find_map(|(index, der)| Some((index, Validity::read(der)?.fault(now)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (told, expected) in [
            ("DnsName(\"gateway1\")", "gateway1"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            (
                "DnsName(\"127.0.0.1\")",
                "127.0.0.1 as a name (DNS) in place of an address (IP)",
            ),
            ("DnsName(\"a\u{1b}[31m\")", "a\\u{1b}[31m"),
        ] {
            assert_eq!(bare(told), expected);
        }
    }
}
