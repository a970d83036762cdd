//! Trust in https servers: `ca_path` and the system's authorities, or anyone.

use super::certificate_fault::in_words;
use crate::config::{CaFile, Config, shown_url};
use crate::error::{CliError, ErrorKind, Result};
use action_proto::pem::pem_fault;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tonic::transport::{ClientTlsConfig, Endpoint};

/// Why something of the configuration cannot be used.
type TlsCause = Box<dyn std::error::Error + Send + Sync>;

/// Makes the endpoint speak TLS as the configuration says.
pub(super) fn configure_tls(endpoint: Endpoint, config: &Config) -> Result<Endpoint> {
    let wrong = |what: &str, cause: TlsCause| {
        CliError::new(ErrorKind::Config, format!("cannot use {what}")).caused_by(cause)
    };
    let ca = config.ca.clone().unwrap_or_default();
    let trust = if config.verify_ssl {
        ServerTrust::Authorities(own_roots(&ca).map_err(|it| wrong("ca_path", it))?, ca)
    } else {
        ServerTrust::Anyone
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(TrustVerifier { trust, provider });
    endpoint
        .tls_config_with_verifier(ClientTlsConfig::new(), verifier)
        .map_err(|cause| {
            wrong(
                &format!("base_url {}", shown_url(&config.base_url)),
                cause.into(),
            )
        })
}

fn own_roots(ca: &CaFile) -> std::result::Result<RootCertStore, TlsCause> {
    let mut roots = RootCertStore::empty();
    if ca.path.as_os_str().is_empty() {
        return Ok(roots);
    }
    let pem = &ca.pem;
    let certificates: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem).collect();
    // The library's text has the line, which can be a key.
    let certificates = certificates.map_err(|_| pem_fault(pem))?;
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("no certificate is in it".into()),
        _ => Ok(roots),
    }
}

/// Decides whether a server is the one that was meant, and checks that it has its key.
#[derive(Debug)]
struct TrustVerifier {
    trust: ServerTrust,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum ServerTrust {
    /// Any certificate will do.
    Anyone,
    /// Those that these authorities, which are of that file, or the system's have signed.
    Authorities(RootCertStore, CaFile),
}

impl ServerCertVerifier for TrustVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let ServerTrust::Authorities(own, ca) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let ask = |roots: RootCertStore| {
            let provider = Arc::clone(&self.provider);
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                // It fails for want of any root.
                .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer))?
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        // The system's are hundreds of files. They are seldom needed beside a named authority.
        if let (false, Ok(verified)) = (own.is_empty(), ask(own.clone())) {
            return Ok(verified);
        }
        let mut all = own.clone();
        all.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        ask(all).map_err(|error| in_words(error, end_entity, intermediates, ca, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
