//! Copies of tables: begun, chunk by chunk, finished.

use std::sync::Arc;

use walproto::{Lsn, Oid};

use super::Writer;
use crate::chunk::{Chunk, KEPT};
use crate::destination::server::ledger;
use crate::destination::server::session::{Lock, Session, Statements};
use crate::destination::{gone, rows_are_mixed};
use crate::error::Result;
use crate::fail_point;
use crate::position::{PositionRow, TableState};
use crate::table::Table;

/// What is to be done yet about a table whose copy begins.
struct Place {
    made_by_us: bool,
    /// There may be rows of a copy before.
    is_old: bool,
}

impl<S: Session> Writer<S> {
    /// Another one to the same server.
    pub(in crate::destination) async fn another(&mut self) -> Result<Self> {
        Self::open(S::another(&mut self.way), self.wait, self.on_conflict).await
    }

    /// Where a statement that makes or drops a table commits by itself, who took over in that moment finds the table
    /// gone, or empty, and says so.
    pub(in crate::destination) async fn begin_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        at: Lsn,
    ) -> Result<()> {
        self.statements.clear();
        self.ready().await?;
        if S::WHOLE {
            self.start().await?;
            let done = self.begin_whole(held, table, at).await;
            return self.end(done).await;
        }
        let place = self.make_place(held, table, Lock::Free).await?;
        self.start().await?;
        let done = self.clear_for_copy(held, table, &place, at).await;
        self.end(done).await
    }

    async fn begin_whole(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        let place = self.make_place(held, table, Lock::Shared).await?;
        self.put_copying(held, table, &place, at).await
    }

    /// Sees that there is a table, as it is to be.
    async fn make_place(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        lock: Lock,
    ) -> Result<Place> {
        let (slot, oid) = (&held.slot, table.oid);
        let (db, _) = self.parts()?;
        held.still_holds(ledger::position(db, slot, lock).await?)?;
        ledger::create_chunks(db).await?;
        let row = ledger::table(db, slot, oid).await?;
        let found = db.find(&table.destination).await?;
        let same = row.table.is_made_as(table);
        let kept = ledger::last_chunk(db, slot, oid, KEPT).await? > 0;
        let mut place = Place {
            made_by_us: row.made_by_us,
            is_old: !kept,
        };
        match found {
            Some(found) if same || kept || !row.made_by_us => db.check(&found, table)?,
            None if !row.made_by_us => return Err(gone(table)),
            _ => {
                let what = format!("could not make a table for {table}");
                let dropping = format!("DROP TABLE IF EXISTS {}", S::name(table));
                db.run_for(&dropping, &what).await?;
                db.run_for(&db.making(table), &what).await?;
                // Elsewhere somebody may have written it since.
                place.is_old = !S::WHOLE;
            }
        }
        if kept && row.sync_position.is_some() {
            return Err(rows_are_mixed(table));
        }
        Ok(place)
    }

    async fn clear_for_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        place: &Place,
        at: Lsn,
    ) -> Result<()> {
        let (db, _) = self.parts()?;
        held.still_holds(ledger::position(db, &held.slot, Lock::Shared).await?)?;
        self.put_copying(held, table, place, at).await
    }

    async fn put_copying(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        place: &Place,
        at: Lsn,
    ) -> Result<()> {
        let (slot, oid) = (&held.slot, table.oid);
        let (db, _) = self.parts()?;
        if place.is_old {
            let what = format!("could not empty {}", table.destination);
            db.run_for(&S::emptying(table), &what).await?;
        }
        ledger::put_table(db, slot, table, place.made_by_us, &TableState::Copying).await?;
        ledger::set_state(db, slot, oid, &TableState::Copying, at).await?;
        ledger::delete_chunks(db, slot, oid).await
    }

    pub(in crate::destination) async fn copy(
        &mut self,
        held: &PositionRow,
        chunk: &Chunk,
    ) -> Result<()> {
        self.ready().await?;
        self.start().await?;
        let done = self.copy_chunk(held, chunk).await;
        fail_point!("chunk-before-commit");
        self.end(done).await
    }

    async fn copy_chunk(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<()> {
        let (slot, oid, part) = (&held.slot, chunk.table().oid, chunk.part());
        let (db, statements) = self.parts()?;
        held.still_holds(ledger::position(db, slot, Lock::Shared).await?)?;
        ledger::table(db, slot, oid).await?.copies(chunk)?;
        if !chunk.comes_after(ledger::last_chunk(db, slot, oid, part).await?)? {
            return Ok(());
        }
        statements.copy(db, chunk).await?;
        ledger::put_chunk(db, slot, oid, part, chunk.number()).await
    }

    pub(in crate::destination) async fn finish_copy(
        &mut self,
        held: &PositionRow,
        oid: Oid,
        at: Lsn,
    ) -> Result<()> {
        if !S::WHOLE {
            ledger::create_chunks(self.db().await?).await?;
        }
        self.start().await?;
        let done = self.end_copy(held, oid, at).await;
        self.end(done).await
    }

    async fn end_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        let slot = &held.slot;
        let (db, _) = self.parts()?;
        held.still_holds(ledger::position(db, slot, Lock::Shared).await?)?;
        let state = TableState::copied(at, held.lsn);
        ledger::set_state(db, slot, oid, &state, at).await?;
        if S::WHOLE {
            ledger::create_chunks(db).await?;
        }
        ledger::delete_chunks(db, slot, oid).await
    }
}
