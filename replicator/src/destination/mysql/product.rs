//! What MySQL and MariaDB bring for the writer that all servers share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use mysql_async::prelude::Queryable;
use mysql_async::{Row as Sent, Value as Cells};
use walproto::Lsn;

use super::failure::is_there;
use super::lookup::Found;
use super::server::seconds;
use super::session::{Session, failure};
use super::statements::Statements;
use super::url::Address;
use super::{ledger, lookup, survey};
use crate::alteration::{Alteration, Words};
use crate::check::Finding;
use crate::chunk::Chunk;
use crate::config::{OnConflict, OnMisfit};
use crate::destination::server::{
    self, Cell, Found as _, Holder, Lock, Ours, Outgoing, Row, Unmade,
};
use crate::dialect::Dialect;
use crate::dialect::mysql::{Mysql, Target, quoted};
use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::table::Table;
use crate::value::Value;

/// How sessions are opened.
#[derive(Clone, Debug)]
pub(in crate::destination) struct Way {
    pub(super) address: Address,
    pub(super) on_misfit: OnMisfit,
}

impl Session {
    /// What the server understands.
    pub(super) const fn dialect(&self) -> Mysql {
        Mysql::of(self.server.flavour)
            .on_misfit(self.on_misfit)
            .folds(self.server.folds)
            .signed_zero(self.server.signed_zero)
    }

    async fn wait_for_locks(&mut self, wait: Duration) -> Result<()> {
        // The second is of statements that change a table.
        let wait = seconds(wait);
        let sql =
            format!("SET SESSION innodb_lock_wait_timeout = {wait}, lock_wait_timeout = {wait}");
        self.run(&sql).await
    }
}

impl server::Session for Session {
    type Way = Way;
    type Found = Found;
    type Statements = Statements;

    const WHOLE: bool = false;
    const BEGIN: &'static str = "START TRANSACTION";
    const HOLDER: [&'static str; 2] = ["connection", "server_started"];
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
        Holder {
            number: self.id,
            since: self.server.started.into(),
        }
    }

    async fn terminate(&mut self, holder: &Holder) -> Result<bool> {
        let Holder { number, since } = holder;
        // Two sessions may see the server's start a second apart; its numbers begin anew with each.
        let is_of_this = |started: i64| self.server.started.abs_diff(started) <= 2;
        if self.id == *number || !matches!(since, Cell::Number(at) if is_of_this(*at)) {
            return Ok(false);
        }
        let sql = "SELECT `id` FROM information_schema.`processlist` WHERE `id` = ?";
        match self.rows(sql, vec![(*number).into()]).await {
            Ok(rows) if !rows.is_empty() => {}
            // Gone, or not ours to see.
            _ => return Ok(false),
        }
        let sql = format!("KILL CONNECTION {number}");
        self.run_for(&sql, "KILL was refused").await?;
        Ok(true)
    }

    async fn hurry(&mut self) -> Result<()> {
        self.wait_for_locks(Duration::from_secs(1)).await
    }

    async fn wait(&mut self, lock_wait: Duration) -> Result<()> {
        self.wait_for_locks(lock_wait).await
    }

    async fn run_for(&mut self, sql: &str, what: &str) -> Result<()> {
        let done = self.run_text(sql).await;
        done.map(drop).map_err(|error| failure(what, error))
    }

    async fn commit(&mut self) -> Result<()> {
        // Without a transaction, COMMIT would say that all is well.
        if !self.in_transaction() {
            return Err(Error::retry(
                "the destination server has ended the transaction by itself",
            ));
        }
        self.run_for("COMMIT", "could not commit at the destination")
            .await
    }

    async fn ask(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        let (sql, values) = ledger::statement(sql, values);
        let rows = self.rows(&sql, values).await?;
        rows.into_iter().map(ledger::read).collect()
    }

    async fn put(&mut self, sql: &str, values: &[Cell]) -> Result<u64> {
        let (sql, values) = ledger::statement(sql, values);
        self.change(&sql, values).await
    }

    fn lock(lock: Lock) -> [&'static str; 2] {
        match lock {
            Lock::Free => ["", ""],
            Lock::Shared => ["", " LOCK IN SHARE MODE"],
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
        found.target(self, table).map(drop)
    }

    async fn is_empty(&mut self, table: &Table) -> Result<bool> {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", Self::name(table));
        let what = format!(
            "could not read the destination's table {}",
            table.destination
        );
        Ok(self.rows_of(&sql, &what).await?.is_empty())
    }

    fn name(table: &Table) -> String {
        quoted(&table.destination)
    }

    fn emptying(table: &Table) -> String {
        format!("DELETE FROM {}", Self::name(table))
    }

    fn making(&self, table: &Table) -> String {
        self.dialect().create_table(table)
    }

    async fn make(&mut self, table: &Table) -> Result<(), Unmade> {
        let what = format!("could not make a table for {table}");
        let (error, is_there) = match self.run_text(&self.making(table)).await {
            Ok(done) if done.warnings == 0 => return Ok(()),
            Ok(_) => match self.warnings().await {
                Ok(text) => {
                    let error = Error::person(format!("{what}: {text}"));
                    (
                        error.with_hint("leave the table out of the publication"),
                        false,
                    )
                }
                Err(error) => (error, false),
            },
            Err(error) => {
                let is_there = is_there(&error);
                (failure(what, error), is_there)
            }
        };
        Err(Unmade { error, is_there })
    }

    async fn prepare_alter(&mut self, alteration: &Alteration) -> Result<()> {
        let Alteration { was, is, .. } = alteration;
        let found = lookup::find(self, &is.destination).await?;
        let words = self.dialect();
        // Two names that are one here.
        words.check(is)?;
        for (at, _) in alteration.columns() {
            let name = &is.columns[at].name;
            if found.as_ref().is_some_and(|found| found.has(name)) {
                continue;
            }
            let sql = words.add(is, at);
            let what = || format!("could not follow the new definition of table {was}");
            match self.run_text(&sql).await {
                Ok(done) if done.warnings == 0 => {}
                Ok(_) => {
                    let text = self.warnings().await?;
                    return Err(Error::person(format!("{}: {text}", what())).with_statement(sql));
                }
                Err(error) => return Err(failure(what(), error).with_statement(sql)),
            }
        }
        Ok(())
    }

    fn to_fit(&self, alteration: &Alteration) -> Vec<String> {
        alteration.statements(&self.dialect())
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
        self.copy(db, chunk).await
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
        let result = db.connection().query_iter(target.select()).await;
        let mut result = result.map_err(failed)?;
        let Some(mut rows) = result.stream::<Sent>().await.map_err(failed)? else {
            return Ok(());
        };
        while let Some(row) = std::future::poll_fn(|cx| Pin::new(&mut rows).poll_next(cx)).await {
            to.push(back(row.map_err(failed)?, &target, table)?).await?;
        }
        Ok(())
    }

    async fn alter(&mut self, db: &mut Session, alteration: &Alteration) -> Result<()> {
        let Alteration { was, is, .. } = alteration;
        // Also where there is nothing to fill: it sees that the columns are there and wide enough.
        self.target(db, is).await?;
        for (at, value) in alteration.columns() {
            let sql = Mysql::fill(is, at, value.is_null());
            let values = if value.is_null() {
                Vec::new()
            } else {
                vec![self.fitting(db, is, at, value).await?]
            };
            let done = db.execute(&sql, values).await;
            let done = done.map_err(|error| {
                let what = format!("could not follow the new definition of table {was}");
                failure(what, error)
            })?;
            if done.warnings > 0 {
                let (name, text) = (&is.columns[at].name, db.warnings().await?);
                return Err(Error::person(format!(
                    "table {is}, column {name}: the destination did not take the default as it is: {text}"
                )));
            }
        }
        Ok(())
    }
}

/// A row in PostgreSQL's values.
fn back(row: Sent, target: &Target, table: &Table) -> Result<Vec<Value>> {
    let cells = row.unwrap().into_iter();
    let all = cells.zip(target.held()).zip(&table.columns);
    all.map(|((cell, held), column)| {
        let text = match cell {
            Cells::NULL => None,
            Cells::Bytes(bytes) => Some(bytes),
            other => Some(other.as_sql(true).into_bytes()),
        };
        held.back(text.as_deref())
            .map_err(|error| error.at(table, column, Lsn(0)))
    })
    .collect()
}
