//! TLS over a socket: asked for, shaken hands on, and what the login has to know of it.

mod binding;
mod certificate;
mod chain;
mod der;
mod distrust;
mod identity;
mod name;
mod trust;
mod verify;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, OtherError, SupportedProtocolVersion,
};

use crate::channel::Socket;
use crate::config::{SslMode, SslNegotiation, Tls, TlsVersion};
use crate::error::{Error, ErrorKind, Result};
use distrust::Distrust;
use identity::Identity;
use trust::Trust;
use verify::Verifier;

/// What PostgreSQL is called in TLS, so that a server of another protocol cannot be mistaken for one.
const ALPN: &[u8] = b"postgresql";

/// What a login has to know of the connection that it is made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secured {
    /// The server's end of the connection, to bind a login to; `None` where no hash is defined for its certificate.
    pub(crate) end_point: Option<Vec<u8>>,
    /// Whether the server asked for a certificate of ours.
    pub(crate) certificate_asked: bool,
    /// Whether it was shown one.
    pub(crate) certificate_shown: bool,
}

/// Asks a server for TLS, and returns whether it agrees.
pub(crate) async fn ask(socket: &mut TcpStream) -> Result<bool> {
    /// Length and code of an SSLRequest.
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    socket.write_all(&REQUEST).await.map_err(Error::lost)?;
    // More room than the answer takes, so that what was slipped in behind it is seen.
    let mut answer = [0; 16];
    let length = socket.read(&mut answer).await.map_err(Error::lost)?;
    match answer.get(..length).unwrap_or_default() {
        [] => Err(Error::closed()),
        b"S" => Ok(true),
        b"N" => Ok(false),
        [b'S' | b'N', ..] => Err(Error::protocol(
            "more than the answer came when TLS was asked for",
        )
        .with_hint("Something between us and the server may be trying to get into the session; check host and port.")),
        // Unsigned and perhaps not the server's: its text is not shown.
        [b'E', ..] => Err(Error::new(
            ErrorKind::Connect,
            "the server answered with an error when TLS was asked for",
        )
        .with_hint("Look into the server's log.")),
        _ => Err(
            Error::protocol("what answered does not speak PostgreSQL's protocol")
                .with_hint("Check host and port."),
        ),
    }
}

/// Shakes hands with a server that expects TLS now.
pub(crate) async fn handshake(
    socket: TcpStream,
    tls: &Tls,
    host: &str,
) -> Result<(TlsStream<Socket>, Secured)> {
    if host.is_empty() && tls.mode == SslMode::VerifyFull {
        return Err(Error::config(
            "sslmode=verify-full needs the name of the host, not only its address",
        )
        .with_hint("Give the name that the certificate has as host, beside hostaddr."));
    }
    let (settings, identity) = settings(tls.clone(), host.to_owned()).await?;
    let connector = TlsConnector::from(Arc::new(settings));
    let stream = connector
        .connect(server_name(host), Socket::from(socket))
        .await
        .map_err(|error| failed(error, tls))?;
    let (_, session) = stream.get_ref();
    // rustls has refused any other name.
    if tls.negotiation == SslNegotiation::Direct && session.alpn_protocol().is_none() {
        return Err(Error::new(
            ErrorKind::Tls,
            "what answered in TLS does not say that it speaks PostgreSQL's protocol",
        )
        .with_hint(
            "sslnegotiation=direct needs a server of version 17 or later; check host and port.",
        ));
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let secured = Secured {
        end_point: certificate.and_then(|certificate| binding::end_point(certificate)),
        certificate_asked: identity.was_asked(),
        certificate_shown: identity.was_shown(),
    };
    Ok((stream, secured))
}

/// Reads the files that the configuration names, apart from the tasks that must not wait for a disk.
async fn settings(tls: Tls, host: String) -> Result<(ClientConfig, Arc<Identity>)> {
    tokio::task::spawn_blocking(move || {
        let provider = ring::default_provider();
        let identity = Arc::new(Identity::load(&tls, &provider)?);
        let verifier = Verifier {
            trust: Trust::load(&tls)?,
            host: (tls.mode == SslMode::VerifyFull).then(|| host.clone()),
            algorithms: provider.signature_verification_algorithms,
        };
        let mut settings = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions(&tls))
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&identity) as _);
        settings.alpn_protocols = vec![ALPN.to_vec()];
        settings.enable_sni = tls.server_name;
        // Each session has settings of its own, so there is nothing to resume.
        settings.resumption = Resumption::disabled();
        Ok((settings, identity))
    })
    .await
    .unwrap_or_else(|error| Err(unusable(error)))
}

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Tls, "TLS cannot be set up").with_source(error)
}

fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    [(TlsVersion::V1_2, &TLS12), (TlsVersion::V1_3, &TLS13)]
        .into_iter()
        .filter(|(version, _)| (tls.least..=tls.most).contains(version))
        .map(|(_, supported)| supported)
        .collect()
}

/// What is said in the clear. An address is never said, nor is a name that DNS does not allow.
fn server_name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned())
        .unwrap_or_else(|_| ServerName::from(IpAddr::from([0, 0, 0, 0])))
}

fn failed(error: io::Error, tls: &Tls) -> Error {
    if let Some(distrust) = distrust(&error) {
        return distrust.into();
    }
    let Some(reason) = tls_reason(&error) else {
        let direct = tls.negotiation == SslNegotiation::Direct;
        if direct && error.kind() == io::ErrorKind::UnexpectedEof {
            return Error::new(ErrorKind::Tls, "the server ended the TLS handshake")
                .with_hint("sslnegotiation=direct needs a server of version 17 or later.")
                .with_source(error);
        }
        return Error::lost(error);
    };
    explained(reason).with_source(error)
}

/// The error of a socket, where it may be one of TLS.
pub(crate) fn broken(error: io::Error) -> Error {
    match tls_reason(&error) {
        Some(reason) => explained(reason).with_source(error),
        None => Error::lost(error),
    }
}

fn tls_reason(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Our own word on a certificate, which rustls only carries.
fn distrust(error: &io::Error) -> Option<&Distrust> {
    match tls_reason(error)? {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => {
            reason.downcast_ref()
        }
        _ => None,
    }
}

fn explained(reason: &rustls::Error) -> Error {
    let rustls::Error::AlertReceived(alert) = reason else {
        return Error::new(ErrorKind::Tls, "TLS with the server failed");
    };
    use AlertDescription as A;
    let hint = match alert {
        A::ProtocolVersion | A::InsufficientSecurity => {
            "Compare ssl_min_protocol_version and ssl_max_protocol_version on both sides."
        }
        A::CertificateRequired
        | A::NoCertificate
        | A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::DecryptError => {
            "Check the client's certificate (sslcert and sslkey): the server's ssl_ca_file has to vouch for it."
        }
        A::NoApplicationProtocol => "Check host and port: this may be no PostgreSQL server.",
        _ => "Look into the server's log.",
    };
    Error::new(
        ErrorKind::Tls,
        format!("the server refused TLS with the alert {alert:?}"),
    )
    .with_hint(hint)
}

#[cfg(test)]
pub(crate) mod tests;
