//! What there is without us: `psql` that sends a table, and the destination's own loader that reads it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rusqlite::Connection;
use rusqlite::types::Null;

use crate::Failure;

/// `COPY … TO STDOUT` on one connection.
pub(crate) struct Sender(Child);

impl Sender {
    pub(crate) fn start(url: &str, select: &str) -> Result<Self, Failure> {
        let copy = format!("COPY ({select}) TO STDOUT");
        let child = psql(url, &copy)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    pub(crate) fn output(&mut self) -> Result<ChildStdout, Failure> {
        Ok(self.0.stdout.take().ok_or("the pipe is taken already")?)
    }

    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.0.wait()?.success() {
            Ok(())
        } else {
            Err("psql could not send the rows".into())
        }
    }
}

/// `COPY … FROM STDIN` by another `psql`.
pub(crate) fn postgres(url: &str, table: &str, rows: ChildStdout) -> Result<(), Failure> {
    load(psql(url, &format!("COPY {table} FROM STDIN")), rows)
}

/// `LOAD DATA LOCAL INFILE` by its own client.
pub(crate) fn mariadb(
    port: u16,
    database: &str,
    table: &str,
    rows: ChildStdout,
) -> Result<(), Failure> {
    let load_data =
        format!("LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {table} CHARACTER SET utf8mb4");
    let mut command = Command::new("mariadb");
    command
        .args(["--no-defaults", "--local-infile=1", "--host=127.0.0.1"])
        .args([&format!("--port={port}"), "--user=root", database])
        .args(["--execute", &load_data]);
    load(command, rows)
}

fn load(mut command: Command, rows: ChildStdout) -> Result<(), Failure> {
    let status = command.stdin(rows).stdout(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{:?} could not load the rows", command.get_program()).into())
    }
}

/// `.import` by SQLite's own shell, which takes every field as it comes and knows no NULL.
pub(crate) fn sqlite(path: &Path, table: &str, rows: ChildStdout) -> Result<(), Failure> {
    let mut command = Command::new("sqlite3");
    command
        .args(["-batch", "-bail", "-cmd", "PRAGMA synchronous = FULL"])
        .args(["-cmd", ".mode ascii", "-cmd", r#".separator "\t" "\n""#])
        .arg(path)
        .arg(format!(".import /dev/stdin {table}"));
    load(command, rows)
}

/// Prepared inserts of single rows in one transaction: what SQLite itself takes for a row, and nothing else.
pub(crate) fn inserts(path: &Path, table: &str, rows: impl Read) -> Result<(), Failure> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let columns = db
        .prepare(&format!("SELECT * FROM {table}"))?
        .column_count();
    let parameters = vec!["?"; columns].join(", ");
    db.execute_batch("BEGIN IMMEDIATE")?;
    let mut insert = db.prepare(&format!("INSERT INTO {table} VALUES ({parameters})"))?;
    let mut lines = BufReader::with_capacity(1 << 20, rows);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        for (at, text) in line.trim_end_matches('\n').split('\t').enumerate() {
            match text {
                "\\N" => insert.raw_bind_parameter(at + 1, Null)?,
                // What is a number becomes one where its column wants numbers.
                text => insert.raw_bind_parameter(at + 1, text)?,
            }
        }
        insert.raw_execute()?;
        line.clear();
    }
    drop(insert);
    db.execute_batch("COMMIT")?;
    Ok(())
}

pub(crate) fn psql(url: &str, sql: &str) -> Command {
    let mut command = Command::new(testdata::program("psql"));
    command.args([url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    command
}
