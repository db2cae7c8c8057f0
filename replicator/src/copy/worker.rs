//! One who reads tables and parts of them, and hands over what it read.

use std::pin::pin;
use std::sync::Arc;

use tokio::join;
use walstream::walproto::Oid;
use walstream::{Client, CopyOut};

use super::Failure;
use super::hand::{Hand, Order};
use super::lock::{is_unchanged, lock, unlock};
use super::parts::{Part, plan};
use super::queue::{Job, Turn};
use super::round::Round;
use crate::chunk::Chunk;
use crate::destination::Destination;
use crate::fail_point;
use crate::shutdown::Shutdown;

/// Rows that travel to the destination together.
const ROWS: u64 = 10_000;
/// And their bytes, so that large rows do not pile up.
const BYTES: usize = 2 << 20;

/// How long the first of a table's workers waits for its lock, and how long the others do.
const FIRST: &str = "10s";
const OTHERS: &str = "1s";

/// Why a worker does not go on.
enum End {
    /// The round is at its end; somebody else says why.
    Stopped,
    Failed(Failure),
}

pub(super) struct Worker<D> {
    round: Arc<Round>,
    hand: Hand<D>,
    stop: Shutdown,
    /// In the round's snapshot, once there is something to read.
    client: Option<Client>,
    /// Tables that somebody waits to lock, whom we must not stand in front of.
    declined: Vec<Oid>,
}

impl<D: Destination> Worker<D> {
    pub(super) const fn new(round: Arc<Round>, hand: Hand<D>, stop: Shutdown) -> Self {
        Self {
            round,
            hand,
            stop,
            client: None,
            declined: Vec::new(),
        }
    }

    /// Works until nothing is left or the round ends; what it wrote with can be used again.
    pub(super) async fn work(mut self) -> Hand<D> {
        let worked = self.turns().await;
        if let Err(End::Failed(failure)) = worked {
            self.round.fail(failure);
        }
        self.hand
    }

    async fn turns(&mut self) -> Result<(), End> {
        let round = Arc::clone(&self.round);
        loop {
            let turn = tokio::select! {
                turn = round.queue.next(&self.declined) => turn,
                () = self.stop.asked() => return Err(End::Stopped),
            };
            match turn {
                None => return Ok(()),
                Some(Turn::Begin(job)) => self.begin(&job).await?,
                Some(Turn::Help(job)) => self.help(&job).await?,
            }
        }
    }

    /// A table from its lock to its end. The lock is held all the while, so that others can take parts of it.
    async fn begin(&mut self, job: &Arc<Job>) -> Result<(), End> {
        let round = Arc::clone(&self.round);
        let (table, at) = (&job.table, round.at);
        let client = self.client().await?;
        let changed =
            "the table changed since the snapshot, or is locked; it is copied with another one";
        if !lock(client, table, FIRST).await.map_err(source)? {
            tracing::info!(%table, "{changed}");
            round.queue.leave();
            return Ok(());
        }
        let unchanged = {
            let mut now = round.now.lock().await;
            is_unchanged(&mut now, job, &round.publications).await
        };
        if !unchanged.map_err(source)? {
            tracing::info!(%table, "{changed}");
            unlock(client).await.map_err(source)?;
            round.queue.leave();
            return Ok(());
        }
        let parts = plan(client, &job.published).await.map_err(source)?;
        tracing::debug!(%table, parts = parts.len(), "copying");
        self.order(Order::Begin {
            table: Arc::clone(table),
            at,
        })
        .await?;
        round.progress.table_begun(table.oid);
        fail_point!("copy-begun");
        round.queue.open(job, parts);
        self.parts(job).await?;
        tokio::select! {
            () = round.queue.complete(table.oid) => {}
            () = self.stop.asked() => return Err(End::Stopped),
        }
        let client = self.client().await?;
        unlock(client).await.map_err(source)?;
        fail_point!("copied");
        self.order(Order::Finish { oid: table.oid, at }).await?;
        fail_point!("copy-finished");
        round.queue.close(table.oid);
        round.progress.table_done(table.oid);
        Ok(())
    }

    /// Parts of a table that another has begun; its lock is why the table is still what the snapshot says.
    async fn help(&mut self, job: &Arc<Job>) -> Result<(), End> {
        let client = self.client().await?;
        if !lock(client, &job.table, OTHERS).await.map_err(source)? {
            self.declined.push(job.table.oid);
            return Ok(());
        }
        self.parts(job).await?;
        let client = self.client().await?;
        unlock(client).await.map_err(source)
    }

    /// Parts of a table that is locked, as long as there are any.
    async fn parts(&mut self, job: &Job) -> Result<(), End> {
        let round = Arc::clone(&self.round);
        while let Some(part) = round.queue.take(job.table.oid) {
            self.part(job, &part).await?;
            round.queue.read(job.table.oid);
        }
        Ok(())
    }

    /// Reads the next chunk while the last one is written.
    async fn part(&mut self, job: &Job, part: &Part) -> Result<(), End> {
        self.client().await?;
        let Self {
            round,
            hand,
            stop,
            client,
            ..
        } = self;
        let Some(client) = client else {
            return Err(End::Stopped);
        };
        let stream = client.copy_out(&part.sql).await.map_err(source)?;
        let fresh = |number| Chunk::new(Arc::clone(&job.table), round.at, part.number, number);
        let mut reading = Reading {
            stream,
            stop: stop.clone(),
        };
        let mut asked = stop.clone();
        let mut next = reading.fill(fresh(1)).await?;
        while let Some(chunk) = next {
            fail_point!("copy-middle");
            let (oid, number) = (job.table.oid, chunk.number());
            let write = async {
                let (rows, bytes) = (chunk.count(), chunk.lines().len());
                // A pause can be long.
                tokio::select! {
                    () = round.progress.take(bytes) => {}
                    () = asked.asked() => return Err(End::Stopped),
                }
                let added = hand.carry_out(Order::Add(chunk), &round.held, stop);
                added.await.map_err(other)?;
                round.progress.add(oid, rows, bytes);
                Ok(())
            };
            let read = async {
                let read = reading.fill(fresh(number + 1)).await;
                // Who writes may be waiting for a destination that is lost.
                match read {
                    Err(End::Failed(failure)) => {
                        round.fail(failure);
                        Err(End::Stopped)
                    }
                    read => read,
                }
            };
            let (written, read) = join!(write, read);
            written?;
            next = read?;
        }
        Ok(())
    }

    async fn order(&mut self, order: Order) -> Result<(), End> {
        let Self {
            round, hand, stop, ..
        } = self;
        let done = hand.carry_out(order, &round.held, stop).await;
        done.map_err(other)
    }

    async fn client(&mut self) -> Result<&mut Client, End> {
        if self.client.is_none() {
            let Round {
                snapshot,
                connection,
                ..
            } = &*self.round;
            let client = snapshot.session(connection).await.map_err(source)?;
            self.client = Some(client);
        }
        self.client.as_mut().ok_or(End::Stopped)
    }
}

fn source(error: impl Into<crate::error::Error>) -> End {
    End::Failed(Failure::source(error))
}

fn other(error: crate::error::Error) -> End {
    End::Failed(Failure::Other(error))
}

/// A part on its way.
struct Reading<'a> {
    stream: CopyOut<'a>,
    stop: Shutdown,
}

impl Reading<'_> {
    /// The rows that travel next; `None` if there are none left.
    async fn fill(&mut self, mut chunk: Chunk) -> Result<Option<Chunk>, End> {
        let Self { stream, stop } = self;
        if stop.is_asked() {
            return Err(End::Stopped);
        }
        let mut asked = pin!(stop.asked());
        while chunk.count() < ROWS && chunk.lines().len() < BYTES {
            let line = tokio::select! {
                biased;
                line = stream.next() => line.map_err(source)?,
                () = &mut asked => return Err(End::Stopped),
            };
            let Some(line) = line else { break };
            chunk.push(&line);
        }
        Ok((chunk.count() > 0).then_some(chunk))
    }
}
