//! Where a server is, who we are there, and how long we wait.

mod authentication;
mod endpoint;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use authentication::Authentication;
pub use authentication::{AuthMethod, ChannelBinding};
pub(crate) use endpoint::Tcp;
pub use endpoint::{Endpoint, Host, LoadBalanceHosts, TargetSessionAttrs};
pub(crate) use tls::Tls;
pub use tls::{RootCertificates, SslCertMode, SslMode, SslNegotiation, TlsVersion};

use crate::conninfo;
use crate::error::{Error, Result};

/// How to reach a server.
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
    pub fn new(host: &str, user: &str) -> Self {
        Self {
            user: user.to_owned(),
            ..Self::unnamed()
        }
        .with_host(host)
    }

    /// Reads `postgres://user:password@host:port/database?parameter=value` or `host=… port=… user=…`.
    ///
    /// Parameters are those of libpq that have a meaning here: `host`, `port`, `user`, `password`, `dbname`,
    /// `application_name`, `options`, `connect_timeout` (seconds, 0 for no limit), `sslmode` (`disable`, `allow` and
    /// `prefer`, all of which connect without TLS for now); and our own `wal_sender_timeout` and `max_message_size`
    /// (milliseconds and bytes, or with a unit as in postgresql.conf). The user defaults to the one who runs the process,
    /// the database to the name of the user.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) names the parameter that is unknown, malformed or asks for what
    /// there is not. Nothing is ignored.
    pub fn parse(text: &str) -> Result<Self> {
        let mut config = Self::unnamed();
        for (name, value) in conninfo::parse(text)? {
            config.set(&name, value)?;
        }
        if config.user.is_empty() {
            config.user = own_user().ok_or_else(|| {
                Error::config("the connection string names no user")
                    .with_hint("Put user= or postgres://USER@… into it.")
            })?;
        }
        config.check()?;
        Ok(config)
    }

    fn unnamed() -> Self {
        Self {
            endpoints: vec![Endpoint {
                host: Host::Default,
                address: None,
                port: 5432,
            }],
            target: TargetSessionAttrs::default(),
            load_balance: LoadBalanceHosts::default(),
            user: String::new(),
            password: None,
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

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "host" => self.first().host = host(&value)?,
            "port" => {
                self.first().port = match value.parse() {
                    Ok(port) if port > 0 => port,
                    _ if value.contains(',') => return Err(several()),
                    // The value stays untold: an unencoded / or @ in a password makes a part of it look like a port.
                    _ => {
                        return Err(Error::config("the port is not a number from 1 to 65535")
                            .with_hint(conninfo::ENCODE));
                    }
                }
            }
            "user" => self.user = value,
            "password" => self.password = Some(value).filter(|value| !value.is_empty()),
            "dbname" => self.database = Some(value).filter(|value| !value.is_empty()),
            "application_name" => self.application_name = value,
            "options" => self.options = Some(value).filter(|value| !value.is_empty()),
            "connect_timeout" => {
                let seconds = value
                    .parse()
                    .map_err(|_| malformed(name, &value, "a number of seconds"))?;
                self.connect_timeout = Duration::from_secs(seconds);
            }
            "sslmode" => match &*value {
                "disable" | "allow" | "prefer" => {}
                "require" | "verify-ca" | "verify-full" => {
                    return Err(Error::config(format!("sslmode={value} asks for TLS, which is not there yet"))
                        .with_hint("Connect over a Unix socket, a private network or a tunnel with sslmode=disable."));
                }
                _ => return Err(malformed(name, &value, "disable, allow or prefer")),
            },
            "wal_sender_timeout" => {
                let units = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000)];
                let milliseconds = number(&value, &units)
                    .ok_or_else(|| malformed(name, &value, "a time such as 15s or 15000"))?;
                self.wal_sender_timeout = Duration::from_millis(milliseconds);
            }
            "max_message_size" => {
                let units = [("B", 1), ("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];
                self.max_message_size = number(&value, &units)
                    .and_then(|bytes| usize::try_from(bytes).ok())
                    .ok_or_else(|| malformed(name, &value, "a size such as 256MB"))?;
            }
            _ => {
                return Err(Error::config(format!("unknown connection parameter \"{}\"", name.escape_debug())).with_hint(
                    "Known are host, port, user, password, dbname, application_name, options, connect_timeout, sslmode, wal_sender_timeout and max_message_size.",
                ));
            }
        }
        Ok(())
    }

    fn first(&mut self) -> &mut Endpoint {
        self.endpoints
            .first_mut()
            .expect("there is at least one endpoint")
    }

    /// What setters accept and a server would not.
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [
            ("user", Some(&self.user)),
            ("password", self.password.as_ref()),
            ("dbname", self.database.as_ref()),
            ("application_name", Some(&self.application_name)),
            ("options", self.options.as_ref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(Error::config(format!("{name} contains a zero byte")));
            }
        }
        if self.user.is_empty() {
            return Err(Error::config("the user's name is empty"));
        }
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

    /// Sets the TCP name or address or, where the text begins with `/`, the folder of the Unix socket.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.first().host = if host.starts_with('/') {
            Host::Unix(host.into())
        } else {
            Host::Tcp(host.to_owned())
        };
        self
    }

    /// Sets the port, also part of the name of a Unix socket; 5432 if not set.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.first().port = port;
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Sets the database; the user's name if not set.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        self.database = Some(database.to_owned());
        self
    }

    /// Sets the name under which `pg_stat_activity` and `synchronous_standby_names` know us; `walstream` if not set.
    #[must_use]
    pub fn with_application_name(mut self, name: &str) -> Self {
        self.application_name = name.to_owned();
        self
    }

    /// Sets command line options for the server's session, such as `-c work_mem=64MB`.
    ///
    /// Settings that shape values or end sessions are fixed, see [`Client::connect`](crate::Client::connect);
    /// connecting fails if one of them is among the options.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        self.options = Some(options.to_owned());
        self
    }

    /// Sets how long connecting to one address may take, login included; zero for no limit, 30 seconds if not set.
    #[must_use]
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets after how much silence of ours the server ends a replication session and frees its slot; zero for never,
    /// 15 seconds if not set.
    #[must_use]
    pub const fn with_wal_sender_timeout(mut self, timeout: Duration) -> Self {
        self.wal_sender_timeout = timeout;
        self
    }

    /// Sets the largest message that is accepted, and so how much memory one row may take; 1 GiB if not set, which
    /// is more than a server can send.
    #[must_use]
    pub const fn with_max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets the servers, which are tried in this order until one lets us in; none leaves them as they are.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        if !endpoints.is_empty() {
            self.endpoints = endpoints;
        }
        self
    }

    /// Sets the address to connect to, while the host's name is what the certificate is checked for.
    #[must_use]
    pub fn with_hostaddr(mut self, address: IpAddr) -> Self {
        self.first().address = Some(address);
        self
    }

    /// Sets which of several servers is taken; the first that lets us in if not set.
    #[must_use]
    pub const fn with_target_session_attrs(mut self, target: TargetSessionAttrs) -> Self {
        self.target = target;
        self
    }

    /// Sets the order in which several servers are tried; as they are written if not set.
    #[must_use]
    pub const fn with_load_balance_hosts(mut self, order: LoadBalanceHosts) -> Self {
        self.load_balance = order;
        self
    }

    /// Sets whether TLS is used; [`SslMode::Prefer`] if not set.
    #[must_use]
    pub const fn with_ssl_mode(mut self, mode: SslMode) -> Self {
        self.tls.mode = mode;
        self
    }

    /// Sets how TLS begins.
    #[must_use]
    pub const fn with_ssl_negotiation(mut self, negotiation: SslNegotiation) -> Self {
        self.tls.negotiation = negotiation;
        self
    }

    /// Sets whose certificates vouch for servers.
    #[must_use]
    pub fn with_root_certificates(mut self, roots: RootCertificates) -> Self {
        self.tls.roots = roots;
        self
    }

    /// Sets the file of the client's certificate and that of its key, both in PEM form.
    #[must_use]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls.certificate = Some(certificate.into());
        self.tls.key = Some(key.into());
        self
    }

    /// Sets the password of the client's key.
    #[must_use]
    pub fn with_ssl_password(mut self, password: &str) -> Self {
        self.tls.key_password = Some(password.to_owned());
        self
    }

    /// Sets whether the client shows a certificate.
    #[must_use]
    pub const fn with_ssl_cert_mode(mut self, mode: SslCertMode) -> Self {
        self.tls.certificate_mode = mode;
        self
    }

    /// Sets the file of revoked certificates, in PEM form.
    #[must_use]
    pub fn with_revoked(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.revoked = Some(file.into());
        self
    }

    /// Sets whether the login is bound to the TLS connection; [`ChannelBinding::Prefer`] if not set.
    #[must_use]
    pub const fn with_channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.authentication.channel_binding = binding;
        self
    }

    /// Sets by which methods a server may let us in; by all of them if not set.
    #[must_use]
    pub fn with_require_auth(mut self, methods: &[AuthMethod]) -> Self {
        let allowed = AuthMethod::ALL.map(|method| methods.contains(&method));
        self.authentication.allowed = Some(allowed);
        self
    }

    /// Sets the operating system's user that a server behind a Unix socket has to run as.
    #[must_use]
    pub fn with_require_peer(mut self, user: &str) -> Self {
        self.require_peer = Some(user.to_owned());
        self
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
}

impl std::str::FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

fn host(value: &str) -> Result<Host> {
    match value {
        "" => Ok(Host::Default),
        _ if value.contains('\0') => Err(Error::config("host contains a zero byte")),
        _ if value.starts_with('/') => Ok(Host::Unix(value.into())),
        _ if value.contains(',') => Err(several()),
        _ if value.starts_with('@') => {
            Err(Error::config("abstract Unix sockets are not supported"))
        }
        _ => Ok(Host::Tcp(value.to_owned())),
    }
}

/// The name of the user who runs this process.
fn own_user() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    variable("USER")
        .or_else(|| variable("LOGNAME"))
        .or_else(|| {
            // Containers often set neither.
            let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
            let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
            let mut fields = passwd.lines().map(|line| line.split(':'));
            fields.find_map(|mut fields| {
                let name = fields.next()?;
                (fields.nth(1)? == uid).then(|| name.to_owned())
            })
        })
}

fn several() -> Error {
    Error::config("the connection string names several hosts, which is not supported yet")
        .with_hint("Name exactly one.")
}

fn malformed(name: &str, value: &str, expected: &str) -> Error {
    Error::config(format!(
        "connection parameter {name} is \"{}\" instead of {expected}",
        value.escape_debug()
    ))
}

/// A number with one of these units, or without one.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let factor = match unit.trim_start() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

impl fmt::Display for Config {
    /// The places and the role, without the password: `postgres://app@db.example:5433/shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, database) = (
            conninfo::Encoded(&self.user),
            conninfo::Encoded(self.database()),
        );
        write!(f, "postgres://{user}@")?;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let port = endpoint.port;
            if at > 0 {
                f.write_str(",")?;
            }
            match &endpoint.host {
                Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{port}")?,
                Host::Tcp(name) => write!(f, "{name}:{port}")?,
                Host::Unix(folder) => {
                    let folder = folder.to_string_lossy();
                    write!(f, "{}:{port}", conninfo::Encoded(&folder))?;
                }
                Host::Abstract(name) => write!(f, "%40{}:{port}", conninfo::Encoded(name))?,
                Host::Default => write!(f, ":{port}")?,
            }
        }
        write!(f, "/{database}")
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoints", &self.endpoints)
            .field("target", &self.target)
            .field("load_balance", &self.load_balance)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("database", &self.database)
            .field("application_name", &self.application_name)
            .field("options", &self.options)
            .field("tls", &self.tls)
            .field("authentication", &self.authentication)
            .field("tcp", &self.tcp)
            .field("require_peer", &self.require_peer)
            .field("connect_timeout", &self.connect_timeout)
            .field("wal_sender_timeout", &self.wal_sender_timeout)
            .field("max_message_size", &self.max_message_size)
            .finish()
    }
}
