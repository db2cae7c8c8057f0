//! What a `mysql://` URL says: host, user, database, TLS, and a socket instead of the host.

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts, UrlError};

use crate::destination::tls::{Mode, Parameters, Tls};
use crate::destination::url::split;
use crate::error::{Error, Result};

/// Statements kept ready; updates that leave out different TOASTed columns each have their own.
const KEPT: usize = 256;

/// How a URL of ours looks.
const KNOWN: &str = "a destination is mysql://user:password@host:port/database, or mariadb://…; of parameters it knows \
                     sslmode, sslrootcert, sslcert, sslkey and socket";

/// Where the server is and how to talk to it.
#[derive(Clone)]
pub(super) struct Address {
    opts: Opts,
    tls: Tls,
    socket: Option<String>,
}

impl std::fmt::Debug for Address {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place())
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
        let wrong = |what: String| Error::usage(what).with_hint(KNOWN);
        let (place, parameters) = split(url);
        let (_, place) = place.split_once("://").unwrap_or_default();
        let opts = Opts::from_url(&format!("mysql://{place}")).map_err(|error| {
            let words = words(&error);
            wrong(format!(
                "the destination is not a URL of a MySQL database: {words}"
            ))
        })?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(wrong("the destination names no database".to_owned()));
        }
        let (mut tls, mut socket) = (Parameters::default(), None);
        for (name, value) in parameters {
            if tls.take(&name, &value)? {
                continue;
            }
            if name != "socket" {
                return Err(wrong(format!(
                    "the destination's URL has the unknown parameter {name:?}"
                )));
            }
            socket = Some(value);
        }
        Ok(Self {
            opts,
            tls: tls.settle()?,
            socket,
        })
    }

    /// Host and port, or the socket.
    pub(super) fn place(&self) -> String {
        match &self.socket {
            Some(socket) => socket.clone(),
            None => format!("{}:{}", self.opts.ip_or_hostname(), self.opts.tcp_port()),
        }
    }

    /// Whether a server that has no TLS will do.
    pub(super) fn takes_plain(&self) -> bool {
        self.tls.mode == Mode::Prefer
    }

    /// For the driver.
    pub(super) fn options(&self, plain: bool) -> Opts {
        let Tls {
            mode,
            roots,
            identity,
        } = &self.tls;
        let identity = identity
            .clone()
            .map(|(certificate, key)| ClientIdentity::new(certificate.into(), key.into()));
        let ssl = SslOpts::default()
            .with_root_certs(roots.iter().cloned().map(Into::into).collect())
            // Who names a root means that one.
            .with_disable_built_in_roots(roots.is_some())
            .with_client_identity(identity)
            .with_danger_accept_invalid_certs(matches!(mode, Mode::Prefer | Mode::Require))
            .with_danger_skip_domain_validation(*mode != Mode::VerifyFull);
        let encrypts = !plain && *mode != Mode::Disable && self.socket.is_none();
        OptsBuilder::from_opts(self.opts.clone())
            .ssl_opts(encrypts.then_some(ssl))
            .socket(self.socket.clone())
            // The path that a server names may lead to another one here: behind a tunnel, or in a container.
            .prefer_socket(false)
            // An update that changes nothing must count its row.
            .client_found_rows(true)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(std::time::Duration::from_secs(10)))
            .stmt_cache_size(KEPT)
            .into()
    }
}

/// What the driver found wrong; it may repeat what it was given, which may be a password.
fn words(error: &UrlError) -> String {
    match error {
        UrlError::Parse(error) => error.to_string(),
        _ => "it needs at least host and database".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_how() {
        let url = "mariadb://u:p%40@db.example:3307/shop?ssl-mode=VERIFY_IDENTITY";
        let address = Address::read(url).unwrap();
        assert_eq!(address.place(), "db.example:3307");
        assert_eq!(address.tls.mode, Mode::VerifyFull);
        assert_eq!(address.opts.pass(), Some("p@"));
        assert!(address.options(false).ssl_opts().is_some() && !address.takes_plain());

        let address = Address::read("mysql://u@h/shop?sslmode=disable").unwrap();
        assert_eq!(address.place(), "h:3306");
        let options = address.options(false);
        assert!(options.client_found_rows() && options.ssl_opts().is_none());

        let address = Address::read("mysql://u@h/shop?socket=%2Frun%2Fmysqld.sock").unwrap();
        assert_eq!(address.place(), "/run/mysqld.sock");
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for (url, word) in [
            ("mysql://u:secret@h", "database"),
            ("mysql://u:secret@h/", "database"),
            ("mysql://u:secret@h:x/d", "port"),
            ("mysql://u:secret@h/d?pool_min=1", "pool_min"),
            ("mysql://u:secret@h/d?sslmode=no", "sslmode"),
        ] {
            let error = Address::read(url).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{url}");
            assert!(text.contains(word) && !text.contains("secret"), "{text}");
        }
    }
}
