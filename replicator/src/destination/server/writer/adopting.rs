//! Another source: the position row and every table's number change together.

use walproto::Oid;

use super::Writer;
use crate::chunk::KEPT;
use crate::destination::server::ledger;
use crate::destination::server::session::{Lock, Session};
use crate::error::Result;
use crate::position::{PositionRow, TableRow, TableState};

impl<S: Session> Writer<S> {
    pub(in crate::destination) async fn adopt(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> Result<()> {
        self.ready().await?;
        self.start().await?;
        let done = self.change_source(held, next, tables).await;
        self.end(done).await
    }

    async fn change_source(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> Result<()> {
        let (db, _) = self.parts()?;
        let slot = &*held.slot;
        if !ledger::change_source(db, held, next).await? {
            let now = ledger::position(db, slot, Lock::Free).await?;
            return Err(held.not_as_expected(now));
        }
        // All of them are read before the first is written: one may have the number that another had.
        let mut kept = Vec::new();
        if ledger::has_chunks(db).await? {
            for (oid, row) in tables {
                if ledger::last_chunk(db, slot, *oid, KEPT).await? > 0 {
                    kept.push(row.table.oid);
                }
            }
        }
        ledger::delete_tables(db, slot).await?;
        for (_, row) in tables {
            let TableRow {
                table,
                state,
                made_by_us,
                ..
            } = row;
            ledger::put_table(db, slot, table, *made_by_us, state).await?;
            match (state, row.sync_position) {
                (TableState::Stopped(why), _) => {
                    ledger::stop_table(db, slot, table.oid, why).await?;
                }
                (state, Some(at)) => ledger::set_state(db, slot, table.oid, state, at).await?,
                (_, None) => {}
            }
        }
        for oid in kept {
            ledger::put_chunk(db, slot, oid, KEPT, 1).await?;
        }
        Ok(())
    }
}
