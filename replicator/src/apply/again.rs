//! Transactions that could not be written as they were built: read again, and written by themselves.
//!
//! An error of the destination's that may pass is followed by: roll back, read the position row, wait, write the same
//! transactions again. The row says what became of a commit whose answer was lost; while it cannot be read, nothing
//! is written and nothing confirmed.

use walstream::Transaction;

use super::builder::{CHUNK, CHUNK_BYTES};
use super::writer::{Failure, Writer};
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::position::PositionRow;

impl<D: Destination> Writer<D> {
    /// Writes transactions as one and confirms them, or apart if one of them is at fault.
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

    /// One destination transaction with all of them, the position first.
    pub(super) async fn write(&mut self, batch: &mut [Transaction]) -> Result<()> {
        let Some(last) = batch.last() else {
            return Ok(());
        };
        let next = self.row_after(last);
        self.write_to(batch, &next).await
    }

    /// As [`write`](Self::write), again and again as long as the destination's errors may pass.
    pub(super) async fn write_to(
        &mut self,
        batch: &mut [Transaction],
        next: &PositionRow,
    ) -> Result<()> {
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
                Err(Failure::Raw) => return Err(unread()),
                Err(Failure::Differs(differing)) => {
                    self.undo().await;
                    // Those before it do not wait with it.
                    if batch.len() > 1 {
                        return Err(Error::person(format!(
                            "the definition of table {} changed in the middle of a batch",
                            differing.table
                        )));
                    }
                    self.find_out(*differing).await?;
                    continue;
                }
            };
            if let Some(error) = error {
                again = true;
                if !self.settle(error, next).await? {
                    continue;
                }
            }
            self.retry.over();
            self.count(batch, changes);
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
        let mut tables = self.tables.now();
        for transaction in batch {
            let commit = transaction.commit_lsn();
            let mut walk = transaction.changes().map_err(Error::from)?;
            while let Some((_, change)) = walk.next().map_err(Error::from)? {
                let differing = tables.follow(commit, &change, |operation| {
                    if let Some(operation) = self.aside.pass(operation) {
                        bytes += operation.size();
                        chunk.push(operation);
                    }
                })?;
                if let Some(differing) = differing {
                    if self.aside.lose(differing.table.oid, commit) {
                        continue;
                    }
                    let Some(alteration) = self.definitions.known(&differing) else {
                        return Err(Failure::Differs(Box::new(differing)));
                    };
                    // What came before it has the table as it was.
                    *changes += chunk.len() as u64;
                    bytes = 0;
                    let before = std::mem::take(&mut chunk);
                    if !before.is_empty() {
                        let done = self.destination.execute(before).await;
                        done.map_err(Failure::Destination)?;
                    }
                    let altered = self.alter(&alteration).await;
                    altered.map_err(Failure::Destination)?;
                    tables = self.tables.now();
                    continue;
                }
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

    /// After an error: rolls back, finds out whether the batch is in all the same, and waits if it is not.
    ///
    /// Whoever else moved the row ends the run. So does an error that will not pass, once the row is read: it may be
    /// nothing but our own commit that was in doubt, and is found by the next attempt.
    pub(super) async fn settle(&mut self, error: Error, next: &PositionRow) -> Result<bool> {
        let mut error = error;
        self.metrics.batch_ends();
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
                    self.stands_at(now);
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
}

pub(super) fn given_up() -> Error {
    Error::retry("the end was asked for while the destination was lost")
        .with_hint("start again; nothing is lost")
}

/// What is read here is never found unread.
pub(super) fn unread() -> Error {
    Error::retry("a batch was not read")
}
