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
    is_microsofts: bool,
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
            let emptied = login.connect(&only).and_then(|mut session| {
                empty(&mut session)?;
                is_microsofts(&mut session)
            });
            let is_microsofts = emptied
                .unwrap_or_else(|error| panic!("could not empty {only} at {VARIABLE}: {error}"));
            return Self {
                login,
                name: only,
                turn,
                is_microsofts,
            };
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("place_{}_{count}", process::id());
        let made = login.connect("master").and_then(|mut session| {
            session.batch(&format!("CREATE DATABASE [{name}]"))?;
            let is_microsofts = is_microsofts(&mut session)?;
            // Others read so always.
            if count % 2 == 1 && is_microsofts {
                let set = format!("ALTER DATABASE [{name}] SET READ_COMMITTED_SNAPSHOT ON");
                session.batch(&set)?;
            }
            Ok(is_microsofts)
        });
        let is_microsofts =
            made.unwrap_or_else(|error| panic!("could not make a database at {VARIABLE}: {error}"));
        Self {
            login,
            name,
            turn: None,
            is_microsofts,
        }
    }

    /// Whether the server is Microsoft's, and none that speaks its language.
    pub const fn is_microsofts(&self) -> bool {
        self.is_microsofts
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
        let Ok(mut session) = self.login.connect("master") else {
            return;
        };
        // Sessions of a replicator that was killed may be there still.
        if self.is_microsofts {
            let end = format!("ALTER DATABASE [{name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE");
            let _ = session.batch(&end);
        } else {
            let theirs = format!(
                "SELECT CAST(session_id AS nvarchar(20)) FROM sys.dm_exec_sessions WHERE database_id = DB_ID(N'{name}')"
            );
            let sessions = session.query(&theirs).unwrap_or_default();
            for number in sessions.into_iter().flatten().flatten() {
                let _ = session.batch(&format!("KILL {number}"));
            }
        }
        let _ = session.batch(&format!("DROP DATABASE [{name}]"));
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

fn is_microsofts(session: &mut SqlServerClient) -> Result<bool, ClientError> {
    let told = session.query("SELECT CAST(@@VERSION AS nvarchar(4000))")?;
    let version = told.into_iter().flatten().flatten().next();
    Ok(version.is_some_and(|version| version.starts_with("Microsoft SQL")))
}

/// Drops all views, tables and schemas that somebody made.
fn empty(session: &mut SqlServerClient) -> Result<(), ClientError> {
    let name = |name: Option<String>| format!("[{}]", name.unwrap_or_default().replace(']', "]]"));
    // Views first: those of another make cannot do without their tables.
    for (kind, all) in [("VIEW", "views"), ("TABLE", "tables")] {
        let all = format!(
            "SELECT s.name, o.name FROM sys.{all} AS o INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
             WHERE o.is_ms_shipped = 0 AND s.name <> 'sys'"
        );
        for row in session.query(&all)? {
            let parts: Vec<String> = row.into_iter().map(name).collect();
            session.batch(&format!("DROP {kind} {}", parts.join(".")))?;
        }
    }
    // All that are not from the beginning; their numbers tell nothing on a server of another make.
    let schemas = "SELECT name FROM sys.schemas WHERE name NOT IN ('dbo', 'guest', 'sys', 'INFORMATION_SCHEMA', \
                   'information_schema') AND LEFT(name, 3) <> 'db_'";
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
