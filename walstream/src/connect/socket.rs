//! A connected socket, set as the configuration says.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::failures::{Failed, Step};
use super::place::Place;
use crate::config::{Config, Tcp};
use crate::error::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub(super) async fn open(place: &Place, config: &Config) -> Result<Socket, Failed> {
    let unreachable = |error: io::Error| {
        let what = format!("cannot connect to {place}");
        Step::Unreachable.failed(Error::new(ErrorKind::Connect, what).with_source(error))
    };
    match place {
        Place::Tcp { address, .. } => tcp(*address, &config.tcp)
            .await
            .map(Socket::Tcp)
            .map_err(unreachable),
        Place::Unix(path) => {
            let socket = unix(path).await.map_err(unreachable)?;
            if let Some(user) = &config.require_peer {
                check_peer(&socket, user).map_err(|error| Step::Last.failed(error))?;
            }
            Ok(Socket::Unix(socket))
        }
    }
}

async fn tcp(address: SocketAddr, options: &Tcp) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A status update or a short query waits for nothing.
    socket.set_nodelay(true)?;
    let raw = SockRef::from(&socket);
    // Notices a peer that vanished while we wait for a long statement; the stream has its own timeout.
    if options.keepalives {
        let mut times = TcpKeepalive::new();
        if let Some(idle) = options.idle {
            times = times.with_time(idle);
        }
        if let Some(interval) = options.interval {
            times = times.with_interval(interval);
        }
        if let Some(count) = options.count {
            times = times.with_retries(count);
        }
        raw.set_keepalive(true)?;
        raw.set_tcp_keepalive(&times)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if options.user_timeout.is_some() {
        raw.set_tcp_user_timeout(options.user_timeout)?;
    }
    socket.connect(address).await
}

/// Tokio takes a path that begins with a zero byte as the name of an abstract socket.
async fn unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

fn check_peer(socket: &UnixStream, wanted: &str) -> Result<()> {
    let refused = |what: String| {
        Error::new(ErrorKind::Authentication, what).with_hint(
            "Check requirepeer, and who runs the server: this may not be the one you mean.",
        )
    };
    let uid = match socket.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            let what = "the user that the server runs as cannot be found out".to_owned();
            return Err(refused(what).with_source(error));
        }
    };
    match user(uid) {
        Some(user) if user == wanted => Ok(()),
        Some(user) => Err(refused(format!(
            "the server runs as the user \"{user}\", and requirepeer says \"{wanted}\""
        ))),
        None => Err(refused(format!(
            "the server runs as the user with number {uid}, who has no name here, and requirepeer says \"{wanted}\""
        ))),
    }
}

/// The name of a user of this machine. Directories elsewhere, such as LDAP, are not asked.
fn user(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_is_set_for_tcp_is_set_on_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = Tcp {
            keepalives: true,
            idle: Some(Duration::from_secs(41)),
            interval: Some(Duration::from_secs(7)),
            count: Some(5),
            user_timeout: Some(Duration::from_millis(43_210)),
        };
        let socket = tcp(address, &options).await.unwrap();
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(41)
        );
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            Duration::from_secs(7)
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_millis(43_210))
        );

        let plain = tcp(address, &Tcp::default()).await.unwrap();
        let plain = SockRef::from(&plain);
        assert!(plain.keepalive().unwrap());
        assert_eq!(plain.tcp_user_timeout().unwrap(), None);
        assert_ne!(plain.tcp_keepalive_time().unwrap(), Duration::from_secs(41));

        let off = Tcp {
            keepalives: false,
            ..options
        };
        let off = tcp(address, &off).await.unwrap();
        assert!(!SockRef::from(&off).keepalive().unwrap());
    }
}
