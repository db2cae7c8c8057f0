//! The PostgreSQL destination on real servers: what it promises, and what it refuses.
#![cfg(feature = "postgres")]

mod batch;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "failpoints")]
mod crash;
mod equality;
#[path = "../every_destination/mod.rs"]
mod every_destination;
mod parking;
mod start;
mod takeover;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use replicator::{
    Column, Destination, Existing, OnConflict, Operation, Outcome, PositionRow,
    PostgresDestination, PostgresOptions, Table,
};
use testdata::{Server, Version};
use walproto::{Lsn, Oid};

use every_destination::{
    Ground, INT, TEXT, apply, chunk, delete, everything, insert, int, intent, keyed, keyless,
    named, streaming, text, update,
};

every_case!(crate::Stage);

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

impl Ground for Stage {
    type Destination = PostgresDestination;

    const TWO_ZEROS: bool = false;

    fn all() -> impl Iterator<Item = Self> {
        stages()
    }

    async fn open(&self) -> PostgresDestination {
        open(self).await
    }

    async fn open_applying(&self) -> PostgresDestination {
        let options = options(self).on_conflict(OnConflict::Apply);
        PostgresDestination::open(options).await.unwrap()
    }

    fn look(&self, sql: &str) -> Vec<String> {
        look(self, sql)
    }

    fn meddle(&self, sql: &str) {
        meddle(self, sql);
    }
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
