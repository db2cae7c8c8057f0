//! The first start: the intent, the tables, and the position.
//!
//! Where a statement that makes or drops a table commits by itself, it stands outside of transactions, before what relies
//! on it and after what the ledger says of it.

use std::sync::Arc;

use super::Writer;
use crate::chunk::KEPT;
use crate::destination::look::Fate;
use crate::destination::server::ledger;
use crate::destination::server::session::{Found, Lock, Session, Statements, Unmade};
use crate::destination::{Existing, OTHERS, not_empty};
use crate::error::{Error, Result};
use crate::position::{PositionRow, State, TableRow, TableState};
use crate::table::Table;

impl<S: Session> Writer<S> {
    pub(in crate::destination) async fn write_intent(
        &mut self,
        row: PositionRow,
    ) -> Result<PositionRow> {
        if !S::WHOLE {
            ledger::create(self.db().await?).await?;
        }
        self.start().await?;
        let done = self.intend(row).await;
        let held = self.end(done).await?;
        self.held = Some(held.clone());
        Ok(held)
    }

    async fn intend(&mut self, row: PositionRow) -> Result<PositionRow> {
        let (db, _) = self.parts()?;
        if S::WHOLE {
            ledger::create(db).await?;
        }
        let old = ledger::position(db, &row.slot, Lock::Settled).await?;
        if let Some(old) = &old {
            refuse_followed(old)?;
        }
        let row = PositionRow {
            state: State::Intent,
            epoch: old.map_or(1, |old| old.epoch + 1),
            ..row
        };
        ledger::put_intent(db, &row).await?;
        Ok(row)
    }

    pub(in crate::destination) async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        if self.position(slot).await?.is_none() {
            return Ok(());
        }
        self.start().await?;
        let done = self.unintend(slot).await;
        self.end(done).await
    }

    async fn unintend(&mut self, slot: &str) -> Result<()> {
        let (db, _) = self.parts()?;
        if let Some(row) = ledger::found(db, slot, Lock::Settled).await? {
            refuse_followed(&row)?;
            ledger::delete_position(db, slot).await?;
        }
        Ok(())
    }

    pub(in crate::destination) async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.statements.clear();
        if !S::WHOLE {
            create(self.db().await?, existing).await?;
        }
        self.start().await?;
        let done = self.note(slot, table, existing).await;
        let is_new = self.end(done).await?;
        if S::WHOLE || !is_new {
            return Ok(());
        }
        let (db, _) = self.parts()?;
        let made = db.make(table).await;
        if let Err(Unmade { is_there: true, .. }) = made {
            // Somebody else made it in between, so it is not ours to drop.
            ledger::delete_table(db, slot, table).await?;
        }
        made.map_err(|unmade| unmade.error)
    }

    /// Writes a table down; `true` if it is one that we make.
    async fn note(&mut self, slot: &str, table: &Arc<Table>, existing: Existing) -> Result<bool> {
        let (db, _) = self.parts()?;
        if S::WHOLE {
            create(db, existing).await?;
        }
        if examine(db, table, existing, true).await? == Fate::Made {
            ledger::put_table(db, slot, table, true, &TableState::Copying).await?;
            if S::WHOLE {
                db.make(table).await.map_err(|unmade| unmade.error)?;
            }
            return Ok(true);
        }
        if existing.keeps() {
            ledger::put_chunk(db, slot, table.oid, KEPT, 1).await?;
        }
        ledger::put_table(db, slot, table, false, &TableState::Copying).await?;
        Ok(false)
    }

    pub(in crate::destination) async fn drop_made_tables(
        &mut self,
        slot: &str,
    ) -> Result<Vec<String>> {
        self.statements.clear();
        if !S::WHOLE {
            return self.drop_tables(slot).await;
        }
        self.start().await?;
        let done = self.drop_tables(slot).await;
        self.end(done).await
    }

    async fn drop_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        let mut dropped = Vec::new();
        for TableRow {
            table, made_by_us, ..
        } in self.tables(slot).await?
        {
            if made_by_us {
                let sql = format!("DROP TABLE IF EXISTS {}", S::name(&table));
                let what = format!("could not drop {}", table.destination);
                self.db().await?.run_for(&sql, &what).await?;
                dropped.push(table.destination);
            }
        }
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::delete_tables(db, slot).await?;
        }
        Ok(dropped)
    }

    pub(in crate::destination) async fn activate(
        &mut self,
        row: PositionRow,
    ) -> Result<PositionRow> {
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
        self.start().await?;
        let done = self.hold(&held, &next).await;
        self.end(done).await?;
        self.held = None;
        Ok(next)
    }
}

/// What becomes of the name of a table that is to be here; nothing is written. With `ledger` our own tables are there.
///
/// # Errors
///
/// What is here already must not be taken over.
pub(super) async fn examine<S: Session>(
    db: &mut S,
    table: &Table,
    existing: Existing,
    ledger: bool,
) -> Result<Fate> {
    let name = &table.destination;
    let Some(found) = db.find(name).await? else {
        if !existing.makes() {
            return Err(Error::needs_table(table, db.making_by_hand(table)));
        }
        return Ok(Fate::Made);
    };
    if ledger && let Some(maker) = ledger::maker(db, name).await? {
        return Err(Error::person(format!(
            "the destination's table {name} belongs to slot {maker}"
        ))
        .with_hint("replicate into another database, or drop the other slot and the table first"));
    }
    let kind = found.kind();
    if kind != "table" {
        return Err(Error::person(format!(
            "the destination has a {kind} {name} that we did not make, and table {table} would need that name"
        ))
        .with_hint(OTHERS));
    }
    db.check(&found, table)?;
    if existing.wants_empty() && !db.is_empty(table).await? {
        return Err(not_empty(table));
    }
    Ok(Fate::Taken)
}

/// Makes what is needed of our own tables.
async fn create(db: &mut impl Session, existing: Existing) -> Result<()> {
    ledger::create(db).await?;
    if existing.keeps() {
        ledger::create_chunks(db).await?;
    }
    Ok(())
}

fn refuse_followed(row: &PositionRow) -> Result<()> {
    match row.state {
        State::Intent => Ok(()),
        State::Streaming => Err(Error::person(format!(
            "slot {} is followed already, and is at {}",
            row.slot, row.lsn
        ))),
    }
}
