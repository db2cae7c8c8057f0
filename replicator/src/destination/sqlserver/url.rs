//! What a `sqlserver://` URL says: host, user, database and TLS.

use crate::destination::tls::{Parameters, Tls};
use crate::destination::url::{decoded, split};
use crate::error::{Error, Result};

/// Where a server listens that was told nothing else.
const PORT: u16 = 1433;

/// How a URL of ours looks.
const KNOWN: &str = "a destination is sqlserver://user:password@host:port/database; of parameters it knows sslmode, \
                     sslrootcert and delayed_durability";

/// Where the server is and how to talk to it.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
    pub(super) tls: Tls,
    /// Whether a database will do that may lose what it has committed.
    pub(super) takes_delayed: bool,
}

impl std::fmt::Debug for Address {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place())
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// Names what is wrong with it, without the password.
    pub(super) fn read(url: &str) -> Result<Self> {
        let wrong = |what: &str| Error::usage(what).with_hint(KNOWN);
        let (place, parameters) = split(url);
        let (_, place) = place.split_once("://").unwrap_or_default();
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        if user.is_empty() {
            return Err(wrong("the destination names no user"));
        }
        let database = decoded(database);
        if database.is_empty() {
            return Err(wrong("the destination names no database"));
        }
        let (host, port) = server(host)?;
        let (mut tls, mut takes_delayed) = (Parameters::default(), false);
        for (name, value) in parameters {
            match &*name.to_ascii_lowercase().replace('_', "-") {
                "sslcert" | "ssl-cert" | "sslkey" | "ssl-key" => {
                    return Err(wrong(&format!(
                        "in the URL of the destination, {name} is of no use: SQL Server asks for no certificate of ours"
                    )));
                }
                "delayed-durability" if value == "accept" => takes_delayed = true,
                "delayed-durability" => {
                    return Err(wrong(
                        "in the URL of the destination, delayed_durability can only be accept",
                    ));
                }
                _ if tls.take(&name, &value)? => {}
                _ => {
                    return Err(wrong(&format!(
                        "the destination's URL has the unknown parameter {name:?}"
                    )));
                }
            }
        }
        Ok(Self {
            host,
            port: port.unwrap_or(PORT),
            user: decoded(user),
            password: decoded(password),
            database,
            tls: tls.settle()?,
            takes_delayed,
        })
    }

    /// Host and port.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The same at another place, where the server sends us.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let (host, _) = host.split_once('\\').unwrap_or((host, ""));
        Self {
            host: host.to_owned(),
            port,
            ..self.clone()
        }
    }
}

/// Host and port. An instance is only a name for a port, which a service of the server's machine would know.
fn server(text: &str) -> Result<(String, Option<u16>)> {
    let wrong = |what: &str| Error::usage(what).with_hint(KNOWN);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| wrong("the destination's host has no closing bracket"))?;
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return Err(wrong("the destination's host has more behind its bracket")),
            }
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map(|port| {
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        port.ok_or_else(|| wrong("the destination's port is no number from 1 to 65535"))
    });
    let (host, port) = (decoded(host), port.transpose()?);
    match (host.split_once('\\'), port) {
        _ if host.is_empty() => Err(wrong("the destination names no host")),
        (Some((host, instance)), None) => Err(Error::usage(format!(
            "the destination names the instance {instance:?} of {host:?} without its port"
        ))
        .with_hint(
            "give the port that the instance listens at (SELECT local_tcp_port FROM sys.dm_exec_connections \
             WHERE session_id = @@SPID there), and a fixed one in its configuration",
        )),
        (Some((host, _)), port) => Ok((host.to_owned(), port)),
        (None, port) => Ok((host, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::tls::Mode;

    #[test]
    fn a_url_says_where_and_how() {
        let url = "sqlserver://sa:p%40%3A%2f@db.example:1444/shop%20two?sslmode=verify-full";
        let address = Address::read(url).unwrap();
        assert_eq!(address.place(), "db.example:1444");
        assert_eq!((&*address.user, &*address.password), ("sa", "p@:/"));
        assert_eq!(address.database, "shop two");
        assert_eq!(address.tls.mode, Mode::VerifyFull);
        assert!(!address.takes_delayed && !format!("{address:?}").contains("p@"));

        for (url, place) in [
            ("sqlserver://u@h/d", "h:1433"),
            ("sqlserver://u@[::1]/d", "[::1]:1433"),
            ("sqlserver://u@[::1]:7/d", "[::1]:7"),
            // The port is what counts.
            ("sqlserver://u@h%5CSQLEXPRESS:1500/d", "h:1500"),
        ] {
            assert_eq!(Address::read(url).unwrap().place(), place, "{url}");
        }
        let url = "sqlserver://u@h/d?delayed_durability=accept";
        assert!(Address::read(url).unwrap().takes_delayed);
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for (url, word) in [
            ("sqlserver://u:secret@h", "no database"),
            ("sqlserver://u:secret@h/", "no database"),
            ("sqlserver://h/d", "no user"),
            ("sqlserver://u:secret@/d", "no host"),
            ("sqlserver://u:secret@h:x/d", "port"),
            ("sqlserver://u:secret@h:0/d", "port"),
            ("sqlserver://u:secret@[::1/d", "bracket"),
            ("sqlserver://u:secret@[::1]x/d", "bracket"),
            (
                "sqlserver://u:secret@h\\SQLEXPRESS/d",
                "instance \"SQLEXPRESS\"",
            ),
            ("sqlserver://u:secret@h/d?encrypt=true", "encrypt"),
            ("sqlserver://u:secret@h/d?sslmode=no", "sslmode"),
            ("sqlserver://u:secret@h/d?sslcert=/x", "sslcert"),
            (
                "sqlserver://u:secret@h/d?delayed_durability=yes",
                "delayed_durability",
            ),
        ] {
            let error = Address::read(url).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{url}");
            assert!(text.contains(word) && !text.contains("secret"), "{text}");
        }
    }
}
