//! What a MariaDB server is to be before its first start.

use std::path::{Path, PathBuf};

use super::MariaDb;
use crate::Certificate;

/// How a server is to be set up before its first start.
#[derive(Clone, Debug, Default)]
pub struct MariaDbBuilder {
    pub(super) settings: Vec<(String, String)>,
    pub(super) files: Vec<(String, PathBuf)>,
    pub(super) on_disk: bool,
}

impl MariaDbBuilder {
    /// Sets an option of the server, such as `read_only`; the last value given for a name counts.
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// Lets it offer TLS with this certificate.
    pub fn tls(self, certificate: &Certificate) -> Self {
        // Relative to the data directory, which lies beside them.
        self.file("server.crt", &certificate.file)
            .file("server.key", &certificate.key)
            .setting("ssl_cert", "../server.crt")
            .setting("ssl_key", "../server.key")
    }

    /// Lets it ask clients for certificates of this authority.
    pub fn client_authority(self, certificate: &Path) -> Self {
        self.file("authority.crt", certificate)
            .setting("ssl_ca", "../authority.crt")
    }

    /// Copies a file into the folder beside the data, where only the server's user can read it.
    pub fn file(mut self, name: &str, from: &Path) -> Self {
        self.files.push((name.into(), from.into()));
        self
    }

    /// Keeps the data on disk also where there is memory enough: for tests that write gigabytes.
    pub fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }

    /// Starts the server and returns when it answers.
    ///
    /// # Panics
    ///
    /// If it does not start; the message holds its log.
    pub fn start(self) -> MariaDb {
        MariaDb::new(self)
    }
}
