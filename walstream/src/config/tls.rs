//! How a connection is encrypted, and whom we believe: libpq's `ssl…` parameters.

use std::fmt;
use std::path::PathBuf;

/// Whether TLS is used, and how much of the server's certificate is checked: libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only where the server insists.
    Allow,
    /// Where the server offers it.
    #[default]
    Prefer,
    /// Always. The certificate is checked only if root certificates are there, as libpq does it.
    Require,
    /// Always, with a certificate that a root certificate vouches for.
    VerifyCa,
    /// Always, with a certificate that a root certificate vouches for and that names the host.
    VerifyFull,
}

impl SslMode {
    /// As libpq spells them.
    pub(super) const NAMES: [(&str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

/// How TLS begins: libpq's `sslnegotiation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslNegotiation {
    /// The server is asked first.
    #[default]
    Postgres,
    /// At once; needs a server of 17 or later, and an `sslmode` of `require` or stricter.
    Direct,
}

impl SslNegotiation {
    /// As libpq spells them.
    pub(super) const NAMES: [(&str, Self); 2] =
        [("postgres", Self::Postgres), ("direct", Self::Direct)];
}

/// Whether the client shows a certificate: libpq's `sslcertmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslCertMode {
    /// Never.
    Disable,
    /// If the server asks and there is one.
    #[default]
    Allow,
    /// The server has to ask for one.
    Require,
}

impl SslCertMode {
    /// As libpq spells them.
    pub(super) const NAMES: [(&str, Self); 3] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("require", Self::Require),
    ];
}

/// Where the certificates are that vouch for servers: libpq's `sslrootcert`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootCertificates {
    /// `~/.postgresql/root.crt`, if it is there.
    #[default]
    Default,
    /// Those of the operating system.
    System,
    /// This file, in PEM form.
    File(PathBuf),
}

/// A version of TLS, as `ssl_min_protocol_version` and `ssl_max_protocol_version` name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

/// All that shapes TLS.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    pub(crate) negotiation: SslNegotiation,
    pub(crate) roots: RootCertificates,
    /// The client's certificate; `None` for `~/.postgresql/postgresql.crt`, if it is there.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key; `None` for `~/.postgresql/postgresql.key`.
    pub(crate) key: Option<PathBuf>,
    /// The password of an encrypted key.
    pub(crate) key_password: Option<String>,
    pub(crate) certificate_mode: SslCertMode,
    /// Revoked certificates; `None` for `~/.postgresql/root.crl`, if it is there.
    pub(crate) revoked: Option<PathBuf>,
    /// A folder of such files.
    pub(crate) revoked_folder: Option<PathBuf>,
    /// Whether the host's name is said in the clear, for servers behind a proxy.
    pub(crate) server_name: bool,
    pub(crate) least: TlsVersion,
    pub(crate) most: TlsVersion,
    /// The folder that defaults are looked for in, `~/.postgresql`.
    pub(crate) home: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: SslMode::default(),
            negotiation: SslNegotiation::default(),
            roots: RootCertificates::default(),
            certificate: None,
            key: None,
            key_password: None,
            certificate_mode: SslCertMode::default(),
            revoked: None,
            revoked_folder: None,
            server_name: true,
            least: TlsVersion::V1_2,
            most: TlsVersion::V1_3,
            home: None,
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("mode", &self.mode)
            .field("negotiation", &self.negotiation)
            .field("roots", &self.roots)
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("key_password", &self.key_password.as_ref().map(|_| "…"))
            .field("certificate_mode", &self.certificate_mode)
            .field("revoked", &self.revoked)
            .field("revoked_folder", &self.revoked_folder)
            .field("server_name", &self.server_name)
            .field("least", &self.least)
            .field("most", &self.most)
            .field("home", &self.home)
            .finish()
    }
}
