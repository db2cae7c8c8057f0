//! The SQLite destination on real files: what it promises, and what it refuses.
#![cfg(feature = "sqlite")]

mod batch;
mod opening;
mod parking;
mod start;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use replicator::{
    Action, Column, Destination, Error, Existing, Operation, Outcome, PositionRow,
    SqliteDestination, SqliteOptions, State, Table, TableState, Value,
};
use tempfile::TempDir;
use walproto::{Lsn, Oid};

const INT: u32 = 23;
const TEXT: u32 = 25;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("d.db")
}

fn options(path: &Path) -> SqliteOptions {
    SqliteOptions::new(path, "s").wait(Duration::ZERO)
}

async fn open(path: &Path) -> SqliteDestination {
    SqliteDestination::open(options(path)).await.unwrap()
}

async fn refused(path: &Path) -> Error {
    SqliteDestination::open(options(path)).await.unwrap_err()
}

/// Looks into the file as any other program would.
fn look(path: &Path, sql: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cell = |at| -> rusqlite::Result<String> {
            Ok(match row.get_ref(at)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                rusqlite::types::ValueRef::Real(number) => format!("{number:?}"),
                rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                rusqlite::types::ValueRef::Blob(bytes) => format!("{bytes:?}"),
            })
        };
        Ok((0..columns)
            .map(|at| cell(at).unwrap())
            .collect::<Vec<_>>()
            .join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn meddle(path: &Path, sql: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

fn named(oid: u32, name: &str, columns: &[(&str, u32)], key: &[usize]) -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(oid),
        schema: "public".to_owned(),
        name: name.to_owned(),
        destination: name.to_owned(),
        columns: columns
            .iter()
            .map(|(name, oid)| Column::new(*name, Oid(*oid), -1, Oid(*oid)))
            .collect(),
        key: key.to_vec(),
        identity: 'd',
        relfilenode: oid,
    })
}

/// `id integer primary key, name text`
fn keyed() -> Arc<Table> {
    named(1, "t", &[("id", INT), ("name", TEXT)], &[0])
}

fn keyless() -> Arc<Table> {
    named(2, "log", &[("at", INT), ("what", TEXT)], &[])
}

fn intent() -> PositionRow {
    PositionRow {
        slot: "s".to_owned(),
        state: State::Intent,
        system_id: "7301".to_owned(),
        timeline: 1,
        database: "shop".to_owned(),
        publications: vec!["p".to_owned(), "q \"r\"".to_owned()],
        lsn: Lsn(90),
        epoch: 0,
        holder: "process 1".to_owned(),
        fingerprint: "f".to_owned(),
    }
}

/// A destination that has copied nothing and streams from 100.
async fn streaming(path: &Path, tables: &[&Arc<Table>]) -> (SqliteDestination, PositionRow) {
    let mut destination = open(path).await;
    let row = destination.write_intent(&intent()).await.unwrap();
    for table in tables {
        destination
            .create_table("s", table, Existing::Refuse)
            .await
            .unwrap();
    }
    let row = destination
        .activate(&PositionRow {
            lsn: Lsn(100),
            ..row
        })
        .await
        .unwrap();
    (destination, row)
}

fn int(number: i64) -> Value {
    Value::Integer(number)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn operation(table: &Arc<Table>, action: Action) -> Operation {
    Operation {
        table: Arc::clone(table),
        lsn: Lsn(0x1_0000_0002),
        action,
    }
}

fn insert(table: &Arc<Table>, values: &[Value]) -> Operation {
    operation(
        table,
        Action::Insert {
            values: values.to_vec(),
        },
    )
}

fn update(table: &Arc<Table>, set: &[(usize, Value)], matched: &[Value]) -> Operation {
    operation(
        table,
        Action::Update {
            set: set.to_vec(),
            matched: matched.to_vec(),
        },
    )
}

fn delete(table: &Arc<Table>, matched: &[Value]) -> Operation {
    operation(
        table,
        Action::Delete {
            matched: matched.to_vec(),
        },
    )
}

/// One whole batch.
async fn apply(
    destination: &mut SqliteDestination,
    row: &PositionRow,
    to: u64,
    operations: Vec<Operation>,
) -> Result<PositionRow, Error> {
    destination.begin(row, &row.advanced(Lsn(to))).await?;
    destination.execute(operations).await?;
    match destination.commit().await? {
        Outcome::Committed(row) => Ok(row),
        Outcome::NotCommitted(error) => Err(error),
    }
}

async fn everything(destination: &mut SqliteDestination, table: &Arc<Table>) -> Vec<Vec<Value>> {
    let mut rows = destination.read(table).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = rows.next().await.unwrap() {
        assert!(!chunk.is_empty());
        all.extend(chunk);
    }
    all
}

/// Runs one test of this file in another process; `None` when this is that process.
fn in_another_process(
    test: &str,
    setup: impl FnOnce(&mut std::process::Command),
) -> Option<std::process::Output> {
    const MARK: &str = "SQLITE_DESTINATION_CHILD";
    if std::env::var_os(MARK).is_some() {
        return None;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1");
    setup(&mut command);
    Some(command.output().unwrap())
}
