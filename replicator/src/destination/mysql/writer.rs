//! What the session does with the server: one method for each of the destination's promises.

mod altering;
mod copying;
mod first;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value as Sent};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use walproto::{Lsn, Oid};

use super::server::seconds;
use super::session::{IDLE, Session, failure};
use super::statements::Statements;
use super::url::Address;
use super::{Outcome, Refused, ledger};
use crate::config::{OnConflict, OnMisfit};
use crate::dialect::mysql::Target;
use crate::error::{Error, Result};
use crate::fail_point;
use crate::plan::Operation;
use crate::position::{PositionRow, State, TableRow};
use crate::table::Table;
use crate::value::Value;

/// Rows that leave together when a table is read.
const CHUNK: usize = 1000;

/// How often a holder that is being waited for is looked at.
const AGAIN: Duration = Duration::from_millis(200);

/// The session and the batch on its way through it.
#[derive(Debug)]
pub(super) struct Writer {
    address: Address,
    wait: Duration,
    on_conflict: OnConflict,
    on_misfit: OnMisfit,
    /// A session that was lost, which may not have noticed: its number, and when its server was started.
    before: Option<(i64, i64)>,
    /// None where it was lost, until it is needed again.
    session: Option<Session>,
    /// Whether a transaction is open.
    open: bool,
    statements: Statements,
    batch: Option<Batch>,
    /// The intent under which a first copy runs.
    held: Option<PositionRow>,
}

/// An open destination transaction.
#[derive(Debug)]
struct Batch {
    expected: PositionRow,
    next: PositionRow,
}

impl Writer {
    pub(super) async fn open(
        address: Address,
        wait: Duration,
        on_conflict: OnConflict,
        on_misfit: OnMisfit,
    ) -> Result<Self> {
        let mut writer = Self {
            address,
            wait,
            on_conflict,
            on_misfit,
            before: None,
            session: None,
            open: false,
            statements: Statements::new(on_misfit),
            batch: None,
            held: None,
        };
        writer.db().await?;
        Ok(writer)
    }

    /// The session; another one where it was lost.
    pub(super) async fn db(&mut self) -> Result<&mut Session> {
        if let Some(session) = &mut self.session
            && !self.open
        {
            session.look().await;
        }
        if self.session.as_ref().is_some_and(Session::is_lost) {
            self.give_up();
        }
        if self.session.is_none() {
            self.statements.clear();
            self.batch = None;
            self.open = false;
            let again = self.before.is_some();
            let session = Session::open(&self.address, self.lock_wait(), again).await?;
            let session = self.session.insert(session);
            if let Some((connection, started)) = self.before {
                // It may hold our row for as long as it has not noticed that we are gone.
                terminate(session, connection, started).await;
            }
        }
        self.session.as_mut().ok_or_else(lost)
    }

    /// A session of no use any more.
    fn give_up(&mut self) {
        if let Some(session) = self.session.take() {
            self.before = Some((session.id, session.server.started));
        }
    }

    /// The session and what is known of the tables, for work within a transaction.
    fn parts(&mut self) -> Result<(&mut Session, &mut Statements)> {
        let session = self.session.as_mut().ok_or_else(lost)?;
        Ok((session, &mut self.statements))
    }

    fn lock_wait(&self) -> Duration {
        self.wait.max(Duration::from_secs(1))
    }

    pub(super) async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::position(db, slot).await
        } else {
            Ok(None)
        }
    }

    pub(super) async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::tables(db, slot).await
        } else {
            Ok(Vec::new())
        }
    }

    pub(super) async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        let missing = || Error::person(format!("the destination has no position for slot {slot}"));
        if self.position(slot).await?.is_none() {
            return Err(missing());
        }
        let holder_before = ledger::connection(self.db().await?, slot).await?;
        // Where the holder's session may not be ended, it ends by itself when it has lain idle for so long.
        let deadline = Instant::now() + self.wait.max(IDLE + Duration::from_secs(5));
        loop {
            self.wait_for_locks(Duration::from_secs(1)).await?;
            self.start().await?;
            let done = self.raise(slot, holder).await;
            match self.end(done).await {
                Ok(row) => {
                    let row = row.ok_or_else(missing)?;
                    // It can write nothing any more, but what it holds besides is in our way.
                    if let Some((connection, started)) = holder_before {
                        terminate(self.db().await?, connection, started).await;
                    }
                    self.wait_for_locks(self.lock_wait()).await?;
                    self.held = (row.state == State::Intent).then(|| row.clone());
                    return Ok(row);
                }
                Err(error) if error.is_locked_out() && Instant::now() < deadline => {
                    self.end_holder(slot).await?;
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn raise(&mut self, slot: &str, holder: &str) -> Result<Option<PositionRow>> {
        let db = self.db().await?;
        if !ledger::raise_epoch(db, slot, holder).await? {
            return Ok(None);
        }
        ledger::position(db, slot).await
    }

    async fn wait_for_locks(&mut self, wait: Duration) -> Result<()> {
        let sql = format!("SET SESSION innodb_lock_wait_timeout = {}", seconds(wait));
        self.db().await?.run(&sql).await
    }

    /// Ends the session that the row was written by last; who may not do that has to wait.
    async fn end_holder(&mut self, slot: &str) -> Result<()> {
        let db = self.db().await?;
        if let Some((connection, started)) = ledger::connection(db, slot).await? {
            terminate(db, connection, started).await;
        }
        Ok(())
    }

    pub(super) async fn begin(&mut self, expected: PositionRow, next: PositionRow) -> Result<()> {
        self.rollback().await?;
        let next = PositionRow {
            lsn: next.lsn.max(expected.lsn),
            ..next
        };
        if let Err(error) = self.start().await {
            // That a session was lost while nothing went through it is noticed only now.
            if !self.session.as_ref().is_none_or(Session::is_lost) {
                return Err(error);
            }
            self.start().await?;
        }
        if let Err(error) = self.hold(&expected, &next).await {
            self.undo().await;
            return Err(error);
        }
        self.batch = Some(Batch { expected, next });
        self.statements.on_conflict(self.on_conflict);
        fail_point!("batch-begun");
        Ok(())
    }

    /// Moves the row within the transaction that is open.
    async fn hold(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        let (db, _) = self.parts()?;
        if ledger::compare_and_set(db, expected, next).await? {
            return Ok(());
        }
        let now = ledger::position(db, &expected.slot).await?;
        Err(expected.not_as_expected(now))
    }

    pub(super) async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        self.carry_out(operations, None).await
    }

    pub(super) async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        let mut left_out = Vec::new();
        // As they came, for who writes them down.
        let kept = operations.clone();
        self.carry_out(operations, Some(&mut left_out)).await?;
        let mut left_out = left_out.into_iter().peekable();
        let mut refused = Vec::new();
        for (at, operation) in kept.into_iter().enumerate() {
            if let Some((_, error)) = left_out.next_if(|(place, _)| *place == at) {
                refused.push(Refused {
                    at,
                    operation,
                    error,
                });
            }
        }
        Ok(refused)
    }

    async fn carry_out(
        &mut self,
        operations: Vec<Operation>,
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> Result<()> {
        let (Some(_), Some(db)) = (&self.batch, &mut self.session) else {
            return Err(Error::retry("no batch is open at the destination"));
        };
        if let Err(error) = self.statements.execute(db, operations, left_out).await {
            self.batch = None;
            self.undo().await;
            return Err(error);
        }
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<Outcome> {
        let (Some(Batch { expected, next }), Some(db)) = (self.batch.take(), &mut self.session)
        else {
            return Err(Error::retry("no batch is open at the destination"));
        };
        fail_point!("batch-before-commit");
        let error = match commit(db).await {
            Ok(()) => {
                self.open = false;
                fail_point!("batch-after-commit");
                return Ok(Outcome::Committed(next));
            }
            Err(error) => error,
        };
        let now = self.settled(&next.slot).await.map_err(|unread| {
            Error::retry(format!(
                "it is unknown whether the batch up to {} was committed: {error}",
                next.lsn
            ))
            .caused_by(unread)
        })?;
        match now {
            // An idle write that moves nothing is the same before and after.
            Some(now) if now == next => Ok(Outcome::Committed(next)),
            Some(now) if now == expected => Ok(Outcome::NotCommitted(error)),
            now => Err(expected.not_as_expected(now)),
        }
    }

    /// The row once the session that was to commit is surely at its end, over another session if need be.
    async fn settled(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        let deadline = Instant::now() + self.wait.max(IDLE);
        let mut said = false;
        loop {
            match self.settle(slot).await {
                Err(error)
                    if error.kind() == crate::ErrorKind::Retry && Instant::now() < deadline =>
                {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "reading again what became of a commit");
                    }
                    tokio::time::sleep(AGAIN).await;
                }
                done => return done,
            }
        }
    }

    async fn settle(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        self.undo().await;
        self.start().await?;
        // The session that was to commit holds the row until it is at its end.
        let row = ledger::settled(self.parts()?.0, slot).await;
        self.undo().await;
        row
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.batch = None;
        self.undo().await;
        Ok(())
    }

    pub(super) async fn forget(&mut self, slot: &str) -> Result<()> {
        self.start().await?;
        let done = self.forget_rows(slot).await;
        self.end(done).await
    }

    async fn forget_rows(&mut self, slot: &str) -> Result<()> {
        let (db, _) = self.parts()?;
        if ledger::exists(db).await? {
            ledger::delete_position(db, slot).await?;
            ledger::delete_tables(db, slot).await?;
        }
        Ok(())
    }

    pub(super) async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        self.start().await?;
        let done = ledger::stop_table(self.parts()?.0, slot, oid, reason).await;
        self.end(done).await
    }

    pub(super) async fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        self.start().await?;
        let done = match ledger::ask_copy(self.parts()?.0, slot, oid, now).await {
            Ok(false) => Err(crate::position::unknown_table(slot, oid)),
            done => done.map(drop),
        };
        self.end(done).await
    }

    /// Sends all rows of a table until nobody listens.
    pub(super) async fn read(&mut self, table: &Arc<Table>, to: &Sender<Result<Vec<Vec<Value>>>>) {
        if let Err(error) = self.read_rows(table, to).await {
            // What is left of an answer that nobody waits for is in the way of the next statement.
            self.give_up();
            let _ = to.send(Err(error)).await;
        }
    }

    /// One statement sees the rows as of one moment.
    async fn read_rows(
        &mut self,
        table: &Arc<Table>,
        to: &Sender<Result<Vec<Vec<Value>>>>,
    ) -> Result<()> {
        self.db().await?;
        let (db, statements) = self.parts()?;
        let failed = |error| {
            failure(
                format!("could not read the rows of {}", table.destination),
                error,
            )
        };
        let target = statements.target(db, table).await?;
        let mut result = db
            .connection()
            .query_iter(target.select())
            .await
            .map_err(failed)?;
        let Some(mut rows) = result.stream::<Row>().await.map_err(failed)? else {
            return Ok(());
        };
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(row) = std::future::poll_fn(|cx| Pin::new(&mut rows).poll_next(cx)).await {
            chunk.push(back(row.map_err(failed)?, &target, table)?);
            if chunk.len() == CHUNK && to.send(Ok(std::mem::take(&mut chunk))).await.is_err() {
                return Err(Error::retry("nobody waits for the rows any more"));
            }
        }
        drop(rows);
        if !chunk.is_empty() {
            let _ = to.send(Ok(chunk)).await;
        }
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        self.undo().await;
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    async fn start(&mut self) -> Result<()> {
        if self.batch.is_some() {
            return Err(Error::retry("a batch is open at the destination"));
        }
        let begun = self.db().await?.run_text("START TRANSACTION").await;
        self.open = begun.is_ok();
        begun
            .map(drop)
            .map_err(|error| failure("could not begin a transaction at the destination", error))
    }

    /// Commits what was done, or undoes what was not.
    async fn end<T>(&mut self, done: Result<T>) -> Result<T> {
        let done = match (done, &mut self.session) {
            (Ok(value), Some(db)) => commit(db).await.map(|()| value),
            (Ok(_), None) => Err(lost()),
            (Err(error), _) => Err(error),
        };
        match done {
            Ok(value) => {
                self.open = false;
                Ok(value)
            }
            Err(error) => {
                self.undo().await;
                Err(error)
            }
        }
    }

    /// Rolls back what is open; a session that cannot do that is given up, which does it too.
    async fn undo(&mut self) {
        let open = std::mem::replace(&mut self.open, false);
        let Some(db) = &mut self.session else { return };
        if db.is_lost() || open && db.run_text("ROLLBACK").await.is_err() {
            self.give_up();
        }
    }
}

/// Commits a transaction that is open still: without one, COMMIT would say that all is well.
async fn commit(db: &mut Session) -> Result<()> {
    if !db.in_transaction() {
        return Err(Error::retry(
            "the destination server has ended the transaction by itself",
        ));
    }
    db.run_text("COMMIT")
        .await
        .map(drop)
        .map_err(|error| failure("could not commit at the destination", error))
}

/// Ends a session, if it is still that one and the user may do it.
async fn terminate(db: &mut Session, connection: i64, started: i64) {
    // Two sessions may see the server's start a second apart; its numbers begin anew with each.
    if db.id == connection || db.server.started.abs_diff(started) > 2 {
        return;
    }
    let sql = "SELECT `id` FROM information_schema.`processlist` WHERE `id` = ?";
    match db.rows(sql, vec![connection.into()]).await {
        Ok(rows) if !rows.is_empty() => {}
        // Gone, or not ours to see.
        _ => return,
    }
    match db.run_text(&format!("KILL CONNECTION {connection}")).await {
        Ok(_) => tracing::warn!(connection, "ended the session that held the destination"),
        Err(error) => {
            tracing::warn!(%error, connection, "could not end the session that holds the destination; waiting for it");
        }
    }
}

/// A row in PostgreSQL's values.
fn back(row: Row, target: &Target, table: &Table) -> Result<Vec<Value>> {
    let cells = row.unwrap().into_iter();
    let all = cells.zip(target.held()).zip(&table.columns);
    all.map(|((cell, held), column)| {
        let text = match cell {
            Sent::NULL => None,
            Sent::Bytes(bytes) => Some(bytes),
            other => Some(other.as_sql(true).into_bytes()),
        };
        held.back(text.as_deref())
            .map_err(|error| error.at(table, column, Lsn(0)))
    })
    .collect()
}

fn lost() -> Error {
    Error::retry("the session at the destination server was lost")
}
