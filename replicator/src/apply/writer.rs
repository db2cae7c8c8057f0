//! Batches into the destination, also when it is lost in between.
//!
//! An error of the destination's that may pass is followed by: roll back, read the position row, wait, write the same
//! transactions again. The row says what became of a commit whose answer was lost; while it cannot be read, nothing
//! is written and nothing confirmed.

use tokio::time::Instant;
use walstream::walproto::Lsn;
use walstream::{Token, Transaction};

use super::Summary;
use super::retry::Retry;
use super::singly::Poison;
use crate::destination::{Destination, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::follow::Tables;
use crate::position::PositionRow;
use crate::shutdown::Shutdown;

/// Operations that go to the destination together.
pub(super) const CHUNK: usize = 10_000;
/// And their bytes, so that large rows do not pile up.
pub(super) const CHUNK_BYTES: usize = 4 << 20;

/// The destination, and where it is.
pub(super) struct Writer<D> {
    pub(super) destination: D,
    pub(super) tables: Tables,
    pub(super) poison: Poison,
    /// Follows only what is known to be committed.
    position: PositionRow,
    /// The server's timeline; the row follows with the next batch.
    pub(super) timeline: u32,
    /// When a position was stored last.
    written: Instant,
    pub(super) summary: Summary,
    pub(super) retry: Retry,
    shutdown: Shutdown,
}

/// Why a batch was not written.
pub(super) enum Failure {
    /// The destination said so, or nothing.
    Destination(Error),
    /// It could not be read, or means nothing here.
    Batch(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Batch(error)
    }
}

impl<D: Destination> Writer<D> {
    pub(super) fn new(
        destination: D,
        tables: Tables,
        poison: Poison,
        position: PositionRow,
        timeline: u32,
        retry: Retry,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            destination,
            tables,
            poison,
            position,
            timeline,
            written: Instant::now(),
            summary: Summary::default(),
            retry,
            shutdown,
        }
    }

    /// Where the destination is.
    pub(super) const fn position(&self) -> Lsn {
        self.position.lsn
    }

    /// When it was written down last where the destination is.
    pub(super) const fn written(&self) -> Instant {
        self.written
    }

    /// Stores an idle position, then confirms it and those below.
    pub(super) async fn idle(&mut self, tokens: &mut Vec<Token>) -> Result<()> {
        let Some(lsn) = tokens.iter().map(Token::lsn).max() else {
            return Ok(());
        };
        if lsn > self.position.lsn {
            let next = self.next(lsn);
            if let Err(error) = self.write_to(&mut [], &next).await {
                self.undo().await;
                return Err(error);
            }
            fail_point!("idle-written");
        }
        self.written = Instant::now();
        tokens.drain(..).for_each(Token::confirm);
        Ok(())
    }

    /// Writes transactions as one and confirms them.
    pub(super) async fn apply(&mut self, mut batch: Vec<Transaction>) -> Result<()> {
        if self.poison.meets(&batch) {
            return self.apart(batch, None).await;
        }
        let Err(error) = self.write(&mut batch).await else {
            fail_point!("committed");
            return self.confirm(batch);
        };
        let undone = self.undo().await;
        if error.kind() != ErrorKind::Person || !undone {
            return Err(error);
        }
        self.apart(batch, Some(error)).await
    }

    /// Rolls back after an error, which is what the user has to read; says whether it could be done.
    pub(super) async fn undo(&mut self) -> bool {
        match self.destination.rollback().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "could not roll back at the destination");
                false
            }
        }
    }

    /// One destination transaction with all of the batch, the position first.
    pub(super) async fn write(&mut self, batch: &mut [Transaction]) -> Result<()> {
        let Some(last) = batch.last() else {
            return Ok(());
        };
        let next = self.next(last.end_lsn());
        self.write_to(batch, &next).await
    }

    /// The position row once everything up to there is in.
    pub(super) fn next(&self, to: Lsn) -> PositionRow {
        PositionRow {
            timeline: self.timeline,
            ..self.position.advanced(to)
        }
    }

    /// As [`write`](Self::write), again and again as long as the destination's errors may pass.
    async fn write_to(&mut self, batch: &mut [Transaction], next: &PositionRow) -> Result<()> {
        let mut again = false;
        loop {
            let mut changes = 0;
            let error = match self.write_once(batch, next, &mut changes).await {
                Ok(()) => None,
                // A first attempt that the destination refused for good leaves nothing in doubt.
                Err(Failure::Destination(error)) if again || error.kind() == ErrorKind::Retry => {
                    Some(error)
                }
                Err(Failure::Destination(error) | Failure::Batch(error)) => return Err(error),
            };
            if let Some(error) = error {
                again = true;
                if !self.settle(error, next).await? {
                    continue;
                }
            }
            self.retry.over();
            self.summary.changes += changes;
            self.summary.transactions += batch.len() as u64;
            return Ok(());
        }
    }

    async fn write_once(
        &mut self,
        batch: &mut [Transaction],
        next: &PositionRow,
        changes: &mut u64,
    ) -> Result<(), Failure> {
        self.begin(next).await.map_err(Failure::Destination)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut bytes = 0;
        for transaction in batch {
            let commit = transaction.commit_lsn();
            let mut walk = transaction.changes().map_err(Error::from)?;
            while let Some((_, change)) = walk.next().map_err(Error::from)? {
                self.tables.follow(commit, &change, |operation| {
                    bytes += operation.size();
                    chunk.push(operation);
                })?;
                if chunk.len() >= CHUNK || bytes >= CHUNK_BYTES {
                    *changes += chunk.len() as u64;
                    bytes = 0;
                    let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                    let done = self.destination.execute(full).await;
                    done.map_err(Failure::Destination)?;
                }
            }
        }
        *changes += chunk.len() as u64;
        if !chunk.is_empty() {
            let done = self.destination.execute(chunk).await;
            done.map_err(Failure::Destination)?;
        }
        self.commit().await.map_err(Failure::Destination)
    }

    /// Waits for as long as another program holds the destination: the stream lives on meanwhile, and starting again
    /// would wait too.
    pub(super) async fn begin(&mut self, next: &PositionRow) -> Result<()> {
        let mut said = false;
        loop {
            let begin = self.destination.begin(&self.position, next);
            let begun = if self.retry.is_on() {
                // It may not answer, as before.
                tokio::select! {
                    begun = begin => begun,
                    () = self.shutdown.asked() => Err(given_up()),
                }
            } else {
                begin.await
            };
            match begun {
                Err(error) if error.is_locked_out() && !self.shutdown.is_asked() => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "waiting for it");
                    }
                }
                done => return done,
            }
        }
    }

    /// Commits; the position we hold follows only a commit that is known.
    pub(super) async fn commit(&mut self) -> Result<()> {
        match self.destination.commit().await? {
            Outcome::Committed(row) => {
                self.poison.passed(row.lsn);
                self.position = row;
                Ok(())
            }
            Outcome::NotCommitted(error) => Err(error.found_at_end()),
        }
    }

    /// After an error: rolls back, finds out whether the batch is in all the same, and waits if it is not.
    ///
    /// Whoever else moved the row ends the run. So does an error that will not pass, once the row is read: it may be
    /// nothing but our own commit that was in doubt, and is found by the next attempt.
    pub(super) async fn settle(&mut self, error: Error, next: &PositionRow) -> Result<bool> {
        let mut error = error;
        fail_point!("destination-lost");
        loop {
            let slot = &self.position.slot;
            let now = tokio::select! {
                biased;
                () = self.shutdown.asked() => return Err(error),
                // What lies open would be read as if it were there.
                now = async {
                    self.destination.rollback().await?;
                    self.destination.position(slot).await
                } => now,
            };
            match now {
                Ok(Some(now)) if now == *next => {
                    self.poison.passed(now.lsn);
                    self.position = now;
                    return Ok(true);
                }
                Ok(Some(now)) if now == self.position => {
                    self.retry.pause(error, &mut self.shutdown).await?;
                    fail_point!("destination-back");
                    return Ok(false);
                }
                Ok(now) => return Err(self.position.not_as_expected(now)),
                Err(unread) => error = unread,
            }
            let wait = self.retry.pause(error, &mut self.shutdown);
            wait.await?;
            error = given_up();
        }
    }

    /// Hands the tokens back: the batch is durable.
    pub(super) fn confirm(&mut self, batch: Vec<Transaction>) -> Result<()> {
        batch.into_iter().for_each(Transaction::confirm);
        self.written = Instant::now();
        Ok(())
    }

    /// Closes the destination in order.
    pub(super) async fn close(self) -> Result<Summary> {
        self.poison.end(self.position.lsn);
        self.destination.close().await?;
        Ok(Summary {
            position: self.position.lsn,
            ..self.summary
        })
    }
}

fn given_up() -> Error {
    Error::retry("the end was asked for while the destination was lost")
        .with_hint("start again; nothing is lost")
}
