//! What the session does with the server: one method for each of the destination's promises.

mod altering;
mod copying;
mod first;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use walproto::{Lsn, Oid};

use super::session::{IDLE, Session, failure};
use super::statements::Statements;
use super::{Outcome, Refused, ledger, origin};
use crate::config::{OnConflict, OnMisfit};
use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::position::{PositionRow, State, TableRow};
use crate::table::Table;
use crate::value::Value;
use crate::{copy, fail_point};

/// Rows that leave together when a table is read.
const CHUNK: usize = 1000;

/// How often a holder that is being waited for is looked at.
const AGAIN: Duration = Duration::from_millis(200);

/// A transaction that the server has given up answers COMMIT by rolling back, which is no error: so it is asked for
/// something first, which is one then.
const COMMIT: &str = "SELECT 1; COMMIT";

/// The session and the batch on its way through it.
#[derive(Debug)]
pub(super) struct Writer {
    options: PgConnectOptions,
    slot: String,
    /// Of replication, which one session has.
    origin: String,
    /// Sessions beside this one.
    others: usize,
    wait: Duration,
    timeout: Duration,
    on_conflict: OnConflict,
    pub(super) on_misfit: OnMisfit,
    /// The server process of a session that was lost, which may not have noticed.
    before: Option<(i32, String)>,
    /// None where it was lost, until it is needed again.
    session: Option<Session>,
    /// Whether a transaction is open.
    open: bool,
    statements: Statements,
    batch: Option<Batch>,
    /// The intent under which a first copy runs.
    held: Option<PositionRow>,
    /// Whether the session was told to mark what it writes as replicated.
    marks: bool,
    /// Whether it was said that it does not.
    said: bool,
}

/// An open destination transaction.
#[derive(Debug)]
struct Batch {
    expected: PositionRow,
    next: PositionRow,
}

impl Writer {
    pub(super) async fn open(
        options: PgConnectOptions,
        slot: String,
        wait: Duration,
        timeout: Duration,
        on_conflict: OnConflict,
    ) -> Result<Self> {
        let mut writer = Self {
            options,
            origin: origin::name(&slot),
            others: 0,
            slot,
            wait,
            timeout,
            on_conflict,
            on_misfit: OnMisfit::default(),
            before: None,
            session: None,
            open: false,
            statements: Statements::default(),
            batch: None,
            held: None,
            marks: false,
            said: false,
        };
        writer.db().await?;
        Ok(writer)
    }

    /// The session; another one where it was lost.
    async fn db(&mut self) -> Result<&mut Session> {
        if self.session.as_ref().is_some_and(Session::is_lost) {
            self.give_up();
        }
        if self.session.is_none() {
            self.statements.clear();
            self.batch = None;
            self.open = false;
            self.marks = false;
            let wait = self.wait.max(Duration::from_secs(1));
            let again = self.before.is_some();
            let session = Session::open(&self.options, wait, self.timeout, again).await?;
            let session = self.session.insert(session);
            if let Some((backend, since)) = &self.before {
                // It may hold our row for as long as it has not noticed that we are gone.
                terminate(session, *backend, since).await;
            }
        }
        self.session
            .as_mut()
            .ok_or_else(|| Error::retry("there is no session at the destination server"))
    }

    /// A session of no use any more.
    fn give_up(&mut self) {
        if let Some(session) = self.session.take() {
            let (backend, since) = session.backend();
            self.before = Some((backend, since.to_owned()));
        }
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
        let holder_before = ledger::backend(self.db().await?, slot).await?;
        // Where the holder's session may not be ended, it ends by itself when it has lain idle for so long.
        let deadline = Instant::now() + self.wait.max(IDLE + Duration::from_secs(5));
        loop {
            self.start().await?;
            let done = self.raise(slot, holder).await;
            match self.end(done).await {
                Ok(row) => {
                    let row = row.ok_or_else(missing)?;
                    // It can write nothing any more, but what it holds besides is in our way.
                    if let Some((backend, since)) = holder_before {
                        terminate(self.db().await?, backend, &since).await;
                    }
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
        db.run("SET LOCAL lock_timeout = '500ms'").await?;
        if !ledger::raise_epoch(db, slot, holder).await? {
            return Ok(None);
        }
        ledger::position(db, slot).await
    }

    /// Ends the session that the row was written by last, and those that copy under it; who may not do that has to wait.
    ///
    /// A session that was stopped in the middle of COPY is not idle for the server, and would be waited for for ever.
    async fn end_holder(&mut self, slot: &str) -> Result<()> {
        let db = self.db().await?;
        let mut holders = ledger::sharers(db, slot).await?;
        holders.extend(ledger::backend(db, slot).await?);
        for (backend, since) in holders {
            terminate(db, backend, &since).await;
        }
        Ok(())
    }

    pub(super) async fn begin(&mut self, expected: PositionRow, next: PositionRow) -> Result<()> {
        self.rollback().await?;
        let next = PositionRow {
            lsn: next.lsn.max(expected.lsn),
            ..next
        };
        self.db().await?;
        self.mark().await;
        if let Err(error) = self.start().await {
            // That a session was lost while nothing went through it is noticed only now.
            if !self.session.as_ref().is_none_or(Session::is_lost) {
                return Err(error);
            }
            self.db().await?;
            self.mark().await;
            self.start().await?;
        }
        if let Err(error) = self.hold(&expected, &next).await {
            self.undo().await;
            return Err(error);
        }
        self.batch = Some(Batch { expected, next });
        self.statements.begin(self.on_conflict);
        fail_point!("batch-begun");
        Ok(())
    }

    /// Moves the row within the transaction that is open.
    async fn hold(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        let db = self.db().await?;
        if ledger::compare_and_set(db, expected, next).await? {
            return Ok(());
        }
        let now = ledger::position(db, &expected.slot).await?;
        Err(expected.not_as_expected(now))
    }

    pub(super) async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        self.carry_out(&operations, None).await
    }

    pub(super) async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        let mut left_out = Vec::new();
        self.carry_out(&operations, Some(&mut left_out)).await?;
        let mut left_out = left_out.into_iter().peekable();
        let mut refused = Vec::new();
        for (at, operation) in operations.into_iter().enumerate() {
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
        operations: &[Operation],
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
        if let Err(error) = self.statements.leave(db).await {
            self.undo().await;
            return Err(error);
        }
        fail_point!("batch-before-commit");
        let error = match db.run_text(COMMIT).await {
            Ok(()) => {
                self.open = false;
                fail_point!("batch-after-commit");
                return Ok(Outcome::Committed(next));
            }
            Err(error) => failure("could not commit at the destination", error),
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
        let row = ledger::settled(self.db().await?, slot).await;
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
        self.end(done).await?;
        if self.slot == slot {
            origin::forget(self.db().await?, &origin::name(slot)).await;
            self.marks = false;
        }
        Ok(())
    }

    async fn forget_rows(&mut self, slot: &str) -> Result<()> {
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::delete_position(db, slot).await?;
            ledger::delete_tables(db, slot).await?;
        }
        Ok(())
    }

    pub(super) async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        self.start().await?;
        let done = ledger::stop_table(self.db().await?, slot, oid, reason).await;
        self.end(done).await
    }

    pub(super) async fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        self.start().await?;
        let done = match ledger::ask_copy(self.db().await?, slot, oid, now).await {
            Ok(false) => Err(crate::position::unknown_table(slot, oid)),
            done => done.map(drop),
        };
        self.end(done).await
    }

    /// Sends all rows of a table until nobody listens.
    pub(super) async fn read(&mut self, table: &Arc<Table>, to: &Sender<Result<Vec<Vec<Value>>>>) {
        if let Err(error) = self.read_rows(table, to).await {
            // What is left of an answer that nobody waits for is in the way of the next statement.
            self.session = None;
            let _ = to.send(Err(error)).await;
        }
    }

    async fn read_rows(
        &mut self,
        table: &Arc<Table>,
        to: &Sender<Result<Vec<Vec<Value>>>>,
    ) -> Result<()> {
        self.db().await?;
        let Some(db) = &mut self.session else {
            return Ok(());
        };
        let failed = |error| {
            failure(
                format!("could not read the rows of {}", table.destination),
                error,
            )
        };
        let sql = self.statements.target(db, table).await?.copy_out();
        let mut lines = db.connection().copy_out_raw(&sql).await.map_err(failed)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(line) = std::future::poll_fn(|cx| lines.as_mut().poll_next(cx)).await {
            let line = line.map_err(failed)?;
            chunk.push(copy::row(&line, table, Lsn(0))?);
            if chunk.len() == CHUNK && to.send(Ok(std::mem::take(&mut chunk))).await.is_err() {
                return Err(Error::retry("nobody waits for the rows any more"));
            }
        }
        drop(lines);
        if !chunk.is_empty() {
            let _ = to.send(Ok(chunk)).await;
        }
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        self.undo().await;
        if let Some(mut session) = self.session.take() {
            if self.marks && self.origin != origin::name(&self.slot) {
                origin::forget(&mut session, &self.origin).await;
            }
            session.close().await;
        }
    }

    /// Sees that what the session writes is marked as replicated, if it may do that.
    async fn mark(&mut self) {
        if self.marks {
            return;
        }
        let Some(db) = &mut self.session else { return };
        // Not asked again in this session, whatever the answer.
        self.marks = true;
        if let Err(error) = origin::take(db, &self.origin).await
            && !std::mem::replace(&mut self.said, true)
        {
            tracing::warn!(%error, "changes are not marked as replicated at the destination, so a replication from there back must not read these tables");
        }
    }

    async fn start(&mut self) -> Result<()> {
        if self.batch.is_some() {
            return Err(Error::retry("a batch is open at the destination"));
        }
        let begun = self.db().await?.run_text("BEGIN").await;
        self.open = begun.is_ok();
        begun.map_err(|error| failure("could not begin a transaction at the destination", error))
    }

    /// Commits what was done, or undoes what was not.
    async fn end<T>(&mut self, done: Result<T>) -> Result<T> {
        let value = match done {
            Ok(value) => value,
            Err(error) => {
                self.undo().await;
                return Err(error);
            }
        };
        let Some(db) = &mut self.session else {
            return Err(Error::retry(
                "the session at the destination server was lost",
            ));
        };
        match db.run_text(COMMIT).await {
            Ok(()) => {
                self.open = false;
                Ok(value)
            }
            Err(error) => {
                self.undo().await;
                Err(failure("could not commit at the destination", error))
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

/// Ends a session, if it is still that one and the role may do it.
async fn terminate(db: &mut Session, backend: i32, since: &str) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity($1)
               WHERE pid <> pg_backend_pid() AND backend_start::text = $2";
    let query = sqlx::query(sql).bind(backend).bind(since.to_owned());
    match db.rows(query).await {
        Ok(rows) if !rows.is_empty() => {
            tracing::warn!(backend, "ended the session that held the destination");
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, backend, "could not end the session that holds the destination; waiting for it");
        }
    }
}
