//! What of its surroundings shapes a connection: variables, the home folder, and who runs us.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The variable that names the folder of `pg_service.conf`.
pub(super) const SYSTEM_FOLDER: &str = "PGSYSCONFDIR";

/// What Debian's libpq has built in for it.
const DEBIAN: &str = "/etc/postgresql-common";

/// What stands in for parameters that a connection string leaves out.
///
/// [`Config::parse`](crate::Config::parse) takes that of the process;
/// [`Config::parse_in`](crate::Config::parse_in) any other, and none of the process.
///
/// ```
/// use walstream::{Config, Environment};
///
/// let environment = Environment::empty().with_user("app").with_variable("PGHOST", "db.example");
/// let config = Config::parse_in("dbname=shop", &environment)?;
/// assert_eq!(config.to_string(), "postgres://app@db.example:5432/shop");
/// # Ok::<(), walstream::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    home: Option<PathBuf>,
    user: Option<String>,
}

impl Environment {
    /// No variables, no home folder, no user.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Variables, home folder and user of this process.
    ///
    /// As libpq finds them: the home folder is `HOME`, otherwise what `/etc/passwd` says; the user is whom
    /// `/etc/passwd` names for our user id, otherwise `USER` or `LOGNAME`. Variables are those that begin with `PG`; without
    /// `PGSYSCONFDIR` the system's service file is looked for where Debian's libpq does, in `/etc/postgresql-common`.
    pub fn process() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let (user, home) = passwd().unzip();
        let mut variables: BTreeMap<_, _> = std::env::vars_os()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG"))
            .collect();
        variables
            .entry(SYSTEM_FOLDER.into())
            .or_insert_with(|| DEBIAN.into());
        Self {
            variables,
            home: set("HOME").map(PathBuf::from).or(home),
            user: user.or_else(|| set("USER").or_else(|| set("LOGNAME"))?.into_string().ok()),
        }
    }

    /// Sets a variable such as `PGHOST`, as libpq's documentation names them.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets the folder that holds `.pgpass`, `.pg_service.conf` and `.postgresql`.
    #[must_use]
    pub fn with_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Some(folder.into());
        self
    }

    /// Sets who connects where nobody else is named.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// A variable, which may be there and empty.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.variables.get(&OsString::from(name)) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(value) => Ok(Some(value)),
            None => Err(Error::config(format!(
                "environment variable {name} is not UTF-8"
            ))),
        }
    }

    /// A variable that names a file or folder.
    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.variables.get(&OsString::from(name)).map(Path::new)
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

/// Without values, one of which may be a password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish()
    }
}

/// Name and home folder of our effective user.
fn passwd() -> Option<(String, PathBuf)> {
    // The owner of /proc/self is the effective user; without /proc there are still USER and HOME.
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let passwd = std::fs::read("/etc/passwd").ok()?;
    let passwd = String::from_utf8_lossy(&passwd);
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        match &*fields {
            [name, _, id, _, _, home, ..] if *id == uid => {
                Some(((*name).to_owned(), PathBuf::from(home)))
            }
            _ => None,
        }
    })
}
