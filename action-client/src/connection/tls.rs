//! Owns how an https server is trusted: by the system's authorities and `ca_path`, or, with
//! `verify_ssl: false`, without any proof.

use crate::config::Config;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use tonic::transport::{self, Certificate, ClientTlsConfig, Endpoint};

/// Makes the endpoint speak TLS as the configuration says.
pub(super) fn configure(endpoint: Endpoint, config: &Config) -> Result<Endpoint, transport::Error> {
    if !config.verify_ssl {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(AnyCertificate(provider));
        return endpoint.tls_config_with_verifier(ClientTlsConfig::new(), verifier);
    }
    let system = ClientTlsConfig::new().with_native_roots();
    let Some(pem) = &config.ca else {
        return endpoint.tls_config(system);
    };
    let ca = Certificate::from_pem(pem);
    // A machine without any authorities, as a small container is, has this one all the same.
    endpoint
        .clone()
        .tls_config(system.ca_certificate(ca.clone()))
        .or_else(|_| endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca)))
}

/// Takes any certificate, but still checks that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
