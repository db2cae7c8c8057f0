//! Work beside the stream: copies of single tables, carried out by the task that writes the destination, between two
//! batches and over the same session. So there is one writer, and a copy holds up a batch by a chunk at most.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use walstream::walproto::{Lsn, Oid};

use super::builder::CHUNK;
use super::writer::Writer;
use crate::chunk::Chunk;
use crate::destination::{Destination, Existing, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::names::Names;
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow, TableState};
use crate::table::Table;

type Reply<T> = oneshot::Sender<Result<T>>;

/// What can be asked for.
pub(super) enum Work {
    Name(Names, Vec<Table>, Reply<Vec<Table>>),
    Tables(Reply<Vec<TableRow>>),
    Create(Arc<Table>, Existing, Reply<()>),
    Stop(Oid, String, Reply<()>),
    AskCopy(Oid, Oid, Reply<()>),
    /// Lets changes of a table wait from now on.
    Aside(Arc<Table>, Reply<()>),
    /// What is published now.
    Published(String, Reply<()>),
    BeginCopy(Arc<Table>, Lsn, Reply<()>),
    Copy(Chunk, Reply<()>),
    FinishCopy(Oid, Reply<()>),
}

/// The destination, as who copies beside the stream sees it. What needs the position row is done under the writer's.
///
/// Errors that may pass are tried again behind it. What comes through is final for the copy that is going on, however it
/// began, and so is none that a copy tries again: a table that could not catch up is copied anew from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Side {
    work: mpsc::Sender<Work>,
    /// The last error as it was.
    failed: Arc<Mutex<Option<Error>>>,
}

pub(super) fn channel() -> (Side, mpsc::Receiver<Work>) {
    let (sender, receiver) = mpsc::channel(1);
    let side = Side {
        work: sender,
        failed: Arc::default(),
    };
    (side, receiver)
}

impl Side {
    async fn ask<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let ended = || Error::retry("the task that writes the destination has ended");
        self.work.send(work(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// As [`ask`](Self::ask), for what is a part of a copy.
    async fn order(&self, work: impl FnOnce(Reply<()>) -> Work) -> Result<()> {
        self.ask(work).await.map_err(|error| {
            let last = Error::person(error.to_string());
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            last
        })
    }

    /// Why a copy failed.
    pub(super) fn failure(&self, error: Error) -> Error {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take().unwrap_or(error)
    }

    /// Lets changes of a table wait from now on. What was received before committed before any later snapshot.
    pub(super) async fn set_aside(&self, table: Arc<Table>) -> Result<()> {
        self.ask(|reply| Work::Aside(table, reply)).await
    }

    /// Writes down what is published.
    pub(super) async fn publish(&self, fingerprint: String) -> Result<()> {
        self.ask(|reply| Work::Published(fingerprint, reply)).await
    }

    /// The tables with their names at the destination.
    pub(super) async fn name(&self, names: &Names, tables: Vec<Table>) -> Result<Vec<Table>> {
        self.ask(|reply| Work::Name(names.clone(), tables, reply))
            .await
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::retry(
        "that is not for who works beside the stream to do",
    ))
}

impl Destination for Side {
    async fn position(&mut self, _slot: &str) -> Result<Option<PositionRow>> {
        not_here()
    }

    async fn tables(&mut self, _slot: &str) -> Result<Vec<TableRow>> {
        self.ask(Work::Tables).await
    }

    async fn write_intent(&mut self, _row: &PositionRow) -> Result<PositionRow> {
        not_here()
    }

    async fn remove_intent(&mut self, _slot: &str) -> Result<()> {
        not_here()
    }

    async fn create_table(
        &mut self,
        _slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        self.ask(|reply| Work::Create(Arc::clone(table), existing, reply))
            .await
    }

    async fn drop_made_tables(&mut self, _slot: &str) -> Result<Vec<String>> {
        not_here()
    }

    async fn activate(&mut self, _row: &PositionRow) -> Result<PositionRow> {
        not_here()
    }

    async fn raise_epoch(&mut self, _slot: &str, _holder: &str) -> Result<PositionRow> {
        not_here()
    }

    async fn begin_copy(&mut self, _held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        self.order(|reply| Work::BeginCopy(Arc::clone(table), at, reply))
            .await
    }

    async fn copy(&mut self, _held: &PositionRow, chunk: Chunk) -> Result<()> {
        self.order(|reply| Work::Copy(chunk, reply)).await
    }

    async fn finish_copy(&mut self, _held: &PositionRow, oid: Oid, _at: Lsn) -> Result<()> {
        self.order(|reply| Work::FinishCopy(oid, reply)).await
    }

    async fn begin(&mut self, _expected: &PositionRow, _next: &PositionRow) -> Result<()> {
        not_here()
    }

    async fn execute(&mut self, _operations: Vec<Operation>) -> Result<()> {
        not_here()
    }

    async fn commit(&mut self) -> Result<Outcome> {
        not_here()
    }

    async fn rollback(&mut self) -> Result<()> {
        not_here()
    }

    async fn forget(&mut self, _slot: &str) -> Result<()> {
        not_here()
    }

    async fn stop_table(&mut self, _slot: &str, oid: Oid, reason: &str) -> Result<()> {
        self.ask(|reply| Work::Stop(oid, reason.to_owned(), reply))
            .await
    }

    async fn ask_copy(&mut self, _slot: &str, oid: Oid, now: Oid) -> Result<()> {
        self.ask(|reply| Work::AskCopy(oid, now, reply)).await
    }
}

impl<D: Destination> Writer<D> {
    /// Carries out what was asked for; who asked hears what became of it.
    pub(super) async fn aside(&mut self, work: Work) {
        // Nobody may listen any more; then it was in vain, and is seen in the ledger by the next start.
        match work {
            Work::Name(names, mut tables, reply) => {
                let named = self.destination.name_tables(&names, &mut tables);
                let _ = reply.send(named.map(|()| tables));
            }
            Work::Tables(reply) => {
                let tables = self.destination.tables(&self.position.slot).await;
                if let Ok(tables) = &tables {
                    self.metrics.tables(tables);
                }
                let _ = reply.send(tables);
            }
            Work::Create(table, existing, reply) => {
                let slot = &self.position.slot;
                let made = self.destination.create_table(slot, &table, existing).await;
                let _ = reply.send(made);
            }
            Work::Stop(oid, reason, reply) => {
                let _ = reply.send(self.stop_table(oid, &reason).await);
            }
            Work::AskCopy(oid, now, reply) => {
                let asked = self.destination.ask_copy(&self.position.slot, oid, now);
                let _ = reply.send(asked.await);
            }
            Work::Aside(table, reply) => {
                self.aside.add(&table);
                self.tables.put(table);
                let _ = reply.send(Ok(()));
            }
            Work::Published(fingerprint, reply) => {
                let _ = reply.send(self.publish(fingerprint).await);
            }
            Work::BeginCopy(table, at, reply) => {
                let _ = reply.send(self.begin_copy(&table, at).await);
            }
            Work::Copy(chunk, reply) => {
                let _ = reply.send(self.copy(chunk).await);
            }
            Work::FinishCopy(oid, reply) => {
                let finished = self.finish_copy(oid).await;
                if finished.is_err() {
                    self.undo().await;
                }
                let _ = reply.send(finished);
            }
        }
    }

    /// Stops a table: in the ledger before its first change is left out, so that a crash between leaves out too much for
    /// nobody.
    pub(super) async fn stop_table(&mut self, oid: Oid, reason: &str) -> Result<()> {
        let slot = &self.position.slot;
        self.destination.stop_table(slot, oid, reason).await?;
        let stopped = TableState::Stopped(reason.to_owned());
        self.metrics.table_state(oid, &stopped);
        self.tables.stop(oid);
        self.aside.stop(oid);
        Ok(())
    }

    async fn publish(&mut self, fingerprint: String) -> Result<()> {
        let next = PositionRow {
            fingerprint,
            ..self.position.clone()
        };
        let begun = self.begin(&next).await;
        let done = match begun {
            Ok(()) => self.commit().await,
            error => error,
        };
        // The next batch must begin from what the row is, whatever an error left in doubt.
        match done {
            Err(error) if error.kind() == ErrorKind::Retry => {
                self.settle(error, &next).await.map(drop)
            }
            done => done,
        }
    }

    async fn begin_copy(&mut self, table: &Arc<Table>, at: Lsn) -> Result<()> {
        if !self.aside.has(table.oid) {
            return Err(Error::retry(format!(
                "table {table} began to be copied before its changes were kept for it"
            )));
        }
        loop {
            let begun = self.destination.begin_copy(&self.position, table, at);
            match begun.await {
                Err(error) => self.again(error).await?,
                Ok(()) => break,
            }
        }
        self.retry.over();
        self.metrics.table(table, &TableState::Copying);
        self.tables.put(Arc::clone(table));
        self.aside.copied_as_of(table, at);
        Ok(())
    }

    async fn copy(&mut self, chunk: Chunk) -> Result<()> {
        loop {
            let copied = self.destination.copy(&self.position, chunk.clone());
            match copied.await {
                Err(error) => self.again(error).await?,
                Ok(()) => break,
            }
        }
        self.retry.over();
        Ok(())
    }

    /// Brings a table that is copied to where the stream is, and lets it go on with the others.
    ///
    /// Until the last step it is in state `copying`, and whatever happens is mended by copying it anew: so what waited for
    /// it need not be told apart from what is in.
    async fn finish_copy(&mut self, oid: Oid) -> Result<()> {
        if !self.aside.is_whole(oid) {
            return Err(Error::retry(
                "the definition of the table changed while it was copied",
            ));
        }
        let mut waiting = self.aside.take(oid);
        fail_point!("catching-up");
        if !waiting.is_empty() {
            self.begin(&self.position.clone()).await?;
            while !waiting.is_empty() {
                let rest = waiting.split_off(waiting.len().min(CHUNK));
                let some = std::mem::replace(&mut waiting, rest);
                self.destination.execute(some).await?;
            }
            self.commit().await?;
        }
        fail_point!("caught-up");
        let at = self.position.lsn;
        loop {
            let finished = self.destination.finish_copy(&self.position, oid, at);
            match finished.await {
                Err(error) => self.again(error).await?,
                Ok(()) => break,
            }
        }
        self.retry.over();
        fail_point!("joined");
        self.aside.joined(oid);
        self.tables.joined(oid);
        self.metrics.table_state(oid, &TableState::Streaming);
        if let Some(table) = self.tables.now().table(oid) {
            tracing::info!(%table, position = %at, "joined the others");
        }
        Ok(())
    }

    /// Waits after an error that may pass; gives it back when it will not, or when somebody else writes now.
    async fn again(&mut self, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Retry {
            return Err(error);
        }
        let now = async {
            self.destination.rollback().await?;
            self.destination.position(&self.position.slot).await
        };
        if let Ok(now) = now.await
            && now.as_ref() != Some(&self.position)
        {
            return Err(error);
        }
        self.retry.pause(error, &mut self.shutdown).await
    }
}
