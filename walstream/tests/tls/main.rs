//! TLS and logins over it, against real servers with certificates of every kind; psql says what is right.

mod clients;
mod logins;
mod oracle;
mod refusals;
mod stream;
mod surroundings;

use std::path::{Path, PathBuf};
use std::process::Command;

use testdata::{Certificates, Server};
use walstream::{
    ChannelBinding, Client, Config, Endpoint, Environment, Error, RootCertificates, SslMode,
    SslNegotiation,
};

const MODES: [(SslMode, &str); 6] = [
    (SslMode::Disable, "disable"),
    (SslMode::Allow, "allow"),
    (SslMode::Prefer, "prefer"),
    (SslMode::Require, "require"),
    (SslMode::VerifyCa, "verify-ca"),
    (SslMode::VerifyFull, "verify-full"),
];

/// The same parameters for us and for psql.
#[derive(Clone, Debug)]
struct Asked<'a> {
    host: &'a str,
    user: &'a str,
    password: Option<&'a str>,
    mode: SslMode,
    roots: Option<PathBuf>,
    revoked: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
    key_password: Option<&'a str>,
    binding: ChannelBinding,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            host: "localhost",
            user: "postgres",
            password: None,
            mode: SslMode::Prefer,
            roots: None,
            revoked: None,
            identity: None,
            key_password: None,
            binding: ChannelBinding::Prefer,
        }
    }
}

impl Asked<'_> {
    fn config(&self, server: &Server) -> Config {
        let endpoint = Endpoint::new(self.host, server.port()).with_address([127, 0, 0, 1].into());
        let mut config = Config::new(self.host, self.user)
            .with_endpoints([endpoint])
            .with_database("postgres")
            .with_sslmode(self.mode)
            .with_channel_binding(self.binding);
        if let Some(password) = self.password {
            config = config.with_password(password);
        }
        if let Some(roots) = &self.roots {
            config = config.with_sslrootcert(RootCertificates::File(roots.clone()));
        }
        if let Some(revoked) = &self.revoked {
            config = config.with_sslcrl(revoked);
        }
        if let Some((certificate, key)) = &self.identity {
            config = config.with_sslcert(certificate).with_sslkey(key);
        }
        if let Some(password) = self.key_password {
            config = config.with_sslpassword(password);
        }
        // The same words as psql gets mean the same here.
        let text = self.conninfo(server);
        let read = Config::parse_in(&text, &Environment::empty()).unwrap();
        assert_eq!(read, config, "{text}");
        read
    }

    fn conninfo(&self, server: &Server) -> String {
        let mode = MODES.iter().find(|(mode, _)| *mode == self.mode).unwrap().1;
        let binding = match self.binding {
            ChannelBinding::Disable => "disable",
            ChannelBinding::Prefer => "prefer",
            ChannelBinding::Require => "require",
        };
        let mut text = format!(
            "host={} hostaddr=127.0.0.1 port={} user={} dbname=postgres sslmode={mode} channel_binding={binding} gssencmode=disable",
            self.host,
            server.port(),
            self.user
        );
        let (certificate, key) = self.identity.clone().unzip();
        for (name, value) in [
            ("sslrootcert", &self.roots),
            ("sslcrl", &self.revoked),
            ("sslcert", &certificate),
            ("sslkey", &key),
        ] {
            if let Some(value) = value {
                text += &format!(" {name}={}", value.display());
            }
        }
        for (name, value) in [
            ("password", self.password),
            ("sslpassword", self.key_password),
        ] {
            if let Some(value) = value {
                text += &format!(" {name}='{value}'");
            }
        }
        text
    }

    /// Whether we get in, and then whether over TLS.
    async fn ours(&self, server: &Server) -> Result<bool, Error> {
        over_tls(&self.config(server)).await
    }

    /// Whether psql gets in, and then whether over TLS.
    fn psqls(&self, server: &Server, home: &Path) -> Result<bool, String> {
        let output = Command::new(testdata::program("psql"))
            .args(["-XAtwc", OVER_TLS, &self.conninfo(server)])
            .env_clear()
            .env("HOME", home)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        match &*output.stdout {
            b"t\n" if output.status.success() => Ok(true),
            b"f\n" if output.status.success() => Ok(false),
            _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Asserts that we do what psql does, and returns that.
    async fn agreed(&self, server: &Server, home: &Path, what: &str) -> Option<bool> {
        let (ours, psqls) = (self.ours(server).await, self.psqls(server, home));
        assert_eq!(
            ours.as_ref().ok(),
            psqls.as_ref().ok(),
            "{what}, {self:?}: we {ours:?}, psql {psqls:?}"
        );
        psqls.ok()
    }
}

const OVER_TLS: &str =
    "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";

async fn over_tls(config: &Config) -> Result<bool, Error> {
    let mut client = Client::connect(config).await?;
    let rows = client.query(OVER_TLS).await?;
    Ok(rows[0].get(0) == Some("t"))
}

async fn refused(config: &Config) -> Error {
    match Client::connect(config).await {
        Ok(_) => panic!("{config} let us in"),
        Err(error) => error,
    }
}

fn sql(server: &Server, text: &str) {
    testdata::Client::connect(server, "postgres")
        .and_then(|mut client| client.batch(text))
        .unwrap();
}

/// An empty folder, for psql to find nothing in.
fn home(certificates: &Certificates) -> PathBuf {
    let home = certificates.path("home");
    std::fs::create_dir_all(&home).unwrap();
    home
}

fn direct(config: Config) -> Config {
    config
        .with_sslnegotiation(SslNegotiation::Direct)
        .with_sslmode(SslMode::Require)
}
