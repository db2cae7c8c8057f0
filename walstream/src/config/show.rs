//! Configurations in messages and logs, without secrets.

use std::fmt;
use std::net::Ipv6Addr;

use super::{Config, Host};
use crate::conninfo;

impl fmt::Display for Config {
    /// The places and the role, without secrets: `postgres://app@db.example:5433/shop`. It can be parsed again.
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
                // An IPv6 address; of a name that merely looks so every character is encoded.
                Host::Tcp(name) if name.parse::<Ipv6Addr>().is_ok() => {
                    write!(f, "[{name}]:{port}")?
                }
                Host::Tcp(name) => write!(f, "{}:{port}", conninfo::Encoded(name))?,
                Host::Unix(folder) => {
                    let folder = folder.to_string_lossy();
                    write!(f, "{}:{port}", conninfo::Encoded(&folder))?;
                }
                Host::Abstract(name) => write!(f, "%40{}:{port}", conninfo::Encoded(name))?,
                Host::Default => write!(f, ":{port}")?,
            }
        }
        write!(f, "/{database}")?;
        if self
            .endpoints
            .iter()
            .any(|endpoint| endpoint.address.is_some())
        {
            let addresses = self.endpoints.iter().map(|endpoint| {
                let address = endpoint.address.map(|address| address.to_string());
                address.unwrap_or_default()
            });
            write!(f, "?hostaddr={}", addresses.collect::<Vec<_>>().join(","))?;
        }
        Ok(())
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
            .field("passfile", &self.passfile)
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
