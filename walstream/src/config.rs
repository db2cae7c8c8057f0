//! Where servers are, who we are there, and how long we wait.

mod authentication;
mod endpoint;
mod environment;
mod parameter;
mod passfile;
mod read;
mod service;
mod setters;
mod settings;
mod show;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use authentication::Authentication;
pub use authentication::{AuthMethod, ChannelBinding};
pub use endpoint::{Endpoint, Host, LoadBalanceHosts, TargetSessionAttrs};
pub(crate) use endpoint::{SOCKET_FOLDERS, Tcp};
pub use environment::Environment;
#[cfg(test)]
pub(crate) use parameter::PARAMETERS;
pub(crate) use parameter::known;
pub(crate) use settings::Settings;
pub(crate) use tls::Tls;
pub use tls::{RootCertificates, SslCertMode, SslMode, SslNegotiation, TlsVersion};

use crate::conninfo;
use crate::error::{Error, Result};

/// How to reach a server, or one of several.
///
/// [`parse`](Self::parse) reads what users of libpq write, environment included; [`new`](Self::new) and the setters
/// take nothing but what they are given. Both are checked when a connection is made.
///
/// ```
/// use walstream::Config;
///
/// let config: Config = "postgres://app:secret@db.example:5433/shop?connect_timeout=5".parse()?;
/// assert_eq!((config.database(), config.user()), ("shop", "app"));
///
/// let same = Config::new("db.example", "app").with_port(5433).with_database("shop").with_password("secret");
/// assert_eq!(same.endpoints(), config.endpoints());
/// # Ok::<(), walstream::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// At least one.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) target: TargetSessionAttrs,
    pub(crate) load_balance: LoadBalanceHosts,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    /// Where passwords are looked up if none is given.
    pub(crate) passfile: Option<PathBuf>,
    pub(crate) database: Option<String>,
    pub(crate) application_name: String,
    pub(crate) options: Option<String>,
    pub(crate) tls: Tls,
    pub(crate) authentication: Authentication,
    pub(crate) tcp: Tcp,
    /// The operating system's user that a server behind a Unix socket has to run as: libpq's `requirepeer`.
    pub(crate) require_peer: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) wal_sender_timeout: Duration,
    pub(crate) max_message_size: usize,
}

impl Config {
    /// A server at a TCP name or address or, where the text begins with `/`, in the folder of a Unix socket.
    ///
    /// Nothing is taken from the environment: no variable, no password file, no certificate of the home folder unless
    /// [`with_home`](Self::with_home) is used.
    pub fn new(host: &str, user: &str) -> Self {
        Self {
            user: user.to_owned(),
            ..Self::unnamed()
        }
        .with_host(host)
    }

    /// Reads a connection string as libpq does, with the [environment](Environment::process) of the process.
    ///
    /// That is `postgres://user:password@host:port,host:port/database?parameter=value` or `host=… port=… user=…`, each
    /// part of which may be left out, all of them too. What is left out comes from the service that `service` or
    /// `PGSERVICE` names, then from variables such as `PGHOST`, then from defaults; a password, if the server asks for
    /// one, from the password file.
    ///
    /// | parameters of libpq 18 | here |
    /// |---|---|
    /// | `host`, `hostaddr`, `port` | lists with commas too; without a host the Unix socket in one of the usual folders, or `localhost` |
    /// | `user`, `password`, `passfile`, `dbname`, `options`, `service` | as there; `options` may not set what is [fixed](crate::Client::connect) |
    /// | `application_name`, `fallback_application_name` | `walstream` without both |
    /// | `connect_timeout` | seconds, 0 or less for no limit; 30 if not set |
    /// | `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count`, `tcp_user_timeout` | as there; 0 for the system's default |
    /// | `sslmode`, `sslnegotiation`, `sslrootcert`, `sslcert`, `sslkey`, `sslpassword`, `sslcertmode`, `sslcrl`, `sslcrldir`, `sslsni` | as there |
    /// | `ssl_min_protocol_version`, `ssl_max_protocol_version` | 1.2 and 1.3 are spoken; a lower minimum is met, a lower maximum refused |
    /// | `channel_binding`, `require_auth`, `requirepeer` | as there |
    /// | `target_session_attrs`, `load_balance_hosts` | as there |
    /// | `client_encoding` | `UTF8`; `auto` means that too |
    /// | `min_protocol_version`, `max_protocol_version` | 3.0 is spoken; a higher minimum is refused |
    /// | `gssencmode` | `disable` and `prefer`, which are the same |
    /// | `sslcompression` | 0 |
    /// | `krbsrvname`, `gsslib`, `gssdelegation` | without effect: there is no login by Kerberos |
    /// | `replication`, `scram_client_key`, `scram_server_key`, `oauth_issuer` and the like, `sslkeylogfile` | refused |
    ///
    /// Our own are `wal_sender_timeout` and `max_message_size`: milliseconds and bytes, or with a unit as in
    /// postgresql.conf. `PGDATESTYLE`, `PGTZ` and `PGGEQO` are not read: what shapes values is fixed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) names the parameter, variable or line of a service file that is
    /// unknown, malformed or asks for what there is not, and what contradicts something else. Nothing is ignored.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_in(text, &Environment::process())
    }

    /// As [`parse`](Self::parse), with this environment and nothing of the process.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn parse_in(text: &str, environment: &Environment) -> Result<Self> {
        Self::of(&Settings::read(text, environment)?, environment)
    }

    fn unnamed() -> Self {
        Self {
            endpoints: vec![Endpoint::new("", 5432)],
            target: TargetSessionAttrs::default(),
            load_balance: LoadBalanceHosts::default(),
            user: String::new(),
            password: None,
            passfile: None,
            database: None,
            application_name: "walstream".into(),
            options: None,
            tls: Tls::default(),
            authentication: Authentication::default(),
            tcp: Tcp::default(),
            require_peer: None,
            connect_timeout: Duration::from_secs(30),
            wal_sender_timeout: Duration::from_secs(15),
            max_message_size: 1 << 30,
        }
    }

    /// The password for this server: the one that was given, otherwise that of the password file, which is read anew.
    pub(crate) fn password_for(&self, endpoint: &Endpoint) -> Option<String> {
        let given = self.password.clone().filter(|given| !given.is_empty());
        given.or_else(|| {
            passfile::password(
                self.passfile.as_deref()?,
                endpoint,
                self.database(),
                &self.user,
            )
        })
    }

    /// What setters accept and a server would not.
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [
            ("user", Some(&self.user)),
            ("password", self.password.as_ref()),
            ("dbname", self.database.as_ref()),
            ("application_name", Some(&self.application_name)),
            ("options", self.options.as_ref()),
            ("sslpassword", self.tls.key_password.as_ref()),
            ("requirepeer", self.require_peer.as_ref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(Error::config(format!("{name} contains a zero byte")));
            }
        }
        if self.user.is_empty() {
            return Err(Error::config("the user's name is empty"));
        }
        self.check_endpoints()?;
        self.check_tls()?;
        if self.wal_sender_timeout.as_millis() > i32::MAX.unsigned_abs().into() {
            return Err(Error::config(
                "wal_sender_timeout is longer than a server allows, 2147483647 ms",
            ));
        }
        const LEAST: usize = 64 << 10;
        if self.max_message_size < LEAST {
            return Err(Error::config(format!(
                "max_message_size is below {LEAST} bytes"
            )));
        }
        match self.options.as_deref().and_then(conninfo::pinned_option) {
            Some(setting) => Err(Error::config(format!(
                "options sets {setting}, which shapes values or ends sessions and is fixed"
            ))
            .with_hint(if setting == "wal_sender_timeout" {
                "Use the connection parameter wal_sender_timeout."
            } else {
                "Leave it out of options."
            })),
            None => Ok(()),
        }
    }

    fn check_endpoints(&self) -> Result<()> {
        if self.endpoints.is_empty() {
            return Err(Error::config("there is no host to connect to"));
        }
        for endpoint in &self.endpoints {
            let host = match &endpoint.host {
                Host::Tcp(name) | Host::Abstract(name) => name.as_bytes(),
                Host::Unix(folder) => folder.as_os_str().as_encoded_bytes(),
                Host::Default => b"",
            };
            if host.contains(&0) {
                return Err(Error::config("host contains a zero byte"));
            }
            if host.contains(&b',') {
                return Err(Error::config("a host contains a comma")
                    .with_hint("Set several hosts with Config::with_endpoints."));
            }
            if endpoint.port == 0 {
                return Err(Error::config("the port is 0"));
            }
        }
        Ok(())
    }

    // fe-connect.c: pqConnectOptions2
    fn check_tls(&self) -> Result<()> {
        let tls = &self.tls;
        if tls.roots == RootCertificates::System && tls.mode != SslMode::VerifyFull {
            return Err(Error::config(
                "sslrootcert=system with an sslmode other than verify-full would let anybody with a certificate be the server",
            )
            .with_hint("Use sslmode=verify-full."));
        }
        if tls.negotiation == SslNegotiation::Direct && tls.mode < SslMode::Require {
            return Err(Error::config(
                "sslnegotiation=direct with an sslmode that allows a connection without TLS cannot be kept",
            )
            .with_hint("Use sslmode=require, verify-ca or verify-full."));
        }
        if tls.least > tls.most {
            return Err(Error::config(
                "ssl_min_protocol_version is above ssl_max_protocol_version",
            ));
        }
        Ok(())
    }

    /// Where the servers listen, at least one.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database.
    pub fn database(&self) -> &str {
        self.database.as_deref().unwrap_or(&self.user)
    }

    /// The application name.
    pub fn application_name(&self) -> &str {
        &self.application_name
    }

    /// Which of several servers is taken.
    pub const fn target_session_attrs(&self) -> TargetSessionAttrs {
        self.target
    }

    /// In which order several servers are tried.
    pub const fn load_balance_hosts(&self) -> LoadBalanceHosts {
        self.load_balance
    }

    /// Whether TLS is used, and how much of the server's certificate is checked.
    pub const fn sslmode(&self) -> SslMode {
        self.tls.mode
    }

    /// How long connecting may take, zero for no limit.
    pub const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }
}

impl TryFrom<&str> for Config {
    type Error = Error;

    /// As [`Config::parse`].
    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&String> for Config {
    type Error = Error;

    /// As [`Config::parse`].
    fn try_from(text: &String) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Config {
    type Error = Error;

    /// As [`Config::parse`].
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<&Self> for Config {
    fn from(config: &Self) -> Self {
        config.clone()
    }
}

impl std::str::FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
