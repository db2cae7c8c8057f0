//! A batch that cannot be applied as a whole: in parts, until what is at fault is alone; then it ends the run, or is left
//! out and kept in a file.

use std::sync::Arc;

use walstream::walproto::Lsn;
use walstream::{Change, Transaction};

use super::builder::CHUNK_BYTES;
use super::writer::{Failure, Writer};
use crate::alteration::Alteration;
use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::plan::Operation;
use crate::position::PositionRow;
use crate::quarantine::{Origin, Quarantine};

/// Operations that are tried together. Those among them that are refused are kept with all that is said of them until
/// they are written down.
const CHUNK: usize = 1000;

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

/// What became of the changes of a transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    changes: u64,
    left_out: u64,
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

    fn file(&mut self) -> Result<&mut Quarantine> {
        let file = self.quarantine.as_mut();
        file.ok_or_else(|| Error::usage("changes are left out only into a file"))
    }

    fn begin(&mut self) {
        if let Some(file) = &mut self.quarantine {
            file.begin();
        }
    }

    fn take_back(&mut self) {
        if let Some(file) = &mut self.quarantine {
            file.take_back();
        }
    }

    async fn sync(&mut self) -> Result<()> {
        fail_point!("quarantine-written");
        self.file()?.sync().await?;
        fail_point!("quarantine-synced");
        Ok(())
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
                Some(error) if self.isolates => self.isolate(one, error).await?,
                Some(error) => return Err(ways_on(error, one.commit_lsn())),
            }
        }
        Ok(())
    }

    /// Applies a transaction without the changes that the destination refuses.
    async fn leave_out(&mut self, mut transaction: Transaction) -> Result<()> {
        let next = self.row_after(&transaction);
        let mut again = false;
        let Done { changes, left_out } = loop {
            self.poison.begin();
            let mut done = Done::default();
            let written = self.write_rest(&mut transaction, &next, &mut done).await;
            if let Err(Failure::Differs(differing)) = written {
                self.undo().await;
                self.poison.take_back();
                self.find_out(*differing).await?;
                continue;
            }
            match self.stands(written, &next, &mut again).await {
                Ok(true) => break done,
                Ok(false) => self.poison.take_back(),
                Err(error) => return Err(self.give_up(error, &transaction).await),
            }
        };
        fail_point!("committed");
        tracing::warn!(
            lsn = %transaction.commit_lsn(),
            left_out,
            applied = changes - left_out,
            "left out what the destination refuses of a transaction"
        );
        self.metrics.left_out(left_out);
        self.summary.left_out += left_out;
        self.count(std::slice::from_ref(&transaction), changes - left_out);
        self.confirm(vec![transaction])
    }

    async fn write_rest(
        &mut self,
        transaction: &mut Transaction,
        next: &PositionRow,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let commit = transaction.commit_lsn();
        let slot = self.poison.slot.clone();
        let of = Origin::new(&slot, transaction);
        self.begin(next).await.map_err(Failure::Destination)?;
        let mut tables = self.tables.now();
        let (mut chunk, mut lsns, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut walk = transaction.changes().map_err(Error::from)?;
        while let Some((lsn, change)) = walk.next().map_err(Error::from)? {
            let differing = tables.follow(commit, &change, |operation| {
                if let Some(operation) = self.aside.pass(operation) {
                    bytes += operation.size();
                    chunk.push(operation);
                    lsns.push(lsn);
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
                self.attempt(&of, &mut chunk, &lsns, done).await?;
                lsns.clear();
                bytes = 0;
                let altered = self.alter(&alteration).await;
                altered.map_err(Failure::Destination)?;
                tables = self.tables.now();
                continue;
            }
            if chunk.len() >= CHUNK || bytes >= CHUNK_BYTES {
                self.attempt(&of, &mut chunk, &lsns, done).await?;
                lsns.clear();
                bytes = 0;
            }
        }
        self.attempt(&of, &mut chunk, &lsns, done).await?;
        self.poison.sync().await?;
        self.commit().await.map_err(Failure::Destination)
    }

    /// Carries operations out, and writes down those that the destination refuses.
    async fn attempt(
        &mut self,
        of: &Origin<'_>,
        operations: &mut Vec<Operation>,
        lsns: &[Lsn],
        done: &mut Done,
    ) -> Result<(), Failure> {
        if operations.is_empty() {
            return Ok(());
        }
        done.changes += operations.len() as u64;
        let attempted = self.destination.attempt(std::mem::take(operations)).await;
        for refused in attempted.map_err(Failure::Destination)? {
            let lsn = lsns.get(refused.at).copied().unwrap_or_default();
            self.poison.file()?.refused(of, lsn, &refused)?;
            done.left_out += 1;
        }
        Ok(())
    }

    /// Writes a transaction to the file, and moves past it.
    async fn skip(&mut self, mut transaction: Transaction) -> Result<()> {
        self.poison.begin();
        let mut alterations = Vec::new();
        let kept = self.keep(&mut transaction, &mut alterations).await;
        let left_out = match kept {
            Ok(left_out) => left_out,
            Err(error) => return Err(self.give_up(error, &transaction).await),
        };
        let next = self.row_after(&transaction);
        let mut again = false;
        loop {
            let moved = async {
                self.begin(&next).await?;
                for alteration in &alterations {
                    self.alter(alteration).await?;
                }
                self.commit().await
            };
            let moved = moved.await;
            let moved = moved.map_err(Failure::Destination);
            match self.stands(moved, &next, &mut again).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return Err(self.give_up(error, &transaction).await),
            }
        }
        fail_point!("committed");
        tracing::warn!(lsn = %transaction.commit_lsn(), left_out, "skipped a transaction");
        self.metrics.left_out(left_out);
        self.summary.left_out += left_out;
        self.confirm(vec![transaction])
    }

    /// Writes every change of a transaction to the file; says how many.
    async fn keep(
        &mut self,
        transaction: &mut Transaction,
        alterations: &mut Vec<Arc<Alteration>>,
    ) -> Result<u64> {
        let commit = transaction.commit_lsn();
        let slot = self.poison.slot.clone();
        let of = Origin::new(&slot, transaction);
        let mut left_out = 0;
        let mut walk = transaction.changes()?;
        while let Some((lsn, change)) = walk.next()? {
            if matches!(change, Change::Relation(_)) {
                // Told once for all that follows: what comes after this transaction could not be read without it.
                let differing = self.tables.now().follow(commit, &change, |_| {})?;
                if let Some(differing) = differing
                    && !self.aside.lose(differing.table.oid, commit)
                {
                    self.find_out(differing.clone()).await?;
                    if let Some(alteration) = self.definitions.known(&differing) {
                        self.tables.change(&alteration.is);
                        alterations.push(alteration);
                    }
                }
            }
            left_out += u64::from(self.poison.file()?.skipped(&of, lsn, &change)?);
        }
        self.poison.sync().await?;
        let met = self.poison.skips.iter_mut().find(|skip| skip.lsn == commit);
        if let Some(skip) = met {
            skip.met = true;
        }
        Ok(left_out)
    }

    /// Whether an attempt, the first or `again` one, brought the transaction in. If not, another is due, after a pause.
    async fn stands(
        &mut self,
        done: Result<(), Failure>,
        next: &PositionRow,
        again: &mut bool,
    ) -> Result<bool> {
        let is_in = match done {
            Ok(()) => true,
            // A first attempt that the destination refused for good leaves nothing in doubt.
            Err(Failure::Destination(error)) if *again || error.kind() == ErrorKind::Retry => {
                *again = true;
                self.settle(error, next).await?
            }
            Err(Failure::Destination(error) | Failure::Batch(error)) => return Err(error),
            Err(Failure::Raw | Failure::Differs(_)) => return Err(super::again::unread()),
        };
        if is_in {
            self.retry.over();
        }
        Ok(is_in)
    }

    /// Rolls back; what was written down is not left out then, unless that is in doubt.
    async fn give_up(&mut self, error: Error, transaction: &Transaction) -> Error {
        if self.undo().await && error.kind() == ErrorKind::Person {
            self.poison.take_back();
        }
        ways_on(error, transaction.commit_lsn())
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
