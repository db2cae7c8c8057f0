//! From transactions of the stream to parcels of operations, while the destination writes earlier ones.

use std::time::{SystemTime, UNIX_EPOCH};

use walstream::walproto::Lsn;
use walstream::{Change, Token, Transaction};

use super::parcel::{Closed, Outbox, Parcel};
use crate::error::Result;
use crate::fail_point;
use crate::follow::Ahead;

/// Operations that go to the destination together.
pub(super) const CHUNK: usize = 10_000;
/// And their bytes, so that large rows do not pile up.
pub(super) const CHUNK_BYTES: usize = 4 << 20;

/// Reads transactions.
pub(super) struct Builder {
    pub(super) tables: Ahead,
    pub(super) outbox: Outbox,
    /// Where transactions commit that are not to be read.
    pub(super) skips: Vec<Lsn>,
}

/// A parcel that is being filled.
#[derive(Default)]
struct Open {
    parcel: Parcel,
    bytes: usize,
}

/// Why a transaction was not read to its end.
enum Stopped {
    /// Nobody listens.
    Closed,
    /// It cannot be read, or the rest is wanted as it is. Whoever gets it finds out why by reading it.
    Raw,
}

impl Builder {
    /// Sends transactions that are to be committed together, and the idle positions below them.
    pub(super) async fn send(
        &mut self,
        group: Vec<Transaction>,
        idle: Vec<Token>,
        timeline: u32,
    ) -> Result<(), Closed> {
        let Some(last) = group.last() else {
            return Ok(());
        };
        let (to, time) = (last.end_lsn(), Some(last.commit_time()));
        let (count, size) = (group.len(), group.iter().map(Transaction::size).sum());
        let old = group.first().is_some_and(is_old);
        let fresh = || Open {
            parcel: Parcel {
                to,
                time,
                timeline,
                count,
                bytes: size,
                old,
                ..Parcel::default()
            },
            bytes: 0,
        };
        let mut open = fresh();
        let skips = |transaction: &Transaction| self.skips.contains(&transaction.commit_lsn());
        open.parcel.raw = !self.skips.is_empty() && group.iter().any(skips);
        for mut transaction in group {
            if !open.parcel.raw {
                match self.read(&mut transaction, &mut open, fresh).await {
                    Ok(()) => {}
                    Err(Stopped::Raw) => open.parcel.raw = true,
                    Err(Stopped::Closed) => return Err(Closed),
                }
            }
            if open.parcel.raw {
                self.note(&mut transaction);
            }
            open.parcel.ended.push(transaction);
        }
        open.parcel.idle = idle;
        open.parcel.whole = true;
        self.outbox.send(open.parcel, open.bytes).await?;
        fail_point!("parcel-sent");
        Ok(())
    }

    /// Looks for definitions that change in a transaction that is not built, for what is built after it.
    fn note(&mut self, transaction: &mut Transaction) {
        let commit = transaction.commit_lsn();
        // What cannot be read ends the run when the writer comes to it.
        let Ok(mut walk) = transaction.changes() else {
            return;
        };
        while let Ok(Some((_, change))) = walk.next() {
            if let Change::Relation(relation) = change {
                self.tables.note(commit, relation);
            }
        }
    }

    async fn read(
        &mut self,
        transaction: &mut Transaction,
        open: &mut Open,
        fresh: impl Fn() -> Open,
    ) -> Result<(), Stopped> {
        let commit = transaction.commit_lsn();
        let tables = self.tables.now();
        let mut walk = transaction.changes().map_err(|_| Stopped::Raw)?;
        while let Some((_, change)) = walk.next().map_err(|_| Stopped::Raw)? {
            let Open { parcel, bytes } = open;
            let followed = tables.follow(commit, &change, |operation| {
                *bytes += operation.size();
                parcel.operations.push(operation);
            });
            // Only who writes can ask what it means.
            if !matches!(followed, Ok(None)) {
                return Err(Stopped::Raw);
            }
            if parcel.operations.len() >= CHUNK || *bytes >= CHUNK_BYTES {
                if self.outbox.hurries() {
                    return Err(Stopped::Raw);
                }
                let Open { parcel, bytes } = std::mem::replace(open, fresh());
                let sent = self.outbox.send(parcel, bytes).await;
                sent.map_err(|Closed| Stopped::Closed)?;
            }
        }
        Ok(())
    }

    /// Sends idle positions.
    pub(super) async fn idle(&self, idle: Vec<Token>, timeline: u32) -> Result<(), Closed> {
        let Some(to) = idle.iter().map(Token::lsn).max() else {
            return Ok(());
        };
        let parcel = Parcel {
            to,
            timeline,
            idle,
            whole: true,
            ..Parcel::default()
        };
        self.outbox.send(parcel, 0).await
    }
}

/// Whether a transaction committed so long ago that it does not matter when exactly it arrives. Only by the source's
/// clock; where the clocks differ, what is decided by it is still right.
fn is_old(transaction: &Transaction) -> bool {
    const OLD: i64 = 1_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let now = now.and_then(|now| i64::try_from(now.as_micros()).ok());
    match (now, transaction.commit_time().unix_micros()) {
        (Some(now), Some(then)) => now.saturating_sub(then) > OLD,
        _ => false,
    }
}
