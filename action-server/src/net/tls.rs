//! TLS: a certificate and its key that fit together, and new ones taken without dropping a connection.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate::Certificate,
    chain_check::{ChainFault, chain_faults, unreadable_reason},
    pem_files::{TlsError, block_labels, damaged_file, private_key, read_certificates, read_file},
};
use crate::{
    disk_lane::LANES,
    shown,
    transient::{ReadSchedule, is_caused_by_transient, transient},
    trust::others_can_read,
};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The files of a server's TLS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate and those between it and its authority, in this order, as PEM.
    pub certificate: PathBuf,
    /// The certificate's key, as PEM: PKCS#8, SEC1 or PKCS#1.
    pub private_key: PathBuf,
    /// The authorities whose certificates callers must have; `None` when they need none.
    pub client_ca: Option<PathBuf>,
    /// Where the server listens: clients may call it so.
    pub listen: SocketAddr,
}

/// A server's TLS, kept current.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
    /// What the certificates say.
    facts: ArcSwap<ChainFacts>,
    /// The stamp of the files before they were read for the first time.
    opened: u64,
}

/// What the certificates in use say.
#[derive(Debug, Default)]
struct ChainFacts {
    /// When the first of the chain ends.
    ends: Option<SystemTime>,
    faults: Vec<ChainFault>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn open(files: TlsFiles) -> Result<Tls, TlsError> {
        let opened = fingerprint(&files);
        let (config, facts) = read_files(&files)?;
        Ok(Tls {
            files,
            current: ArcSwap::from_pointee(config),
            facts: ArcSwap::from_pointee(facts),
            opened,
        })
    }

    /// When the certificate ends, or the first of those that stand with it in its file.
    pub fn ends(&self) -> Option<SystemTime> {
        self.facts.load().ends
    }

    /// Why clients would refuse the certificate, and what of it is worth a look, as of when it was
    /// read.
    pub fn faults(&self) -> Vec<ChainFault> {
        self.facts.load().faults.clone()
    }

    /// Logs [`Tls::faults`].
    pub fn log_faults(&self) {
        for fault in &self.facts.load().faults {
            let ChainFault { place, reason, .. } = fault;
            tracing::warn!("tls: {place}: {reason}");
        }
    }

    /// The handshake with one caller.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current.load_full())
            .accept(stream)
            .await
    }

    /// Reads the files again whenever they change, for as long as it is polled. Connections that
    /// are open stay as they are; files that cannot be used leave the last good ones in use.
    pub async fn keep_current(self: Arc<Self>) {
        let mut schedule = ReadSchedule::new("certificate and its key", self.opened);
        let mut is_told = false;
        loop {
            tokio::time::sleep(schedule.pause(LOOK_INTERVAL)).await;
            let tls = Arc::clone(&self);
            let Ok(now) = LANES.definitions.run(move || fingerprint(&tls.files)).await else {
                continue;
            };
            if !schedule.is_due(now) {
                continue;
            }
            let tls = Arc::clone(&self);
            let Ok(read) = LANES.definitions.run(move || read_files(&tls.files)).await else {
                continue;
            };
            let transient = read.as_ref().err().and_then(transient);
            schedule.record(now, transient);
            match read {
                Ok((config, facts)) => {
                    self.current.store(Arc::new(config));
                    self.facts.store(Arc::new(facts));
                    tracing::info!("took the new certificate");
                    self.log_faults();
                    is_told = false;
                }
                Err(error) if is_caused_by_transient(&error) => {}
                Err(error) => {
                    if std::mem::replace(&mut is_told, true) {
                        tracing::debug!(%error, "still no good certificate");
                    } else {
                        tracing::error!(
                            %error,
                            "cannot take the new certificate; the last one stays in use"
                        );
                    }
                    // Files that are written one after the other fit together a little later.
                    schedule.read_again();
                }
            }
        }
    }
}

/// Another number when one of the files was edited.
fn fingerprint(files: &TlsFiles) -> u64 {
    let own = [&files.certificate, &files.private_key];
    crate::fingerprint::stamp(own.into_iter().chain(&files.client_ca))
}

fn read_files(files: &TlsFiles) -> Result<(ServerConfig, ChainFacts), TlsError> {
    let chain = read_certificates(&files.certificate)?;
    let key = private_key(&files.private_key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| damaged_file(&files.certificate, &error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(client_verifier(path)?),
    };
    let facts = check_chains(files, &chain)?;
    if let Some(reason) = chain.first().and_then(unreadable_reason) {
        return Err(damaged_file(&files.certificate, &reason));
    }
    let mut config = builder
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|error| TlsError::Mismatch {
            certificate: files.certificate.clone(),
            private_key: files.private_key.clone(),
            reason: find_mismatch(&chain, &key).unwrap_or_else(|| error.to_string())
                + &other_keys(files, &chain),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((config, facts))
}

fn check_chains(files: &TlsFiles, chain: &[CertificateDer<'_>]) -> Result<ChainFacts, TlsError> {
    let now = SystemTime::now();
    let mut faults = chain_faults(&files.certificate, chain, Some(files.listen), now);
    if let Some(path) = &files.client_ca {
        faults.extend(chain_faults(path, &read_certificates(path)?, None, now));
    }
    let text = String::from_utf8_lossy(&read_file(&files.certificate)?).into_owned();
    if block_labels(&text).any(|label| label.ends_with("PRIVATE KEY"))
        && others_can_read(&files.certificate)
    {
        let place = shown::file(&files.certificate);
        faults.push(ChainFault {
            is_error: false,
            place: place.to_string(),
            reason: format!(
                "there is a private key in it, and every user of this machine can read it; take the key out, or run: chmod 600 {place}"
            ),
        });
    }
    let count = key_count(&files.private_key)?;
    if count > 1 {
        faults.push(ChainFault {
            is_error: false,
            place: shown::file(&files.private_key),
            reason: format!("there are {count} keys in it, and only the first is used"),
        });
    }
    let read = chain.iter().filter_map(|it| Certificate::read(it));
    Ok(ChainFacts {
        ends: read.map(|certificate| certificate.validity.ends).min(),
        faults,
    })
}

fn key_count(path: &Path) -> Result<usize, TlsError> {
    let text = String::from_utf8_lossy(&read_file(path)?).into_owned();
    let keys = block_labels(&text).filter(|label| label.ends_with("PRIVATE KEY"));
    Ok(keys.count())
}

/// The hint for a key's file that holds more than the key that does not fit.
fn other_keys(files: &TlsFiles, chain: &[CertificateDer<'_>]) -> String {
    let path = &files.private_key;
    let count = key_count(path).unwrap_or(1);
    if count < 2 {
        return String::new();
    }
    let fits = |key: &PrivateKeyDer<'_>| {
        aws_lc_rs::sign::any_supported_type(key).is_ok() && find_mismatch(chain, key).is_none()
    };
    let text = read_file(path).unwrap_or_default();
    let mut keys = PrivateKeyDer::pem_slice_iter(&text);
    let remedy = match keys.position(|key| key.is_ok_and(|key| fits(&key))) {
        Some(index) => format!("key {} is the certificate's: remove the others", index + 1),
        None => "none of them is the certificate's".to_owned(),
    };
    format!("; there are {count} keys in the file, and only the first is used: {remedy}")
}

/// Why a key and certificates do not go together, where that is known.
fn find_mismatch(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Option<String> {
    let first = Certificate::read(chain.first()?)?;
    let Ok(key) = aws_lc_rs::sign::any_supported_type(key) else {
        let kinds = "the key is of no kind that can be used: RSA from 2048 bits, ECDSA with P-256, P-384 or P-521, Ed25519";
        return Some(first.key_fault().unwrap_or_else(|| kinds.to_owned()));
    };
    let own = key.public_key()?;
    let belongs =
        |der: &CertificateDer<'_>| Certificate::read(der).is_some_and(|it| it.key == &own[..]);
    match chain.iter().position(belongs) {
        Some(0) => None,
        Some(at) => {
            let number = at + 1;
            Some(format!(
                "certificate {number} belongs to the key, and the key's must be the first, followed by its issuer"
            ))
        }
        None => Some("the key belongs to none of the certificates".to_owned()),
    }
}

fn client_verifier(
    path: &Path,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| damaged_file(path, &error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
    verifier.map_err(|error| damaged_file(path, &error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        certificate: String,
        key: String,
    }

    impl Fixture {
        fn new() -> Fixture {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            Fixture {
                directory: tempfile::tempdir().unwrap(),
                certificate: made.cert.pem(),
                key: made.signing_key.serialize_pem(),
            }
        }

        fn open(&self, certificate: &str, key: &str, mode: u32) -> Result<(), String> {
            let files = TlsFiles {
                certificate: self.directory.path().join("certificate.pem"),
                private_key: self.directory.path().join("key.pem"),
                client_ca: None,
                listen: ([127, 0, 0, 1], 0).into(),
            };
            fs::write(&files.certificate, certificate).unwrap();
            fs::write(&files.private_key, key).unwrap();
            fs::set_permissions(&files.private_key, fs::Permissions::from_mode(mode)).unwrap();
            let place = format!("{}/", self.directory.path().display());
            Tls::open(files)
                .map(|_| ())
                .map_err(|error| error.to_string().replace(&place, ""))
        }
    }

    #[test]
    fn what_is_wrong_with_the_files_is_named() {
        let good = Fixture::new();
        let (certificate, key) = (good.certificate.as_str(), good.key.as_str());
        assert_eq!(good.open(certificate, key, 0o600), Ok(()));
        let swapped = good.open(key, certificate, 0o600).unwrap_err();
        assert_eq!(
            swapped,
            "certificate.pem: no CERTIFICATE in it; it has PRIVATE KEY"
        );
        let no_key = good.open(certificate, certificate, 0o600).unwrap_err();
        assert!(
            no_key.starts_with("key.pem: no PRIVATE KEY, EC PRIVATE KEY or"),
            "{no_key}"
        );
        assert!(
            good.open("nothing", key, 0o600)
                .unwrap_err()
                .contains("no PEM block at all")
        );
        assert!(
            good.open(certificate, key, 0o644)
                .unwrap_err()
                .contains("chmod 600 key.pem")
        );
        let other = Fixture::new().key;
        assert!(
            good.open(certificate, &other, 0o600)
                .unwrap_err()
                .contains("do not go together")
        );
        let cut = &certificate[..certificate.len() / 2];
        assert!(
            good.open(cut, key, 0o600)
                .unwrap_err()
                .starts_with("certificate.pem: ")
        );
    }
}
