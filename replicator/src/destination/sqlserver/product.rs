//! What SQL Server brings for the writer that all servers share.

use std::sync::Arc;
use std::time::Duration;

use tiberius::{ColumnData, Row as Sent};
use walproto::Lsn;

use super::compatible;
use super::failure::{failure, is_there};
use super::lookup::Found;
use super::session::{Patience, Session, column};
use super::statements::Statements;
use super::url::Address;
use super::values::{ours, parameter, text};
use super::{ledger, lookup, room, survey};
use crate::alteration::{Alteration, Words};
use crate::check::Finding;
use crate::chunk::Chunk;
use crate::config::{OnConflict, OnMisfit};
use crate::destination::gone;
use crate::destination::server::{
    self, Cell, Found as _, Holder, Lock, Ours, Outgoing, Row, Unmade,
};
use crate::dialect::Dialect;
use crate::dialect::sqlserver::{
    SCHEMA, SqlServer, Target, catalog, create_schema, literal, parts, qualified,
};
use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::table::Table;
use crate::value::Value;

/// How sessions are opened.
#[derive(Clone, Debug)]
pub(in crate::destination) struct Way {
    pub(super) address: Address,
    /// How long is waited for an answer before the server is asked whether there will be one.
    pub(super) answer: Duration,
    pub(super) on_misfit: OnMisfit,
}

impl Session {
    /// What the server understands.
    pub(super) const fn dialect(&self) -> SqlServer {
        SqlServer::new()
            .on_misfit(self.on_misfit)
            .folds(self.server.folds)
            .compatible(self.server.is_compatible())
    }

    async fn wait_for_locks(&mut self, wait: Duration) -> Result<()> {
        let wait = wait.as_millis().clamp(1, 1_000_000_000);
        self.run(&format!("SET LOCK_TIMEOUT {wait}")).await
    }

    async fn make_within(&mut self, table: &Table, what: &str) -> Result<(), Unmade> {
        let unmade = |error| Unmade {
            error,
            is_there: false,
        };
        let (schema, _) = parts(&table.destination);
        let there = self.rows(catalog::SCHEMA, vec![text(schema.clone())]).await;
        let there = there.map_err(unmade)?;
        let number = there
            .first()
            .map_or(Ok(None), |row| column::<Option<i32>>(row, 0));
        if number.map_err(unmade)?.is_none() {
            let made = self.run_text(&create_schema(&schema)).await;
            made.map_err(|error| unmade(failure(what, error)))?;
        }
        let sql = server::Session::making(self, table);
        self.run_text(&sql).await.map_err(|error| Unmade {
            is_there: is_there(&error),
            error: failure(what, error),
        })
    }
}

impl server::Session for Session {
    type Way = Way;
    type Found = Found;
    type Statements = Statements;

    const WHOLE: bool = true;
    /// An error undoes the transaction, until one is to be stepped back from: see [`save`](server::Session::save).
    const BEGIN: &'static str = "SET XACT_ABORT ON; BEGIN TRANSACTION";
    /// It may be undone already.
    const ROLLBACK: &'static str = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
    const HOLDER: [&'static str; 2] = ["session", "session_start"];
    const OURS: &'static str = crate::dialect::sqlserver::ledger::OURS;

    async fn open(way: &Way, lock_wait: Duration, again: bool) -> Result<Self> {
        let patience = Patience {
            locks: lock_wait,
            answer: way.answer,
        };
        let mut session = Self::open(&way.address, patience, again).await?;
        session.on_misfit = way.on_misfit;
        Ok(session)
    }

    async fn open_to_look(way: &Way) -> Result<(Self, Vec<Finding>)> {
        let patience = Patience {
            locks: Duration::from_secs(3),
            answer: way.answer,
        };
        let mut session = Self::open_to_look(&way.address, patience).await?;
        session.on_misfit = way.on_misfit;
        let found = survey::opened(&session);
        Ok((session, found))
    }

    async fn survey(
        &mut self,
        made: &[Table],
        taken: &[Table],
        has_ledger: bool,
    ) -> Result<Vec<Finding>> {
        survey::survey(self, made, taken, has_ledger).await
    }

    async fn room(&mut self) -> Option<u64> {
        room::room(self).await
    }

    fn another(way: &mut Way) -> Way {
        way.clone()
    }

    fn statements(way: &Way) -> Statements {
        Statements::new(way.on_misfit)
    }

    async fn close(self, _way: &Way) {
        Self::close(self).await;
    }

    fn is_lost(&self) -> bool {
        self.is_lost()
    }

    async fn look(&mut self) {
        self.look().await;
    }

    fn holder(&self) -> Holder {
        let (number, since) = self.number();
        Holder {
            number: number.into(),
            since: since.into(),
        }
    }

    async fn terminate(&mut self, holder: &Holder) -> Result<bool> {
        match &holder.since {
            Cell::Text(since) => self.end(holder.number, since).await,
            _ => Ok(false),
        }
    }

    async fn sharers(&mut self, slot: &str) -> Result<Vec<Holder>> {
        Ok(ledger::sharers(self, slot).await)
    }

    async fn hurry(&mut self) -> Result<()> {
        self.wait_for_locks(Duration::from_secs(1)).await
    }

    async fn wait(&mut self, lock_wait: Duration) -> Result<()> {
        self.wait_for_locks(lock_wait).await
    }

    async fn run_for(&mut self, sql: &str, what: &str) -> Result<()> {
        let done = self.run_text(sql).await;
        done.map_err(|error| failure(what, error))
    }

    /// From here on an error undoes its statement where the server can do that, so that there is something to step back
    /// to; every one of them is looked at.
    async fn save(&mut self, name: &str) -> Result<()> {
        self.step(&format!("SET XACT_ABORT OFF; SAVE TRANSACTION {name}"))
            .await
    }

    /// The server has no words for it: the next of that name takes its place.
    async fn release(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn back_to(&mut self, name: &str) -> Result<()> {
        self.step(&format!("ROLLBACK TRANSACTION {name}")).await
    }

    async fn stands(&mut self) -> Result<bool> {
        self.in_transaction().await
    }

    async fn commit(&mut self) -> Result<()> {
        let ended = || Error::retry("the destination server has ended the transaction by itself");
        match self.commit().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ended()),
            Err(error) if super::failure::is_over(&error) => Err(ended().caused_by(error)),
            Err(error) => Err(failure("could not commit at the destination", error)),
        }
    }

    async fn ask(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        let values = values.iter().map(ours).collect();
        let rows = self.rows(&ledger::statement(sql), values).await?;
        rows.into_iter().map(ledger::read).collect()
    }

    async fn put(&mut self, sql: &str, values: &[Cell]) -> Result<u64> {
        let values = values.iter().map(ours).collect();
        self.change(&ledger::statement(sql), values).await
    }

    async fn hold(&mut self, slot: &str, lock: Lock) -> Result<()> {
        if compatible::holds_by_writing(&self.server, lock) {
            let sql =
                r#"UPDATE "_replicator_position" SET "version" = "version" WHERE "slot" = $1"#;
            server::Session::put(self, sql, &[slot.into()]).await?;
        }
        Ok(())
    }

    fn lock(lock: Lock) -> [&'static str; 2] {
        use crate::dialect::sqlserver::ledger::{SETTLED, SHARED};
        match lock {
            Lock::Free => ["", ""],
            Lock::Shared => [SHARED, ""],
            Lock::Settled => [SETTLED, ""],
        }
    }

    async fn create(&mut self, ours: Ours) -> Result<()> {
        ledger::create(self, ours).await
    }

    async fn find(&mut self, destination: &str) -> Result<Option<Found>> {
        lookup::find(self, destination).await
    }

    fn check(&self, found: &Found, table: &Table) -> Result<()> {
        found.target(table).map(drop)
    }

    async fn is_empty(&mut self, table: &Table) -> Result<bool> {
        let sql = format!("SELECT TOP (1) 1 FROM {}", Self::name(table));
        Ok(self.rows(&sql, Vec::new()).await?.is_empty())
    }

    fn name(table: &Table) -> String {
        qualified(&table.destination)
    }

    fn emptying(table: &Table) -> String {
        format!("DELETE FROM {}", Self::name(table))
    }

    fn making(&self, table: &Table) -> String {
        self.dialect().create_table(table)
    }

    fn making_by_hand(&self, table: &Table) -> String {
        let sql = self.making(table);
        let (schema, _) = parts(&table.destination);
        if schema == SCHEMA {
            return sql;
        }
        // What makes a schema must stand alone.
        let (name, alone) = (literal(&schema), literal(&create_schema(&schema)));
        format!("IF SCHEMA_ID({name}) IS NULL EXEC ({alone}); {sql}")
    }

    async fn make(&mut self, table: &Table) -> Result<(), Unmade> {
        self.make_within(table, &format!("could not make a table for {table}"))
            .await
    }

    fn to_fit(&self, alteration: &Alteration) -> Vec<String> {
        alteration.statements(&self.dialect())
    }
}

impl Session {
    async fn step(&mut self, sql: &str) -> Result<()> {
        let done = self.run_text(sql).await;
        done.map_err(|error| {
            let what = "the destination server ended the transaction";
            // It was to be there, and is not.
            if super::failure::is_over(&error) {
                Error::retry(what).caused_by(error)
            } else {
                failure(what, error)
            }
        })
    }
}

impl server::Statements<Session> for Statements {
    const REWRITES: bool = true;

    fn clear(&mut self) {
        self.clear();
    }

    fn begin(&mut self, policy: OnConflict) {
        self.begin(policy);
    }

    async fn execute(
        &mut self,
        db: &mut Session,
        operations: &mut [Operation],
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> Result<()> {
        self.execute(db, operations, left_out).await
    }

    async fn copy(&mut self, db: &mut Session, chunk: &Chunk) -> Result<()> {
        let rows = chunk.rows().collect::<Result<_>>()?;
        self.copy(db, chunk.table(), rows).await
    }

    async fn read(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
        to: &mut Outgoing<'_>,
    ) -> Result<()> {
        let failed = |error| {
            let name = &table.destination;
            failure(format!("could not read the rows of {name}"), error)
        };
        let target = self.target(db, table).await?;
        let mut rows = db.read(&target.select()).await.map_err(failed)?;
        while let Some(row) = rows.next().await.map_err(failed)? {
            to.push(back(row, &target, table)?).await?;
        }
        Ok(())
    }

    async fn alter(&mut self, db: &mut Session, alteration: &Alteration) -> Result<()> {
        let Alteration { was, is, .. } = alteration;
        let what = || format!("could not follow the new definition of table {was}");
        let found = lookup::find(db, &is.destination).await?;
        let found = found.ok_or_else(|| gone(is))?;
        let words = db.dialect();
        // Two names that are one here.
        let (schema, name) = parts(&is.destination);
        words.check(is, &schema, &name)?;
        for (at, _) in alteration.columns() {
            if found.has(&is.columns[at].name) {
                continue;
            }
            let sql = words.add(is, at);
            let done = db.run_text(&sql).await;
            done.map_err(|error| failure(what(), error).with_statement(sql))?;
        }
        // Also where there is nothing to fill: it sees that the columns are there and wide enough.
        let target = self.target(db, is).await?;
        for (at, value) in alteration.columns() {
            let sql = target.fill(at, value.is_null());
            let value = self.fitting(is, &target, at, value)?;
            let values = match &value {
                Value::Null => Vec::new(),
                value => vec![parameter(value)],
            };
            let done = db.execute(&sql, values).await;
            done.map_err(|error| failure(what(), error).with_statement(sql))?;
        }
        Ok(())
    }
}

/// A row in PostgreSQL's values.
fn back(row: Sent, target: &Target, table: &Table) -> Result<Vec<Value>> {
    let cells = row.into_iter();
    let all = cells.zip(target.held()).zip(&table.columns);
    all.map(|((cell, held), column)| {
        let bytes = match &cell {
            ColumnData::String(text) => text.as_ref().map(|text| text.as_bytes()),
            ColumnData::Binary(bytes) => bytes.as_deref(),
            other => {
                let name = &column.name;
                return Err(Error::person(format!(
                    "table {table}, column {name}: the destination sends {other:?} for a text"
                )));
            }
        };
        held.back(bytes)
            .map_err(|error| error.at(table, column, Lsn(0)))
    })
    .collect()
}
