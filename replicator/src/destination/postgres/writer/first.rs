//! The first start: the intent, the tables, and the position.

use std::sync::Arc;

use super::Writer;
use crate::chunk::KEPT;
use crate::config::OnMisfit;
use crate::destination::postgres::session::{Session, column, failure};
use crate::destination::postgres::{ledger, lookup};
use crate::destination::{Existing, OTHERS, not_empty};
use crate::dialect::postgres::types::BuiltIn;
use crate::dialect::postgres::{create_table, parts, qualified, quoted};
use crate::error::{Error, Result};
use crate::position::{PositionRow, State, TableRow, TableState};
use crate::table::Table;

impl Writer {
    pub(in super::super) async fn write_intent(&mut self, row: PositionRow) -> Result<PositionRow> {
        self.start().await?;
        let done = self.intend(row).await;
        let held = self.end(done).await?;
        self.held = Some(held.clone());
        Ok(held)
    }

    async fn intend(&mut self, row: PositionRow) -> Result<PositionRow> {
        let db = self.db().await?;
        ledger::create(db).await?;
        let old = ledger::position(db, &row.slot).await?;
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
        self.start().await?;
        let done = match self.position(slot).await {
            Ok(None) => Ok(()),
            Ok(Some(row)) => match refuse_followed(&row) {
                Ok(()) => ledger::delete_position(self.db().await?, slot).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        self.end(done).await
    }

    pub(in super::super) async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.statements.clear();
        self.start().await?;
        let done = self.make(slot, table, existing).await;
        self.end(done).await
    }

    async fn make(&mut self, slot: &str, table: &Arc<Table>, existing: Existing) -> Result<()> {
        let on_misfit = self.on_misfit;
        let db = self.db().await?;
        ledger::create(db).await?;
        let name = &table.destination;
        let Some(found) = lookup::find(db, name).await? else {
            let (schema, _) = parts(name);
            let mut sql = making(table, db.major, on_misfit);
            if !existing.makes() {
                if schema != "public" {
                    sql = format!("CREATE SCHEMA IF NOT EXISTS {}; {sql}", quoted(&schema));
                }
                return Err(Error::needs_table(table, sql));
            }
            ledger::put_table(db, slot, table, true, &TableState::Copying).await?;
            let failed = |error| failure(format!("could not make a table for {table}"), error);
            // Asked first: `IF NOT EXISTS` wants the right to make schemas even where there is nothing to make.
            let there = db
                .change(sqlx::query("SELECT FROM pg_namespace WHERE nspname = $1").bind(&schema))
                .await?;
            if there == 0 {
                let sql = format!("CREATE SCHEMA {}", quoted(&schema));
                db.run_text(&sql).await.map_err(failed)?;
            }
            return db.run_text(&sql).await.map_err(failed);
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
        found.check(table)?;
        if existing.wants_empty() && !is_empty(db, table).await? {
            return Err(not_empty(table));
        }
        if existing.keeps() {
            ledger::create_chunks(db).await?;
            ledger::put_chunk(db, slot, table.oid, KEPT, 1).await?;
        }
        ledger::put_table(db, slot, table, false, &TableState::Copying).await
    }

    pub(in super::super) async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        self.statements.clear();
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
                let sql = format!("DROP TABLE IF EXISTS {}", qualified(&table.destination));
                let gone = self.db().await?.run_text(&sql).await;
                gone.map_err(|error| {
                    failure(format!("could not drop {}", table.destination), error)
                })?;
                dropped.push(table.destination);
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

/// The statement that makes a table.
pub(super) fn making(table: &Table, major: i32, on_misfit: OnMisfit) -> String {
    create_table(table, |column| match on_misfit {
        OnMisfit::Text => BuiltIn::held_whole(column, major),
        OnMisfit::Fail | OnMisfit::Clamp => BuiltIn::held(column),
    })
}

async fn is_empty(db: &mut Session, table: &Table) -> Result<bool> {
    let name = qualified(&table.destination);
    let sql = sqlx::AssertSqlSafe(format!("SELECT NOT EXISTS (SELECT FROM {name})"));
    let rows = db.rows(sqlx::query(sql)).await?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
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
