//! Destinations, and what they hold.

use std::collections::BTreeMap;

use testdata::{Client, MariaDbClient, Row, Server};

use crate::common::{Job, Rows, Table, connect, destination_rows, printed, server_rows};

/// Tables that are copied, and as of when.
const FINISHED: &str =
    "SELECT oid, sync_position FROM _replicator_tables WHERE state IN ('streaming', 'catching up')";

/// In how many parts the tables are that are being copied.
const PARTS: &str = "SELECT max(part) FROM _replicator_chunks";

pub(crate) trait Place {
    /// Where it is, unless it is the job's file.
    fn url(&self) -> Option<String> {
        None
    }

    /// The answer, if what is asked for is there.
    fn ask(&mut self, job: &Job, sql: &str) -> Vec<Row>;

    fn rows(&mut self, job: &Job, table: &Table) -> Rows;

    fn finished(&mut self, job: &Job) -> BTreeMap<String, String> {
        let rows = self.ask(job, FINISHED);
        let pair = |row: Row| Some((row.first()?.clone()?, row.get(1)?.clone()?));
        rows.into_iter().filter_map(pair).collect()
    }

    fn most_parts(&mut self, job: &Job) -> u64 {
        let rows = self.ask(job, PARTS);
        let number = rows
            .first()
            .and_then(|row| row.first()?.as_deref()?.parse().ok());
        number.unwrap_or_default()
    }
}

pub(crate) struct Sqlite;

impl Place for Sqlite {
    fn ask(&mut self, job: &Job, sql: &str) -> Vec<Row> {
        let file = job.sqlite();
        let Ok(mut query) = file.prepare(sql) else {
            return Vec::new();
        };
        let count = query.column_count();
        let cell = |value| match value {
            rusqlite::types::Value::Text(text) => Some(text),
            rusqlite::types::Value::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        let rows = query
            .query_map([], |row| {
                (0..count).map(|at| row.get(at).map(cell)).collect()
            })
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn rows(&mut self, job: &Job, table: &Table) -> Rows {
        destination_rows(&job.sqlite(), table)
    }
}

pub(crate) struct Postgres {
    client: Client,
    url: String,
}

impl Postgres {
    pub(crate) fn new(server: &Server, round: u64) -> Self {
        let name = format!("seam_{round}");
        let create = format!("CREATE DATABASE {name}");
        connect(server, "postgres").batch(&create).unwrap();
        Self {
            client: connect(server, &name),
            url: server.url(&name),
        }
    }
}

impl Place for Postgres {
    fn url(&self) -> Option<String> {
        Some(self.url.clone())
    }

    fn ask(&mut self, _: &Job, sql: &str) -> Vec<Row> {
        self.client.query(sql).unwrap_or_default()
    }

    fn rows(&mut self, _: &Job, table: &Table) -> Rows {
        server_rows(&mut self.client, table)
    }
}

pub(crate) struct MariaDb {
    client: MariaDbClient,
    url: String,
}

impl MariaDb {
    pub(crate) fn new(server: &testdata::MariaDb, round: u64) -> Self {
        let name = format!("seam_{round}");
        let create = format!("CREATE DATABASE {name}");
        server.connect("").unwrap().batch(&create).unwrap();
        Self {
            client: server.connect(&name).unwrap(),
            url: server.url(&name),
        }
    }
}

impl Place for MariaDb {
    fn url(&self) -> Option<String> {
        Some(self.url.clone())
    }

    fn ask(&mut self, _: &Job, sql: &str) -> Vec<Row> {
        self.client.query(sql).unwrap_or_default()
    }

    fn rows(&mut self, _: &Job, table: &Table) -> Rows {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let sql = format!(
            "SELECT {} FROM `{}`",
            columns.join(", "),
            table.destination()
        );
        printed(self.client.query(&sql).unwrap(), table)
    }
}
