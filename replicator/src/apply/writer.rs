//! The task that writes the destination: batches and idle positions, one after the other, each after the known outcome
//! of the one before.
//!
//! Operations come in parcels that were built while the batch before was written. When something goes wrong they are
//! thrown away, and the same transactions are read again ([`again`](super::again)).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use walstream::walproto::{Lsn, Timestamp};
use walstream::{Token, Transaction};

use super::Summary;
use super::alter::Definitions;
use super::aside::Aside;
use super::batch::Batch;
use super::measure::Measure;
use super::parcel::{Inbox, Parcel};
use super::retry::Retry;
use super::side::Work;
use super::singly::Poison;
use crate::destination::{Destination, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::follow::{Differing, Tables};
use crate::metrics::Metrics;
use crate::position::{PositionRow, TableState, written_time};
use crate::pulse::Pulse;
use crate::shutdown::Shutdown;

/// How long a batch of a backlog waits for more. A commit costs the same however little is in it, and many
/// destinations commit sooner than a source sends ten transactions.
const LINGER: Duration = Duration::from_millis(20);

/// The destination, and where it is.
pub(super) struct Writer<D> {
    pub(super) destination: D,
    pub(super) tables: Tables,
    /// What tables are whose definition changed.
    pub(super) definitions: Definitions,
    /// Whether the end was asked for while a definition that changed waited for the destination.
    pub(super) left: bool,
    pub(super) poison: Poison,
    /// Follows only what is known to be committed.
    pub(super) position: PositionRow,
    /// The server's timeline; the row follows with the next batch.
    pub(super) timeline: u32,
    pub(super) summary: Summary,
    pub(super) retry: Retry,
    /// Asks not to wait for a destination that is lost.
    pub(super) shutdown: Shutdown,
    /// Whether what is not begun is left to the next start.
    pub(super) leave: Arc<AtomicBool>,
    pub(super) stored: watch::Sender<Stored>,
    pub(super) measure: Measure,
    pub(super) metrics: Metrics,
    /// When the batch began that is open, or was last.
    pub(super) begun: std::time::Instant,
    /// Copies beside the stream.
    pub(super) side: mpsc::Receiver<Work>,
    pub(super) aside: Aside,
    /// Whether a table that is at fault does not end the run.
    pub(super) isolates: bool,
    pub(super) pulse: Pulse,
    /// Came while a batch was put together, and is the next one's first.
    pub(super) waiting: Option<Parcel>,
}

/// Where the destination is, for who looks on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) lsn: Lsn,
    /// When that was written down.
    pub(super) at: Instant,
}

/// Why a batch was not written.
pub(super) enum Failure {
    /// The destination said so, or nothing.
    Destination(Error),
    /// It could not be read, or means nothing here.
    Batch(Error),
    /// It has to be read again to know.
    Raw,
    /// A definition changes in it, which has to be looked into first.
    Differs(Box<Differing>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Batch(error)
    }
}

impl<D: Destination> Writer<D> {
    /// Writes what comes until nothing more does, and closes the destination.
    pub(super) async fn run(mut self, mut inbox: Inbox) -> Result<Summary> {
        self.catch_up().await;
        while let Some(parcel) = self.next(&mut inbox).await {
            self.pulse.asks(true);
            if parcel.is_idle() {
                self.idle(parcel).await?;
            } else if self.leave.load(Ordering::Relaxed) {
                // What follows must not be written without it, not even a position.
                break;
            } else {
                let done = self.batch(parcel, &mut inbox).await;
                // What follows must not be written without it either.
                match done {
                    Err(error) if self.left => {
                        tracing::warn!(%error, position = %self.position.lsn, "the next start goes on there");
                        break;
                    }
                    done => done?,
                }
            }
            self.catch_up().await;
            self.pulse.asks(false);
        }
        drop(inbox);
        self.poison.end(self.position.lsn);
        self.destination.close().await?;
        Ok(Summary {
            position: self.position.lsn,
            ..self.summary
        })
    }

    /// Writes down which tables have caught up.
    async fn catch_up(&mut self) {
        while let Some(oid) = self.tables.caught_up(self.position.lsn) {
            let done = self.destination.caught_up(&self.position.slot, oid).await;
            self.metrics.table_state(oid, &TableState::Streaming);
            if let Err(error) = done {
                tracing::warn!(%error, %oid, "could not write down that a table has caught up; the next start does");
                self.undo().await;
            }
        }
    }

    /// The next parcel; until it comes, and between any two, what is to be done beside the stream.
    async fn next(&mut self, inbox: &mut Inbox) -> Option<Parcel> {
        loop {
            if let Ok(work) = self.side.try_recv() {
                self.aside(work).await;
            }
            if let Some(parcel) = self.waiting.take() {
                return Some(parcel);
            }
            // What waits for copies is bounded, and so is not the time that a copy takes.
            let full = self.aside.is_full();
            let work = tokio::select! {
                biased;
                parcel = inbox.next(), if !full => return parcel,
                () = self.shutdown.asked(), if full => {
                    self.leave.store(true, Ordering::Relaxed);
                    return None;
                }
                work = self.side.recv(), if !self.side.is_closed() => work,
            };
            if let Some(work) = work {
                self.aside(work).await;
            } else if self.aside.is_full() {
                return None;
            } else {
                return inbox.next().await;
            }
        }
    }

    /// Lets others know where the destination is.
    fn say(&self) {
        self.pulse.stands_at(self.position.lsn);
        self.stored.send_replace(Stored {
            lsn: self.position.lsn,
            at: Instant::now(),
        });
    }

    /// Stores an idle position, then confirms it and those below.
    async fn idle(&mut self, parcel: Parcel) -> Result<()> {
        self.timeline = parcel.timeline;
        if parcel.to > self.position.lsn {
            let next = self.row(parcel.to, None);
            self.write_to(&mut [], &next).await?;
            fail_point!("idle-written");
        }
        parcel.idle.into_iter().for_each(Token::confirm);
        self.say();
        Ok(())
    }

    /// Writes a group, and what waits behind it, as one, and confirms it.
    async fn batch(&mut self, first: Parcel, inbox: &mut Inbox) -> Result<()> {
        let mut batch = Batch::new(first);
        let moment = Instant::now() + LINGER;
        loop {
            let next = match inbox.next_now() {
                None if batch.lingers() => {
                    let next = inbox.next_until(moment);
                    self.pulse.rests(next).await
                }
                next => next,
            };
            let Some(parcel) = next else { break };
            if !batch.takes(&parcel, &self.measure) {
                self.waiting = Some(parcel);
                break;
            }
            batch.add(parcel);
        }
        self.timeline = batch.timeline;
        let next = self.row(batch.to, batch.time);
        let Err(failure) = self.write_built(&mut batch, &next, inbox).await else {
            self.count(&batch.ended, batch.changes);
            fail_point!("committed");
            return self.confirm_all(batch);
        };
        fail_point!("batch-lost");
        // Nothing of it is open when the stream is asked for the rest: that may take a while.
        if !matches!(failure, Failure::Destination(_)) {
            self.undo().await;
        }
        self.pulse.rests(batch.gather(inbox)).await?;
        let Batch {
            ended,
            idle,
            changes,
            ..
        } = batch;
        match failure {
            Failure::Batch(error) => return Err(error),
            Failure::Raw | Failure::Differs(_) => self.apply(ended).await?,
            Failure::Destination(error) if error.kind() == ErrorKind::Retry => {
                if self.settle(error, &next).await? {
                    self.retry.over();
                    self.count(&ended, changes);
                    self.confirm(ended)?;
                } else {
                    self.apply(ended).await?;
                }
            }
            Failure::Destination(error) => {
                if !self.undo().await || error.kind() != ErrorKind::Person {
                    return Err(error);
                }
                self.apart(ended, Some(error)).await?;
            }
        }
        // All of them lie below the batch.
        idle.into_iter().for_each(Token::confirm);
        Ok(())
    }

    /// One destination transaction with all of the batch, the position first.
    async fn write_built(
        &mut self,
        batch: &mut Batch,
        next: &PositionRow,
        inbox: &mut Inbox,
    ) -> Result<(), Failure> {
        if batch.is_raw() {
            return Err(Failure::Raw);
        }
        self.begin(next).await.map_err(Failure::Destination)?;
        let begun = Instant::now();
        while let Some(mut parcel) = self.pulse.rests(batch.next(inbox)).await? {
            if parcel.raw {
                return Err(Failure::Raw);
            }
            batch.join(&mut parcel);
            let Parcel {
                mut operations,
                room,
                ..
            } = parcel;
            if self.aside.is_on() {
                let all = operations.into_iter();
                operations = all.filter_map(|it| self.aside.pass(it)).collect();
            }
            batch.changes += operations.len() as u64;
            if !operations.is_empty() {
                let done = self.destination.execute(operations).await;
                done.map_err(Failure::Destination)?;
            }
            drop(room);
        }
        self.measure.took(batch.bytes, batch.count, begun.elapsed());
        self.commit().await.map_err(Failure::Destination)?;
        self.retry.over();
        Ok(())
    }

    /// The position row once everything up to there is in, of which the last transaction, if there is one, committed then.
    ///
    /// What was not for us up to an idle position says nothing about when it was written: a server that reads a backlog
    /// of such sends its clock with it all the same.
    fn row(&self, to: Lsn, time: Option<Timestamp>) -> PositionRow {
        PositionRow {
            timeline: self.timeline,
            // What no clock shows would not come back from the row as it is.
            source_time: match time {
                Some(_) => time.filter(|_| written_time(time).is_some()),
                None => self.position.source_time,
            },
            ..self.position.advanced(to)
        }
    }

    /// The same, once a transaction is.
    pub(super) fn row_after(&self, last: &Transaction) -> PositionRow {
        self.row(last.end_lsn(), Some(last.commit_time()))
    }

    /// Waits for as long as another program holds the destination: the stream lives on meanwhile, and starting again
    /// would wait too.
    pub(super) async fn begin(&mut self, next: &PositionRow) -> Result<()> {
        self.aside.begun();
        self.tables.begin();
        self.begun = std::time::Instant::now();
        self.metrics.batch_begins();
        let mut said = false;
        loop {
            let begin = self.destination.begin(&self.position, next);
            let begun = if self.retry.is_on() {
                // It may not answer, as before.
                tokio::select! {
                    begun = begin => begun,
                    () = self.shutdown.asked() => Err(super::again::given_up()),
                }
            } else {
                begin.await
            };
            match begun {
                Err(error) if error.is_locked_out() && !self.shutdown.is_asked() => {
                    self.metrics.destination_is_lost(&error);
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "waiting for it");
                    }
                }
                done => {
                    if said && done.is_ok() {
                        self.metrics.destination_is_there();
                    }
                    return done;
                }
            }
        }
    }

    /// Commits; the position we hold follows only a commit that is known.
    pub(super) async fn commit(&mut self) -> Result<()> {
        match self.destination.commit().await? {
            Outcome::Committed(row) => {
                self.stands_at(row);
                Ok(())
            }
            Outcome::NotCommitted(error) => Err(error.found_at_end()),
        }
    }

    /// What was open is in, and this is the row now.
    pub(super) fn stands_at(&mut self, row: PositionRow) {
        self.metrics.batch_ends();
        self.metrics.stored(row.lsn);
        self.poison.passed(row.lsn);
        self.aside.committed();
        self.tables.reached(row.lsn);
        self.definitions.clear();
        self.position = row;
    }

    /// Rolls back after an error, which is what the user has to read; says whether it could be done.
    pub(super) async fn undo(&mut self) -> bool {
        self.metrics.batch_ends();
        match self.destination.rollback().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "could not roll back at the destination");
                false
            }
        }
    }

    pub(super) fn count(&mut self, transactions: &[Transaction], changes: u64) {
        self.metrics.applied(transactions, changes, self.begun);
        self.summary.changes += changes;
        self.summary.transactions += transactions.len() as u64;
    }

    fn confirm_all(&mut self, batch: Batch) -> Result<()> {
        self.confirm(batch.ended)?;
        batch.idle.into_iter().for_each(Token::confirm);
        Ok(())
    }

    /// Hands the tokens back: the transactions are durable.
    pub(super) fn confirm(&mut self, transactions: Vec<Transaction>) -> Result<()> {
        transactions.into_iter().for_each(Transaction::confirm);
        self.say();
        Ok(())
    }
}
