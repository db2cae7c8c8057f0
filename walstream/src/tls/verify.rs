//! The check of a server's certificate, as rustls asks for it during the handshake.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
};

use super::certificate::Certificate;
use super::distrust::Distrust;
use super::name;
use super::trust::Trust;

/// Checks as much of a server's certificate as `sslmode` asks for; that the server has its key, always.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// `None` to believe everybody.
    pub(crate) trust: Option<Trust>,
    /// The host that has to be named.
    pub(crate) host: Option<String>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn check(
        &self,
        der: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let certificate = Certificate::read(der).ok_or(Distrust::Unreadable)?;
        if let Some(trust) = &self.trust {
            trust.check(der, sent, self.algorithms, now)?;
        }
        match &self.host {
            Some(host) => name::check(&certificate, host).map_err(|names| Distrust::WrongHost {
                host: host.clone(),
                names,
            }),
            None => Ok(()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    // Nothing of the name given here: it may be left out of the handshake, and is then made up.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.check(end_entity, intermediates, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(distrust) => Err(CertificateError::Other(OtherError(Arc::new(distrust))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(old) = version_1(cert) else {
            return verify_tls12_signature(message, cert, dss, &self.algorithms);
        };
        let mapping = self.algorithms.mapping.iter();
        mapping
            .filter(|(scheme, _)| *scheme == dss.scheme)
            .flat_map(|(_, algorithms)| *algorithms)
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == old.key_algorithm)
            .any(|algorithm| {
                algorithm
                    .verify_signature(old.key, message, dss.signature())
                    .is_ok()
            })
            .then(HandshakeSignatureValid::assertion)
            .ok_or_else(|| CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(old) = version_1(cert) else {
            return verify_tls13_signature(message, cert, dss, &self.algorithms);
        };
        let key = SubjectPublicKeyInfoDer::from(old.key_info);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate of version 1, which `webpki` does not read.
fn version_1<'a>(der: &'a CertificateDer<'_>) -> Option<Certificate<'a>> {
    Certificate::read(der).filter(|certificate| certificate.version == 1)
}
