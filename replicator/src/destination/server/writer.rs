//! What the session does with the server: one method for each of the destination's promises.

mod adopting;
mod altering;
mod copying;
mod first;
mod looking;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use walproto::Oid;

use super::ledger;
use super::session::{Holder, IDLE, Lock, Outgoing, Session, Statements};
use crate::config::OnConflict;
use crate::destination::{Outcome, Refused};
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::plan::Operation;
use crate::position::{PositionRow, State, TableRow};
use crate::table::Table;
use crate::value::Value;

/// How often a holder that is being waited for is looked at.
const AGAIN: Duration = Duration::from_millis(200);

/// The session and the batch on its way through it.
#[derive(Debug)]
pub(crate) struct Writer<S: Session> {
    way: S::Way,
    wait: Duration,
    on_conflict: OnConflict,
    /// A session that was lost, which may not have noticed.
    before: Option<Holder>,
    /// None where it was lost, until it is needed again.
    session: Option<S>,
    /// Whether a transaction is open.
    open: bool,
    statements: S::Statements,
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

impl<S: Session> Writer<S> {
    pub(crate) async fn open(way: S::Way, wait: Duration, on_conflict: OnConflict) -> Result<Self> {
        let mut writer = Self {
            statements: S::statements(&way),
            way,
            wait,
            on_conflict,
            before: None,
            session: None,
            open: false,
            batch: None,
            held: None,
        };
        writer.db().await?;
        Ok(writer)
    }

    /// The session; another one where it was lost.
    pub(crate) async fn db(&mut self) -> Result<&mut S> {
        if let Some(session) = &mut self.session
            && !self.open
        {
            session.look().await;
        }
        if self.session.as_ref().is_some_and(S::is_lost) {
            self.give_up();
        }
        if self.session.is_none() {
            self.statements.clear();
            self.batch = None;
            self.open = false;
            let again = self.before.is_some();
            let session = S::open(&self.way, self.lock_wait(), again).await?;
            let session = self.session.insert(session);
            if let Some(before) = &self.before {
                // It may hold our row for as long as it has not noticed that we are gone.
                terminate(session, before).await;
            }
        }
        self.session.as_mut().ok_or_else(lost)
    }

    /// A session of no use any more.
    fn give_up(&mut self) {
        if let Some(session) = self.session.take() {
            self.before = Some(session.holder());
        }
    }

    /// The session and what is known of the tables, for work within a transaction.
    pub(crate) fn parts(&mut self) -> Result<(&mut S, &mut S::Statements)> {
        let session = self.session.as_mut().ok_or_else(lost)?;
        Ok((session, &mut self.statements))
    }

    fn lock_wait(&self) -> Duration {
        self.wait.max(Duration::from_secs(1))
    }

    /// The session, which is about to write.
    async fn ready(&mut self) -> Result<()> {
        self.db().await?;
        if let Some(session) = &mut self.session {
            session.mark(&mut self.way).await;
        }
        Ok(())
    }

    pub(in crate::destination) async fn position(
        &mut self,
        slot: &str,
    ) -> Result<Option<PositionRow>> {
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::found(db, slot, Lock::Free).await
        } else {
            Ok(None)
        }
    }

    pub(in crate::destination) async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        let db = self.db().await?;
        if ledger::exists(db).await? {
            ledger::tables(db, slot).await
        } else {
            Ok(Vec::new())
        }
    }

    pub(in crate::destination) async fn raise_epoch(
        &mut self,
        slot: &str,
        holder: &str,
    ) -> Result<PositionRow> {
        let missing = || Error::person(format!("the destination has no position for slot {slot}"));
        if self.position(slot).await?.is_none() {
            return Err(missing());
        }
        let holder_before = ledger::holder(self.db().await?, slot).await?;
        let lock_wait = self.lock_wait();
        // Where the holder's session may not be ended, it ends by itself when it has lain idle for so long.
        let deadline = Instant::now() + self.wait.max(IDLE + Duration::from_secs(5));
        loop {
            match self.raise(slot, holder).await {
                Ok(row) => {
                    let row = row.ok_or_else(missing)?;
                    let db = self.db().await?;
                    // It can write nothing any more, but what it holds besides is in our way.
                    if let Some(holder) = holder_before {
                        terminate(db, &holder).await;
                    }
                    db.wait(lock_wait).await?;
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
        if !S::WHOLE {
            let db = self.db().await?;
            db.hurry().await?;
            ledger::migrate(db).await?;
        }
        self.start().await?;
        let done = self.raise_within(slot, holder).await;
        self.end(done).await
    }

    async fn raise_within(&mut self, slot: &str, holder: &str) -> Result<Option<PositionRow>> {
        let (db, _) = self.parts()?;
        db.hurry().await?;
        if S::WHOLE {
            ledger::migrate(db).await?;
        }
        if !ledger::raise_epoch(db, slot, holder).await? {
            return Ok(None);
        }
        ledger::position(db, slot, Lock::Free).await
    }

    /// Ends the session that the row was written by last, and those that copy under it; who may not do that has to wait.
    ///
    /// A session that was stopped in the middle of a copy may not be idle for the server, and would be waited for for
    /// ever.
    async fn end_holder(&mut self, slot: &str) -> Result<()> {
        let db = self.db().await?;
        let mut holders = db.sharers(slot).await?;
        holders.extend(ledger::holder(db, slot).await?);
        for holder in holders {
            terminate(db, &holder).await;
        }
        Ok(())
    }

    pub(in crate::destination) async fn begin(
        &mut self,
        expected: PositionRow,
        next: PositionRow,
    ) -> Result<()> {
        self.rollback().await?;
        let next = PositionRow {
            lsn: next.lsn.max(expected.lsn),
            ..next
        };
        self.ready().await?;
        if let Err(error) = self.start().await {
            // That a session was lost while nothing went through it is noticed only now.
            if !self.session.as_ref().is_none_or(S::is_lost) {
                return Err(error);
            }
            self.ready().await?;
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
        let (db, _) = self.parts()?;
        if ledger::compare_and_set(db, expected, next).await? {
            return Ok(());
        }
        let now = ledger::position(db, &expected.slot, Lock::Free).await?;
        Err(expected.not_as_expected(now))
    }

    pub(in crate::destination) async fn execute(
        &mut self,
        mut operations: Vec<Operation>,
    ) -> Result<()> {
        self.carry_out(&mut operations, None).await
    }

    pub(in crate::destination) async fn attempt(
        &mut self,
        mut operations: Vec<Operation>,
    ) -> Result<Vec<Refused>> {
        let mut left_out = Vec::new();
        // As they came, for who writes them down.
        let kept = S::Statements::REWRITES.then(|| operations.clone());
        self.carry_out(&mut operations, Some(&mut left_out)).await?;
        let mut left_out = left_out.into_iter().peekable();
        let mut refused = Vec::new();
        for (at, operation) in kept.unwrap_or(operations).into_iter().enumerate() {
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
        operations: &mut [Operation],
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> Result<()> {
        let (Some(_), Some(db)) = (&self.batch, &mut self.session) else {
            return Err(no_batch());
        };
        let done = self.statements.execute(db, operations, left_out).await;
        self.keep(done).await
    }

    /// The batch goes on, unless something in it went wrong.
    async fn keep(&mut self, done: Result<()>) -> Result<()> {
        if done.is_err() {
            self.batch = None;
            self.undo().await;
        }
        done
    }

    pub(in crate::destination) async fn commit(&mut self) -> Result<Outcome> {
        let (Some(Batch { expected, next }), Some(db)) = (self.batch.take(), &mut self.session)
        else {
            return Err(no_batch());
        };
        if let Err(error) = self.statements.leave(db).await {
            self.undo().await;
            return Err(error);
        }
        fail_point!("batch-before-commit");
        let error = match db.commit().await {
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
                Err(error) if error.kind() == ErrorKind::Retry && Instant::now() < deadline => {
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
        let row = ledger::position(self.parts()?.0, slot, Lock::Settled).await;
        self.undo().await;
        row
    }

    pub(in crate::destination) async fn rollback(&mut self) -> Result<()> {
        self.batch = None;
        self.undo().await;
        Ok(())
    }

    pub(in crate::destination) async fn forget(&mut self, slot: &str) -> Result<()> {
        self.start().await?;
        let done = self.forget_rows(slot).await;
        self.end(done).await?;
        self.db().await?;
        if let Some(session) = &mut self.session {
            session.forget(&mut self.way, slot).await;
        }
        Ok(())
    }

    async fn forget_rows(&mut self, slot: &str) -> Result<()> {
        let (db, _) = self.parts()?;
        if ledger::exists(db).await? {
            ledger::delete_position(db, slot).await?;
            ledger::delete_tables(db, slot).await?;
        }
        Ok(())
    }

    pub(in crate::destination) async fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        self.start().await?;
        let done = ledger::caught_up(self.parts()?.0, slot, oid).await;
        self.end(done).await
    }

    pub(in crate::destination) async fn stop_table(
        &mut self,
        slot: &str,
        oid: Oid,
        reason: &str,
    ) -> Result<()> {
        self.start().await?;
        let done = ledger::stop_table(self.parts()?.0, slot, oid, reason).await;
        self.end(done).await
    }

    pub(in crate::destination) async fn ask_copy(
        &mut self,
        slot: &str,
        oid: Oid,
        now: Oid,
    ) -> Result<()> {
        self.start().await?;
        let done = ledger::ask_copy(self.parts()?.0, slot, oid, now).await;
        self.end(done).await
    }

    /// Sends all rows of a table until nobody listens.
    pub(in crate::destination) async fn read(
        &mut self,
        table: &Arc<Table>,
        to: &Sender<Result<Vec<Vec<Value>>>>,
    ) {
        if let Err(error) = self.read_rows(table, to).await {
            // What is left of an answer that nobody waits for is in the way of the next statement.
            self.give_up();
            let _ = to.send(Err(error)).await;
        }
    }

    async fn read_rows(
        &mut self,
        table: &Arc<Table>,
        to: &Sender<Result<Vec<Vec<Value>>>>,
    ) -> Result<()> {
        self.db().await?;
        let (db, statements) = self.parts()?;
        let mut rows = Outgoing::new(to);
        statements.read(db, table, &mut rows).await?;
        rows.finish().await;
        Ok(())
    }

    pub(in crate::destination) async fn close(&mut self) {
        self.undo().await;
        if let Some(session) = self.session.take() {
            session.close(&self.way).await;
        }
    }

    async fn start(&mut self) -> Result<()> {
        if self.batch.is_some() {
            return Err(Error::retry("a batch is open at the destination"));
        }
        let what = "could not begin a transaction at the destination";
        let begun = self.db().await?.run_for(S::BEGIN, what).await;
        self.open = begun.is_ok();
        begun
    }

    /// Commits what was done, or undoes what was not.
    async fn end<T>(&mut self, done: Result<T>) -> Result<T> {
        let done = match (done, &mut self.session) {
            (Ok(value), Some(db)) => db.commit().await.map(|()| value),
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
        let what = "could not roll back at the destination";
        if db.is_lost() || open && db.run_for(S::ROLLBACK, what).await.is_err() {
            self.give_up();
        }
    }
}

/// Ends a session, if it is still that one and we may do it.
async fn terminate(db: &mut impl Session, holder: &Holder) {
    let session = holder.number;
    match db.terminate(holder).await {
        Ok(true) => tracing::warn!(session, "ended the session that held the destination"),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, session, "could not end the session that holds the destination; waiting for it");
        }
    }
}

fn lost() -> Error {
    Error::retry("the session at the destination server was lost")
}

fn no_batch() -> Error {
    Error::retry("no batch is open at the destination")
}
