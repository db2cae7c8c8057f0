//! Rows of a copy: loaded as a file where the server takes one, and where all of it is taken as it is; or inserted.
//!
//! `LOAD DATA LOCAL` goes on where a statement would stop: it leaves rows out whose key is there, and changes values that
//! do not fit. Each is a warning or a row that is missing from the count, upon which nothing of it stays: the rows are
//! inserted, which takes them or names what is wrong.

use std::borrow::Cow;
use std::io::Write;

use memchr::memchr3_iter;

use super::{Failed, Parameters, Statements, hold, insert, too_large, warned};
use crate::chunk::Chunk;
use crate::copy;
use crate::destination::mysql::session::{Session, failure};
use crate::destination::mysql::values::{parameter, size};
use crate::destination::server::Session as _;
use crate::dialect::Shape;
use crate::dialect::mysql::Target;
use crate::dialect::mysql::types::Held;
use crate::error::{Error, ErrorKind, Result};
use crate::table::Table;
use crate::value::{Kind, Value};

impl Statements {
    /// Adds the rows of a chunk.
    pub(in super::super) async fn copy(&mut self, db: &mut Session, chunk: &Chunk) -> Result<()> {
        if db.server.loads && self.load(db, chunk).await? {
            return Ok(());
        }
        self.insert(db, chunk).await
    }

    /// Whether all could be loaded; if not, none of it is.
    async fn load(&mut self, db: &mut Session, chunk: &Chunk) -> Result<bool> {
        let table = chunk.table();
        let target = self.target(db, table).await?;
        let lines = self.lines(&target, chunk, db.server.packet)?;
        db.save("loading").await?;
        let done = db.load(&target.load(), lines.into()).await;
        let why = match done {
            Ok(done) if done.warnings == 0 && done.rows == chunk.count() => return Ok(true),
            Ok(done) => format!("{} rows, {} warnings", done.rows, done.warnings),
            Err(error) => {
                let error = failure(format!("table {table}, first copy"), error);
                if error.kind() != ErrorKind::Person || db.is_lost() {
                    return Err(error);
                }
                error.to_string()
            }
        };
        // That there is none to go back to is an error as well: the transaction is gone.
        db.back_to("loading").await?;
        tracing::debug!(%table, why, "rows are inserted that could not be loaded");
        Ok(false)
    }

    /// The rows as `LOAD DATA` reads them: COPY's own lines, but for values that are spelled otherwise.
    fn lines(&mut self, target: &Target, chunk: &Chunk, packet: usize) -> Result<Vec<u8>> {
        let table = chunk.table();
        let mut lines = Vec::with_capacity(chunk.lines().len() + 1024);
        for line in chunk.each() {
            let start = lines.len();
            if line.len() <= packet && fields(target.held(), line, &mut lines) {
                continue;
            }
            lines.truncate(start);
            let row = copy::row(line, table, chunk.lsn())?;
            let row = self.fitting_row(target, table, row, packet)?;
            for (at, value) in row.iter().enumerate() {
                if at > 0 {
                    lines.push(b'\t');
                }
                spell(value, &mut lines);
            }
            lines.push(b'\n');
        }
        Ok(lines)
    }

    async fn insert(&mut self, db: &mut Session, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        let target = self.target(db, table).await?;
        let packet = db.server.packet;
        let mut rows = Vec::new();
        for row in chunk.rows() {
            let row = self.fitting_row(&target, table, row?, packet)?;
            rows.push(Parameters {
                bytes: row.iter().map(size).sum(),
                values: row.iter().map(parameter).collect(),
            });
        }
        let what = || format!("table {table}, first copy");
        match insert(db, rows, |rows| target.statement(&Shape::Insert, rows)).await {
            Ok(()) => Ok(()),
            Err(Failed::Refused(error)) => Err(failure(what(), error)),
            Err(Failed::Warned(text)) => Err(warned(&what(), &text)),
            Err(Failed::Unmade(error)) => Err(error),
            Err(Failed::Met(_)) => Err(Error::person(format!(
                "{}: the destination did not take every row",
                what()
            ))
            .with_hint("a trigger on the table may leave rows out")),
        }
    }

    /// The row as its columns take it.
    fn fitting_row(
        &mut self,
        target: &Target,
        table: &Table,
        mut row: Vec<Value>,
        packet: usize,
    ) -> Result<Vec<Value>> {
        self.misfits
            .fit_row(table, &mut row, |at, value| hold(target, at, value))?;
        let bytes = row.iter().map(size).sum();
        if bytes > packet {
            let what = format!("table {table}, first copy");
            return Err(too_large(&what, bytes, packet));
        }
        Ok(row)
    }
}

/// Adds a line whose fields can be taken over without making values of them; `false` if they cannot.
fn fields(held: &[Held], line: &[u8], out: &mut Vec<u8>) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    // Checked as a whole, which is quicker than field by field.
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    let mut marks = memchr3_iter(b'\t', b'\\', 0, line.as_bytes());
    let mut start = 0;
    for (at, held) in held.iter().enumerate() {
        if start > line.len() {
            return false;
        }
        if at > 0 {
            out.push(b'\t');
        }
        let null = line[start..].starts_with("\\N");
        if null {
            marks.next();
        }
        let end = marks.next().unwrap_or(line.len());
        let field = &line[start..end];
        // What is escaped differs: a form feed is, of which LOAD DATA would make the letter. No zero byte is a text.
        let ends = line.as_bytes().get(end).is_none_or(|mark| *mark == b'\t');
        if ends && field == "\\N" {
            out.extend_from_slice(field.as_bytes());
        } else if null || !ends || !taken(held, field, out) {
            return false;
        }
        start = end + 1;
    }
    out.push(b'\n');
    start == line.len() + 1
}

/// Adds a field that is the same to both sides, or whose value is; `false` for any other.
fn taken(held: &Held, field: &str, out: &mut Vec<u8>) -> bool {
    if held.kind() == Kind::Text {
        let plain = held.plain(field);
        out.extend_from_slice(plain.unwrap_or_default().as_bytes());
        return plain.is_some();
    }
    match Value::from_text(held.kind(), field.as_bytes()) {
        Ok(value) if matches!(held.value(&value), Ok(Cow::Borrowed(_))) => {
            match value {
                // Spelled in one way only.
                Value::Integer(_) if held.kind() != Kind::Bool => {
                    out.extend_from_slice(field.as_bytes());
                }
                value => spell(&value, out),
            }
            true
        }
        _ => false,
    }
}

/// A value as a field.
fn spell(value: &Value, out: &mut Vec<u8>) {
    // Writing into memory does not fail.
    let written = match value {
        Value::Null => out.write_all(b"\\N"),
        Value::Integer(number) => write!(out, "{number}"),
        // The shortest text that is this number and no other.
        Value::Real(number) => write!(out, "{number:e}"),
        Value::Text(text) => {
            escape(text.as_bytes(), out);
            Ok(())
        }
        Value::Blob(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
    };
    debug_assert!(written.is_ok(), "memory takes what is written");
}

/// Escapes what ends a field or a line, and what escapes.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            byte => out.push(*byte),
        }
    }
}
