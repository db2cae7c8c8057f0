//! Whom we believe: root certificates, and lists of those that were revoked.

use std::io;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime,
};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::certificate::Certificate;
use super::chain;
use super::distrust::Distrust;
use crate::config::{RootCertificates, SslMode, Tls};
use crate::error::{Error, ErrorKind, Result};

/// Whom we believe.
#[derive(Debug)]
pub(crate) struct Trust {
    roots: Vec<CertificateDer<'static>>,
    /// Certificates among the roots that somebody else issued. As in OpenSSL a chain does not end with them.
    between: Vec<CertificateDer<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
}

impl Trust {
    /// Reads the root certificates and what is revoked; `None` if there are none and the mode does not need them.
    pub(crate) fn load(tls: &Tls) -> Result<Option<Self>> {
        let certificates = match &tls.roots {
            RootCertificates::System => system()?,
            RootCertificates::File(path) => certificates(path, "root certificate", "sslrootcert")?,
            RootCertificates::Default => {
                let path = in_home(tls, "root.crt");
                match path.filter(|path| path.exists()) {
                    Some(path) => certificates(&path, "root certificate", "sslrootcert")?,
                    None if tls.mode >= SslMode::VerifyCa => return Err(no_roots(tls)),
                    None => return Ok(None),
                }
            }
        };
        let (roots, between): (Vec<_>, _) = certificates.into_iter().partition(|certificate| {
            Certificate::read(certificate).is_some_and(|read| read.is_self_issued())
        });
        Ok(Some(Self {
            roots,
            between,
            revoked: revoked(tls)?,
        }))
    }

    /// Whether a server's certificate is to be believed, whatever host it names.
    pub(crate) fn check(
        &self,
        der: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        algorithms: WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let certificate = Certificate::read(der).ok_or(Distrust::Unreadable)?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let sent: Vec<_> = sent.iter().chain(&self.between).cloned().collect();
        if self.roots.contains(der) {
            // Its own root: nobody else can say anything about it.
            chain::valid_at(&certificate, seconds)?;
            if !certificate.serves() {
                return Err(Distrust::NotForServers);
            }
            return self.nothing_revoked();
        }
        // OpenSSL looks at the time of a root too.
        let (roots, expired): (Vec<_>, Vec<_>) = self.roots.iter().cloned().partition(|root| {
            Certificate::read(root).is_some_and(|root| chain::valid_at(&root, seconds).is_ok())
        });
        let checked = if certificate.version == 1 || certificate.authority().is_some() {
            chain::check(&certificate, &sent, &roots, algorithms.all, seconds)
                .and_then(|()| self.nothing_revoked())
        } else {
            self.check_by_webpki(der, &sent, &roots, algorithms, now)
        };
        match checked {
            Err(Distrust::UnknownIssuer) if !expired.is_empty() => Err(Distrust::RootExpired),
            checked => checked,
        }
    }

    fn check_by_webpki(
        &self,
        der: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        roots: &[CertificateDer<'_>],
        algorithms: WebPkiSupportedAlgorithms,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let anchors: Vec<TrustAnchor<'_>> = roots
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
            .collect();
        let lists: Vec<_> = self.revoked.iter().collect();
        // As X509_V_FLAG_CRL_CHECK_ALL: every certificate of the chain has to be covered by a list that holds now.
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let usage = KeyUsage::server_auth();
        EndEntityCert::try_from(der)?.verify_for_usage(
            algorithms.all,
            &anchors,
            between,
            now,
            usage,
            revocation,
            None,
        )?;
        Ok(())
    }

    /// For certificates whose revocation cannot be looked up here.
    fn nothing_revoked(&self) -> Result<(), Distrust> {
        if self.revoked.is_empty() {
            return Ok(());
        }
        Err(Distrust::Unsupported(
            "it is of version 1, a CA's or its own root, and whether it is revoked cannot be checked"
                .into(),
        ))
    }
}

/// A file in the folder of defaults.
pub(crate) fn in_home(tls: &Tls, name: &str) -> Option<PathBuf> {
    Some(tls.home.as_ref()?.join(name))
}

/// The certificates of a file, at least one.
pub(crate) fn certificates(
    path: &Path,
    what: &str,
    parameter: &str,
) -> Result<Vec<CertificateDer<'static>>> {
    let unusable = |error| unusable(path, what, parameter, error);
    let text = read(path).map_err(|error| unusable(error.into()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(pem::Error::NoItemsFound.into())),
        Err(error) => Err(unusable(error.into())),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

fn system() -> Result<Vec<CertificateDer<'static>>> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        let mut error = Error::new(
            ErrorKind::Tls,
            "the operating system has no root certificates",
        )
        .with_hint("Install them (the package ca-certificates), or name a file with sslrootcert.");
        if let Some(reason) = loaded.errors.into_iter().next() {
            error = error.with_source(reason);
        }
        return Err(error);
    }
    Ok(loaded.certs)
}

fn revoked(tls: &Tls) -> Result<Vec<CertRevocationList<'static>>> {
    let mut files = Vec::new();
    match &tls.revoked {
        Some(path) => files.push((path.clone(), "sslcrl")),
        None if tls.revoked_folder.is_none() => {
            let path = in_home(tls, "root.crl").filter(|path| path.exists());
            files.extend(path.map(|path| (path, "sslcrl")));
        }
        None => {}
    }
    if let Some(folder) = &tls.revoked_folder {
        let unusable = |error: io::Error| {
            unusable(
                folder,
                "folder of revocation lists",
                "sslcrldir",
                error.into(),
            )
        };
        for entry in std::fs::read_dir(folder).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            if path.is_file() {
                files.push((path, "sslcrldir"));
            }
        }
    }
    let mut lists = Vec::new();
    for (path, parameter) in files {
        let unusable = |error| unusable(&path, "revocation list", parameter, error);
        let text = read(&path).map_err(|error| unusable(error.into()))?;
        let before = lists.len();
        for list in CertificateRevocationListDer::pem_slice_iter(&text) {
            let list = list.map_err(|error| unusable(error.into()))?;
            let list =
                OwnedCertRevocationList::from_der(&list).map_err(|error| unusable(error.into()))?;
            lists.push(list.into());
        }
        if lists.len() == before {
            return Err(unusable(pem::Error::NoItemsFound.into()));
        }
    }
    Ok(lists)
}

fn no_roots(tls: &Tls) -> Error {
    let place = in_home(tls, "root.crt").map_or_else(
        || "there is no folder ~/.postgresql to look for root.crt in".to_owned(),
        |path| format!("\"{}\" does not exist", path.display()),
    );
    Error::new(
        ErrorKind::Tls,
        format!("there is no root certificate to check the server's by: {place}"),
    )
    .with_hint("Name the file with sslrootcert, take the system's roots with sslrootcert=system, or use sslmode=require.")
}

/// A file of the configuration that is missing or is not what it should be.
pub(crate) fn unusable(
    path: &Path,
    what: &str,
    parameter: &str,
    error: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    Error::new(
        ErrorKind::Tls,
        format!("the {what} \"{}\" cannot be used", path.display()),
    )
    .with_hint(format!(
        "Check {parameter}; the file has to be in PEM form."
    ))
    .with_source(error)
}
