//! The SQLite destination on real files: what it promises, and what it refuses.
#![cfg(feature = "sqlite")]

mod batch;
#[path = "../every_destination/mod.rs"]
mod every_destination;
mod folding;
mod opening;
mod parking;
mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use replicator::{
    Destination, Error, Existing, OnConflict, Operation, Outcome, PositionRow, SqliteDestination,
    SqliteOptions, Table,
};
use tempfile::TempDir;
use walproto::Lsn;

use every_destination::{
    Ground, INT, TEXT, apply, delete, insert, int, intent, keyed, keyless, named, started, text,
    update,
};

every_case!(crate::Stage);

/// A file in a folder of its own.
struct Stage(TempDir);

impl Ground for Stage {
    type Destination = SqliteDestination;

    const ANOTHER: bool = false;

    fn all() -> impl Iterator<Item = Self> {
        std::iter::once_with(|| Self(folder()))
    }

    async fn open(&self) -> SqliteDestination {
        open(&file(&self.0)).await
    }

    async fn open_applying(&self) -> SqliteDestination {
        let options = options(&file(&self.0)).on_conflict(OnConflict::Apply);
        SqliteDestination::open(options).await.unwrap()
    }

    fn unlock(&self) {
        std::fs::remove_file(self.0.path().join("d.db-replicator.lock")).unwrap();
    }

    fn look(&self, sql: &str) -> Vec<String> {
        look(&file(&self.0), sql)
    }

    fn meddle(&self, sql: &str) {
        meddle(&file(&self.0), sql);
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("d.db")
}

fn options(path: &Path) -> SqliteOptions {
    // A program that another test starts has what we have open, locks included, until it is another program: what
    // was closed may be locked a while longer.
    SqliteOptions::new(path, "s").wait(Duration::from_secs(10))
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

/// A destination that has copied nothing and streams from 100.
async fn streaming(path: &Path, tables: &[&Arc<Table>]) -> (SqliteDestination, PositionRow) {
    started(open(path).await, tables).await
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
    loop {
        match command.output() {
            // Written just now, and open as well in a program that another test starts.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            output => return Some(output.unwrap()),
        }
    }
}
