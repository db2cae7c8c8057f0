//! Copies of tables: begun, chunk by chunk, finished.

use std::sync::Arc;

use walproto::{Lsn, Oid};

use super::Writer;
use crate::chunk::{Chunk, KEPT};
use crate::destination::mysql::failure::failure;
use crate::destination::mysql::{ledger, lookup};
use crate::destination::rows_are_mixed;
use crate::dialect::mysql::quoted;
use crate::error::{Error, Result};
use crate::fail_point;
use crate::position::{PositionRow, TableRow, TableState, unknown_table};
use crate::table::Table;

impl Writer {
    /// Another one to the same server.
    pub(in super::super) async fn another(&self) -> Result<Self> {
        Self::open(
            self.address.clone(),
            self.wait,
            self.on_conflict,
            self.on_misfit,
        )
        .await
    }

    /// Tables are made again outside of transactions, which end with each such statement: who took over in that moment
    /// finds the table gone, or empty, and says so.
    pub(in super::super) async fn begin_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        at: Lsn,
    ) -> Result<()> {
        self.statements.clear();
        let (slot, oid) = (&held.slot, table.oid);
        let db = self.db().await?;
        ledger::create_chunks(db).await?;
        held.still_holds(ledger::position(db, slot).await?)?;
        let row = ledger::table(db, slot, oid).await?;
        let found = lookup::find(db, &table.destination).await?;
        let same = row.table.columns == table.columns && row.table.key == table.key;
        let kept = ledger::last_chunk(db, slot, oid, KEPT).await? > 0;
        if kept && row.sync_position.is_some() {
            return Err(rows_are_mixed(table));
        }
        match found {
            Some(found) if same || !row.made_by_us => {
                found.target(db, table)?;
            }
            None if !row.made_by_us => {
                let name = &table.destination;
                return Err(
                    Error::person(format!("the destination's table {name} is gone"))
                        .with_hint("restore it, or drop the slot and copy everything again"),
                );
            }
            _ => {
                let making = self.making(table)?;
                let name = quoted(&table.destination);
                let (db, _) = self.parts()?;
                for sql in [format!("DROP TABLE IF EXISTS {name}"), making] {
                    let made = db.run_text(&sql).await;
                    made.map_err(|error| {
                        failure(format!("could not make a table for {table}"), error)
                    })?;
                }
            }
        }
        self.start().await?;
        let done = self.clear_for_copy(held, table, &row, kept, at).await;
        self.end(done).await
    }

    async fn clear_for_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        row: &TableRow,
        kept: bool,
        at: Lsn,
    ) -> Result<()> {
        let (slot, oid) = (&held.slot, table.oid);
        let (db, _) = self.parts()?;
        held.still_holds(ledger::shared(db, slot).await?)?;
        if !kept {
            let name = &table.destination;
            let gone = db.run_text(&format!("DELETE FROM {}", quoted(name))).await;
            gone.map_err(|error| failure(format!("could not empty {name}"), error))?;
        }
        ledger::put_table(db, slot, table, row.made_by_us, &TableState::Copying).await?;
        ledger::set_state(db, slot, oid, &TableState::Copying, at).await?;
        ledger::delete_chunks(db, slot, oid).await
    }

    pub(in super::super) async fn copy(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<()> {
        self.start().await?;
        let done = self.copy_chunk(held, chunk).await;
        fail_point!("chunk-before-commit");
        self.end(done).await
    }

    async fn copy_chunk(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        let (slot, oid, part) = (&held.slot, table.oid, chunk.part());
        let (db, statements) = self.parts()?;
        held.still_holds(ledger::shared(db, slot).await?)?;
        ledger::table(db, slot, oid).await?.copies(chunk)?;
        if !chunk.comes_after(ledger::last_chunk(db, slot, oid, part).await?)? {
            return Ok(());
        }
        let rows = chunk.rows().collect::<Result<_>>()?;
        statements.copy(db, table, rows).await?;
        ledger::put_chunk(db, slot, oid, part, chunk.number()).await
    }

    pub(in super::super) async fn finish_copy(
        &mut self,
        held: &PositionRow,
        oid: Oid,
        at: Lsn,
    ) -> Result<()> {
        ledger::create_chunks(self.db().await?).await?;
        self.start().await?;
        let done = self.end_copy(held, oid, at).await;
        self.end(done).await
    }

    async fn end_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        let slot = &held.slot;
        let (db, _) = self.parts()?;
        held.still_holds(ledger::shared(db, slot).await?)?;
        if !ledger::set_state(db, slot, oid, &TableState::Streaming, at).await? {
            return Err(unknown_table(slot, oid));
        }
        ledger::delete_chunks(db, slot, oid).await
    }
}
