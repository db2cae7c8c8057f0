//! The PostgreSQL destination on real servers: what it promises, and what it refuses.
#![cfg(feature = "postgres")]

mod batch;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "failpoints")]
mod crash;
mod equality;
mod parking;
mod start;
mod takeover;
mod values;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use replicator::{
    Action, Column, Destination, Error, Existing, Operation, Outcome, PositionRow,
    PostgresDestination, PostgresOptions, State, Table, TableState, Value,
};
use testdata::{Server, Version};
use walproto::{Lsn, Oid};

const INT: u32 = 23;
const TEXT: u32 = 25;

/// A server to write into.
struct Stage {
    server: Server,
}

/// The oldest server and the newest.
fn stages() -> impl Iterator<Item = Stage> {
    [Version::V14, Version::V18]
        .into_iter()
        .map(|version| Stage {
            server: common::server(version),
        })
}

fn options(stage: &Stage) -> PostgresOptions {
    PostgresOptions::new(stage.server.url("postgres"), "s").wait(Duration::from_secs(1))
}

async fn open(stage: &Stage) -> PostgresDestination {
    PostgresDestination::open(options(stage)).await.unwrap()
}

/// Looks at the server as any other program would.
fn look(stage: &Stage, sql: &str) -> Vec<String> {
    let rows = common::connect(&stage.server, "postgres")
        .query(sql)
        .unwrap();
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
    rows.into_iter()
        .map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join("|"))
        .collect()
}

fn meddle(stage: &Stage, sql: &str) {
    common::connect(&stage.server, "postgres")
        .batch(sql)
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
async fn streaming(stage: &Stage, tables: &[&Arc<Table>]) -> (PostgresDestination, PositionRow) {
    let mut destination = open(stage).await;
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
    destination: &mut PostgresDestination,
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

async fn everything(destination: &mut PostgresDestination, table: &Arc<Table>) -> Vec<Vec<Value>> {
    let mut rows = destination.read(table).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = rows.next().await.unwrap() {
        assert!(!chunk.is_empty());
        all.extend(chunk);
    }
    all
}
