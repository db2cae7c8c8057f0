//! The places where a server may be: names become addresses, and the default becomes what is there.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::failures::{Failed, Step};
use crate::config::{Endpoint, Host, SOCKET_FOLDERS};
use crate::error::{Error, ErrorKind};

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The path of a Unix socket, which begins with a zero byte where it is an abstract one.
    Unix(PathBuf),
    Tcp {
        /// The name that the server's certificate has to have.
        host: String,
        address: SocketAddr,
    },
}

impl Place {
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Unix(_) => "",
            Self::Tcp { host, .. } => host,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => {
                let path = path.to_string_lossy();
                match path.strip_prefix('\0') {
                    Some(name) => write!(f, "@{name}"),
                    None => f.write_str(&path),
                }
            }
            Self::Tcp { host, address } => {
                let ip = address.ip().to_string();
                if *host == ip {
                    return address.fmt(f);
                }
                write!(f, "{host}:{} ({ip})", address.port())
            }
        }
    }
}

/// The name of an endpoint whose addresses are not known.
pub(super) fn name(endpoint: &Endpoint) -> String {
    let port = endpoint.port;
    match &endpoint.host {
        Host::Tcp(host) => format!("{host}:{port}"),
        Host::Unix(folder) => socket(folder, port).display().to_string(),
        Host::Abstract(name) => format!("@{name}/.s.PGSQL.{port}"),
        Host::Default => format!("localhost:{port}"),
    }
}

/// The places of an endpoint, in the order in which the system names them.
pub(super) async fn resolve(endpoint: &Endpoint) -> Result<Vec<Place>, Failed> {
    let port = endpoint.port;
    // As libpq: with an address it is no Unix socket, and there may be no name to check a certificate by.
    let host = match &endpoint.host {
        Host::Tcp(host) => host,
        _ if endpoint.address.is_some() => "",
        Host::Unix(folder) => return Ok(vec![Place::Unix(socket(folder, port))]),
        Host::Abstract(name) => {
            return Ok(vec![Place::Unix(
                format!("\0{name}/.s.PGSQL.{port}").into(),
            )]);
        }
        Host::Default => {
            let mut paths = SOCKET_FOLDERS
                .map(|folder| socket(Path::new(folder), port))
                .into_iter();
            match paths.find(|path| path.exists()) {
                Some(path) => return Ok(vec![Place::Unix(path)]),
                None => "localhost",
            }
        }
    };
    let place = |address| Place::Tcp {
        host: host.to_owned(),
        address,
    };
    if let Some(address) = endpoint.address {
        return Ok(vec![place(SocketAddr::new(address, port))]);
    }
    let failed = |error: std::io::Error| {
        let what = format!("cannot find the address of \"{host}\"");
        Step::Elsewhere.failed(Error::new(ErrorKind::Connect, what).with_source(error))
    };
    let mut places: Vec<_> = Vec::new();
    for address in tokio::net::lookup_host((host, port))
        .await
        .map_err(failed)?
    {
        let place = place(address);
        // Some resolvers name an address once for each protocol.
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.is_empty() {
        return Err(failed(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the name has no address",
        )));
    }
    Ok(places)
}

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// Brings a list into an order that each call and each process draws anew.
pub(super) fn shuffle<T>(list: &mut [T]) {
    for end in (1..list.len()).rev() {
        // The hasher's keys are random; no more is asked for than that clients spread over servers.
        let random = RandomState::new().hash_one(end);
        let other = usize::try_from(random % (end as u64 + 1)).unwrap_or_default();
        list.swap(end, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_everything_and_comes_to_every_order() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut list = [1, 2, 3, 4];
            shuffle(&mut list);
            seen.insert(list);
            list.sort_unstable();
            assert_eq!(list, [1, 2, 3, 4]);
        }
        // 24 orders; that one of them is missing after 1000 draws happens once in 10^17.
        assert_eq!(seen.len(), 24);
    }
}
