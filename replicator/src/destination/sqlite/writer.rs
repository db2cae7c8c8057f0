//! What the writing thread does with the file: one method for each of the destination's promises.

mod adopting;
mod altering;
mod copying;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, types::ValueRef};
use tokio::sync::mpsc::Sender;
use walproto::Oid;

use super::file::failure;
use super::statements::{LONGEST, Statements};
use super::{Existing, Outcome, Refused, existing, ledger};
use crate::chunk::KEPT;
use crate::config::OnConflict;
use crate::destination::look::Fate;
use crate::destination::{OTHERS, not_empty};
use crate::dialect::{Dialect, sqlite};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::plan::Operation;
use crate::position::{PositionRow, State, TableRow, TableState, unknown_table};
use crate::table::Table;
use crate::value::Value;

/// Rows that leave the thread together.
const CHUNK: usize = 1000;

/// The open file and the batch on its way into it.
pub(super) struct Writer<'db> {
    db: &'db Connection,
    statements: Statements<'db>,
    batch: Option<Batch>,
    /// The intent under which a first copy runs.
    held: Option<PositionRow>,
    on_conflict: OnConflict,
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// A commit that goes wrong, for tests.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(super) enum Fault {
    /// Before anything is durable.
    Before,
    /// The batch is durable, and the answer is lost.
    After,
}

/// An open destination transaction.
struct Batch {
    expected: PositionRow,
    next: PositionRow,
}

impl<'db> Writer<'db> {
    pub(super) fn new(db: &'db Connection) -> Self {
        Self::with_longest(db, LONGEST)
    }

    /// With another limit for the length of a value.
    pub(super) fn with_longest(db: &'db Connection, longest: usize) -> Self {
        Self {
            db,
            statements: Statements::new(db, longest),
            batch: None,
            held: None,
            on_conflict: OnConflict::Stop,
            #[cfg(test)]
            fault: None,
        }
    }

    /// What to do about changes that meet another destination than they expect; the first copy always stops.
    pub(super) const fn on_conflict(&mut self, policy: OnConflict) {
        self.on_conflict = policy;
    }

    pub(super) fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        if ledger::exists(self.db)? {
            ledger::position(self.db, slot)
        } else {
            Ok(None)
        }
    }

    pub(super) fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        if ledger::exists(self.db)? {
            ledger::tables(self.db, slot)
        } else {
            Ok(Vec::new())
        }
    }

    pub(super) fn write_intent(&mut self, row: PositionRow) -> Result<PositionRow> {
        let held = self.transaction(|writer| {
            ledger::exists(writer.db)?;
            ledger::create(writer.db)?;
            let old = ledger::position(writer.db, &row.slot)?;
            if let Some(PositionRow {
                state: State::Streaming,
                slot,
                lsn,
                ..
            }) = old
            {
                return Err(Error::person(format!(
                    "slot {slot} is followed already, and is at {lsn}"
                )));
            }
            let epoch = old.map_or(1, |old| old.epoch + 1);
            let row = PositionRow {
                state: State::Intent,
                epoch,
                ..row
            };
            ledger::put_intent(writer.db, &row)?;
            Ok(row)
        })?;
        self.held = Some(held.clone());
        Ok(held)
    }

    pub(super) fn remove_intent(&mut self, slot: &str) -> Result<()> {
        self.transaction(|writer| match writer.position(slot)? {
            None => Ok(()),
            Some(PositionRow {
                state: State::Intent,
                ..
            }) => ledger::delete_position(writer.db, slot),
            Some(PositionRow {
                state: State::Streaming,
                lsn,
                ..
            }) => Err(Error::person(format!(
                "slot {slot} is followed already, and is at {lsn}"
            ))),
        })
    }

    pub(super) fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.transaction(|writer| {
            ledger::exists(writer.db)?;
            ledger::create(writer.db)?;
            if writer.examine(table, existing, true)? == Fate::Made {
                // The order matters where a product commits its DDL by itself; here both are one transaction.
                ledger::put_table(writer.db, slot, table, true, &TableState::Copying)?;
                let sql = sqlite::Sqlite.create_table(table);
                let made = writer.db.execute_batch(&sql);
                return made.map_err(|error| {
                    failure(format!("could not make a table for {table}"), error)
                });
            }
            if existing.keeps() {
                ledger::put_chunk(writer.db, slot, table.oid, KEPT, 1)?;
            }
            ledger::put_table(writer.db, slot, table, false, &TableState::Copying)
        })
    }

    /// What becomes of the name of a table that is to be here; nothing is written. With `ledger` our own tables are there.
    pub(super) fn examine(
        &mut self,
        table: &Table,
        existing: Existing,
        ledger: bool,
    ) -> Result<Fate> {
        let name = &table.destination;
        let Some(kind) = self.object(name)? else {
            if !existing.makes() {
                return Err(Error::needs_table(
                    table,
                    sqlite::Sqlite.create_table(table),
                ));
            }
            return Ok(Fate::Made);
        };
        if ledger && let Some(maker) = ledger::maker(self.db, name)? {
            return Err(Error::person(format!(
                "the destination's table {name:?} belongs to slot {maker}"
            ))
            .with_hint("replicate into another file, or drop the other slot and the table first"));
        }
        if kind != "table" {
            return Err(Error::person(format!(
                "the destination has a {kind} {name:?} that we did not make, and table {table} would need that name"
            ))
            .with_hint(OTHERS));
        }
        existing::check(self.db, table)?;
        if existing.wants_empty() && !self.is_empty(table)? {
            return Err(not_empty(table));
        }
        Ok(Fate::Taken)
    }

    fn is_empty(&self, table: &Table) -> Result<bool> {
        let mut sql = "SELECT NOT EXISTS (SELECT 1 FROM ".to_owned();
        sqlite::Sqlite.identifier(&mut sql, &table.destination);
        sql.push(')');
        let empty = self.db.query_row(&sql, [], |row| row.get(0));
        empty.map_err(|error| failure(format!("could not read {:?}", table.destination), error))
    }

    /// What has this name, whatever its case: a table, a view, an index.
    pub(super) fn object(&self, name: &str) -> Result<Option<String>> {
        let sql =
            "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type <> 'trigger'";
        let found = self.db.query_row(sql, [name], |row| row.get(0)).optional();
        found.map_err(|error| failure("could not read the destination's schema", error))
    }

    pub(super) fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        self.statements.clear();
        self.transaction(|writer| {
            let mut dropped = Vec::new();
            for TableRow {
                table, made_by_us, ..
            } in writer.tables(slot)?
            {
                if !made_by_us {
                    continue;
                }
                let mut sql = "DROP TABLE IF EXISTS ".to_owned();
                sqlite::Sqlite.identifier(&mut sql, &table.destination);
                let gone = writer.db.execute_batch(&sql);
                gone.map_err(|error| {
                    failure(format!("could not drop {:?}", table.destination), error)
                })?;
                dropped.push(table.destination);
            }
            if ledger::exists(writer.db)? {
                ledger::create(writer.db)?;
                ledger::delete_tables(writer.db, slot)?;
            }
            Ok(dropped)
        })
    }

    pub(super) fn activate(&mut self, row: PositionRow) -> Result<PositionRow> {
        let held = self
            .held
            .clone()
            .ok_or_else(|| Error::person("a position needs an intent before it"))?;
        let next = PositionRow {
            state: State::Streaming,
            epoch: held.epoch,
            holder: held.holder.clone(),
            ..row
        };
        let next = self.transaction(|writer| {
            if !ledger::compare_and_set(writer.db, &held, &next)? {
                return Err(writer.not_as_expected(&held)?);
            }
            Ok(next)
        })?;
        self.held = None;
        Ok(next)
    }

    pub(super) fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        let row = self.transaction(|writer| {
            let missing =
                || Error::person(format!("the destination has no position for slot {slot}"));
            if !ledger::exists(writer.db)? {
                return Err(missing());
            }
            ledger::migrate(writer.db)?;
            if !ledger::raise_epoch(writer.db, slot, holder)? {
                return Err(missing());
            }
            ledger::position(writer.db, slot)?.ok_or_else(missing)
        })?;
        self.held = (row.state == State::Intent).then(|| row.clone());
        Ok(row)
    }

    pub(super) fn begin(&mut self, expected: PositionRow, next: PositionRow) -> Result<()> {
        self.rollback()?;
        let next = PositionRow {
            lsn: next.lsn.max(expected.lsn),
            ..next
        };
        self.start()?;
        let moved = ledger::compare_and_set(self.db, &expected, &next).and_then(|moved| {
            if moved {
                Ok(())
            } else {
                Err(self.not_as_expected(&expected)?)
            }
        });
        if let Err(error) = moved {
            self.undo();
            return Err(error);
        }
        self.batch = Some(Batch { expected, next });
        self.statements.on_conflict(self.on_conflict);
        fail_point!("batch-begun");
        Ok(())
    }

    /// Why the compare-and-set hit no row.
    fn not_as_expected(&self, expected: &PositionRow) -> Result<Error> {
        let now = ledger::position(self.db, &expected.slot)?;
        Ok(expected.not_as_expected(now))
    }

    pub(super) fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        if self.batch.is_none() {
            return Err(Error::retry("no batch is open at the destination"));
        }
        let done = self.statements.run_all(&operations);
        if done.is_err() {
            self.batch = None;
            self.undo();
        }
        done
    }

    pub(super) fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        if self.batch.is_none() {
            return Err(Error::retry("no batch is open at the destination"));
        }
        let mut refused = Vec::new();
        for (at, operation) in operations.into_iter().enumerate() {
            fail_point!("batch-middle");
            match self.statements.attempt(&operation) {
                Ok(None) => {}
                Ok(Some(error)) => refused.push(Refused {
                    at,
                    operation,
                    error,
                }),
                Err(error) => {
                    self.batch = None;
                    self.undo();
                    return Err(error);
                }
            }
        }
        Ok(refused)
    }

    pub(super) fn commit(&mut self) -> Result<Outcome> {
        let Some(Batch { expected, next }) = self.batch.take() else {
            return Err(Error::retry("no batch is open at the destination"));
        };
        if let Err(error) = self.statements.leave() {
            self.undo();
            return Err(error);
        }
        fail_point!("batch-before-commit");
        let error = match self.finish() {
            Ok(()) => {
                fail_point!("batch-after-commit");
                return Ok(Outcome::Committed(next));
            }
            Err(error) => error,
        };
        self.undo();
        let now = ledger::position(self.db, &next.slot).map_err(|unread| {
            Error::retry(format!(
                "it is unknown whether the batch up to {} was committed: {error}",
                next.lsn
            ))
            .caused_by(unread)
        })?;
        match now {
            // An idle write that moves nothing is the same before and after.
            Some(now) if now == next => Ok(Outcome::Committed(next)),
            Some(now) if now == expected => Ok(Outcome::NotCommitted(error)),
            _ => Err(self.not_as_expected(&expected)?),
        }
    }

    pub(super) fn rollback(&mut self) -> Result<()> {
        self.batch = None;
        self.undo();
        if self.db.is_autocommit() {
            return Ok(());
        }
        Err(Error::retry(
            "the destination's transaction can be neither committed nor rolled back",
        ))
    }

    pub(super) fn forget(&mut self, slot: &str) -> Result<()> {
        self.transaction(|writer| {
            if ledger::exists(writer.db)? {
                ledger::create(writer.db)?;
                ledger::delete_position(writer.db, slot)?;
                ledger::delete_tables(writer.db, slot)?;
            }
            Ok(())
        })
    }

    pub(super) fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        self.transaction(|writer| ledger::caught_up(writer.db, slot, oid))
    }

    pub(super) fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        self.transaction(|writer| ledger::stop_table(writer.db, slot, oid, reason))
    }

    pub(super) fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        self.transaction(|writer| {
            if ledger::ask_copy(writer.db, slot, oid, now)? {
                Ok(())
            } else {
                Err(unknown_table(slot, oid))
            }
        })
    }

    /// Sends all rows of a table until nobody listens.
    pub(super) fn read(&mut self, table: &Table, to: &Sender<Result<Vec<Vec<Value>>>>) {
        if let Err(error) = self.read_rows(table, to) {
            let error = failure(
                format!("could not read the rows of {:?}", table.destination),
                error,
            );
            let _ = to.blocking_send(Err(error));
        }
    }

    fn read_rows(
        &mut self,
        table: &Table,
        to: &Sender<Result<Vec<Vec<Value>>>>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.db.prepare(&sqlite::Sqlite.select(table))?;
        let mut rows = statement.query([])?;
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(row) = rows.next()? {
            let values = (0..table.columns.len())
                .map(|at| row.get_ref(at).and_then(|value| read_value(at, value)));
            chunk.push(values.collect::<rusqlite::Result<Vec<_>>>()?);
            if chunk.len() == CHUNK && to.blocking_send(Ok(std::mem::take(&mut chunk))).is_err() {
                return Ok(());
            }
        }
        if !chunk.is_empty() {
            let _ = to.blocking_send(Ok(chunk));
        }
        Ok(())
    }

    /// Runs `work` in a transaction of its own.
    fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.batch.is_some() {
            return Err(Error::retry("a batch is open at the destination"));
        }
        self.start()?;
        let done = work(self).and_then(|value| self.finish().map(|()| value));
        if done.is_err() {
            self.undo();
        }
        done
    }

    fn start(&self) -> Result<()> {
        // Takes the write lock at once: a later upgrade could fail in the middle.
        let begun = self
            .db
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]));
        begun
            .map(drop)
            .map_err(|error| failure("could not begin a transaction at the destination", error))
    }

    fn finish(&mut self) -> Result<()> {
        let failed = |error| failure("could not commit at the destination", error);
        #[cfg(test)]
        let fault = self.fault.take();
        #[cfg(test)]
        if let Some(Fault::Before) = fault {
            return Err(failed(test_fault()));
        }
        self.db
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]))
            .map_err(failed)?;
        #[cfg(test)]
        if let Some(Fault::After) = fault {
            return Err(failed(test_fault()));
        }
        Ok(())
    }

    /// Rolls back what is open, if SQLite has not done so itself.
    fn undo(&mut self) {
        self.statements.rolled_back();
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "could not roll back at the destination");
        }
    }
}

#[cfg(test)]
fn test_fault() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None)
}

pub(super) fn read_value(at: usize, value: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => {
            let text =
                std::str::from_utf8(text).map_err(|error| rusqlite::Error::Utf8Error(at, error))?;
            Value::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

#[cfg(test)]
mod tests;
