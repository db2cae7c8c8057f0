//! Why a server's certificate is not believed.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// Why a server's certificate is not believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    Unreadable,
    UnknownIssuer,
    Expired,
    NotYetValid,
    RootExpired,
    Revoked,
    /// No list of revoked certificates is there of one of the issuers.
    RevocationUnknown,
    RevocationListExpired,
    WrongHost {
        host: String,
        names: Vec<String>,
    },
    NotForServers,
    BadSignature,
    /// Something that the check of chains does not do, in its own words.
    Unsupported(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "it cannot be read",
            Self::UnknownIssuer => "no root certificate vouches for it",
            Self::Expired => "it, or one between it and the root, has expired",
            Self::NotYetValid => "it, or one between it and the root, is not valid yet",
            Self::RootExpired => "no root certificate vouches for it that is valid now",
            Self::Revoked => "it, or one between it and the root, is revoked",
            Self::RevocationUnknown => {
                "the lists of revoked certificates do not cover every issuer between it and the root"
            }
            Self::RevocationListExpired => "a list of revoked certificates has expired",
            Self::WrongHost { host, names } => {
                return match &**names {
                    [] => write!(f, "it names no host, so not \"{host}\""),
                    names => write!(f, "it is for \"{}\", not for \"{host}\"", names.join("\", \"")),
                };
            }
            Self::NotForServers => "it is not meant for servers",
            Self::BadSignature => "a signature on it, or on one between it and the root, is wrong",
            Self::Unsupported(what) => return f.write_str(what),
        })
    }
}

impl std::error::Error for Distrust {}

impl From<webpki::Error> for Distrust {
    fn from(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { .. } => Self::Expired,
            E::CertNotValidYet { .. } => Self::NotYetValid,
            E::CertRevoked => Self::Revoked,
            E::UnknownRevocationStatus => Self::RevocationUnknown,
            E::CrlExpired { .. } => Self::RevocationListExpired,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::RequiredEkuNotFoundContext(_) => Self::NotForServers,
            E::InvalidSignatureForPublicKey => Self::BadSignature,
            E::BadDer | E::TrailingData(_) => Self::Unreadable,
            error => Self::Unsupported(format!("it cannot be checked: {error}")),
        }
    }
}

impl From<&Distrust> for Error {
    fn from(distrust: &Distrust) -> Self {
        let hint = match distrust {
            Distrust::UnknownIssuer => {
                "Put the root certificate that issued it into the file of sslrootcert."
            }
            Distrust::Expired | Distrust::NotYetValid => {
                "Have the server's certificate renewed; check the clocks of both machines."
            }
            Distrust::RootExpired => "Replace the file of sslrootcert.",
            Distrust::Revoked => "Do not connect to this server before it has a new certificate.",
            Distrust::RevocationUnknown | Distrust::RevocationListExpired => {
                "Put the current lists of all issuers into sslcrl or sslcrldir."
            }
            Distrust::WrongHost { .. } => {
                "Connect by a name that the certificate has (hostaddr can give the address), or use sslmode=verify-ca."
            }
            _ => "Have a new certificate made for the server.",
        };
        Self::new(
            ErrorKind::Tls,
            format!("the server's certificate is not to be believed: {distrust}"),
        )
        .with_hint(hint)
    }
}
