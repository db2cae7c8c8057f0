//! A SQL Server that somebody has to name: no package that is everywhere brings one.

mod client;

use std::env;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

pub use client::SqlServerClient;

use crate::ClientError;

/// Names the server, as `sqlserver://USER:PASSWORD@HOST:PORT`; its user may make and drop databases, and it lets in who
/// has no TLS. Where no databases can be made, `/DATABASE` behind it names the one that is used, and emptied each time.
const VARIABLE: &str = "REPLICATOR_TEST_SQLSERVER_URL";

/// A database of its own on that server, dropped with it.
#[derive(Debug)]
pub struct SqlServerDatabase {
    login: Login,
    name: String,
    /// Where it is the only one: that it is ours.
    turn: Option<Turn>,
}

/// Who has it uses the only database that there is.
#[derive(Debug)]
struct Turn;

static TAKEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

impl Turn {
    fn take() -> Self {
        let (taken, freed) = &TAKEN;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = freed.wait_while(taken, |taken| *taken);
        *taken.unwrap_or_else(PoisonError::into_inner) = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (taken, freed) = &TAKEN;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        freed.notify_one();
    }
}

/// Where a server is, and who asks there.
#[derive(Clone, Debug)]
struct Login {
    host: String,
    port: u16,
    user: String,
    password: String,
    /// As the URL has it, encoded.
    authority: String,
    /// The only database that may be used.
    only: Option<String>,
}

impl SqlServerDatabase {
    /// Makes one.
    ///
    /// Every other one reads committed rows as they were when a statement began, as Azure's do: what holds under locks
    /// must hold there too.
    ///
    /// # Panics
    ///
    /// No server is named, or it cannot be used.
    pub fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let login = Login::named();
        if let Some(only) = login.only.clone() {
            let turn = Some(Turn::take());
            let emptied = login
                .connect(&only)
                .and_then(|mut session| empty(&mut session));
            emptied.unwrap_or_else(|error| panic!("could not empty {only} at {VARIABLE}: {error}"));
            return Self {
                login,
                name: only,
                turn,
            };
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("place_{}_{count}", process::id());
        let made = login.connect("master").and_then(|mut session| {
            session.batch(&format!("CREATE DATABASE [{name}]"))?;
            if count % 2 == 1 {
                let set = format!("ALTER DATABASE [{name}] SET READ_COMMITTED_SNAPSHOT ON");
                session.batch(&set)?;
            }
            Ok(())
        });
        made.unwrap_or_else(|error| panic!("could not make a database at {VARIABLE}: {error}"));
        Self {
            login,
            name,
            turn: None,
        }
    }

    /// As a destination's URL.
    pub fn url(&self) -> String {
        let (authority, name) = (&self.login.authority, &self.name);
        format!("sqlserver://{authority}/{name}?sslmode=disable")
    }

    /// A session there.
    pub fn connect(&self) -> Result<SqlServerClient, ClientError> {
        self.login.connect(&self.name)
    }
}

impl Drop for SqlServerDatabase {
    fn drop(&mut self) {
        if self.turn.is_some() {
            return;
        }
        let name = &self.name;
        // Sessions of a replicator that was killed may be there still.
        let end = format!("ALTER DATABASE [{name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE");
        if let Ok(mut session) = self.login.connect("master") {
            let _ = session.batch(&end);
            let _ = session.batch(&format!("DROP DATABASE [{name}]"));
        }
    }
}

impl Login {
    fn named() -> Self {
        let url = env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} names no SQL Server, so that this was not tried; testdata/sqlserver says how")
        });
        Self::read(&url).unwrap_or_else(|| {
            panic!("{VARIABLE} has to look like sqlserver://sa:PASSWORD@127.0.0.1:1433")
        })
    }

    fn read(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("sqlserver://")?;
        let (authority, only) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = authority.rsplit_once('@')?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = place.rsplit_once(':')?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            user: decoded(user)?,
            password: decoded(password)?,
            authority: authority.to_owned(),
            only: (!only.is_empty()).then(|| only.to_owned()),
        })
    }

    fn connect(&self, database: &str) -> Result<SqlServerClient, ClientError> {
        let place = (self.host.as_str(), self.port);
        SqlServerClient::connect(place, &self.user, &self.password, database)
    }
}

/// Drops all tables and the schemas that somebody made.
fn empty(session: &mut SqlServerClient) -> Result<(), ClientError> {
    let name = |name: Option<String>| format!("[{}]", name.unwrap_or_default().replace(']', "]]"));
    let tables = "SELECT s.name, t.name FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id";
    for row in session.query(tables)? {
        let parts: Vec<String> = row.into_iter().map(name).collect();
        session.batch(&format!("DROP TABLE {}", parts.join(".")))?;
    }
    let schemas = "SELECT name FROM sys.schemas WHERE schema_id BETWEEN 5 AND 16383";
    for schema in session.query(schemas)?.into_iter().flatten().map(name) {
        session.batch(&format!("DROP SCHEMA {schema}"))?;
    }
    Ok(())
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_server_and_login() {
        let login = Login::read("sqlserver://sa:p%40ss%3A@10.0.0.7:1444/shop").unwrap();
        assert_eq!(
            (&*login.host, login.port, &*login.user, &*login.password),
            ("10.0.0.7", 1444, "sa", "p@ss:")
        );
        assert_eq!(login.only.as_deref(), Some("shop"));
        assert_eq!(Login::read("sqlserver://sa@h:1433/").unwrap().only, None);
        assert_eq!(login.authority, "sa:p%40ss%3A@10.0.0.7:1444");
        for wrong in [
            "sqlserver://h:1433",
            "mssql://sa@h:1",
            "sqlserver://sa@h",
            "sqlserver://sa:%4@h:1",
        ] {
            assert!(Login::read(wrong).is_none(), "{wrong}");
        }
    }
}
