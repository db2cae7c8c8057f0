//! Where a server listens, how the socket is set, and which of several servers is wanted.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A place where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The folder of a Unix socket.
    Unix(PathBuf),
    /// A Unix socket in Linux's abstract namespace, without the `@` that it is written with.
    Abstract(String),
    /// The Unix socket in one of the usual folders if there is one, otherwise `localhost`.
    Default,
}

/// The folders that [`Host::Default`] stands for, in this order.
pub(crate) const SOCKET_FOLDERS: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];

impl Host {
    /// As libpq tells them apart: `/` begins a folder, `@` an abstract socket, and nothing is the default.
    pub(crate) fn of(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(name) => Self::Abstract(name.to_owned()),
            None if text.is_empty() => Self::Default,
            None if text.starts_with('/') => Self::Unix(text.into()),
            None => Self::Tcp(text.to_owned()),
        }
    }
}

/// One of the servers that a connection string names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) host: Host,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Endpoint {
    /// A server at a name or address or, where the text begins with `/`, in the folder of a Unix socket; with `@`, in
    /// the abstract namespace.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: Host::of(host),
            address: None,
            port,
        }
    }

    /// Sets the address that is connected to, so that the host's name is not looked up.
    #[must_use]
    pub const fn with_address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Where it listens.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Its address, where that is given apart from the name that its certificate has: libpq's `hostaddr`.
    ///
    /// It is what is connected to, also where the host is a folder.
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The port, also part of the name of a Unix socket.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// Which of several servers is taken: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetSessionAttrs {
    /// The first that lets us in.
    #[default]
    Any,
    /// One that takes changes.
    ReadWrite,
    /// One that takes none.
    ReadOnly,
    /// One that is no standby.
    Primary,
    /// A standby.
    Standby,
    /// A standby, or else any.
    PreferStandby,
}

impl TargetSessionAttrs {
    /// As libpq spells them.
    pub(super) const NAMES: [(&str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];
}

/// In which order several servers are tried: libpq's `load_balance_hosts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadBalanceHosts {
    /// As they are written.
    #[default]
    Disable,
    /// In an order that is drawn at each attempt, the addresses of a name too.
    Random,
}

impl LoadBalanceHosts {
    /// As libpq spells them.
    pub(super) const NAMES: [(&str, Self); 2] =
        [("disable", Self::Disable), ("random", Self::Random)];
}

/// When the system's own means notice that a peer is gone: libpq's `keepalives…` and `tcp_user_timeout`. What is not
/// set is as the system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub(crate) keepalives: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) count: Option<u32>,
    pub(crate) user_timeout: Option<Duration>,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            keepalives: true,
            idle: None,
            interval: None,
            count: None,
            user_timeout: None,
        }
    }
}
