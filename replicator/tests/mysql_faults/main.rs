//! What can be wrong with a MariaDB server and between it and its destination: one clear error each, and on from there.
#![cfg(feature = "mysql")]

#[path = "../every_destination/mod.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "only what makes tables and batches is used here"
)]
mod every_destination;
mod opening;
mod takeover;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use replicator::{Destination, MysqlDestination, MysqlOptions, OnConflict, OnMisfit, Outcome};
use testdata::{MariaDb, MariaDbClient};
use walproto::Lsn;

use every_destination::{
    Ground, apply, delete, insert, int, intent, keyed, started, streaming, text,
};

/// A database of its own on a server.
struct Stage {
    server: Arc<MariaDb>,
    database: String,
}

impl Ground for Stage {
    type Destination = MysqlDestination;

    const KEYED: &str =
        "id int PRIMARY KEY, name longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    const KEYLESS: &str = "id int, name longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    // A row takes 8 kB of its page, 40 bytes of it for each text.
    const COLUMNS: usize = 190;
    const NO_NAMES: &[&str] = &["\u{10FFFF}"];

    fn all() -> impl Iterator<Item = Self> {
        std::iter::once_with(stage)
    }

    async fn open(&self) -> MysqlDestination {
        self.told(options(&self.url())).await
    }

    async fn open_applying(&self) -> MysqlDestination {
        self.told(options(&self.url()).on_conflict(OnConflict::Apply))
            .await
    }

    fn look(&self, sql: &str) -> Vec<String> {
        let rows = self.session().query(sql).unwrap();
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
        rows.into_iter()
            .map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join("|"))
            .collect()
    }

    fn meddle(&self, sql: &str) {
        let done = self.session().batch(sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

impl Stage {
    fn on(server: Arc<MariaDb>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("stage_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {database}");
        server.connect("").unwrap().batch(&create).unwrap();
        Self { server, database }
    }

    fn url(&self) -> String {
        self.server.url(&self.database)
    }

    fn session(&self) -> MariaDbClient {
        self.server.connect(&self.database).unwrap()
    }

    async fn told(&self, options: MysqlOptions) -> MysqlDestination {
        MysqlDestination::open(options).await.unwrap()
    }

    /// Numbers of the sessions in its database, without that which asks.
    fn sessions(&self) -> Vec<String> {
        self.look(
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
        )
    }
}

/// On a server that all share.
fn stage() -> Stage {
    static SHARED: Mutex<Option<Arc<MariaDb>>> = Mutex::new(None);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let server = shared.get_or_insert_with(|| Arc::new(MariaDb::start()));
    Stage::on(Arc::clone(server))
}

fn options(url: &str) -> MysqlOptions {
    MysqlOptions::new(url)
        .wait(Duration::from_secs(1))
        .on_misfit(OnMisfit::Text)
}
