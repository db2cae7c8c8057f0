//! Operations on their way through prepared statements, each with its row count checked.

mod lines;
mod together;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement, ToSql};

use super::file::{failure, is_duplicate, refusal};
use super::parking::Parking;
use crate::config::OnConflict;
use crate::destination::conflict::{Instead, Met, Overridden, conflict, describe, instead, undo};
use crate::destination::refusal::statement;
use crate::dialect::{Dialect, Shape, sqlite::Sqlite};
use crate::error::{Error, Result};
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

/// `SQLITE_MAX_LENGTH` as SQLite is built everywhere.
pub(super) const LONGEST: usize = 1_000_000_000;
/// Statements kept ready. Updates that leave out different TOASTed columns each have their own.
const KEPT: usize = 512;

/// Prepared statements by table and shape.
pub(super) struct Statements<'db> {
    db: &'db Connection,
    /// By address; the `Arc` keeps it from being given to another table.
    tables: HashMap<usize, (Arc<Table>, Prepared<'db>)>,
    kept: usize,
    longest: usize,
    on_conflict: OnConflict,
    parking: Parking<'db>,
    /// What SQLite said of a row that it has already.
    said: Option<String>,
}

type Prepared<'db> = Vec<(Shape, Statement<'db>)>;

impl<'db> Statements<'db> {
    pub(super) fn new(db: &'db Connection, longest: usize) -> Self {
        Self {
            db,
            tables: HashMap::new(),
            kept: 0,
            longest,
            on_conflict: OnConflict::Stop,
            parking: Parking::new(db),
            said: None,
        }
    }

    /// What to do from now on about a change that meets another destination than it expects.
    pub(super) const fn on_conflict(&mut self, policy: OnConflict) {
        self.on_conflict = policy;
    }

    /// Lets go of all statements; before a table is dropped.
    pub(super) fn clear(&mut self) {
        self.tables.clear();
        self.kept = 0;
    }

    /// Carries out one operation, which must touch exactly one row, or does what is to be done otherwise.
    pub(super) fn run(&mut self, operation: &Operation) -> Result<()> {
        if self.parking.is_over(operation) {
            self.leave()?;
        }
        self.said = None;
        let Err(error) = self.step(operation) else {
            return Ok(());
        };
        let error = self.with_statement(error, operation);
        Err(match self.said.take() {
            Some(said) => error.caused_by(said),
            None => error,
        })
    }

    fn step(&mut self, operation: &Operation) -> Result<()> {
        if self.parking.run(operation)? {
            return Ok(());
        }
        match self.execute(operation)? {
            None => Ok(()),
            Some(Met::Another) if self.park(operation)? => Ok(()),
            Some(rows) => self.settle(operation, rows),
        }
    }

    /// As [`run`](Self::run), but of an operation that is refused nothing stays; gives back why it is.
    pub(super) fn attempt(&mut self, operation: &Operation) -> Result<Option<Error>> {
        if self.parking.is_over(operation) {
            // That is about other rows, all of which were taken.
            self.leave()?;
        }
        // A statement that fails undoes itself, but for what a trigger does before RAISE(FAIL); one that touched two
        // rows, or let a row wait, did not fail.
        self.simply(operation, "SAVEPOINT attempt")?;
        let waiting = self.parking.lots();
        let error = match self.run(operation) {
            Ok(()) => return self.simply(operation, "RELEASE attempt").map(|()| None),
            Err(error) => error,
        };
        if self.db.is_autocommit() {
            return Err(error.with_hint(
                "RAISE(ROLLBACK) in a trigger ends the whole transaction; RAISE(ABORT) refuses the row alone",
            ));
        }
        if error.refused_lsn().is_none() {
            return Err(error);
        }
        self.simply(operation, "ROLLBACK TO attempt")?;
        self.simply(operation, "RELEASE attempt")?;
        self.parking.back_to(waiting);
        Ok(Some(error))
    }

    fn simply(&self, operation: &Operation, sql: &str) -> Result<()> {
        let done = self
            .db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        done.map(drop)
            .map_err(|error| failure(describe(operation), error))
    }

    fn with_statement(&self, error: Error, operation: &Operation) -> Error {
        if error.statement().is_some() {
            return error;
        }
        let sql = Sqlite.statement(&operation.table, &Shape::of(operation));
        error.with_statement(statement(&sql, operation))
    }

    /// Gives the rows their keys that wait for them; when their source transaction is over.
    pub(super) fn leave(&mut self) -> Result<()> {
        self.settle_waiting().map_err(Error::found_at_end)
    }

    fn settle_waiting(&mut self) -> Result<()> {
        for insert in self.parking.leave()? {
            self.settle(&insert, Met::Another)?;
        }
        Ok(())
    }

    /// Forgets what waits, after a rollback.
    pub(super) fn rolled_back(&mut self) {
        self.parking.clear();
    }

    fn park(&mut self, operation: &Operation) -> Result<bool> {
        let why = conflict(operation, Met::Another).to_string();
        self.parking.park(operation, &why)
    }

    /// Stops at a conflict, or does what the policy says.
    fn settle(&mut self, operation: &Operation, rows: Met) -> Result<()> {
        match (self.on_conflict, instead(operation, rows)) {
            (_, Instead::Nothing) => Err(conflict(operation, rows)),
            (OnConflict::Stop, _) => Err(conflict(operation, rows).with_hint(format!(
                "{}, or start once with --on-conflict apply",
                undo(operation)
            ))),
            (OnConflict::Apply, Instead::Skip) => {
                tracing::warn!("{}", Overridden(operation));
                Ok(())
            }
            (OnConflict::Apply, Instead::Run(other)) => match self.execute(&other) {
                Ok(None) => {
                    tracing::warn!("{}", Overridden(operation));
                    Ok(())
                }
                Ok(Some(_)) => Err(conflict(operation, rows)),
                Err(error) => Err(self.with_statement(error, &other)),
            },
        }
    }

    /// Carries out one operation. `Some` where it did not touch exactly one row: how many, or that it met a row that
    /// is there already.
    fn execute(&mut self, operation: &Operation) -> Result<Option<Met>> {
        if self.kept >= KEPT {
            self.clear();
        }
        let longest = self.longest;
        let statement = self.prepared(operation)?;
        match &operation.action {
            Action::Insert { values } => {
                bind(statement, operation, longest, values.iter().enumerate())?;
            }
            Action::Update { set, matched } => {
                let set = set.iter().map(|(at, value)| (*at, value));
                bind(
                    statement,
                    operation,
                    longest,
                    set.chain(operation.table.matched().zip(matched)),
                )?;
            }
            Action::Delete { matched } => {
                bind(
                    statement,
                    operation,
                    longest,
                    operation.table.matched().zip(matched),
                )?;
            }
            Action::Truncate => {}
        }
        let done = statement.raw_execute();
        self.met(done, operation)
    }

    /// What a statement that was carried out met, where it did not touch exactly one row.
    fn met(&mut self, done: rusqlite::Result<usize>, operation: &Operation) -> Result<Option<Met>> {
        match (done, &operation.action) {
            (Ok(_), Action::Truncate) | (Ok(1), _) => Ok(None),
            (Ok(rows), _) => Ok(Some(Met::Rows(rows))),
            (Err(error), _) if is_duplicate(&error) => {
                self.said = Some(error.to_string());
                Ok(Some(Met::Another))
            }
            (Err(error), _) => Err(refusal(operation, error)),
        }
    }

    fn prepared(&mut self, operation: &Operation) -> Result<&mut Statement<'db>> {
        let table = &operation.table;
        let (_, prepared) = self
            .tables
            .entry(Arc::as_ptr(table).addr())
            .or_insert_with(|| (Arc::clone(table), Vec::new()));
        let at = match prepared.iter().position(|(shape, _)| shape.fits(operation)) {
            Some(at) => at,
            None => {
                let shape = Shape::of(operation);
                let sql = Sqlite.statement(table, &shape);
                let statement = self
                    .db
                    .prepare(&sql)
                    .map_err(|error| failure(describe(operation), error))?;
                self.kept += 1;
                prepared.push((shape, statement));
                prepared.len() - 1
            }
        };
        Ok(&mut prepared[at].1)
    }
}

/// Binds values, each with the place of its column.
fn bind<'a>(
    statement: &mut Statement<'_>,
    operation: &Operation,
    longest: usize,
    values: impl Iterator<Item = (usize, &'a Value)>,
) -> Result<()> {
    for (at, (column, value)) in values.enumerate() {
        let length = match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        };
        if length > longest {
            return Err(too_long(operation, column, length, longest));
        }
        statement
            .raw_bind_parameter(at + 1, Parameter(value))
            .map_err(|error| failure(describe(operation), error))?;
    }
    Ok(())
}

/// A value as a parameter.
#[derive(Clone, Copy)]
pub(super) struct Parameter<'a>(pub(super) &'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cold]
fn too_long(operation: &Operation, column: usize, length: usize, longest: usize) -> Error {
    let (what, column) = (describe(operation), operation.table.columns.get(column));
    let column = column.map_or("?", |column| &column.name);
    let message = format!("{what}: column {column} has {length} bytes, and SQLite holds {longest}");
    Error::refused(operation.lsn, message)
        .with_hint("leave the column or the table out of the publication")
}
