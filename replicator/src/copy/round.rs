//! What is copied in one snapshot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use walstream::Client;
use walstream::walproto::{Lsn, Oid};

use super::hand::{Hand, Order};
use super::queue::{Job, Queue};
use super::snapshot::{Snapshot, SnapshotId};
use super::version::versions;
use super::worker::Worker;
use super::{Copying, Failure, Progress};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::position::{PositionRow, TableRow};
use crate::shutdown::{Shutdown, ShutdownHandle};
use crate::source::{self, Published, Source};
use crate::table::Table;

/// What the workers of a round share.
pub(super) struct Round {
    pub(super) held: PositionRow,
    /// The snapshot's place in the stream.
    pub(super) at: Lsn,
    pub(super) snapshot: SnapshotId,
    pub(super) connection: walstream::Config,
    pub(super) publications: Vec<String>,
    /// Tells what tables are now.
    pub(super) now: tokio::sync::Mutex<Client>,
    pub(super) queue: Queue,
    pub(super) progress: Progress,
    /// The first thing that went wrong.
    failure: Mutex<Option<Failure>>,
    stop: ShutdownHandle,
}

impl Round {
    /// Ends the round: everybody stops at the next chunk.
    ///
    /// They are not cut off: what is on its way to the destination has to be there, or not, before anything is begun anew.
    pub(super) fn fail(&self, failure: Failure) {
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(failure);
        drop(first);
        self.stop.shut_down();
    }
}

impl Copying<'_> {
    /// Copies what can be copied in one snapshot, and takes it out of `pending`.
    pub(super) async fn round<D: Destination + 'static>(
        &self,
        source: &mut Source,
        hands: &mut Vec<Hand<D>>,
        pending: &mut Vec<TableRow>,
        first: Option<Snapshot>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let Self { config, held, .. } = self;
        let is_first = first.is_some();
        let mut snapshot = match first {
            Some(snapshot) => snapshot,
            None => Snapshot::now(self.connection, source, &config.slot)
                .await
                .map_err(Failure::source)?,
        };
        let published =
            source::published(&mut snapshot.holder, self.publications, &config.selection)
                .await
                .map_err(Failure::source)?;
        let (handle, stop) = ShutdownHandle::new();
        let oids: Vec<Oid> = pending.iter().map(|row| row.table.oid).collect();
        let versions = versions(&mut snapshot.holder, &oids, self.publications).await;
        let versions = versions.map_err(Failure::source)?;
        let (mut jobs, gone) = jobs(pending, published, versions);
        // Some may be published only since the slot was made: a snapshot of now has those.
        for table in gone.iter().filter(|_| !is_first) {
            let why = "it was dropped, or is not published any more";
            let order = Order::Stop {
                oid: table.oid,
                why: why.to_owned(),
            };
            if let Some(hand) = hands.first_mut() {
                let stopped = hand.carry_out(order, held, &mut stop.clone()).await;
                stopped.map_err(Failure::Other)?;
            }
            tracing::warn!(%table, "not copied: {why}");
            progress.table_left(table.oid);
            pending.retain(|row| row.table.oid != table.oid);
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let now = Client::connect(self.connection).await;
        let now = now.map_err(Failure::source)?;
        // So that the largest does not begin when the others are done.
        jobs.sort_by_key(|job| std::cmp::Reverse(progress.estimated_bytes(job.table.oid)));
        let round = Arc::new(Round {
            held: PositionRow::clone(held),
            at: snapshot.lsn,
            snapshot: snapshot.id.clone(),
            connection: self.connection.clone(),
            publications: self.publications.to_vec(),
            queue: Queue::new(jobs),
            now: tokio::sync::Mutex::new(now),
            progress: progress.clone(),
            failure: Mutex::new(None),
            stop: handle,
        });
        work(&round, hands, &stop).await;
        // Until here, so that workers could see what it sees.
        drop(snapshot);
        let done = round.queue.done();
        pending.retain(|row| !done.contains(&row.table.oid));
        let mut failure = round.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }
}

/// Lets every hand work until nothing is left, or something fails.
async fn work<D: Destination + 'static>(
    round: &Arc<Round>,
    hands: &mut Vec<Hand<D>>,
    stop: &Shutdown,
) {
    let mut workers = JoinSet::new();
    for hand in hands.drain(..) {
        let worker = Worker::new(Arc::clone(round), hand, stop.clone());
        workers.spawn(worker.work());
    }
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(hand) => hands.push(hand),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => {
                let ended = Error::retry("a task of the copy was ended").caused_by(error);
                round.fail(Failure::Other(ended));
            }
        }
    }
}

/// The tables that can be copied, and those that are not there any more.
fn jobs(
    pending: &[TableRow],
    published: Published,
    mut versions: HashMap<Oid, String>,
) -> (Vec<Job>, Vec<Table>) {
    let mut published: HashMap<Oid, _> = published
        .tables
        .into_iter()
        .map(|it| (it.table.oid, it))
        .collect();
    let (mut jobs, mut gone) = (Vec::new(), Vec::new());
    for TableRow { table, .. } in pending {
        let (found, version) = (published.remove(&table.oid), versions.remove(&table.oid));
        let (Some(found), Some(version)) = (found, version) else {
            gone.push(table.clone());
            continue;
        };
        let table = Table {
            destination: table.destination.clone(),
            ..found.table.clone()
        };
        jobs.push(Job {
            published: found,
            table: Arc::new(table),
            version,
        });
    }
    (jobs, gone)
}
