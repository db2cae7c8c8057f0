//! The client's certificate and key: found, checked, unlocked, shown to the server when it asks.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pkcs8::EncryptedPrivateKeyInfoRef;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::trust::{certificates, in_home, unusable};
use crate::config::{SslCertMode, Tls};
use crate::error::{Error, ErrorKind, Result};

/// The client's certificate and key, if there are any, and what the server made of them.
#[derive(Debug)]
pub(crate) struct Identity {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
    shown: AtomicBool,
}

impl Identity {
    /// Reads the files; missing ones are an error only where they were named.
    pub(crate) fn load(tls: &Tls, provider: &CryptoProvider) -> Result<Self> {
        Ok(Self {
            key: load(tls, provider)?.map(Arc::new),
            asked: AtomicBool::new(false),
            shown: AtomicBool::new(false),
        })
    }

    /// Whether the server has asked for a certificate.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether the server has been shown one.
    pub(crate) fn was_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Identity {
    // Whatever issuers the server names: as libpq, so that the server says what it does not like.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let key = self
            .key
            .as_ref()
            .filter(|key| key.key.choose_scheme(schemes).is_some())?;
        self.shown.store(true, Ordering::Relaxed);
        Some(Arc::clone(key))
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

fn load(tls: &Tls, provider: &CryptoProvider) -> Result<Option<CertifiedKey>> {
    if tls.certificate_mode == SslCertMode::Disable {
        return Ok(None);
    }
    let path = match &tls.certificate {
        Some(path) => path.clone(),
        None => match in_home(tls, "postgresql.crt").filter(|path| path.exists()) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let chain = certificates(&path, "client certificate", "sslcert")?;
    let key_path = tls.key.clone().or_else(|| in_home(tls, "postgresql.key"));
    let key_path = key_path.ok_or_else(|| {
        Error::new(
            ErrorKind::Tls,
            format!(
                "there is no key to the client certificate \"{}\"",
                path.display()
            ),
        )
        .with_hint("Name its file with sslkey.")
    })?;
    let der = key(&key_path, tls.key_password.as_deref())?;
    let unusable = |error| unusable(&key_path, KEY, "sslkey", error);
    let key = provider
        .key_provider
        .load_private_key(der)
        .map_err(|error| unusable(error.into()))?;
    let certificate = chain.first().and_then(|first| Certificate::read(first));
    let fits = match (&certificate, key.public_key()) {
        (Some(certificate), Some(key)) => certificate.key_info == key.as_ref(),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if !fits {
        return Err(Error::new(
            ErrorKind::Tls,
            format!(
                "the client certificate \"{}\" does not belong to the key \"{}\"",
                path.display(),
                key_path.display()
            ),
        )
        .with_hint("Check sslcert and sslkey; the client's own certificate has to be the first in its file."));
    }
    Ok(Some(CertifiedKey::new(chain, key)))
}

const KEY: &str = "key of the client certificate";

fn key(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    let unusable = |error| unusable(path, KEY, "sslkey", error);
    let metadata = std::fs::metadata(path).map_err(|error| unusable(error.into()))?;
    guarded(path, &metadata)?;
    let text = std::fs::read(path).map_err(|error| unusable(error.into()))?;
    let has = |mark: &str| text.windows(mark.len()).any(|part| part == mark.as_bytes());
    if !has("-----BEGIN ") {
        return PrivateKeyDer::try_from(text).map_err(|error| unusable(error.into()));
    }
    if has("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::new(
            ErrorKind::Tls,
            format!(
                "the {KEY} \"{}\" is encrypted in the traditional form of OpenSSL, which is not supported",
                path.display()
            ),
        )
        .with_hint("Convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW."));
    }
    if !has(ENCRYPTED) {
        return PrivateKeyDer::from_pem_slice(&text).map_err(|error| unusable(error.into()));
    }
    let Some(password) = password.filter(|password| !password.is_empty()) else {
        return Err(Error::new(
            ErrorKind::Tls,
            format!(
                "the {KEY} \"{}\" is encrypted, and no password of it is given",
                path.display()
            ),
        )
        .with_hint("Give it with sslpassword."));
    };
    decrypted(&text, password).map_err(|error| {
        Error::new(
            ErrorKind::Tls,
            format!("the {KEY} \"{}\" cannot be decrypted", path.display()),
        )
        .with_hint("Check sslpassword. Supported is PKCS #8 with PBES2, which openssl pkcs8 -topk8 -v2 aes-256-cbc makes.")
        .with_source(error)
    })
}

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

fn decrypted(
    text: &[u8],
    password: &str,
) -> Result<PrivateKeyDer<'static>, Box<dyn std::error::Error + Send + Sync>> {
    // The reader of PEM knows no encrypted keys. What is between the marks has the same form.
    let text = String::from_utf8_lossy(text).replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY");
    let locked = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())?;
    let key = EncryptedPrivateKeyInfoRef::try_from(locked.secret_pkcs8_der())?.decrypt(password)?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// libpq's rule: nobody but the owner, or root and a group that may read.
fn guarded(path: &Path, metadata: &Metadata) -> Result<()> {
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if !metadata.is_file() {
        return Err(unusable(
            path,
            KEY,
            "sslkey",
            "it is not a regular file".into(),
        ));
    }
    if metadata.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Tls,
        format!("the {KEY} \"{}\" can be read by others", path.display()),
    )
    .with_hint("Run chmod 0600 on it; 0640 is allowed if root owns it."))
}
