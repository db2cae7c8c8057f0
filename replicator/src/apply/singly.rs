//! A batch that cannot be applied as a whole: in parts, until what is at fault is alone; then it ends the run, or is left
//! out and kept in a file.

use walstream::Transaction;
use walstream::walproto::Lsn;

use super::writer::{CHUNK, CHUNK_BYTES, Writer};
use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::plan::Operation;
use crate::quarantine::{Origin, Quarantine};

/// What is to be left out, and where it goes.
#[derive(Debug)]
pub(super) struct Poison {
    slot: String,
    /// Transactions to be skipped that the stream has not passed.
    skips: Vec<Skip>,
    quarantine: Option<Quarantine>,
}

#[derive(Clone, Copy, Debug)]
struct Skip {
    lsn: Lsn,
    met: bool,
}

impl Poison {
    /// Says which of the transactions are past already.
    pub(super) fn new(config: &Config, quarantine: Option<Quarantine>, position: Lsn) -> Self {
        let mut skips = Vec::new();
        for &lsn in &config.skip {
            if lsn < position {
                tracing::warn!(%lsn, %position, "nothing to skip there: the destination is past it already");
            } else {
                skips.push(Skip { lsn, met: false });
            }
        }
        Self {
            slot: config.slot.clone(),
            skips,
            quarantine,
        }
    }

    /// Whether a transaction to be skipped is among these.
    pub(super) fn meets(&self, batch: &[Transaction]) -> bool {
        let lsns = || batch.iter().map(Transaction::commit_lsn);
        self.skips
            .iter()
            .any(|skip| lsns().any(|lsn| lsn == skip.lsn))
    }

    /// Says which transactions were not met, now that the destination is there.
    pub(super) fn passed(&mut self, position: Lsn) {
        self.skips.retain(|skip| {
            let ahead = skip.lsn >= position;
            if !ahead && !skip.met {
                tracing::warn!(lsn = %skip.lsn, %position, "nothing was skipped there: no transaction commits at that position");
            }
            ahead
        });
    }

    /// Says which transactions the run did not come to.
    pub(super) fn end(&self, position: Lsn) {
        for skip in &self.skips {
            tracing::warn!(lsn = %skip.lsn, %position, "nothing was skipped there: the run ended before that position");
        }
    }

    /// Whether the destination refuses a change that may be left out.
    fn takes(&self, error: &Error) -> bool {
        self.quarantine.is_some() && error.refused_lsn().is_some()
    }
}

impl<D: Destination> Writer<D> {
    /// Applies a batch in parts, because it holds what is to be skipped or `failed` as a whole for a reason that lies in
    /// one of its transactions. Those before that one are applied, so that a stop is exactly there.
    ///
    /// Halves and halves of halves: of ten thousand transactions one is found with a few more commits.
    pub(super) async fn apart(
        &mut self,
        batch: Vec<Transaction>,
        mut failed: Option<Error>,
    ) -> Result<()> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let skips = self.poison.meets(&part);
            if failed.is_none() && !skips {
                let Err(error) = self.write(&mut part).await else {
                    fail_point!("committed");
                    self.confirm(part)?;
                    continue;
                };
                if !self.undo().await || error.kind() != ErrorKind::Person {
                    return Err(error);
                }
                failed = Some(error);
            }
            if part.len() > 1 {
                failed = None;
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
                continue;
            }
            let Some(one) = part.pop() else { continue };
            match failed.take() {
                None => self.skip(one).await?,
                Some(error) if self.poison.takes(&error) => self.leave_out(one).await?,
                Some(error) => return Err(ways_on(error, one.commit_lsn())),
            }
        }
        Ok(())
    }

    /// Applies a transaction without the changes that the destination refuses.
    async fn leave_out(&mut self, mut transaction: Transaction) -> Result<()> {
        let commit = transaction.commit_lsn();
        let Err(error) = self.write_rest(&mut transaction).await else {
            fail_point!("committed");
            return self.confirm(vec![transaction]);
        };
        self.undo().await;
        Err(ways_on(error, commit))
    }

    async fn write_rest(&mut self, transaction: &mut Transaction) -> Result<()> {
        let (commit, end) = (transaction.commit_lsn(), transaction.end_lsn());
        let slot = self.poison.slot.clone();
        let of = Origin::new(&slot, transaction);
        let next = self.next(end);
        self.begin(&next).await?;
        if let Some(quarantine) = &mut self.poison.quarantine {
            quarantine.begin();
        }
        let (mut changes, mut left_out) = (0, 0);
        let (mut chunk, mut lsns, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut walk = transaction.changes()?;
        while let Some((lsn, change)) = walk.next()? {
            self.tables.follow(commit, &change, |operation| {
                bytes += operation.size();
                chunk.push(operation);
                lsns.push(lsn);
            })?;
            if chunk.len() >= CHUNK || bytes >= CHUNK_BYTES {
                changes += chunk.len() as u64;
                left_out += self.attempt(&of, &mut chunk, &lsns).await?;
                lsns.clear();
                bytes = 0;
            }
        }
        changes += chunk.len() as u64;
        left_out += self.attempt(&of, &mut chunk, &lsns).await?;
        if let Some(quarantine) = &mut self.poison.quarantine {
            fail_point!("quarantine-written");
            quarantine.sync().await?;
            fail_point!("quarantine-synced");
        }
        self.commit().await?;
        tracing::warn!(lsn = %commit, left_out, applied = changes - left_out, "left out what the destination refuses of a transaction");
        self.summary.changes += changes - left_out;
        self.summary.left_out += left_out;
        self.summary.transactions += 1;
        Ok(())
    }

    /// Carries operations out, and writes down those that the destination refuses; says how many these are.
    async fn attempt(
        &mut self,
        of: &Origin<'_>,
        operations: &mut Vec<Operation>,
        lsns: &[Lsn],
    ) -> Result<u64> {
        if operations.is_empty() {
            return Ok(0);
        }
        let all = self.destination.attempt(std::mem::take(operations)).await?;
        let Some(quarantine) = &mut self.poison.quarantine else {
            return Ok(0);
        };
        for refused in &all {
            let lsn = lsns.get(refused.at).copied().unwrap_or_default();
            quarantine.refused(of, lsn, refused)?;
        }
        Ok(all.len() as u64)
    }

    /// Writes a transaction to the file, and moves past it.
    async fn skip(&mut self, mut transaction: Transaction) -> Result<()> {
        let (commit, end) = (transaction.commit_lsn(), transaction.end_lsn());
        let slot = self.poison.slot.clone();
        let of = Origin::new(&slot, &transaction);
        let Some(quarantine) = &mut self.poison.quarantine else {
            return Err(Error::usage("a transaction is skipped only into a file"));
        };
        quarantine.begin();
        let mut left_out = 0;
        let mut walk = transaction.changes()?;
        while let Some((lsn, change)) = walk.next()? {
            if matches!(change, walstream::Change::Relation(_)) {
                // Told once for all that follows: what comes after this transaction could not be read without it.
                self.tables.follow(commit, &change, |_| {})?;
            }
            left_out += u64::from(quarantine.skipped(&of, lsn, &change)?);
        }
        drop(walk);
        fail_point!("quarantine-written");
        quarantine.sync().await?;
        fail_point!("quarantine-synced");
        let met = self.poison.skips.iter_mut().find(|skip| skip.lsn == commit);
        if let Some(skip) = met {
            skip.met = true;
        }
        let next = self.next(end);
        let moved = match self.begin(&next).await {
            Ok(()) => self.commit().await,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            self.undo().await;
            return Err(error);
        }
        fail_point!("committed");
        tracing::warn!(lsn = %commit, left_out, "skipped a transaction");
        self.summary.left_out += left_out;
        self.confirm(vec![transaction])
    }
}

/// Adds to a refusal how it can be left out: alone, or with its transaction where it is not known which change it is.
fn ways_on(error: Error, lsn: Lsn) -> Error {
    let way = match (error.refused_lsn(), error.is_found_at_end()) {
        (Some(_), _) => "leave this change out with --quarantine FILE, or its transaction with",
        (None, true) => "leave the transaction out with",
        (None, false) => return error,
    };
    let take = "have the destination take it and start again";
    let hint = error.hint().unwrap_or(take);
    let hint = format!("{hint}; or {way} --skip {lsn} --quarantine FILE");
    error.with_hint(hint)
}
