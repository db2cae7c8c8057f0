//! What a destination can do at most: its own way to load a file of rows, as COPY writes them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, types::Value};
use testdata::{Client, MariaDbClient};

use crate::Failure;
use crate::process::Run;

/// A database with these tables, set up as the replicator does.
pub(crate) fn prepare(path: &Path, tables: &str) -> Result<(), Failure> {
    let db = Connection::open(path)?;
    let _: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    // Its types say nothing to SQLite but which numbers are to be numbers.
    let tables = tables
        .replace("numeric(12, 2)", "text")
        .replace("bigint", "integer")
        .replace("timestamptz", "text")
        .replace("float8", "");
    db.execute_batch(&tables)?;
    Ok(())
}

/// Prepared inserts of single rows in one transaction: SQLite has no other loader, `.import` does the same.
pub(crate) fn sqlite(path: &Path, file: &Path) -> Result<Run, Failure> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let (start, cpu) = (Instant::now(), benches::cpu_time());
    let mut lines = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut line = String::new();
    let columns = db.prepare("SELECT * FROM t")?.column_count();
    let parameters = vec!["?"; columns].join(", ");
    db.execute_batch("BEGIN IMMEDIATE")?;
    let mut insert = db.prepare(&format!("INSERT INTO t VALUES ({parameters})"))?;
    while lines.read_line(&mut line)? > 0 {
        for (at, text) in line.trim_end_matches('\n').split('\t').enumerate() {
            match text {
                "\\N" => insert.raw_bind_parameter(at + 1, Value::Null)?,
                // What is a number becomes one where its column wants numbers.
                text => insert.raw_bind_parameter(at + 1, text)?,
            }
        }
        insert.raw_execute()?;
        line.clear();
    }
    drop(insert);
    db.execute_batch("COMMIT")?;
    Ok(Run {
        wall: start.elapsed(),
        cpu: Some(std::time::Duration::from_nanos(benches::cpu_time() - cpu)),
        ..Run::default()
    })
}

/// `COPY … FROM` a file that the server reads itself.
pub(crate) fn postgres(sql: &mut Client, file: &Path) -> Result<Run, Failure> {
    let start = Instant::now();
    sql.batch(&format!("COPY t FROM '{}'", file.display()))?;
    Ok(Run {
        wall: start.elapsed(),
        ..Run::default()
    })
}

/// `LOAD DATA` from a file that the server reads itself.
pub(crate) fn mariadb(sql: &mut MariaDbClient, file: &Path) -> Result<Run, Failure> {
    // What COPY writes is what it reads, but for the zone, which its type does not hold.
    let rows = std::fs::read_to_string(file)?;
    std::fs::write(file, rows.replace("+00\t", "\t").replace("+00\n", "\n"))?;
    let start = Instant::now();
    sql.batch(&format!(
        "LOAD DATA INFILE '{}' INTO TABLE t CHARACTER SET utf8mb4",
        file.display()
    ))?;
    Ok(Run {
        wall: start.elapsed(),
        ..Run::default()
    })
}
