//! Changes that do not go the way of all others: those of tables that are being copied wait, those of tables that were
//! stopped are left out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use walstream::walproto::{Lsn, Oid};

use crate::plan::Operation;
use crate::table::Table;

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
#[derive(Debug)]
struct Joining {
    table: Arc<Table>,
    /// Its copy holds what committed before.
    from: Lsn,
    /// Where the last transaction commits of which something could not be kept, because it speaks of the table as it is
    /// not in the copy.
    lost: Lsn,
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
            if !same(&operation.table, &joining.table) {
                joining.lost = joining.lost.max(operation.lsn);
            } else if operation.lsn >= joining.from {
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

    /// From now on changes of this table wait, for a copy with a snapshot that is yet to be taken.
    pub(super) fn add(&mut self, table: &Arc<Table>) {
        self.stopped.remove(&table.oid);
        let joining = self.joining.entry(table.oid).or_insert_with(|| Joining {
            table: Arc::clone(table),
            from: Lsn(0),
            lost: Lsn(0),
            waiting: Vec::new(),
            open: Vec::new(),
        });
        joining.table = Arc::clone(table);
        // The snapshot will have it.
        joining.lost = Lsn(0);
    }

    /// Takes note of a change that nobody can read, if it is one of a table whose changes wait.
    pub(super) fn lose(&mut self, oid: Oid, lsn: Lsn) -> bool {
        let joining = self.joining.get_mut(&oid);
        joining.is_some_and(|joining| {
            joining.lost = joining.lost.max(lsn);
            true
        })
    }

    /// Whether what waits is all that the copy does not hold.
    pub(super) fn is_whole(&self, oid: Oid) -> bool {
        let joining = self.joining.get(&oid);
        joining.is_none_or(|joining| joining.lost < joining.from)
    }

    /// Whether they do.
    pub(super) fn has(&self, oid: Oid) -> bool {
        self.joining.contains_key(&oid)
    }

    /// Its copy, as of that position, begins; perhaps once more, with a later snapshot.
    pub(super) fn copied_as_of(&mut self, table: &Arc<Table>, from: Lsn) {
        if let Some(joining) = self.joining.get_mut(&table.oid) {
            self.bytes -= size(&joining.waiting);
            joining.from = from;
            joining.table = Arc::clone(table);
            let lost = &mut joining.lost;
            joining.waiting.retain(|operation| {
                let kept = same(&operation.table, table);
                if !kept {
                    *lost = operation.lsn.max(*lost);
                }
                kept && operation.lsn >= from
            });
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

/// Whether a change of the one can be carried out on the other.
fn same(one: &Arc<Table>, other: &Arc<Table>) -> bool {
    Arc::ptr_eq(one, other) || (&one.columns, &one.key) == (&other.columns, &other.key)
}

fn size(operations: &[Operation]) -> usize {
    operations.iter().map(Operation::size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Action;

    fn table(oid: u32) -> Arc<Table> {
        Arc::new(Table {
            oid: Oid(oid),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            identity: 'd',
            relfilenode: 1,
        })
    }

    fn change(oid: u32, lsn: u64) -> Operation {
        Operation {
            table: table(oid),
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
        aside.add(&table(1));
        for lsn in [10, 20, 30] {
            aside.begun();
            assert!(aside.pass(change(1, lsn)).is_none());
            assert!(aside.pass(change(2, lsn)).is_some());
            aside.committed();
        }
        aside.copied_as_of(&table(1), Lsn(20));
        aside.begun();
        assert!(aside.pass(change(1, 19)).is_none(), "the copy has it");
        assert!(aside.pass(change(1, 40)).is_none());
        aside.committed();
        // A second snapshot, after a first that was of no use.
        aside.copied_as_of(&table(1), Lsn(30));
        assert_eq!(lsns(&aside.take(Oid(1))), [30, 40]);
        aside.joined(Oid(1));
        assert_eq!(aside.bytes, 0);
        assert!(!aside.is_on() && aside.pass(change(1, 50)).is_some());
    }

    #[test]
    fn what_a_batch_that_failed_left_comes_again_and_waits_once() {
        let mut aside = Aside::default();
        aside.add(&table(1));
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
        aside.add(&table(1));
        aside.begun();
        assert!(aside.pass(change(1, 2)).is_none());
        aside.committed();
        aside.copied_as_of(&table(1), Lsn(0));
        assert_eq!(lsns(&aside.take(Oid(1))), [2]);
    }

    #[test]
    fn a_copy_that_misses_what_could_not_be_read_is_not_whole() {
        let mut aside = Aside::default();
        assert!(!aside.lose(Oid(1), Lsn(5)));
        aside.add(&table(1));
        assert!(aside.lose(Oid(1), Lsn(10)));
        aside.copied_as_of(&table(1), Lsn(11));
        assert!(aside.is_whole(Oid(1)), "the copy has it");
        aside.lose(Oid(1), Lsn(11));
        assert!(!aside.is_whole(Oid(1)));
        aside.add(&table(1));
        aside.copied_as_of(&table(1), Lsn(20));
        assert!(aside.is_whole(Oid(1)));
        // Of the same table as it was.
        let mut other = Table::clone(&table(1));
        other.key.push(1);
        let other = Arc::new(other);
        aside.begun();
        assert!(aside.pass(change(1, 30)).is_none());
        aside.committed();
        aside.copied_as_of(&other, Lsn(25));
        assert!(!aside.is_whole(Oid(1)) && aside.take(Oid(1)).is_empty());
        aside.copied_as_of(&other, Lsn(40));
        assert!(aside.is_whole(Oid(1)));
        assert!(aside.pass(change(1, 50)).is_none());
        assert!(!aside.is_whole(Oid(1)));
        assert_eq!(aside.bytes, 0);
    }
}
