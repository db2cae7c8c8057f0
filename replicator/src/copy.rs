//! Copies of tables: rows that existed when a snapshot was taken, each table with the snapshot's place in the stream.
//!
//! A snapshot sees exactly what committed before its slot's consistent point. That position goes into the ledger with the
//! table, and of the stream the table gets what commits at it or later: neither gap nor overlap, and tables may be copied
//! at different moments. The order of events, and what a crash leaves behind, stands in the crate's documentation.
//!
//! Several workers read in the same snapshot, each over a session of its own, and write over one of their own where the
//! destination has such: different tables, and parts of one once no table waits.

pub(crate) mod estimate;
mod event;
mod figures;
mod hand;
mod lines;
mod lock;
mod pace;
mod parts;
mod progress;
mod queue;
mod round;
mod row;
mod snapshot;
mod version;
mod worker;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::apply::Retry;
use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::position::{PositionRow, TableRow, TableState};
use crate::shutdown::ShutdownHandle;
use crate::source::Source;
pub use event::{CopyEvent, CopyPlan, CopyProgress, CopyTable};
pub(crate) use figures::rate;
pub(crate) use hand::{Hand, Request};
pub(crate) use lines::Lines;
pub use pace::CopyHandle;
pub(crate) use progress::held_back;
pub(crate) use progress::{OnCopy, Progress};
pub(crate) use row::{row, unescape};
pub(crate) use snapshot::Snapshot;

/// For how long, and in how many attempts at least, every snapshot may find every table rewritten between it and the
/// table's lock. Some tables are emptied every few seconds; sooner or later a copy of one comes in between.
const IN_VAIN: Duration = Duration::from_secs(300);
const SNAPSHOTS: u32 = 5;

/// What copies are made from and for.
pub(crate) struct Copying<'a> {
    pub(crate) config: &'a Config,
    /// Leads to the source.
    pub(crate) connection: &'a walstream::Config,
    pub(crate) publications: &'a [String],
    /// Under which we write.
    pub(crate) held: &'a PositionRow,
}

/// Why a round ended before its tables were copied.
enum Failure {
    /// At the source, or on the way to it: the snapshot is gone, another one may do.
    Source(Error),
    /// Elsewhere.
    Other(Error),
}

impl Failure {
    /// An error of a session at the source.
    fn source(error: impl Into<Error>) -> Self {
        let error = error.into();
        if error.kind() == ErrorKind::Retry {
            Self::Source(error)
        } else {
            Self::Other(error)
        }
    }
}

impl Copying<'_> {
    /// Copies every table of the ledger whose copy is not complete; the ledger's tables as they are then.
    ///
    /// `first` is the snapshot of the slot that was just made. Without it, and for tables that changed since, one of now
    /// is taken.
    ///
    /// *Cancel safety*: tables that are complete stay; a call to the destination may still be carried out.
    pub(crate) async fn all<D: Destination + 'static>(
        &self,
        source: &mut Source,
        destination: &mut D,
        first: Option<Snapshot>,
    ) -> Result<Vec<TableRow>> {
        let Self { config, held, .. } = self;
        let (_nobody, mut stop) = ShutdownHandle::new();
        let mut retry = Retry::new(config.destination_policy()).told(&config.watching.metrics);
        let mut pending = destination.tables(&held.slot).await?;
        pending.retain(|row| row.state == TableState::Copying);
        if !pending.is_empty() {
            let mut hands = Vec::new();
            let (requests, mut requested) = mpsc::channel(1);
            for _ in 0..config.copy_workers.max(1) {
                hands.push(match destination.another().await? {
                    Some(session) => Hand::own(session, config),
                    None => Hand::Shared(requests.clone()),
                });
            }
            let tables = self.tables(source, &mut hands, pending, first);
            let mut tables = Box::pin(tables);
            let copied = loop {
                let request: Option<Request> = tokio::select! {
                    copied = &mut tables => break copied,
                    request = requested.recv() => request,
                };
                if let Some(request) = request {
                    let stop = &mut stop;
                    request.answer(destination, held, &mut retry, stop).await;
                }
            };
            drop(tables);
            copied?;
            for hand in hands {
                // All that it wrote is known to be in.
                if let Err(error) = hand.close().await {
                    tracing::debug!(%error, "a session of the copy was lost at its end");
                }
            }
        }
        // This session was idle for as long as others copied, and may have been lost unseen.
        loop {
            match destination.tables(&held.slot).await {
                Err(error) => retry.pause(error, &mut stop).await?,
                Ok(tables) => {
                    retry.over();
                    return Ok(tables);
                }
            }
        }
    }

    /// Copies these tables, each hand at work on one of them or a part of one; the stream may be followed meanwhile.
    ///
    /// A table that is not published any more is stopped.
    ///
    /// *Cancel safety*: as [`all`](Self::all).
    pub(crate) async fn tables<D: Destination + 'static>(
        &self,
        source: &mut Source,
        hands: &mut Vec<Hand<D>>,
        mut pending: Vec<TableRow>,
        first: Option<Snapshot>,
    ) -> Result<()> {
        let mut first = first;
        let tables: Vec<&TableRow> = pending.iter().collect();
        let progress = Progress::begin(self.config, source, &tables).await?;
        let mut in_vain: Option<(u32, Instant)> = None;
        let mut lost: Option<walstream::Attempts> = None;
        while !pending.is_empty() {
            let before = pending.len();
            let first = first.take();
            let round = self.round(source, hands, &mut pending, first, &progress);
            let done = tokio::select! {
                done = round => done,
                never = progress.watch(self.connection, &self.held.slot) => match never {},
            };
            if pending.len() < before {
                (in_vain, lost) = (None, None);
            }
            let error = match done {
                Ok(()) if pending.len() < before => continue,
                Ok(()) => {
                    let (attempts, since) = in_vain.get_or_insert_with(|| (0, Instant::now()));
                    *attempts += 1;
                    if *attempts < SNAPSHOTS || since.elapsed() < IN_VAIN {
                        // Not at the pace of whoever does it.
                        let random = RandomState::new().hash_one(*attempts) % 256;
                        let most = 2_u64.pow((*attempts).min(4));
                        tokio::time::sleep(Duration::from_millis(random * most / 4)).await;
                        continue;
                    }
                    let attempts = *attempts;
                    let tables: Vec<String> =
                        pending.iter().map(|row| row.table.to_string()).collect();
                    return Err(Error::retry(format!(
                        "tables kept changing their definition, or were locked by others; no copy of {} in {attempts} attempts within {} s",
                        tables.join(", "),
                        since.elapsed().as_secs()
                    )));
                }
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Source(error)) => error,
            };
            let policy = self.config.policy().backoff;
            let mut error = error;
            loop {
                let now = Instant::now().into_std();
                let attempts = lost.get_or_insert_with(|| policy.begin(now));
                let Some(pause) = attempts.pause(now, RandomState::new().hash_one(())) else {
                    return Err(error);
                };
                tracing::warn!(%error, next_try_in = ?pause, "the source was lost; tables that are not complete are copied anew");
                tokio::time::sleep(pause).await;
                match source.renew(self.connection).await {
                    Ok(()) => break,
                    Err(next) if next.kind() == ErrorKind::Retry => error = next,
                    Err(next) => return Err(next),
                }
            }
        }
        progress.done();
        Ok(())
    }
}
