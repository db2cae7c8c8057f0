//! A destination that applies transactions before they have ended, and undoes what is undone.

use std::collections::BTreeMap;

use testdata::story::Kind;
use walproto::Xid;

use super::compare;
use super::expected::is_message;
use super::world::World;
use crate::changes::Change;
use crate::event::{StreamAbort, StreamChunk};

/// Transactions that are open, by number.
#[derive(Default)]
pub(super) struct Early(BTreeMap<u32, Applied>);

/// What stands of a transaction.
#[derive(Default)]
struct Applied {
    /// Records.
    rows: Vec<usize>,
    /// Savepoints, and how many rows there were before each.
    savepoints: Vec<(u32, usize)>,
}

impl Early {
    pub(super) fn chunk(&mut self, world: &World, chunk: &mut StreamChunk) -> Result<(), String> {
        let xid = chunk.xid().0;
        let first = chunk.is_first();
        if first == self.0.contains_key(&xid) {
            return Err(format!(
                "a chunk of {xid} is the first, as it says: {first}"
            ));
        }
        let mut all = world.wal.transactions.iter();
        let (number, model) = all
            .find(|(_, model)| model.xid == xid)
            .ok_or_else(|| format!("there is no transaction {xid}"))?;
        compare::origin(&world.wal, *number, chunk.origin())?;
        let applied = self.0.entry(xid).or_default();
        let mut changes = chunk.changes().map_err(|error| error.to_string())?;
        while let Some((lsn, change)) = changes.next().map_err(|error| error.to_string())? {
            match change {
                Change::Relation(_) | Change::Type(_) => {}
                Change::Savepoint(sub) => applied.savepoints.push((sub.0, applied.rows.len())),
                change => {
                    let message = matches!(change, Change::Message(_));
                    let of = |at: &&usize| {
                        let record = &world.wal.records[**at];
                        let place = if message { record.end } else { record.start };
                        place == lsn.0 && is_message(record) == message
                    };
                    let record = model.changes.iter().find(of);
                    let record = *record.ok_or_else(|| format!("{change:?} at {lsn} of {xid}"))?;
                    if applied.rows.last().is_some_and(|last| *last >= record) {
                        return Err(format!("{change:?} at {lsn} of {xid} came again"));
                    }
                    compare::same(&world.wal.records[record], lsn.0, &change)
                        .map_err(|what| format!("{what}: {change:?} at {lsn} of {xid}"))?;
                    applied.rows.push(record);
                }
            }
        }
        Ok(())
    }

    pub(super) fn abort(&mut self, abort: StreamAbort) -> Result<(), String> {
        let xid = abort.xid.0;
        let nothing = || format!("{abort:?} of what never came");
        let Some(savepoint) = abort.savepoint else {
            return self.0.remove(&xid).map(drop).ok_or_else(nothing);
        };
        let applied = self.0.get_mut(&xid).ok_or_else(nothing)?;
        let mut savepoints = applied.savepoints.iter();
        let at = savepoints.position(|it| it.0 == savepoint.0);
        let at = at.ok_or_else(nothing)?;
        applied.rows.truncate(applied.savepoints[at].1);
        applied.savepoints.truncate(at);
        Ok(())
    }

    /// The transaction ends, and what stands is what was not undone.
    pub(super) fn end(&mut self, world: &World, xid: Xid, number: u32) -> Result<(), String> {
        let wal = &world.wal;
        let model = &wal.transactions[&number];
        let rows = self.0.remove(&xid.0).unwrap_or_default().rows;
        let undone = |at: &usize| match &wal.records[*at].kind {
            Kind::Change(row) => model.undone.contains(&row.xid),
            _ => true,
        };
        // Of one that is rolled back in the end nobody knows how much came.
        let doomed = matches!(model.end, Some((_, false)));
        let expected =
            model.changes.iter().copied().filter(|at| {
                !undone(at) && (world.options.messages || !is_message(&wal.records[*at]))
            });
        let rows = rows
            .into_iter()
            .filter(|at| !(is_message(&wal.records[*at]) && undone(at)));
        if doomed || expected.clone().eq(rows.clone()) {
            return Ok(());
        }
        let name = |at: usize| {
            let record = &wal.records[at];
            format!("{:?} at {:X}", record.kind, record.start)
        };
        Err(format!(
            "of {xid} stands {:?}, and should {:?}",
            rows.map(name).collect::<Vec<_>>(),
            expected.map(name).collect::<Vec<_>>()
        ))
    }

    /// Nothing is open.
    pub(super) fn is_undone(&self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(xid) => Err(format!("{xid} was not undone")),
            None => Ok(()),
        }
    }
}
