//! Another source: the position row and every table's number change together.

use walproto::Oid;

use super::Writer;
use crate::chunk::KEPT;
use crate::destination::sqlite::ledger;
use crate::error::Result;
use crate::position::{PositionRow, TableRow, TableState};

impl Writer<'_> {
    pub(in super::super) fn adopt(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> Result<()> {
        self.transaction(|writer| {
            let (db, slot) = (writer.db, &*held.slot);
            if !ledger::change_source(db, held, next)? {
                return Err(held.not_as_expected(ledger::position(db, slot)?));
            }
            // All of them are read before the first is written: one may have the number that another had.
            ledger::create(db)?;
            let mut kept = Vec::new();
            for (oid, row) in tables {
                if ledger::last_chunk(db, slot, *oid, KEPT)? > 0 {
                    kept.push(row.table.oid);
                }
            }
            ledger::delete_tables(db, slot)?;
            for (_, row) in tables {
                let TableRow {
                    table,
                    state,
                    made_by_us,
                    ..
                } = row;
                ledger::put_table(db, slot, table, *made_by_us, state)?;
                match (state, row.sync_position) {
                    (TableState::Stopped(why), _) => ledger::stop_table(db, slot, table.oid, why)?,
                    (state, Some(at)) => {
                        ledger::set_state(db, slot, table.oid, state, at)?;
                    }
                    (_, None) => {}
                }
            }
            for oid in kept {
                ledger::put_chunk(db, slot, oid, KEPT, 1)?;
            }
            Ok(())
        })
    }
}
