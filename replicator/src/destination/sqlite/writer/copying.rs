//! Rows of a copy: each chunk and its number in one transaction, as long as nobody took over.

use std::sync::Arc;

use walproto::{Lsn, Oid};

use super::Writer;
use crate::chunk::{Chunk, KEPT};
use crate::config::OnConflict;
use crate::destination::rows_are_mixed;
use crate::destination::sqlite::file::failure;
use crate::destination::sqlite::{existing, ledger};
use crate::dialect::{Dialect, Shape, sqlite};
use crate::error::Result;
use crate::fail_point;
use crate::position::{PositionRow, TableState, unknown_table};
use crate::table::Table;

impl Writer<'_> {
    pub(in super::super) fn begin_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        at: Lsn,
    ) -> Result<()> {
        self.statements.clear();
        let (slot, oid) = (&held.slot, table.oid);
        self.transaction(|writer| {
            writer.holds(held)?;
            ledger::create(writer.db)?;
            let row = ledger::table(writer.db, slot, oid)?;
            let is_there = writer.object(&table.destination)?.is_some();
            let same = row.table.is_made_as(table);
            if row.made_by_us && !(same && is_there) {
                writer.make_again(table)?;
            } else if ledger::last_chunk(writer.db, slot, oid, KEPT)? > 0 {
                existing::check(writer.db, table)?;
                if row.sync_position.is_some() {
                    return Err(rows_are_mixed(table));
                }
            } else {
                existing::check(writer.db, table)?;
                let sql = sqlite::Sqlite.statement(table, &Shape::Truncate);
                let gone = writer.db.execute_batch(&sql);
                gone.map_err(|error| {
                    failure(format!("could not empty {:?}", table.destination), error)
                })?;
            }
            ledger::put_table(writer.db, slot, table, row.made_by_us, &TableState::Copying)?;
            ledger::set_state(writer.db, slot, oid, &TableState::Copying, at)?;
            ledger::delete_chunks(writer.db, slot, oid)
        })
    }

    fn make_again(&self, table: &Table) -> Result<()> {
        let mut sql = "DROP TABLE IF EXISTS ".to_owned();
        sqlite::Sqlite.identifier(&mut sql, &table.destination);
        sql.push(';');
        sql += &sqlite::Sqlite.create_table(table);
        let made = self.db.execute_batch(&sql);
        made.map_err(|error| failure(format!("could not make a table for {table}"), error))
    }

    /// Whether we may write: nobody took over.
    fn holds(&self, held: &PositionRow) -> Result<()> {
        held.still_holds(ledger::position(self.db, &held.slot)?)
    }

    pub(in super::super) fn copy(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        let (slot, oid, part) = (&held.slot, table.oid, chunk.part());
        self.statements.on_conflict(OnConflict::Stop);
        self.transaction(|writer| {
            writer.holds(held)?;
            ledger::table(writer.db, slot, oid)?.copies(chunk)?;
            if !chunk.comes_after(ledger::last_chunk(writer.db, slot, oid, part)?)? {
                return Ok(());
            }
            writer.statements.copy(chunk)?;
            ledger::put_chunk(writer.db, slot, oid, part, chunk.number())?;
            fail_point!("chunk-before-commit");
            Ok(())
        })
    }

    pub(in super::super) fn finish_copy(
        &mut self,
        held: &PositionRow,
        oid: Oid,
        at: Lsn,
    ) -> Result<()> {
        let slot = &held.slot;
        self.transaction(|writer| {
            writer.holds(held)?;
            let state = TableState::copied(at, held.lsn);
            if !ledger::set_state(writer.db, slot, oid, &state, at)? {
                return Err(unknown_table(slot, oid));
            }
            ledger::create(writer.db)?;
            ledger::delete_chunks(writer.db, slot, oid)
        })
    }
}
