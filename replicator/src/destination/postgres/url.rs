//! What the URL of a PostgreSQL server says, in the driver's terms.
//!
//! Parameters are read here and not by the driver, which prints those that it does not know, whatever they hold.

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::destination::tls::{Mode, Parameters};
use crate::destination::url;
use crate::error::{Error, Result};

const HINT: &str = "a destination is postgres://user:password@host:port/database; as parameters it knows host, port, \
                    user, password, dbname, application_name, options, sslmode, sslrootcert, sslcert and sslkey";

/// Variables that stand for parameters, as libpq reads them.
const VARIABLES: [(&str, &str); 4] = [
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
];

/// Reads a URL; what it does not say may be in the environment.
///
/// # Errors
///
/// Names what is wrong, without values that may be secret.
pub(super) fn read(
    url: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<PgConnectOptions> {
    let (_, parameters) = url::split(url);
    let mut tls = Parameters::default();
    for (variable, name) in VARIABLES {
        if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
            tls.take(name, &value)?;
        }
    }
    let mut named = false;
    for (name, value) in &parameters {
        if tls.take(name, value)? {
            continue;
        }
        match &**name {
            "application_name" => named = true,
            "host" | "hostaddr" | "port" | "user" | "password" | "dbname" | "options" => {}
            other if other.starts_with("options[") => {}
            other => {
                return Err(Error::usage(format!(
                    "the URL of the destination has the unknown parameter {other}"
                ))
                .with_hint(HINT));
            }
        }
    }
    let tls = tls.settle()?;
    let options: PgConnectOptions = without_tls(url).parse().map_err(|_| {
        Error::usage("the destination is not a URL of a PostgreSQL database").with_hint(HINT)
    })?;
    let mut options = options.ssl_mode(match tls.mode {
        Mode::Disable => PgSslMode::Disable,
        Mode::Prefer => PgSslMode::Prefer,
        Mode::Require => PgSslMode::Require,
        Mode::VerifyCa => PgSslMode::VerifyCa,
        Mode::VerifyFull => PgSslMode::VerifyFull,
    });
    if let Some(roots) = tls.roots {
        options = options.ssl_root_cert(roots);
    }
    if let Some((certificate, key)) = tls.identity {
        options = options.ssl_client_cert(certificate).ssl_client_key(key);
    }
    if !named {
        options = options.application_name("replicator");
    }
    Ok(options)
}

/// The URL as the driver may read it: what was settled here would be read otherwise there.
fn without_tls(url: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let about_tls = |pair: &&str| {
        let (_, parameters) = url::split(&format!("?{pair}"));
        parameters
            .iter()
            .any(|(name, value)| matches!(Parameters::default().take(name, value), Ok(true)))
    };
    let rest: Vec<&str> = query.split('&').filter(|pair| !about_tls(pair)).collect();
    format!("{place}?{}", rest.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_url_is_read_with_its_parameters() {
        let url = "postgresql://u:p%40@db.example:5433/shop?sslmode=require&application_name=mine&options=-c%20x%3D1";
        let options = read(url, nothing).unwrap();
        assert_eq!(
            (options.get_host(), options.get_port()),
            ("db.example", 5433)
        );
        assert_eq!(options.get_database(), Some("shop"));
        assert_eq!(options.get_application_name(), Some("mine"));
        assert_eq!(options.get_options(), Some("-c x=1"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        let socket = read("postgres:///d?host=%2Ftmp&port=6000&user=u", nothing).unwrap();
        assert_eq!((socket.get_port(), socket.get_username()), (6000, "u"));
        assert_eq!(socket.get_application_name(), Some("replicator"));
    }

    #[test]
    fn the_url_counts_more_than_the_environment() {
        let environment = |name: &str| (name == "PGSSLMODE").then(|| "disable".to_owned());
        let said = read("postgres://u@h/d?sslmode=verify-full", environment).unwrap();
        assert!(matches!(said.get_ssl_mode(), PgSslMode::VerifyFull));
        let silent = read("postgres://u@h/d", environment).unwrap();
        assert!(matches!(silent.get_ssl_mode(), PgSslMode::Disable));
    }

    #[test]
    fn what_is_wrong_is_named_without_secrets() {
        for (url, words) in [
            (
                "postgres://u:secret@h/d?pasword=secret",
                "unknown parameter pasword",
            ),
            ("postgres://u:secret@h/d?sslmode=on", "sslmode=on"),
            ("postgres://u:secret@h:x/d", "not a URL"),
            ("postgres://u:secret@h/d?port=secret", "not a URL"),
        ] {
            let error = read(url, nothing).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{url}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
