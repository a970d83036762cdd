//! What is in a certificate (RFC 5280) and why clients would refuse it. rustls reads certificates
//! itself and gives neither their times nor their names.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use action_proto::{
    certificate::Validity,
    der::{Element, Elements},
    escape_unsafe,
};
use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

/// How long before its end a certificate is warned of.
const SOON: Duration = Duration::from_secs(21 * 24 * 3600);
/// So many of a certificate's names are listed.
const NAMES_SHOWN: usize = 10;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const ADDRESS: u8 = 0x87;

/// rsaEncryption: RFC 3279, section 2.3.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const LEAST_RSA_BITS: usize = 2048;
// Extensions: RFC 5280, section 4.2.1.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    pub(super) validity: Validity,
    /// The names and addresses that clients accept it for.
    pub(super) names: Vec<String>,
    /// Those that no client accepts.
    useless_names: Vec<String>,
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The SubjectPublicKeyInfo.
    pub(super) key: &'a [u8],
    /// The key's length in bits, for one of RSA.
    rsa_bits: Option<usize>,
    is_authority: bool,
    signs_handshakes: bool,
    is_for_servers: bool,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` for what is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Certificate<'a>> {
        let signed = Elements(der).next_of(SEQUENCE)?;
        let mut fields = signed.elements().next_of(SEQUENCE)?.elements();
        _ = fields.next_of(VERSION);
        _ = fields.next_of(INTEGER)?;
        _ = fields.next_of(SEQUENCE)?;
        let issuer = fields.next_of(SEQUENCE)?.whole;
        let validity = Validity::of(fields.next_of(SEQUENCE)?)?;
        let subject = fields.next_of(SEQUENCE)?.whole;
        let key = fields.next_of(SEQUENCE)?;
        let mut certificate = Certificate {
            validity,
            names: Vec::new(),
            useless_names: Vec::new(),
            issuer,
            subject,
            key: key.whole,
            rsa_bits: rsa_bits(key),
            is_authority: false,
            signs_handshakes: true,
            is_for_servers: true,
        };
        if let Some(list) = fields.find(|field| field.tag == EXTENSIONS) {
            for extension in list.elements().next_of(SEQUENCE)?.elements() {
                certificate.add(extension, der);
            }
        }
        Some(certificate)
    }

    fn add(&mut self, extension: Element<'a>, der: &[u8]) -> Option<()> {
        let mut fields = extension.elements();
        let id = fields.next_of(OBJECT_ID)?.content;
        _ = fields.next_of(BOOLEAN);
        let mut value = fields.next_of(OCTET_STRING)?.elements();
        match id {
            KEY_USAGE => {
                // The first bit is digitalSignature; the first byte counts those that are unused.
                let bits = value.next_of(BIT_STRING)?.content;
                self.signs_handshakes = bits.get(1).is_some_and(|bits| bits & 0x80 != 0);
            }
            EXTENDED_KEY_USAGE => {
                let mut usages = value.next_of(SEQUENCE)?.elements();
                self.is_for_servers =
                    usages.any(|usage| [SERVER_AUTH, ANY_USAGE].contains(&usage.content));
            }
            BASIC_CONSTRAINTS => {
                let mut fields = value.next_of(SEQUENCE)?.elements();
                self.is_authority = fields.next_of(BOOLEAN)?.content != [0];
            }
            ALTERNATIVE_NAMES => {
                let names = value.next_of(SEQUENCE)?.elements();
                let der = CertificateDer::from(der);
                let parsed = ParsedCertificate::try_from(&der).ok();
                for (shown, called) in names.filter_map(read_name) {
                    let is_useful = called.is_some_and(|called| {
                        let parsed = parsed.as_ref();
                        parsed.is_none_or(|parsed| verify_server_name(parsed, &called).is_ok())
                    });
                    if is_useful {
                        self.names.push(shown);
                    } else {
                        self.useless_names.push(shown);
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Why it cannot be used now, and what deserves a warning.
    pub(super) fn time_fault(&self, now: SystemTime) -> Option<(bool, String)> {
        let fault = self.validity.fault(now).map(|fault| (true, fault));
        fault.or_else(|| Some((false, self.validity.warning(now, SOON)?)))
    }

    /// Why clients refuse it as a server's: true with each reason that holds for all of them.
    pub(super) fn server_faults(&self, own_names: &[String]) -> Vec<(bool, String)> {
        let mut faults = Vec::new();
        if let Some(bits) = self.rsa_bits.filter(|&bits| bits < LEAST_RSA_BITS) {
            faults.push((true, too_small(bits)));
        }
        if !self.useless_names.is_empty() {
            let text = format!(
                "clients accept it for none of these names: {}; an address needs an IP entry, a * is the whole first label before two others, and no name ends with a dot",
                list_names(&self.useless_names)
            );
            faults.push((false, text));
        } else if self.names.is_empty() {
            let text = "it has no name of a server (subjectAltName), and clients that check it refuse it whatever its common name; make one with the names that they use";
            faults.push((false, text.to_owned()));
        }
        if !self.names.is_empty() && !own_names.iter().any(|own| self.is_for(own)) {
            let (names, own) = (list_names(&self.names), own_names.join(", "));
            let text = format!(
                "it is for {names}, and for none of {own}: clients can call the server by the former only"
            );
            faults.push((false, text));
        }
        if !self.is_for_servers {
            let text = "its extended key usage has no serverAuth: it is no server's certificate";
            faults.push((true, text.to_owned()));
        }
        if !self.signs_handshakes {
            let text = "its key usage has no digitalSignature, which TLS 1.3 needs";
            faults.push((true, text.to_owned()));
        }
        if self.is_authority {
            let text = "it is an authority's (CA:TRUE), and action-client refuses it as a server's; with openssl req -x509 add: -addext basicConstraints=CA:FALSE";
            faults.push((false, text.to_owned()));
        }
        faults
    }

    /// Why its key cannot be used, where that is known.
    pub(super) fn key_fault(&self) -> Option<String> {
        self.rsa_bits
            .filter(|&bits| bits < LEAST_RSA_BITS)
            .map(too_small)
    }

    fn is_for(&self, own: &str) -> bool {
        let is_address = own.parse::<IpAddr>().is_ok();
        let is_same = |name: &str| name.eq_ignore_ascii_case(own);
        let rest = own.split_once('.').map(|(_, rest)| rest);
        self.names.iter().any(|name| {
            let (first, domain) = name.split_once('.').unwrap_or((name, ""));
            is_same(name)
                || match rest {
                    _ if is_address => false,
                    Some(rest) => first == "*" && rest.eq_ignore_ascii_case(domain),
                    // A host often knows itself by its first label only.
                    None => is_same(first) || (first == "*" && !is_same("localhost")),
                }
        })
    }
}

/// Names for a message: the first of many.
fn list_names(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn too_small(bits: usize) -> String {
    format!(
        "its RSA key has {bits} bits, and fewer than {LEAST_RSA_BITS} can be broken: make another key"
    )
}

/// The modulus' length, for a SubjectPublicKeyInfo of RSA.
fn rsa_bits(key: Element<'_>) -> Option<usize> {
    let mut fields = key.elements();
    let algorithm = fields.next_of(SEQUENCE)?.elements().next_of(OBJECT_ID)?;
    let (unused, bits) = fields.next_of(BIT_STRING)?.content.split_first()?;
    if algorithm.content != RSA || *unused != 0 {
        return None;
    }
    let mut numbers = Elements(bits).next_of(SEQUENCE)?.elements();
    let modulus = numbers.next_of(INTEGER)?.content;
    let zeros: usize = modulus.iter().take_while(|&&byte| byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).ok()?)
}

/// A name as it is shown, and how a client calls a server of that name.
fn read_name(name: Element<'_>) -> Option<(String, Option<ServerName<'static>>)> {
    let address = |address: IpAddr| (address.to_string(), Some(address.into()));
    match name.tag {
        // Whoever made the certificate may have put anything there.
        DNS_NAME => {
            let name = str::from_utf8(name.content).ok()?;
            let called = ServerName::try_from(name.replacen('*', "x", 1)).ok();
            // Another name of the certificate may be the same without the dot.
            let called = called.filter(|_| !name.ends_with('.'));
            let called = called.filter(|it| matches!(it, ServerName::DnsName(_)));
            Some((escape_unsafe(name, &[]).into_owned(), called))
        }
        ADDRESS => match name.content.len() {
            4 => Some(address(<[u8; 4]>::try_from(name.content).ok()?.into())),
            _ => Some(address(<[u8; 16]>::try_from(name.content).ok()?.into())),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
