//! The first start: the intent, the tables, and the position.
//!
//! A statement that makes or drops a table commits by itself, so each stands outside of transactions: what the ledger
//! says of a table is durable before the table is there.

use std::sync::Arc;

use super::Writer;
use crate::chunk::KEPT;
use crate::destination::mysql::failure::{failure, is_there};
use crate::destination::mysql::session::Session;
use crate::destination::mysql::{ledger, lookup};
use crate::destination::{Existing, OTHERS, not_empty};
use crate::dialect::Dialect;
use crate::dialect::mysql::{Mysql, quoted};
use crate::error::{Error, Result};
use crate::position::{PositionRow, State, TableRow, TableState};
use crate::table::Table;

impl Writer {
    pub(in super::super) async fn write_intent(&mut self, row: PositionRow) -> Result<PositionRow> {
        ledger::create(self.db().await?).await?;
        self.start().await?;
        let done = self.intend(row).await;
        let held = self.end(done).await?;
        self.held = Some(held.clone());
        Ok(held)
    }

    async fn intend(&mut self, row: PositionRow) -> Result<PositionRow> {
        let (db, _) = self.parts()?;
        let old = ledger::settled(db, &row.slot).await?;
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

    pub(in super::super) async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        if self.position(slot).await?.is_none() {
            return Ok(());
        }
        self.start().await?;
        let done = self.unintend(slot).await;
        self.end(done).await
    }

    async fn unintend(&mut self, slot: &str) -> Result<()> {
        let (db, _) = self.parts()?;
        if let Some(row) = ledger::settled(db, slot).await? {
            refuse_followed(&row)?;
            ledger::delete_position(db, slot).await?;
        }
        Ok(())
    }

    pub(in super::super) async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.statements.clear();
        ledger::create(self.db().await?).await?;
        if existing.keeps() {
            ledger::create_chunks(self.db().await?).await?;
        }
        self.start().await?;
        let done = self.note(slot, table, existing).await;
        let is_new = self.end(done).await?;
        if !is_new {
            return Ok(());
        }
        let what = format!("could not make a table for {table}");
        let sql = self.making(table)?;
        let (db, _) = self.parts()?;
        let made = db.run_text(&sql).await;
        match made {
            Ok(done) if done.warnings == 0 => Ok(()),
            Ok(_) => {
                let text = db.warnings().await?;
                Err(Error::person(format!("{what}: {text}"))
                    .with_hint("leave the table out of the publication"))
            }
            // Somebody else made it in between, so it is not ours to drop.
            Err(error) if is_there(&error) => {
                ledger::delete_table(db, slot, table).await?;
                Err(failure(what, error))
            }
            Err(error) => Err(failure(what, error)),
        }
    }

    /// The statement that makes a table.
    pub(super) fn making(&mut self, table: &Table) -> Result<String> {
        let on_misfit = self.on_misfit;
        let (db, _) = self.parts()?;
        let dialect = Mysql::of(db.server.flavour).on_misfit(on_misfit);
        Ok(dialect.create_table(table))
    }

    /// Writes a table down; `true` if it is still to be made.
    async fn note(&mut self, slot: &str, table: &Arc<Table>, existing: Existing) -> Result<bool> {
        let sql = self.making(table)?;
        let (db, _) = self.parts()?;
        let name = &table.destination;
        let Some(found) = lookup::find(db, name).await? else {
            if !existing.makes() {
                return Err(Error::needs_table(table, sql));
            }
            ledger::put_table(db, slot, table, true, &TableState::Copying).await?;
            return Ok(true);
        };
        if let Some(maker) = ledger::maker(db, name).await? {
            return Err(Error::person(format!(
                "the destination's table {name} belongs to slot {maker}"
            ))
            .with_hint(
                "replicate into another database, or drop the other slot and the table first",
            ));
        }
        let kind = found.kind();
        if kind != "table" {
            return Err(Error::person(format!(
                "the destination has a {kind} {name} that we did not make, and table {table} would need that name"
            ))
            .with_hint(OTHERS));
        }
        found.target(db, table)?;
        if existing.wants_empty() && !is_empty(db, table).await? {
            return Err(not_empty(table));
        }
        if existing.keeps() {
            ledger::put_chunk(db, slot, table.oid, KEPT, 1).await?;
        }
        ledger::put_table(db, slot, table, false, &TableState::Copying).await?;
        Ok(false)
    }

    pub(in super::super) async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        self.statements.clear();
        let mut dropped = Vec::new();
        for TableRow {
            table, made_by_us, ..
        } in self.tables(slot).await?
        {
            let name = table.destination;
            let db = self.db().await?;
            if made_by_us {
                let gone = db
                    .run_text(&format!("DROP TABLE IF EXISTS {}", quoted(&name)))
                    .await;
                gone.map_err(|error| failure(format!("could not drop {name}"), error))?;
                dropped.push(name);
            }
        }
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::delete_tables(db, slot).await?;
        }
        Ok(dropped)
    }

    pub(in super::super) async fn activate(&mut self, row: PositionRow) -> Result<PositionRow> {
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

async fn is_empty(db: &mut Session, table: &Table) -> Result<bool> {
    let sql = format!("SELECT 1 FROM {} LIMIT 1", quoted(&table.destination));
    Ok(db.rows(&sql, vec![]).await?.is_empty())
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
