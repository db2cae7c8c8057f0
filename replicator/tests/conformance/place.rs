//! Where rows go: what a case may ask of a destination, and what it must not expect.

#[cfg_attr(
    not(feature = "mysql"),
    allow(dead_code, reason = "compiled all the same, so that it keeps fitting")
)]
mod mariadb;
#[cfg_attr(
    not(feature = "mysql"),
    allow(dead_code, reason = "compiled all the same, so that it keeps fitting")
)]
mod mysql;
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "compiled all the same, so that it keeps fitting")
)]
mod postgres;
mod sqlite;
#[cfg_attr(
    not(feature = "sqlserver"),
    allow(dead_code, reason = "compiled all the same, so that it keeps fitting")
)]
mod sqlserver;

use testdata::Row;

use crate::common::{Rows, Table};
#[cfg(feature = "mysql")]
pub(crate) use mariadb::MariaDb;
#[cfg(feature = "mysql")]
pub(crate) use mysql::MySql;
#[cfg(feature = "postgres")]
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;
#[cfg(feature = "sqlserver")]
pub(crate) use sqlserver::SqlServer;

/// A destination as somebody sees it who does not know the replicator.
pub(crate) trait Place: Sized {
    /// What it has no room for.
    const LIMITS: Limits;

    /// Options of `run` with which it holds every value there is, as it is.
    const EXACT: &[&str] = &[];

    /// What it has no room for in the tables of `everything`, and what takes its place there.
    const REPLACED: &[(&str, &str)] = &[];

    /// Types, and values of theirs that it does not hold without those options.
    const MISFITS: &[(&str, &str)] = &[];

    /// One that holds nothing and is nobody else's.
    fn fresh() -> Self;

    /// As `--destination` wants it.
    fn url(&self) -> String;

    /// Whether this very one knows a name that others of its kind do.
    fn takes(&self, _name: &str) -> bool {
        true
    }

    /// Where a table of the source must lie, quoted.
    fn name(&self, schema: &str, table: &str) -> String;

    /// Runs a statement as any other program would.
    fn sql(&self, sql: &str);

    /// The rows of a table in PostgreSQL's words, sorted; its columns must be those of the source.
    fn rows(&self, table: &Table) -> Rows;

    /// Quoted names of the tables that lie there, without the replicator's own.
    fn tables(&self) -> Vec<String>;

    /// A session that lasts: each query is answered as of one moment.
    fn reader(&self) -> impl FnMut(&str) -> Vec<Row> + Send;
}

/// A place that lives in processes of its own.
pub(crate) trait Server: Place {
    /// A fresh one that may be killed.
    fn mortal() -> Self;

    /// `kill -9`, and up again with the same data.
    fn crash(&mut self);
}

/// What fits, and what is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Two tables whose names differ in case only.
    pub(crate) twin_tables: Room,
    /// Two columns whose names differ in case only.
    pub(crate) twin_columns: Room,
    /// `a.b` and `a__b`, where a schema becomes a prefix.
    pub(crate) prefixed_tables: Room,
    /// Schema, table and column with names of 63 bytes.
    pub(crate) long_names: Room,
    /// Names that it cannot give to tables and columns, each with the words of the refusal.
    pub(crate) odd_names: &'static [(&'static str, &'static [&'static str])],
    /// Those that it can give to columns, and not to tables.
    pub(crate) odd_tables: &'static [(&'static str, &'static [&'static str])],
    /// A table without columns.
    pub(crate) no_columns: Room,
    /// A table of 400 columns of text.
    pub(crate) texts: Room,
    /// A table of 1600 columns.
    pub(crate) columns: Room,
    /// A value of 100 MB.
    pub(crate) values: Room,
    /// A key of 2600 bytes.
    pub(crate) keys: Room,
}

/// Whether there is room for something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    Enough,
    /// The refusal says this, before anything is written.
    #[cfg_attr(
        not(feature = "sqlite"),
        allow(dead_code, reason = "PostgreSQL has room for all of it")
    )]
    Refused(&'static [&'static str]),
    /// Nothing but its length is wrong with it, so that the refusal comes with the row, and says this.
    #[cfg_attr(
        not(feature = "mysql"),
        allow(dead_code, reason = "only keys of MySQL are so short")
    )]
    RefusedWithItsRow(&'static [&'static str]),
}
