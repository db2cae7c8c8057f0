//! A destination that is only looked at: opened so that nothing can be written, and asked what a run would meet.

use crate::check::{Finding, Verdict};
use crate::config::Config;
use crate::destination::Existing;
use crate::destination::any::Place;
#[cfg(feature = "mysql")]
use crate::destination::mysql::{MysqlDestination, MysqlOptions};
#[cfg(feature = "postgres")]
use crate::destination::postgres::{PostgresDestination, PostgresOptions};
#[cfg(feature = "sqlite")]
use crate::destination::sqlite::SqliteLook;
#[cfg(feature = "sqlserver")]
use crate::destination::sqlserver::{SqlServerDestination, SqlServerOptions};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
use crate::destination::{Destination, server};
#[cfg(feature = "sqlite")]
use crate::dialect::{Dialect, sqlite::Sqlite};
use crate::error::Result;
use crate::names::Names;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;

/// What becomes of a table's name at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is made.
    Made,
    /// A table of that name is there, and does.
    Taken,
}

/// An open destination.
#[derive(Debug)]
pub(crate) enum Look {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteLook),
    #[cfg(feature = "postgres")]
    Postgres(PostgresDestination),
    #[cfg(feature = "mysql")]
    Mysql(MysqlDestination),
    #[cfg(feature = "sqlserver")]
    SqlServer(SqlServerDestination),
}

/// The same call, whichever it is: one for a file, and one for servers.
macro_rules! either {
    ($self:expr, $file:ident => $of_file:expr, $server:ident => $of_server:expr) => {
        match $self {
            #[cfg(feature = "sqlite")]
            Look::Sqlite($file) => $of_file,
            #[cfg(feature = "postgres")]
            Look::Postgres($server) => $of_server,
            #[cfg(feature = "mysql")]
            Look::Mysql($server) => $of_server,
            #[cfg(feature = "sqlserver")]
            Look::SqlServer($server) => $of_server,
        }
    };
}

impl Look {
    /// Opens what the configuration names. What keeps a run from writing there is found, and no error.
    ///
    /// # Errors
    ///
    /// There is no such destination, or no way to it.
    pub(crate) async fn open(config: &Config) -> Result<(Self, Vec<Finding>)> {
        match Place::read(&config.destination)? {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => {
                let (look, found) = SqliteLook::open(path, config.takeover)?;
                Ok((Self::Sqlite(look), found))
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => {
                let options = PostgresOptions::new(url, &*config.slot)
                    .timeout(config.destination_timeout)
                    .on_misfit(config.on_misfit);
                let (look, found) = PostgresDestination::look(options).await?;
                Ok((Self::Postgres(look), found))
            }
            #[cfg(feature = "mysql")]
            Place::Mysql(url) => {
                let options = MysqlOptions::new(url).on_misfit(config.on_misfit);
                let (look, found) = MysqlDestination::look(options).await?;
                Ok((Self::Mysql(look), found))
            }
            #[cfg(feature = "sqlserver")]
            Place::SqlServer(url) => {
                let options = SqlServerOptions::new(url)
                    .timeout(config.destination_timeout)
                    .on_misfit(config.on_misfit);
                let (look, found) = SqlServerDestination::look(options).await?;
                Ok((Self::SqlServer(look), found))
            }
        }
    }

    /// As [`Destination::name_tables`].
    pub(crate) fn name_tables(&self, names: &Names, tables: &mut Vec<Table>) -> Result<()> {
        either!(self, _file => Sqlite.name_tables(names, tables), server => server.name_tables(names, tables))
    }

    /// As [`Destination::position`].
    pub(crate) async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        either!(self, file => file.position(slot), server => server.position(slot).await)
    }

    /// As [`Destination::tables`].
    pub(crate) async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        either!(self, file => file.tables(slot), server => Destination::tables(server, slot).await)
    }

    /// What would become of the name of a table that is to be made or taken over.
    ///
    /// # Errors
    ///
    /// As [`Destination::create_table`].
    pub(crate) async fn examine(&mut self, table: &Table, existing: Existing) -> Result<Fate> {
        either!(self, file => file.examine(table, existing), server => server::examine(server, table, existing).await)
    }

    /// Sees that a table which is followed already is there, and can hold its rows.
    pub(crate) async fn fits_still(&mut self, table: &Table) -> Result<()> {
        either!(self, file => file.fits_still(table), server => server::fits_still(server, table).await)
    }

    /// What the destination says of itself, and whether tables may be made there, and those that are there be written.
    pub(crate) async fn survey(&mut self, made: &[Table], taken: &[Table]) -> Result<Vec<Finding>> {
        let _ = (made, taken);
        either!(self, file => Ok(file.survey()), server => server::survey(server, made, taken).await)
    }

    /// Bytes that are free where it stores, if that can be known.
    pub(crate) async fn room(&self) -> Option<u64> {
        either!(self, file => file.room(), server => server::room(server).await)
    }
}

/// Whether something that was found keeps every run from this destination.
pub(crate) fn stands_against(found: &[Finding]) -> bool {
    found.iter().any(|it| it.verdict == Verdict::Wrong)
}
