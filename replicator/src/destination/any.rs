//! The destination that a URL names, whichever product that is.

use std::sync::Arc;
use std::time::Duration;

use walproto::{Lsn, Oid};

#[cfg(feature = "mysql")]
use super::mysql::{MysqlDestination, MysqlOptions};
#[cfg(feature = "postgres")]
use super::postgres::{PostgresDestination, PostgresOptions};
#[cfg(feature = "sqlite")]
use super::sqlite::{SqliteDestination, SqliteOptions};
#[cfg(feature = "sqlserver")]
use super::sqlserver::{SqlServerDestination, SqlServerOptions};
use super::{Destination, Existing, Outcome, Refused, Rows};
use crate::alteration::Alteration;
use crate::chunk::Chunk;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;

/// A destination of a product that this build knows.
#[derive(Debug)]
pub(crate) enum Any {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteDestination),
    #[cfg(feature = "postgres")]
    Postgres(PostgresDestination),
    #[cfg(feature = "mysql")]
    Mysql(MysqlDestination),
    #[cfg(feature = "sqlserver")]
    SqlServer(SqlServerDestination),
}

/// Opens the destination of a run; a file that is not there is made.
///
/// Waits as long as [`Config::takeover`] says for another process that writes it.
pub(crate) async fn open(config: &Config) -> Result<Any> {
    let wait = config.takeover;
    match Place::read(&config.destination)? {
        #[cfg(feature = "sqlite")]
        Place::Sqlite(path) => {
            let options = SqliteOptions::new(path, &config.slot).wait(wait);
            let open = SqliteDestination::open(options.on_conflict(config.on_conflict));
            Ok(Any::Sqlite(open.await?))
        }
        #[cfg(feature = "postgres")]
        Place::Postgres(url) => {
            let options = PostgresOptions::new(url, &config.slot)
                .wait(wait)
                .timeout(config.destination_timeout)
                .on_misfit(config.on_misfit);
            let open = PostgresDestination::open(options.on_conflict(config.on_conflict));
            Ok(Any::Postgres(open.await?))
        }
        #[cfg(feature = "mysql")]
        Place::Mysql(url) => {
            let options = MysqlOptions::new(url)
                .wait(wait)
                .on_conflict(config.on_conflict)
                .on_misfit(config.on_misfit);
            Ok(Any::Mysql(MysqlDestination::open(options).await?))
        }
        #[cfg(feature = "sqlserver")]
        Place::SqlServer(url) => {
            let options = SqlServerOptions::new(url)
                .wait(wait)
                .timeout(config.destination_timeout)
                .on_conflict(config.on_conflict)
                .on_misfit(config.on_misfit);
            Ok(Any::SqlServer(SqlServerDestination::open(options).await?))
        }
    }
}

/// As [`open`], but a file that is not there is an error: for commands that only look or clean up.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(unused_variables, reason = "others need no name for their sessions")
)]
pub(crate) async fn open_existing(url: &str, slot: &str, wait: Duration) -> Result<Any> {
    match Place::read(url)? {
        #[cfg(feature = "sqlite")]
        Place::Sqlite(path) => {
            let options = SqliteOptions::new(path, slot).create(false);
            Ok(Any::Sqlite(
                SqliteDestination::open(options.wait(wait)).await?,
            ))
        }
        #[cfg(feature = "postgres")]
        Place::Postgres(url) => {
            let options = PostgresOptions::new(url, slot).wait(wait);
            Ok(Any::Postgres(PostgresDestination::open(options).await?))
        }
        #[cfg(feature = "mysql")]
        Place::Mysql(url) => {
            let options = MysqlOptions::new(url).wait(wait);
            Ok(Any::Mysql(MysqlDestination::open(options).await?))
        }
        #[cfg(feature = "sqlserver")]
        Place::SqlServer(url) => {
            let options = SqlServerOptions::new(url).wait(wait);
            Ok(Any::SqlServer(SqlServerDestination::open(options).await?))
        }
    }
}

/// Whether sequences can be set where this URL leads.
///
/// # Errors
///
/// It leads elsewhere than to a PostgreSQL server, where values of keys come about otherwise.
#[cfg(feature = "postgres")]
pub(crate) fn takes_sequences(url: &str) -> Result<()> {
    let why: Option<&str> = match Place::read(url)? {
        Place::Postgres(_) => None,
        #[cfg(feature = "sqlite")]
        Place::Sqlite(_) => {
            Some("a SQLite file has none: an INTEGER PRIMARY KEY goes on behind its largest value")
        }
        #[cfg(feature = "mysql")]
        Place::Mysql(_) => Some(
            "MySQL and MariaDB have AUTO_INCREMENT, which goes on behind the largest value by itself; to set it: ALTER TABLE … \
             AUTO_INCREMENT = …",
        ),
        #[cfg(feature = "sqlserver")]
        Place::SqlServer(_) => Some(
            "SQL Server's identities are for you to set: DBCC CHECKIDENT ('…', RESEED, …), or ALTER SEQUENCE … RESTART \
             WITH …",
        ),
    };
    let Some(why) = why else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "a cut-over sets the sequences of a PostgreSQL destination; {why}"
    ))
    .with_hint(
        "stop the application, bring the destination to the source's end with replicator run … --until current, and point \
         the application there",
    ))
}

#[cfg(feature = "postgres")]
impl Any {
    /// The PostgreSQL server that it is.
    pub(crate) fn postgres(&mut self) -> Result<&mut PostgresDestination> {
        match self {
            Self::Postgres(it) => Ok(it),
            #[cfg(any(feature = "sqlite", feature = "mysql", feature = "sqlserver"))]
            _ => Err(Error::usage("the destination is no PostgreSQL server")),
        }
    }
}

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The file in `sqlite:PATH`; `sqlite://PATH` is the same, as other tools write it.
    #[cfg(feature = "sqlite")]
    Sqlite(&'a str),
    /// All of `postgres://…`.
    #[cfg(feature = "postgres")]
    Postgres(&'a str),
    /// All of `mysql://…` or `mariadb://…`.
    #[cfg(feature = "mysql")]
    Mysql(&'a str),
    /// All of `sqlserver://…`.
    #[cfg(feature = "sqlserver")]
    SqlServer(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn read(url: &'a str) -> Result<Self> {
        const KNOWN: &str = "a destination is sqlite:PATH, such as sqlite:shop.db, postgres://user@host/database, mysql://user@host/database or sqlserver://user:password@host/database";
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        match scheme {
            #[cfg(feature = "sqlite")]
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err(Error::usage("the destination names no file").with_hint(KNOWN)),
                path => Ok(Self::Sqlite(path)),
            },
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" if rest.starts_with("//") => Ok(Self::Postgres(url)),
            #[cfg(feature = "mysql")]
            "mysql" | "mariadb" if rest.starts_with("//") => Ok(Self::Mysql(url)),
            #[cfg(feature = "sqlserver")]
            "sqlserver" if rest.starts_with("//") => Ok(Self::SqlServer(url)),
            // What follows the scheme may hold a password.
            other => Err(match other {
                "duckdb" | "kafka" | "stdout" | "file" => {
                    Error::usage(format!("destinations of kind {other} are not there yet"))
                }
                // Misspelt, or of a product that this build leaves out.
                _ => Error::usage("the destination is not a URL that we know"),
            }
            .with_hint(KNOWN)),
        }
    }
}

/// The same call, whichever it is.
macro_rules! each {
    ($self:expr, $destination:ident => $call:expr) => {
        match $self {
            #[cfg(feature = "sqlite")]
            Any::Sqlite($destination) => $call,
            #[cfg(feature = "postgres")]
            Any::Postgres($destination) => $call,
            #[cfg(feature = "mysql")]
            Any::Mysql($destination) => $call,
            #[cfg(feature = "sqlserver")]
            Any::SqlServer($destination) => $call,
        }
    };
}

impl Destination for Any {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        each!(self, it => it.name_tables(names, tables))
    }

    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        each!(self, it => it.position(slot).await)
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        each!(self, it => it.tables(slot).await)
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        each!(self, it => it.write_intent(row).await)
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        each!(self, it => it.remove_intent(slot).await)
    }

    async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        each!(self, it => it.create_table(slot, table, existing).await)
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        each!(self, it => it.drop_made_tables(slot).await)
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        each!(self, it => it.activate(row).await)
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        each!(self, it => it.raise_epoch(slot, holder).await)
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        each!(self, it => it.begin_copy(held, table, at).await)
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        each!(self, it => it.copy(held, chunk).await)
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        each!(self, it => it.finish_copy(held, oid, at).await)
    }

    async fn another(&mut self) -> Result<Option<Self>> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(it) => it.another().await?.map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => it.another().await?.map(Self::Postgres),
            #[cfg(feature = "mysql")]
            Self::Mysql(it) => it.another().await?.map(Self::Mysql),
            #[cfg(feature = "sqlserver")]
            Self::SqlServer(it) => it.another().await?.map(Self::SqlServer),
        })
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        each!(self, it => it.begin(expected, next).await)
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        each!(self, it => it.execute(operations).await)
    }

    async fn prepare_alter(&mut self, held: &PositionRow, alteration: &Alteration) -> Result<()> {
        each!(self, it => it.prepare_alter(held, alteration).await)
    }

    async fn alter_table(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        each!(self, it => it.alter_table(slot, alteration).await)
    }

    async fn fits(&mut self, alteration: &Alteration) -> Result<Option<String>> {
        each!(self, it => it.fits(alteration).await)
    }

    async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        each!(self, it => it.attempt(operations).await)
    }

    async fn commit(&mut self) -> Result<Outcome> {
        each!(self, it => it.commit().await)
    }

    async fn rollback(&mut self) -> Result<()> {
        each!(self, it => it.rollback().await)
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        each!(self, it => it.forget(slot).await)
    }

    async fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        each!(self, it => it.caught_up(slot, oid).await)
    }

    async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        each!(self, it => it.stop_table(slot, oid, reason).await)
    }

    async fn adopt(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> Result<()> {
        each!(self, it => it.adopt(held, next, tables).await)
    }

    async fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        each!(self, it => it.ask_copy(slot, oid, now).await)
    }

    async fn read(&mut self, table: &Arc<Table>) -> Result<Rows> {
        each!(self, it => it.read(table).await)
    }

    async fn close(self) -> Result<()> {
        each!(self, it => it.close().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_url_names_a_file() {
        for (url, file) in [
            ("sqlite:shop.db", "shop.db"),
            ("sqlite:/var/shop.db", "/var/shop.db"),
            ("sqlite:///var/shop.db", "/var/shop.db"),
            ("sqlite://shop.db", "shop.db"),
        ] {
            assert_eq!(Place::read(url).unwrap(), Place::Sqlite(file));
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_url_names_a_server() {
        for url in ["postgres://u@h/d", "postgresql:///d?host=/tmp"] {
            assert_eq!(Place::read(url).unwrap(), Place::Postgres(url));
        }
    }

    #[test]
    fn other_urls_end_in_one_sentence_without_secrets() {
        for url in [
            "",
            "shop.db",
            "sqlite:",
            "sqlite://",
            "postgres:u:secret@h/d",
            "mysql:u:secret@h/d",
            "sqlserver:u:secret@h/d",
            "kafka://u:secret@h/d",
            "bogus://u:secret@h/d",
        ] {
            let error = Place::read(url).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let error = Place::read("duckdb:d").unwrap_err();
        assert!(error.to_string().contains("duckdb"));
    }
}
