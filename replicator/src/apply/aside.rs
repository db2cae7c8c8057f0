//! Changes that do not go the way of all others: those of tables that are being copied wait, those of tables that were
//! stopped are left out.

use std::collections::{HashMap, HashSet};

use walstream::walproto::{Lsn, Oid};

use crate::plan::Operation;

/// Bytes of operations that may wait for copies; beyond it the stream waits too, and all of it in the source's WAL.
const MOST: usize = 64 << 20;

/// What is kept apart, by the source's number of the table.
#[derive(Debug, Default)]
pub(super) struct Aside {
    stopped: HashSet<Oid>,
    joining: HashMap<Oid, Joining>,
    bytes: usize,
}

/// A table that is being copied while the stream goes on.
#[derive(Debug, Default)]
struct Joining {
    /// Its copy holds what committed before.
    from: Lsn,
    /// What committed since, in batches that are in.
    waiting: Vec<Operation>,
    /// And in the batch that is open.
    open: Vec<Operation>,
}

impl Aside {
    /// Whether anything is.
    pub(super) fn is_on(&self) -> bool {
        !self.stopped.is_empty() || !self.joining.is_empty()
    }

    /// Gives back what goes on as ever.
    pub(super) fn pass(&mut self, operation: Operation) -> Option<Operation> {
        if !self.is_on() {
            return Some(operation);
        }
        let oid = operation.table.oid;
        if let Some(joining) = self.joining.get_mut(&oid) {
            if operation.lsn >= joining.from {
                self.bytes += operation.size();
                joining.open.push(operation);
            }
            return None;
        }
        (!self.stopped.contains(&oid)).then_some(operation)
    }

    /// A batch is begun, perhaps again.
    pub(super) fn begun(&mut self) {
        for joining in self.joining.values_mut() {
            self.bytes -= size(&joining.open);
            joining.open.clear();
        }
    }

    /// The batch is in: what was taken of it would not come again.
    pub(super) fn committed(&mut self) {
        for joining in self.joining.values_mut() {
            joining.waiting.append(&mut joining.open);
        }
    }

    /// From now on changes of this table wait.
    pub(super) fn add(&mut self, oid: Oid) {
        self.stopped.remove(&oid);
        self.joining.entry(oid).or_default();
    }

    /// Whether they do.
    pub(super) fn has(&self, oid: Oid) -> bool {
        self.joining.contains_key(&oid)
    }

    /// Its copy, as of that position, begins; perhaps once more, with a later snapshot.
    pub(super) fn copied_as_of(&mut self, oid: Oid, from: Lsn) {
        if let Some(joining) = self.joining.get_mut(&oid) {
            self.bytes -= size(&joining.waiting);
            joining.from = from;
            joining.waiting.retain(|operation| operation.lsn >= from);
            self.bytes += size(&joining.waiting);
        }
    }

    /// What waits for the copy that is complete now. The table goes on being kept apart.
    pub(super) fn take(&mut self, oid: Oid) -> Vec<Operation> {
        let waiting = self.joining.get_mut(&oid);
        let waiting = waiting
            .map(|joining| std::mem::take(&mut joining.waiting))
            .unwrap_or_default();
        self.bytes -= size(&waiting);
        waiting
    }

    /// It goes the way of all others.
    pub(super) fn joined(&mut self, oid: Oid) {
        self.take(oid);
        self.joining.remove(&oid);
    }

    /// It is left out.
    pub(super) fn stop(&mut self, oid: Oid) {
        self.joined(oid);
        self.stopped.insert(oid);
    }

    /// Whether nothing more can wait.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MOST
    }
}

fn size(operations: &[Operation]) -> usize {
    operations.iter().map(Operation::size).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::Action;
    use crate::table::Table;

    fn change(oid: u32, lsn: u64) -> Operation {
        let table = Table {
            oid: Oid(oid),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            identity: 'd',
            relfilenode: 1,
        };
        Operation {
            table: Arc::new(table),
            lsn: Lsn(lsn),
            action: Action::Truncate,
        }
    }

    fn lsns(operations: &[Operation]) -> Vec<u64> {
        operations.iter().map(|it| it.lsn.0).collect()
    }

    #[test]
    fn changes_wait_for_the_copy_that_does_not_hold_them() {
        let mut aside = Aside::default();
        assert!(aside.pass(change(1, 5)).is_some());
        aside.add(Oid(1));
        for lsn in [10, 20, 30] {
            aside.begun();
            assert!(aside.pass(change(1, lsn)).is_none());
            assert!(aside.pass(change(2, lsn)).is_some());
            aside.committed();
        }
        aside.copied_as_of(Oid(1), Lsn(20));
        aside.begun();
        assert!(aside.pass(change(1, 19)).is_none(), "the copy has it");
        assert!(aside.pass(change(1, 40)).is_none());
        aside.committed();
        // A second snapshot, after a first that was of no use.
        aside.copied_as_of(Oid(1), Lsn(30));
        assert_eq!(lsns(&aside.take(Oid(1))), [30, 40]);
        aside.joined(Oid(1));
        assert_eq!(aside.bytes, 0);
        assert!(!aside.is_on() && aside.pass(change(1, 50)).is_some());
    }

    #[test]
    fn what_a_batch_that_failed_left_comes_again_and_waits_once() {
        let mut aside = Aside::default();
        aside.add(Oid(1));
        for _ in 0..3 {
            aside.begun();
            assert!(aside.pass(change(1, 10)).is_none());
        }
        aside.committed();
        aside.begun();
        assert_eq!(lsns(&aside.take(Oid(1))), [10]);
        assert_eq!(aside.bytes, 0);
    }

    #[test]
    fn a_stopped_table_gets_nothing_until_it_is_copied_anew() {
        let mut aside = Aside::default();
        aside.stop(Oid(1));
        assert!(aside.pass(change(1, 1)).is_none());
        aside.add(Oid(1));
        aside.begun();
        assert!(aside.pass(change(1, 2)).is_none());
        aside.committed();
        aside.copied_as_of(Oid(1), Lsn(0));
        assert_eq!(lsns(&aside.take(Oid(1))), [2]);
    }
}
