//! Copies of tables: begun, chunk by chunk, finished.

use std::borrow::Cow;
use std::sync::Arc;

use walproto::{Lsn, Oid};

use super::Writer;
use super::first::making;
use crate::chunk::{Chunk, KEPT};
use crate::destination::postgres::session::failure;
use crate::destination::postgres::values::line;
use crate::destination::postgres::{ledger, lookup, origin};
use crate::destination::rows_are_mixed;
use crate::dialect::postgres::{Postgres, qualified};
use crate::dialect::{Dialect, Shape};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::position::{PositionRow, TableState, unknown_table};
use crate::table::Table;

impl Writer {
    /// Another one to the same server.
    pub(in super::super) async fn another(&mut self) -> Result<Self> {
        let mut another = Self::open(
            self.options.clone(),
            self.slot.clone(),
            self.wait,
            self.timeout,
            self.on_conflict,
        )
        .await?;
        another.on_misfit = self.on_misfit;
        self.others += 1;
        another.origin = origin::another(&self.origin, self.others);
        Ok(another)
    }

    pub(in super::super) async fn begin_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        at: Lsn,
    ) -> Result<()> {
        self.statements.clear();
        self.db().await?;
        self.mark().await;
        self.start().await?;
        let done = self.clear_for_copy(held, table, at).await;
        self.end(done).await
    }

    async fn clear_for_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        at: Lsn,
    ) -> Result<()> {
        let on_misfit = self.on_misfit;
        let (slot, oid) = (&held.slot, table.oid);
        let db = self.db().await?;
        held.still_holds(ledger::shared(db, slot).await?)?;
        ledger::create_chunks(db).await?;
        let row = ledger::table(db, slot, oid).await?;
        let found = lookup::find(db, &table.destination).await?;
        let same = row.table.columns == table.columns && row.table.key == table.key;
        let kept = ledger::last_chunk(db, slot, oid, KEPT).await? > 0;
        match found {
            Some(found) if kept => {
                found.check(table)?;
                if row.sync_position.is_some() {
                    return Err(rows_are_mixed(table));
                }
            }
            Some(found) if same || !row.made_by_us => {
                found.check(table)?;
                let sql = Postgres.statement(table, &Shape::Truncate);
                let gone = db.run_text(&sql).await;
                gone.map_err(|error| {
                    failure(format!("could not empty {}", table.destination), error)
                })?;
            }
            None if !row.made_by_us => {
                let name = &table.destination;
                return Err(
                    Error::person(format!("the destination's table {name} is gone"))
                        .with_hint("restore it, or drop the slot and copy everything again"),
                );
            }
            _ => {
                let making = making(table, db.major, on_misfit);
                let name = qualified(&table.destination);
                let made = db
                    .run_text(&format!("DROP TABLE IF EXISTS {name}; {making}"))
                    .await;
                made.map_err(|error| {
                    failure(format!("could not make a table for {table}"), error)
                })?;
            }
        }
        ledger::put_table(db, slot, table, row.made_by_us, &TableState::Copying).await?;
        ledger::set_state(db, slot, oid, &TableState::Copying, at).await?;
        ledger::delete_chunks(db, slot, oid).await
    }

    pub(in super::super) async fn copy(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<()> {
        self.db().await?;
        self.mark().await;
        self.start().await?;
        let done = self.copy_chunk(held, chunk).await;
        fail_point!("chunk-before-commit");
        self.end(done).await
    }

    async fn copy_chunk(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        let (slot, oid, part) = (&held.slot, table.oid, chunk.part());
        let db = self.db().await?;
        held.still_holds(ledger::shared(db, slot).await?)?;
        ledger::table(db, slot, oid).await?.copies(chunk)?;
        if !chunk.comes_after(ledger::last_chunk(db, slot, oid, part).await?)? {
            return Ok(());
        }
        let Some(db) = &mut self.session else {
            return Err(Error::retry(
                "the session at the destination server was lost",
            ));
        };
        let (sql, reads) = self.statements.copy_in(db, table).await?;
        let lines = if reads {
            Cow::Borrowed(chunk.lines())
        } else {
            Cow::Owned(lines(chunk)?)
        };
        match db.copy_in(&sql, &lines).await {
            Ok(copied) if copied == chunk.count() => {}
            Ok(copied) => {
                let count = chunk.count();
                return Err(Error::person(format!(
                    "table {table}, copy: the destination took {copied} of {count} rows"
                ))
                .with_hint("a trigger on the table may leave rows out"));
            }
            Err(error) => {
                if reads {
                    // What we would have refused, we can name by table and column.
                    chunk.rows().try_for_each(|row| row.map(drop))?;
                }
                return Err(failure(format!("table {table}, copy"), error));
            }
        }
        ledger::put_chunk(db, slot, oid, part, chunk.number()).await
    }

    pub(in super::super) async fn finish_copy(
        &mut self,
        held: &PositionRow,
        oid: Oid,
        at: Lsn,
    ) -> Result<()> {
        self.start().await?;
        let done = self.end_copy(held, oid, at).await;
        self.end(done).await
    }

    async fn end_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        let slot = &held.slot;
        let db = self.db().await?;
        held.still_holds(ledger::shared(db, slot).await?)?;
        if !ledger::set_state(db, slot, oid, &TableState::Streaming, at).await? {
            return Err(unknown_table(slot, oid));
        }
        ledger::create_chunks(db).await?;
        ledger::delete_chunks(db, slot, oid).await
    }
}

/// The rows of a chunk once each value was looked at, as lines that mean the same.
fn lines(chunk: &Chunk) -> Result<Vec<u8>> {
    let table = chunk.table();
    let mut lines = Vec::with_capacity(chunk.lines().len());
    for row in chunk.rows() {
        let row = row?;
        let kinds = table.columns.iter().map(|column| column.kind);
        line(row.iter().zip(kinds), &mut lines)
            .map_err(|error| Error::person(format!("table {table}, copy: {error}")))?;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
