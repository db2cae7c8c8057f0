//! What a server is to be before its first start.

use std::path::{Path, PathBuf};

use super::Server;
use crate::Certificate;
use crate::install::Installation;

/// How a server is to be set up before its first start.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) installation: Installation,
    pub(super) settings: Vec<(String, String)>,
    pub(super) locale: String,
    pub(super) on_disk: bool,
    pub(super) allowed: Vec<String>,
    pub(super) files: Vec<(String, PathBuf)>,
    pub(super) sockets: Vec<String>,
}

impl Builder {
    pub(super) fn new(installation: Installation) -> Self {
        Self {
            installation,
            settings: Vec::new(),
            locale: "C".into(),
            on_disk: false,
            allowed: Vec::new(),
            files: Vec::new(),
            sockets: Vec::new(),
        }
    }

    /// Sets a configuration parameter; the last value given for a name counts.
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// Sets the locale of the cluster and of its messages, `C` if not given.
    pub fn locale(mut self, locale: &str) -> Self {
        self.locale = locale.into();
        self
    }

    /// Puts a line in front of pg_hba.conf, such as `host all me 127.0.0.1/32 scram-sha-256`.
    pub fn allow(mut self, line: &str) -> Self {
        self.allowed.push(line.into());
        self
    }

    /// Lets it offer TLS with this certificate.
    pub fn tls(self, certificate: &Certificate) -> Self {
        self.setting("ssl", "on")
            .file("server.crt", &certificate.file)
            .file("server.key", &certificate.key)
    }

    /// Copies a file into the data folder, where only the server's user can read it.
    pub fn file(mut self, name: &str, from: &Path) -> Self {
        self.files.push((name.into(), from.into()));
        self
    }

    /// Lets it listen on another Unix socket too: a folder, or an abstract name behind `@`.
    pub fn socket(mut self, place: &str) -> Self {
        self.sockets.push(place.into());
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
    pub fn start(self) -> Server {
        Server::new(self)
    }
}
