//! The parameters of a connection string, and where a value of one was found.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;

/// Name, and the environment variable that stands in for it: those of libpq 18 in its order, then ours.
pub(crate) const PARAMETERS: [(&str, Option<&str>); 52] = [
    ("service", Some("PGSERVICE")),
    ("user", Some("PGUSER")),
    ("password", Some("PGPASSWORD")),
    ("passfile", Some("PGPASSFILE")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("dbname", Some("PGDATABASE")),
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("port", Some("PGPORT")),
    ("client_encoding", Some("PGCLIENTENCODING")),
    ("options", Some("PGOPTIONS")),
    ("application_name", Some("PGAPPNAME")),
    ("fallback_application_name", None),
    ("keepalives", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("keepalives_count", None),
    ("tcp_user_timeout", None),
    ("sslmode", Some("PGSSLMODE")),
    ("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ("sslcompression", Some("PGSSLCOMPRESSION")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslcertmode", Some("PGSSLCERTMODE")),
    ("sslpassword", None),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("sslcrl", Some("PGSSLCRL")),
    ("sslcrldir", Some("PGSSLCRLDIR")),
    ("sslsni", Some("PGSSLSNI")),
    ("requirepeer", Some("PGREQUIREPEER")),
    ("require_auth", Some("PGREQUIREAUTH")),
    ("min_protocol_version", Some("PGMINPROTOCOLVERSION")),
    ("max_protocol_version", Some("PGMAXPROTOCOLVERSION")),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    ("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION")),
    ("gssencmode", Some("PGGSSENCMODE")),
    ("krbsrvname", Some("PGKRBSRVNAME")),
    ("gsslib", Some("PGGSSLIB")),
    ("gssdelegation", Some("PGGSSDELEGATION")),
    ("replication", None),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ("scram_client_key", None),
    ("scram_server_key", None),
    ("oauth_issuer", None),
    ("oauth_client_id", None),
    ("oauth_client_secret", None),
    ("oauth_scope", None),
    ("sslkeylogfile", None),
    ("wal_sender_timeout", None),
    ("max_message_size", None),
];

/// The name as it is written here, if it is that of a parameter.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    PARAMETERS
        .iter()
        .map(|(known, _)| *known)
        .find(|known| *known == name)
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The connection string.
    Text,
    /// This line of a service file.
    Service(Arc<PathBuf>, usize),
    /// The environment variable of this name.
    Variable(&'static str),
}

/// A value, not yet understood.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl Value {
    /// The error for a value that is none of what may be there.
    pub(crate) fn malformed(&self, expected: &str) -> Error {
        Error::config(format!(
            "{self} is \"{}\" instead of {expected}",
            self.text.escape_debug()
        ))
    }

    /// The error for a value that must not be shown, because a part of a password may have got into it: an unencoded
    /// `/`, `?` or `@` makes the rest of one look like a host, a port or a parameter.
    pub(crate) fn untold(&self, expected: &str) -> Error {
        Error::config(format!("{self} is not {expected}"))
    }

    /// The error for what there is not.
    pub(crate) fn unsupported(&self, reason: &str) -> Error {
        Error::config(format!("{self} {reason}"))
    }
}

/// What the user looks for to change the value.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.origin {
            Origin::Text => write!(f, "connection parameter {name}"),
            Origin::Service(file, line) => {
                write!(f, "{name} in line {line} of {}", file.display())
            }
            Origin::Variable(variable) => write!(f, "environment variable {variable}"),
        }
    }
}
