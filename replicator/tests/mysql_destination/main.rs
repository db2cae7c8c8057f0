//! The destination for MySQL and MariaDB on a real MariaDB: what it promises, and what it refuses.
#![cfg(feature = "mysql")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../every_destination/mod.rs"]
mod every_destination;
mod loaded;
mod server;
mod taken_over;
mod zero;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use replicator::{
    Destination, MysqlDestination, MysqlOptions, OnConflict, OnMisfit, PositionRow, Table,
};
use testdata::{MariaDb, MariaDbClient};
use walproto::Lsn;

use every_destination::{Ground, started};

every_case!(crate::Stage);

/// An empty database.
struct Stage {
    server: Arc<MariaDb>,
    database: String,
}

impl Stage {
    /// On a server that others share, and whose settings are other than ours.
    fn new() -> Self {
        static SHARED: Mutex<Option<Arc<MariaDb>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.get_or_insert_with(|| {
            let server = MariaDb::builder()
                .setting("sql_mode", "")
                .setting("default_time_zone", "+05:45");
            Arc::new(server.start())
        });
        Self::on(Arc::clone(server))
    }

    fn on(server: Arc<MariaDb>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("stage_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {database}");
        server.connect("").unwrap().batch(&create).unwrap();
        Self { server, database }
    }

    fn options(&self) -> MysqlOptions {
        MysqlOptions::new(self.server.url(&self.database))
            .wait(Duration::from_secs(1))
            .on_misfit(OnMisfit::Text)
    }

    /// Where the first copy of a table has begun.
    async fn copying(
        &self,
        table: &Arc<Table>,
        on_misfit: OnMisfit,
    ) -> (MysqlDestination, PositionRow) {
        let options = self.options().on_misfit(on_misfit);
        let destination = MysqlDestination::open(options).await.unwrap();
        let (mut destination, row) = started(destination, &[table]).await;
        destination.begin_copy(&row, table, Lsn(100)).await.unwrap();
        (destination, row)
    }

    fn connect(&self) -> MariaDbClient {
        self.server.connect(&self.database).unwrap()
    }
}

impl Ground for Stage {
    type Destination = MysqlDestination;

    const KEYED: &str =
        "id int PRIMARY KEY, name longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    const KEYLESS: &str = "id int, name longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    const COLUMNS: usize = 190;
    const NO_NAMES: &[&str] = &["\u{10FFFF}", " spaces ", "trailing "];

    fn all() -> impl Iterator<Item = Self> {
        std::iter::once_with(Self::new)
    }

    async fn open(&self) -> MysqlDestination {
        MysqlDestination::open(self.options()).await.unwrap()
    }

    async fn open_applying(&self) -> MysqlDestination {
        let options = self.options().on_conflict(OnConflict::Apply);
        MysqlDestination::open(options).await.unwrap()
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
