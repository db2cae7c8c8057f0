//! Rows of a copy: from COPY's lines into one statement, without a value of our own where the text itself can be bound.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};

use super::{Parameter, Statements};
use crate::chunk::Chunk;
use crate::copy;
use crate::destination::conflict::conflict;
use crate::destination::sqlite::file::failure;
use crate::dialect::{Dialect, Shape, sqlite::Sqlite};
use crate::error::Result;
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::{Kind, Value};

impl Statements<'_> {
    /// Adds the rows of a chunk, each of which must be new. None waits for its key: the source has all of them at once.
    pub(in super::super) fn copy(&mut self, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        let sql = Sqlite.statement(table, &Shape::Insert);
        let mut statement = self
            .db
            .prepare(&sql)
            .map_err(|error| failure(format!("table {table}, copy"), error))?;
        let mut text = Vec::new();
        self.said = None;
        for line in chunk.each() {
            let bound = bind(&mut statement, table, line, self.longest, &mut text);
            let done = bound.then(|| statement.raw_execute());
            if let Some(Ok(1)) = done {
                continue;
            }
            let operation = insert(chunk, line)?;
            let met = match done {
                Some(done) => self.met(done, &operation),
                // The longer way says what is the matter with a value.
                None => self.execute(&operation),
            };
            let error = match met {
                Ok(None) => continue,
                Ok(Some(met)) => conflict(&operation, met),
                Err(error) => error,
            };
            let error = self.with_statement(error, &operation);
            return Err(match self.said.take() {
                Some(said) => error.caused_by(said),
                None => error,
            });
        }
        Ok(())
    }
}

/// The row as any other that is added.
fn insert(chunk: &Chunk, line: &[u8]) -> Result<Operation> {
    let table = Arc::clone(chunk.table());
    let values = copy::row(line, &table, chunk.lsn())?;
    Ok(Operation {
        table,
        lsn: chunk.lsn(),
        action: Action::Insert { values },
    })
}

/// Binds a line's fields, one to a column; `false` if something about them has to be looked at.
fn bind(
    statement: &mut rusqlite::Statement<'_>,
    table: &Table,
    line: &[u8],
    longest: usize,
    text: &mut Vec<u8>,
) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut fields = line.split(|byte| *byte == b'\t');
    for (at, column) in (1..).zip(&table.columns) {
        let Some(field) = fields.next() else {
            return false;
        };
        let bound = if field == b"\\N" {
            statement.raw_bind_parameter(at, Parameter(&Value::Null))
        } else {
            let field = if field.contains(&b'\\') {
                text.clear();
                copy::unescape(field, text);
                &*text
            } else {
                field
            };
            if field.len() > longest {
                return false;
            }
            match column.kind {
                Kind::Text => match Kind::Text.str(field) {
                    Ok(text) => {
                        let text = ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()));
                        statement.raw_bind_parameter(at, text)
                    }
                    Err(_) => return false,
                },
                kind => match Value::from_text(kind, field) {
                    Ok(value) => statement.raw_bind_parameter(at, Parameter(&value)),
                    Err(_) => return false,
                },
            }
        };
        if bound.is_err() {
            return false;
        }
    }
    fields.next().is_none()
}
