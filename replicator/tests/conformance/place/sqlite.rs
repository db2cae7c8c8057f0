//! A SQLite file.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;
use testdata::Row;

use super::{Limits, Place, Room};
use crate::common::{Rows, Table, destination_rows, quoted};

/// A file in a folder of its own. It lives in the replicator, so there is nothing else to kill.
#[derive(Debug)]
pub(crate) struct Sqlite(TempDir);

impl Place for Sqlite {
    const LIMITS: Limits = Limits {
        twin_tables: Room::Refused(&["twin", "Twin", "upper and lower case are one"]),
        twin_columns: Room::Refused(&["\"v\"", "\"V\"", "upper and lower case are the same"]),
        prefixed_tables: Room::Refused(&["a.b", "a__b", "would both be"]),
        long_names: Room::Enough,
        odd_names: &[],
        odd_tables: &[],
        no_columns: Room::Refused(&["bare"]),
        texts: Room::Enough,
        columns: Room::Enough,
        values: Room::Enough,
        keys: Room::Enough,
    };

    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.0.path().join("place.db").display())
    }

    fn name(&self, schema: &str, table: &str) -> String {
        match schema {
            "public" => quoted(table),
            schema => quoted(&format!("{schema}__{table}")),
        }
    }

    fn sql(&self, sql: &str) {
        let done = self.open().execute_batch(sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn rows(&self, table: &Table) -> Rows {
        destination_rows(&self.open(), table)
    }

    fn tables(&self) -> Vec<String> {
        let sql = r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\_replicator\_%' ESCAPE '\'";
        let names = self.reader()(sql).into_iter().flatten().flatten();
        names.map(|name| quoted(&name)).collect()
    }

    fn reader(&self) -> impl FnMut(&str) -> Vec<Row> + Send {
        let file = self.open();
        move |sql| {
            let mut query = file.prepare(sql).unwrap();
            let width = query.column_count();
            let row =
                |row: &rusqlite::Row<'_>| (0..width).map(|at| Ok(text(row.get(at)?))).collect();
            let rows = query.query_map([], row).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        }
    }
}

impl Sqlite {
    fn open(&self) -> Connection {
        let file = Connection::open(self.0.path().join("place.db")).unwrap();
        file.busy_timeout(Duration::from_secs(20)).unwrap();
        file
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        other => panic!("no query here asks for {other:?}"),
    }
}
