//! A database on another PostgreSQL server, of some major version.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use testdata::{Row, Server, Version};

use super::{Limits, Place, Room};
use crate::common::{Rows, Table, connect, printed, quiet, quoted};

/// A database of its own, on a server that others share unless it may be killed.
#[derive(Debug)]
pub(crate) struct Postgres<const MAJOR: u32> {
    server: Arc<Server>,
    database: String,
}

impl<const MAJOR: u32> Place for Postgres<MAJOR> {
    const LIMITS: Limits = Limits {
        twin_tables: Room::Enough,
        twin_columns: Room::Enough,
        prefixed_tables: Room::Enough,
        long_names: Room::Enough,
        odd_names: &[],
        odd_tables: &[],
        no_columns: Room::Enough,
        texts: Room::Enough,
        columns: Room::Enough,
        values: Room::Enough,
        keys: Room::Enough,
    };

    fn fresh() -> Self {
        static SHARED: Mutex<Vec<Arc<Server>>> = Mutex::new(Vec::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let version = Version::of(MAJOR).unwrap();
        if let Some(server) = shared.iter().find(|server| server.version() == version) {
            return Self::on(Arc::clone(server));
        }
        let server = Arc::new(start(version));
        shared.push(Arc::clone(&server));
        Self::on(server)
    }

    fn url(&self) -> String {
        self.server.url(&self.database)
    }

    fn name(&self, schema: &str, table: &str) -> String {
        format!("{}.{}", quoted(schema), quoted(table))
    }

    fn sql(&self, sql: &str) {
        let done = connect(&self.server, &self.database).batch(sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn rows(&self, table: &Table) -> Rows {
        let name = self.name(&table.schema, &table.name);
        let mut session = connect(&self.server, &self.database);
        let sql = format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped",
            name.replace('\'', "''")
        );
        let found = session.query(&sql).unwrap();
        let mut found: Vec<String> = found.into_iter().flatten().flatten().collect();
        let mut wanted: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "columns of {name}");

        let columns: Vec<String> = table.columns.iter().map(|(name, _)| quoted(name)).collect();
        let sql = format!("SELECT {} FROM {name}", columns.join(", "));
        printed(session.query(&sql).unwrap(), table)
    }

    fn tables(&self) -> Vec<String> {
        let sql = r"SELECT schemaname, tablename FROM pg_tables
                    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename !~ '^_replicator_'";
        let rows = self.reader()(sql).into_iter();
        rows.map(|row| {
            let [schema, table] = row.try_into().unwrap();
            self.name(&schema.unwrap(), &table.unwrap())
        })
        .collect()
    }

    fn reader(&self) -> impl FnMut(&str) -> Vec<Row> + Send {
        let mut session = connect(&self.server, &self.database);
        move |sql| session.query(sql).unwrap()
    }
}

impl<const MAJOR: u32> super::Server for Postgres<MAJOR> {
    fn mortal() -> Self {
        Self::on(Arc::new(start(Version::of(MAJOR).unwrap())))
    }

    fn crash(&mut self) {
        let server = Arc::get_mut(&mut self.server).expect("a server that may be killed");
        server.kill();
        server.start_again();
    }
}

impl<const MAJOR: u32> Postgres<MAJOR> {
    fn on(server: Arc<Server>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("place_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {database}");
        connect(&server, "postgres").batch(&create).unwrap();
        Self { server, database }
    }
}

fn start(version: Version) -> Server {
    // One for each slot that ever wrote here, which up to 17 counted as slots did.
    let origins = match version {
        Version::V18 => "max_active_replication_origins",
        _ => "max_replication_slots",
    };
    quiet(version)
        .setting("max_connections", 200)
        .setting(origins, 600)
        .start()
}
