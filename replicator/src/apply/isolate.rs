//! One table at fault: it is stopped, and the others go on.

use walstream::Change;
use walstream::Transaction;
use walstream::walproto::Oid;

use super::writer::Writer;
use crate::changes;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::plan::Operation;

impl<D: Destination> Writer<D> {
    /// Stops the tables of a transaction that are at fault, and applies the rest of it.
    ///
    /// The ledger has a table as stopped before the transaction is in without it. A crash between the two leaves a table
    /// that gets nothing more and a position before the transaction: the next start applies it without the table.
    pub(super) async fn isolate(&mut self, mut one: Transaction, error: Error) -> Result<()> {
        let lsn = one.commit_lsn();
        let mut error = error;
        loop {
            let Some(oid) = self.fault(&mut one, &error).await? else {
                return Err(error);
            };
            let known = self.tables.now().table(oid);
            let Some(table) = known else {
                return Err(error);
            };
            let reason = format!("{error}, at {lsn}");
            self.stop_table(oid, &reason).await?;
            tracing::error!(%table, %lsn, "stopped: {error}; {}", changes::resync(&table));
            fail_point!("table-isolated");
            match self.write(std::slice::from_mut(&mut one)).await {
                Ok(()) => break,
                Err(again) => {
                    if !self.undo().await || again.kind() != ErrorKind::Person {
                        return Err(again);
                    }
                    error = again;
                }
            }
        }
        fail_point!("committed");
        self.confirm(vec![one])
    }

    /// The table because of which the transaction cannot be applied: it is tried again, a table's run of changes after
    /// the other, and rolled back.
    async fn fault(&mut self, one: &mut Transaction, error: &Error) -> Result<Option<Oid>> {
        let next = self.row_after(one);
        self.begin(&next).await?;
        let found = self.first_fault(one).await;
        if !self.undo().await {
            return Err(Error::retry(
                "the destination's transaction cannot be rolled back",
            ));
        }
        let (found, tables) = found?;
        if found.is_some() {
            return Ok(found);
        }
        // Only the end of the transaction tells, and its error names the table.
        let text = error.to_string();
        let now = self.tables.now();
        let mut named = tables.into_iter().filter(|oid| {
            let table = now.table(*oid);
            table.is_some_and(|table| text.contains(&table.to_string()))
        });
        let first = named.next();
        Ok(first.filter(|_| named.next().is_none()))
    }

    async fn first_fault(&mut self, one: &mut Transaction) -> Result<(Option<Oid>, Vec<Oid>)> {
        let commit = one.commit_lsn();
        let mut tables = self.tables.now();
        let mut met: Vec<Oid> = Vec::new();
        let mut run: Vec<Operation> = Vec::new();
        let mut walk = one.changes()?;
        while let Some((_, change)) = walk.next()? {
            let mut next = Vec::new();
            let aside = &mut self.aside;
            let followed = tables.follow(commit, &change, |operation| {
                next.extend(aside.pass(operation));
            });
            let Ok(differing) = followed else {
                return Ok((about(&change), met));
            };
            if let Some(differing) = differing {
                if aside.lose(differing.table.oid, commit) {
                    continue;
                }
                if let Some(fault) = self.carry_out(std::mem::take(&mut run)).await? {
                    return Ok((Some(fault), met));
                }
                // It was found out when the transaction was tried as a whole.
                let known = self.definitions.known(&differing);
                let alteration = known.ok_or_else(super::again::unread)?;
                match self.alter(&alteration).await {
                    Ok(()) => tables = self.tables.now(),
                    Err(error) if error.kind() == ErrorKind::Person => {
                        return Ok((Some(differing.table.oid), met));
                    }
                    Err(error) => return Err(error),
                }
            }
            for operation in next {
                let oid = operation.table.oid;
                if !met.contains(&oid) {
                    met.push(oid);
                }
                let same = run.last().is_none_or(|last| last.table.oid == oid);
                if (!same || run.len() >= 1000)
                    && let Some(fault) = self.carry_out(std::mem::take(&mut run)).await?
                {
                    return Ok((Some(fault), met));
                }
                run.push(operation);
            }
        }
        let fault = self.carry_out(run).await?;
        Ok((fault, met))
    }

    /// The table of a run of changes, if the destination refuses them.
    async fn carry_out(&mut self, run: Vec<Operation>) -> Result<Option<Oid>> {
        let Some(oid) = run.first().map(|operation| operation.table.oid) else {
            return Ok(None);
        };
        match self.destination.execute(run).await {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Person => Ok(Some(oid)),
            Err(error) => Err(error),
        }
    }
}

/// The table that a change is about.
fn about(change: &Change<'_>) -> Option<Oid> {
    match change {
        Change::Insert { relation, .. }
        | Change::Update { relation, .. }
        | Change::Delete { relation, .. } => Some(relation.oid),
        Change::Relation(relation) => Some(relation.oid),
        Change::Truncate { relations, .. } => match &**relations {
            [one] => Some(one.oid),
            _ => None,
        },
        _ => None,
    }
}
