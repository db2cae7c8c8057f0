//! Finds what `testdata/install` has made available; the rule is written down at the top of that script.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Version;

const SYSTEM_CACHE: &str = "/var/cache/replicator-testdata";

/// A complete server on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// Its entry under `servers/`.
    pub(crate) name: String,
    /// The folder that holds `bin/postgres`.
    pub(crate) folder: PathBuf,
    pub(crate) version: Version,
}

impl Installation {
    pub(crate) fn of(version: Version) -> Self {
        let name = version.to_string();
        Self {
            folder: server(&name, &name),
            name,
            version,
        }
    }

    /// The distribution's own package, with German messages and the client programs.
    pub(crate) fn of_distribution() -> Self {
        let folder = server("debian", "");
        let text = Command::new(folder.join("bin/postgres"))
            .arg("--version")
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        let version = text
            .split([' ', '.'])
            .find_map(|word| word.parse().ok())
            .and_then(Version::of)
            .unwrap_or_else(|| panic!("{} says it is '{}'", folder.display(), text.trim()));
        Self {
            name: "debian".into(),
            folder,
            version,
        }
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

/// A client program of the distribution's PostgreSQL: `psql`, `pgbench`, `pg_recvlogical`.
///
/// # Panics
///
/// If it is not there; the message says what to run.
pub fn program(name: &str) -> PathBuf {
    let path = server("debian", "").join("bin").join(name);
    assert!(
        path.exists(),
        "{} is missing; run testdata/install as root",
        path.display()
    );
    path
}

/// The shared library of libpq that came with a server.
///
/// # Panics
///
/// If it is not there; the message says what to run.
pub fn libpq(version: Version) -> PathBuf {
    let path = Installation::of(version).folder.join("lib/libpq.so.5");
    assert!(
        path.exists(),
        "{} is missing; run testdata/install {version}",
        path.display()
    );
    path
}

/// A program of MariaDB: `mariadbd`, `mariadb-install-db`.
///
/// # Panics
///
/// If it is not there; the message says what to run.
pub(crate) fn mariadb(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let paths = folders.map(|folder| Path::new(folder).join(name));
    let found = paths.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!("{name} of MariaDB is not there; run testdata/install as root, or install the package mariadb-server")
    })
}

fn server(name: &str, argument: &str) -> PathBuf {
    let folders: Vec<_> = caches()
        .into_iter()
        .map(|cache| cache.join("servers").join(name))
        .collect();
    let complete = |folder: &&PathBuf| {
        folder.join("bin/postgres").exists() && folder.join("bin/initdb").exists()
    };
    folders
        .iter()
        .find(complete)
        .and_then(|folder| folder.canonicalize().ok())
        .unwrap_or_else(|| {
            panic!(
                "PostgreSQL server '{name}' is not there; run: {}",
                format!("testdata/install {argument}").trim()
            )
        })
}

/// The caches, the one that we may write to first.
pub(crate) fn caches() -> Vec<PathBuf> {
    if let Some(folder) = env::var_os("TESTDATA_CACHE").filter(|folder| !folder.is_empty()) {
        return vec![folder.into()];
    }
    if is_root() {
        return vec![SYSTEM_CACHE.into()];
    }
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let own = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
    own.map(|folder| folder.join("replicator-testdata"))
        .into_iter()
        .chain([SYSTEM_CACHE.into()])
        .collect()
}

/// Whether the tests run as root, whom PostgreSQL refuses to serve.
pub(crate) fn is_root() -> bool {
    own_user() == 0
}

pub(crate) fn own_user() -> u32 {
    fs::metadata("/proc/self").map_or(u32::MAX, |me| me.uid())
}

/// User and group for the servers when the tests run as root.
pub(crate) fn server_user() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |name: &str| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(user("postgres").or_else(|| user("nobody")).expect(
        "the tests run as root and need a user for the servers: neither 'postgres' nor 'nobody' is in /etc/passwd",
    ))
}
