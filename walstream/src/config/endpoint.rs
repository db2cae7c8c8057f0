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

/// One of the servers that a connection string names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) host: Host,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Endpoint {
    /// A server that listens there.
    pub const fn new(host: Host, port: u16) -> Self {
        Self {
            host,
            address: None,
            port,
        }
    }

    /// Sets the address to connect to, for a name that only the certificate has: libpq's `hostaddr`.
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

/// In which order several servers are tried: libpq's `load_balance_hosts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadBalanceHosts {
    /// As they are written.
    #[default]
    Disable,
    /// In an order that is drawn at each attempt, the addresses of a name too.
    Random,
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
