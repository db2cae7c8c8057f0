//! A database on another PostgreSQL server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use testdata::{Row, Server, Version};

use super::{Limits, Place, Room};
use crate::common::{Rows, Table, connect, printed, quiet, quoted};

/// A database of its own, on a server that others share unless it may be killed.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Arc<Server>,
    database: String,
}

impl Place for Postgres {
    const LIMITS: Limits = Limits {
        twin_tables: Room::Enough,
        twin_columns: Room::Enough,
        prefixed_tables: Room::Enough,
        long_names: Room::Enough,
        columns: Room::Enough,
        values: Room::Enough,
        keys: Room::Enough,
    };

    fn fresh() -> Self {
        static SHARED: Mutex<Option<Arc<Server>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.get_or_insert_with(|| Arc::new(start()));
        Self::on(Arc::clone(server))
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

impl super::Server for Postgres {
    fn mortal() -> Self {
        Self::on(Arc::new(start()))
    }

    fn crash(&mut self) {
        let server = Arc::get_mut(&mut self.server).expect("a server that may be killed");
        server.kill();
        server.start_again();
    }
}

impl Postgres {
    fn on(server: Arc<Server>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("place_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {database}");
        connect(&server, "postgres").batch(&create).unwrap();
        Self { server, database }
    }
}

fn start() -> Server {
    quiet(Version::NEWEST)
        .setting("max_connections", 200)
        // One for each slot that ever wrote here.
        .setting("max_active_replication_origins", 200)
        .start()
}
