//! What PostgreSQL brings for the writer that all servers share.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use walproto::Lsn;

use super::lookup::Found;
use super::session::{Session, failure};
use super::statements::Statements;
use super::{ledger, lookup, origin, survey, values};
use crate::alteration::{Alteration, Words};
use crate::check::Finding;
use crate::chunk::Chunk;
use crate::config::{OnConflict, OnMisfit};
use crate::copy;
use crate::destination::gone;
use crate::destination::server::{
    self, Cell, Found as _, Holder, Lock, Ours, Outgoing, Row, Unmade,
};
use crate::dialect::postgres::types::BuiltIn;
use crate::dialect::postgres::{Altering, Postgres, create_table, parts, qualified, quoted};
use crate::dialect::{Dialect, Shape};
use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::table::{Column, Table};

/// A transaction that the server has given up answers COMMIT by rolling back, which is no error: so it is asked for
/// something first, which is one then.
const COMMIT: &str = "SELECT 1; COMMIT";

/// How sessions are opened.
#[derive(Debug)]
pub(in crate::destination) struct Way {
    pub(super) options: PgConnectOptions,
    pub(super) slot: String,
    /// Of replication, which one session has.
    pub(super) origin: String,
    /// Sessions beside this one.
    others: usize,
    pub(super) timeout: Duration,
    pub(super) on_misfit: OnMisfit,
    /// Whether it was said that what they write is not marked as replicated.
    said: bool,
}

impl Way {
    pub(super) fn new(
        options: PgConnectOptions,
        slot: String,
        timeout: Duration,
        on_misfit: OnMisfit,
    ) -> Self {
        Self {
            options,
            origin: origin::name(&slot),
            slot,
            others: 0,
            timeout,
            on_misfit,
            said: false,
        }
    }
}

impl Session {
    /// How a column of a table that we make is held.
    fn held(&self) -> impl Fn(&Column) -> BuiltIn + use<> {
        let (major, on_misfit) = (self.major, self.on_misfit);
        move |column: &Column| match on_misfit {
            OnMisfit::Text => BuiltIn::held_whole(column, major),
            OnMisfit::Fail | OnMisfit::Clamp => BuiltIn::held(column),
        }
    }

    async fn make_within(&mut self, table: &Table) -> Result<()> {
        let (schema, _) = parts(&table.destination);
        let what = format!("could not make a table for {table}");
        // Asked first: `IF NOT EXISTS` wants the right to make schemas even where there is nothing to make.
        let there = "SELECT FROM pg_namespace WHERE nspname = $1";
        if self.change(sqlx::query(there).bind(&schema)).await? == 0 {
            let sql = format!("CREATE SCHEMA {}", quoted(&schema));
            server::Session::run_for(self, &sql, &what).await?;
        }
        let sql = server::Session::making(self, table);
        server::Session::run_for(self, &sql, &what).await
    }
}

impl server::Session for Session {
    type Way = Way;
    type Found = Found;
    type Statements = Statements;

    const WHOLE: bool = true;
    const BEGIN: &'static str = "BEGIN";
    const HOLDER: [&'static str; 2] = ["backend", "backend_start"];
    const OURS: &'static str = ledger::OURS;

    async fn open(way: &Way, lock_wait: Duration, again: bool) -> Result<Self> {
        Self::open(way, lock_wait, again).await
    }

    async fn open_to_look(way: &Way) -> Result<(Self, Vec<Finding>)> {
        Self::open_to_look(way).await
    }

    async fn survey(
        &mut self,
        made: &[Table],
        taken: &[Table],
        has_ledger: bool,
    ) -> Result<Vec<Finding>> {
        survey::survey(self, made, taken, has_ledger).await
    }

    fn another(way: &mut Way) -> Way {
        way.others += 1;
        let mut another = Way::new(
            way.options.clone(),
            way.slot.clone(),
            way.timeout,
            way.on_misfit,
        );
        another.origin = origin::another(&way.origin, way.others);
        another
    }

    fn statements(_way: &Way) -> Statements {
        Statements::default()
    }

    async fn close(mut self, way: &Way) {
        if self.marks && way.origin != origin::name(&way.slot) {
            origin::forget(&mut self, &way.origin).await;
        }
        Self::close(self).await;
    }

    fn is_lost(&self) -> bool {
        self.is_lost()
    }

    fn holder(&self) -> Holder {
        let (pid, since) = self.backend();
        Holder {
            number: pid.into(),
            since: since.into(),
        }
    }

    async fn terminate(&mut self, holder: &Holder) -> Result<bool> {
        let sql = r#"SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity($1::int4)
                     WHERE pid <> pg_backend_pid() AND backend_start::text = $2"#;
        let values = [holder.number.into(), holder.since.clone()];
        Ok(!self.ask(sql, &values).await?.is_empty())
    }

    async fn sharers(&mut self, slot: &str) -> Result<Vec<Holder>> {
        ledger::sharers(self, slot).await
    }

    async fn hurry(&mut self) -> Result<()> {
        self.run("SET LOCAL lock_timeout = '500ms'").await
    }

    async fn mark(&mut self, way: &mut Way) {
        // Not asked again in this session, whatever the answer.
        if !std::mem::replace(&mut self.marks, true)
            && let Err(error) = origin::take(self, &way.origin).await
            && !std::mem::replace(&mut way.said, true)
        {
            tracing::warn!(%error, "changes are not marked as replicated at the destination, so a replication from there back must not read these tables");
        }
    }

    async fn forget(&mut self, way: &mut Way, slot: &str) {
        if way.slot == slot {
            origin::forget(self, &origin::name(slot)).await;
            self.marks = false;
        }
    }

    async fn run_for(&mut self, sql: &str, what: &str) -> Result<()> {
        let done = self.run_text(sql).await;
        done.map_err(|error| failure(what, error))
    }

    async fn commit(&mut self) -> Result<()> {
        self.run_for(COMMIT, "could not commit at the destination")
            .await
    }

    async fn ask(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        let rows = self.rows(ledger::query(sql, values)).await?;
        rows.iter().map(ledger::read).collect()
    }

    async fn put(&mut self, sql: &str, values: &[Cell]) -> Result<u64> {
        self.change(ledger::query(sql, values)).await
    }

    fn lock(lock: Lock) -> [&'static str; 2] {
        match lock {
            Lock::Free => ["", ""],
            Lock::Shared => ["", ledger::SHARE],
            Lock::Settled => ["", " FOR UPDATE"],
        }
    }

    async fn create(&mut self, ours: Ours) -> Result<()> {
        ledger::create(self, ours).await
    }

    async fn find(&mut self, destination: &str) -> Result<Option<Found>> {
        lookup::find(self, destination).await
    }

    fn check(&self, found: &Found, table: &Table) -> Result<()> {
        found.check(table)
    }

    async fn is_empty(&mut self, table: &Table) -> Result<bool> {
        let sql = format!("SELECT FROM {} LIMIT 1", qualified(&table.destination));
        let what = format!(
            "could not read the destination's table {}",
            table.destination
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        Ok(self.rows_of(query, &what).await?.is_empty())
    }

    fn name(table: &Table) -> String {
        qualified(&table.destination)
    }

    fn emptying(table: &Table) -> String {
        Postgres.statement(table, &Shape::Truncate)
    }

    fn making(&self, table: &Table) -> String {
        create_table(table, self.held())
    }

    fn making_by_hand(&self, table: &Table) -> String {
        let sql = self.making(table);
        match parts(&table.destination).0 {
            schema if schema == "public" => sql,
            schema => format!("CREATE SCHEMA IF NOT EXISTS {}; {sql}", quoted(&schema)),
        }
    }

    async fn make(&mut self, table: &Table) -> Result<(), Unmade> {
        self.make_within(table).await.map_err(|error| Unmade {
            error,
            is_there: false,
        })
    }

    fn to_fit(&self, alteration: &Alteration) -> Vec<String> {
        alteration.statements(&Altering(self.held()))
    }
}

impl server::Statements<Session> for Statements {
    const REWRITES: bool = false;

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

    async fn leave(&mut self, db: &mut Session) -> Result<()> {
        self.leave(db).await
    }

    async fn copy(&mut self, db: &mut Session, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        let (sql, reads) = self.copy_in(db, table).await?;
        let lines = if reads {
            Cow::Borrowed(chunk.lines())
        } else {
            Cow::Owned(lines(chunk)?)
        };
        match db.copy_in(&sql, &lines).await {
            Ok(copied) if copied == chunk.count() => Ok(()),
            Ok(copied) => {
                let count = chunk.count();
                Err(Error::person(format!(
                    "table {table}, copy: the destination took {copied} of {count} rows"
                ))
                .with_hint("a trigger on the table may leave rows out"))
            }
            Err(error) => {
                if reads {
                    // What we would have refused, we can name by table and column.
                    chunk.rows().try_for_each(|row| row.map(drop))?;
                }
                Err(failure(format!("table {table}, copy"), error))
            }
        }
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
        let sql = self.target(db, table).await?.copy_out();
        let mut lines = db.connection().copy_out_raw(&sql).await.map_err(failed)?;
        while let Some(line) = std::future::poll_fn(|cx| lines.as_mut().poll_next(cx)).await {
            to.push(copy::row(&line.map_err(failed)?, table, Lsn(0))?)
                .await?;
        }
        Ok(())
    }

    async fn alter(&mut self, db: &mut Session, alteration: &Alteration) -> Result<()> {
        let Alteration { was, is, .. } = alteration;
        let found = lookup::find(db, &is.destination).await?;
        let found = found.ok_or_else(|| gone(is))?;
        let words = Altering(db.held());
        for (at, value) in alteration.columns() {
            let column = &is.columns[at];
            let value = values::text(value, column.kind);
            let value = value.map_err(|error| {
                Error::person(format!("table {was}, column {}: {error}", column.name))
            })?;
            let sql = match &value {
                _ if found.has(&column.name) => words.fill(is, at, value.as_deref()),
                Some(value) => words.add_with(is, at, value),
                None => words.add(is, at),
            };
            let done = db.run_text(&sql).await;
            done.map_err(|error| {
                let what = format!("could not follow the new definition of table {was}");
                failure(what, error).with_statement(sql)
            })?;
        }
        let found = lookup::find(db, &is.destination).await?;
        found.ok_or_else(|| gone(is))?.check(is)
    }
}

/// The rows of a chunk once each value was looked at, as lines that mean the same.
fn lines(chunk: &Chunk) -> Result<Vec<u8>> {
    let table = chunk.table();
    let mut lines = Vec::with_capacity(chunk.lines().len());
    for row in chunk.rows() {
        let row = row?;
        let kinds = table.columns.iter().map(|column| column.kind);
        values::line(row.iter().zip(kinds), &mut lines)
            .map_err(|error| Error::person(format!("table {table}, copy: {error}")))?;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
