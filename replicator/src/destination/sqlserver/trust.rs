//! Which certificates of a server count, as its URL says.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

use crate::destination::tls::{Mode, Tls};
use crate::error::{Error, Result};

/// What TLS is to be like with a server.
///
/// Its version is 1.2: before that of the protocol which begins with TLS, a session's tickets would come where nobody
/// expects them any more in the packets of a login.
pub(super) fn settings(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS12])
        .map_err(|error| Error::usage("TLS cannot be set up").caused_by(error))?;
    let verifier = match tls.mode {
        Mode::Disable | Mode::Prefer | Mode::Require => Verifier {
            chain: None,
            names: false,
            provider,
        },
        Mode::VerifyCa | Mode::VerifyFull => {
            let roots = Arc::new(roots(tls)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            let chain = chain.build().map_err(|error| {
                Error::usage("none of the certificates that are to be trusted can be used")
                    .with_hint("check sslrootcert in --destination")
                    .caused_by(error)
            })?;
            Verifier {
                chain: Some(chain),
                names: tls.mode == Mode::VerifyFull,
                provider,
            }
        }
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The certificates of the file, or the system's.
fn roots(tls: &Tls) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let Some(file) = &tls.roots else {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        return Ok(store);
    };
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
        let file = file.display();
        Error::usage(format!(
            "sslrootcert={file} holds no certificates in PEM form"
        ))
        .caused_by(error)
    };
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.into()))? {
        let certificate = certificate.map_err(|error| wrong(error.into()))?;
        store
            .add(certificate)
            .map_err(|error| wrong(error.into()))?;
    }
    Ok(store)
}

/// Looks at what a server shows.
struct Verifier {
    /// `None`: whoever the server is.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// Whether it must name the host.
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("chain", &self.chain.is_some())
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last, so all else is in order.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match &self.chain {
            Some(chain) => chain.verify_tls12_signature(message, cert, dss),
            // Who does not ask whose certificate it is has nothing from knowing that it is the server's; the ones that
            // servers make for themselves have keys that ring refuses.
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.3 was not asked for".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
