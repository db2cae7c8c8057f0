//! The destination for SQL Server on a server that somebody names: what it promises, and what it refuses.
#![cfg(feature = "sqlserver")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../every_destination/mod.rs"]
mod every_destination;
mod server;

use std::time::Duration;

use replicator::{OnConflict, OnMisfit, SqlServerDestination, SqlServerOptions};
use testdata::{SqlServerClient, SqlServerDatabase};

use every_destination::Ground;

every_case!(
    crate::Stage,
    [ignore = "needs a SQL Server: testdata/sqlserver runs it"]
);

/// An empty database.
struct Stage(SqlServerDatabase);

impl Stage {
    fn options(&self) -> SqlServerOptions {
        SqlServerOptions::new(self.0.url())
            .wait(Duration::from_secs(1))
            .on_misfit(OnMisfit::Text)
    }

    fn connect(&self) -> SqlServerClient {
        self.0.connect().unwrap()
    }
}

impl Ground for Stage {
    type Destination = SqlServerDestination;

    const KEYED: &str = "id int NOT NULL PRIMARY KEY, name nvarchar(max) NULL";
    const KEYLESS: &str = "id int NULL, name nvarchar(max) NULL";
    const COLUMNS: usize = 300;
    const NO_NAMES: &[&str] = &["#"];

    fn takes(&self, name: &str) -> bool {
        let is_closed = name.contains(']') && !self.0.is_microsofts();
        !is_closed && !Self::NO_NAMES.contains(&name)
    }

    fn all() -> impl Iterator<Item = Self> {
        std::iter::once_with(|| Self(SqlServerDatabase::create()))
    }

    async fn open(&self) -> SqlServerDestination {
        SqlServerDestination::open(self.options()).await.unwrap()
    }

    async fn open_applying(&self) -> SqlServerDestination {
        let options = self.options().on_conflict(OnConflict::Apply);
        SqlServerDestination::open(options).await.unwrap()
    }

    fn look(&self, sql: &str) -> Vec<String> {
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
        let rows = self.connect().query(sql).unwrap().into_iter();
        rows.map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join("|"))
            .collect()
    }

    fn meddle(&self, sql: &str) {
        self.connect().batch(sql).unwrap();
    }
}
