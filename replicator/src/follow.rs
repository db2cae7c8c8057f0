//! From a change of the stream to operations on the tables that we follow.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use walstream::walproto::{Lsn, Oid};
use walstream::{Change, Relation};

use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::position::{TableRow, TableState};
use crate::table::{Difference, Table};

/// The tables of the ledger as the destination has them, for all who read the stream; they come, go and change meanwhile.
///
/// Two read it: who builds ahead ([`Ahead`]), and who writes ([`Tables`]). A definition that changes does so at its place
/// in the stream, and is known only once the destination has it. So the writer changes its tables within a batch and
/// takes that back with the batch; who builds ahead builds nothing about a table from such a place on until the writer is
/// past it. What is not built is read by the writer.
#[derive(Debug, Default)]
struct Shared(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    tables: Arc<Followed>,
    /// Up to where the destination has everything.
    position: Lsn,
}

impl Shared {
    fn get(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tables as who writes has them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// With what changes in the batch that is open.
    now: Arc<Followed>,
    shared: Arc<Shared>,
    /// Tables that the ledger has as `catching up`, and where they have.
    behind: Vec<(Oid, Lsn)>,
}

/// The same for who builds ahead.
#[derive(Debug)]
pub(crate) struct Ahead {
    shared: Arc<Shared>,
    /// Tables whose definition changed: where the transaction commits that was last seen to say something of that, and
    /// what it said.
    unsettled: HashMap<Oid, (Lsn, Arc<Relation>)>,
}

/// The tables as they are at a moment, by the source's number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed(HashMap<Oid, One>);

/// A table, and from where on the stream is about it.
#[derive(Clone, Debug)]
struct One {
    table: Arc<Table>,
    /// Its copy holds what committed before; a table that is stopped gets nothing.
    from: Lsn,
    /// Whether the stream may speak of it as it was long ago, because its copy is under way: every change is compared.
    joining: bool,
    /// Whether what comes is to be read by the writer.
    unsettled: bool,
}

/// A table of which the stream says something else than the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Differing {
    pub(crate) table: Arc<Table>,
    pub(crate) relation: Arc<Relation>,
    pub(crate) difference: Difference,
}

impl Tables {
    /// These.
    pub(crate) fn new(rows: impl IntoIterator<Item = TableRow>) -> Self {
        let mut behind = Vec::new();
        let one = |row: TableRow| {
            let from = match row.state {
                TableState::Stopped(_) => Lsn(u64::MAX),
                _ => row.sync_position.unwrap_or_default(),
            };
            if row.state == TableState::CatchingUp {
                behind.push((row.table.oid, from));
            }
            let table = Arc::new(row.table);
            let one = One {
                table: Arc::clone(&table),
                from,
                joining: false,
                unsettled: false,
            };
            (table.oid, one)
        };
        let now = Arc::new(Followed(rows.into_iter().map(one).collect()));
        let shared = Shared::default();
        shared.set().tables = Arc::clone(&now);
        Self {
            now,
            shared: Arc::new(shared),
            behind,
        }
    }

    /// For who builds ahead.
    pub(crate) fn ahead(&self) -> Ahead {
        Ahead {
            shared: Arc::clone(&self.shared),
            unsettled: HashMap::new(),
        }
    }

    /// As they are at this place of the batch.
    pub(crate) fn now(&self) -> Arc<Followed> {
        Arc::clone(&self.now)
    }

    pub(crate) fn len(&self) -> usize {
        self.now.0.len()
    }

    /// Another definition of a table, from here on, if the batch that is open comes in.
    pub(crate) fn change(&mut self, table: &Arc<Table>) {
        if let Some(one) = Arc::make_mut(&mut self.now).0.get_mut(&table.oid) {
            one.table = Arc::clone(table);
        }
    }

    /// A batch begins: what changed in one that did not come in is as before.
    pub(crate) fn begin(&mut self) {
        self.now = Arc::clone(&self.shared.get().tables);
    }

    /// The destination has everything up to there.
    pub(crate) fn reached(&mut self, position: Lsn) {
        let mut shared = self.shared.set();
        shared.tables = Arc::clone(&self.now);
        shared.position = position;
    }

    /// A table that has caught up now that the stream is there.
    pub(crate) fn caught_up(&mut self, position: Lsn) -> Option<Oid> {
        let at = self.behind.iter().position(|(_, at)| *at <= position)?;
        Some(self.behind.swap_remove(at).0)
    }

    /// Follows a table from now on as one that is being copied: what of it is not to be applied is known to who applies it.
    pub(crate) fn put(&mut self, table: Arc<Table>) {
        self.outside(|tables| {
            let one = One {
                table: Arc::clone(&table),
                from: Lsn(0),
                joining: true,
                unsettled: false,
            };
            tables.insert(table.oid, one);
        });
    }

    /// Its copy is where the stream is.
    pub(crate) fn joined(&mut self, oid: Oid) {
        self.outside(|tables| {
            if let Some(one) = tables.get_mut(&oid) {
                one.joining = false;
            }
        });
    }

    /// Follows a table no longer.
    pub(crate) fn stop(&mut self, oid: Oid) {
        self.outside(|tables| {
            if let Some(one) = tables.get_mut(&oid) {
                one.from = Lsn(u64::MAX);
            }
        });
    }

    /// Changes what is so outside of batches.
    fn outside(&mut self, change: impl Fn(&mut HashMap<Oid, One>)) {
        let mut shared = self.shared.set();
        change(&mut Arc::make_mut(&mut shared.tables).0);
        drop(shared);
        change(&mut Arc::make_mut(&mut self.now).0);
    }
}

impl Ahead {
    /// The tables as a transaction is read by that was just received.
    pub(crate) fn now(&mut self) -> Arc<Followed> {
        let state = self.shared.get();
        let (mut tables, position) = (Arc::clone(&state.tables), state.position);
        drop(state);
        if self.unsettled.is_empty() {
            return tables;
        }
        self.unsettled.retain(|oid, (lsn, relation)| {
            let one = tables.0.get(oid);
            position <= *lsn || one.is_some_and(|one| one.differs(relation))
        });
        let of_now = &mut Arc::make_mut(&mut tables).0;
        for oid in self.unsettled.keys() {
            if let Some(one) = of_now.get_mut(oid) {
                one.unsettled = true;
            }
        }
        tables
    }

    /// Takes note of a relation in a transaction that is not built.
    pub(crate) fn note(&mut self, lsn: Lsn, relation: &Arc<Relation>) {
        // One that is as we know it may follow another one, in a transaction that the writer is not past.
        let known = self.unsettled.contains_key(&relation.oid);
        let differs = || {
            let tables = &self.shared.get().tables;
            let one = tables.0.get(&relation.oid);
            one.is_some_and(|one| lsn >= one.from && one.differs(relation))
        };
        if known || differs() {
            self.unsettled
                .insert(relation.oid, (lsn, Arc::clone(relation)));
        }
    }
}

impl One {
    fn differs(&self, relation: &Relation) -> bool {
        self.table.difference(relation).is_some()
    }
}

impl Followed {
    /// The table of that number.
    pub(crate) fn table(&self, oid: Oid) -> Option<Arc<Table>> {
        self.0.get(&oid).map(|one| Arc::clone(&one.table))
    }

    /// Hands the operations that `change` means to `take`; gives back a table whose definition changed.
    ///
    /// A relation is compared with what the ledger says of its table, at its place in the stream: what comes after
    /// it must mean what the destination table was made for. Of a table that is being copied every change is compared.
    pub(crate) fn follow(
        &self,
        lsn: Lsn,
        change: &Change<'_>,
        mut take: impl FnMut(Operation),
    ) -> Result<Option<Differing>> {
        let relation = match change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => relation,
            Change::Truncate { relations, .. } => {
                for relation in relations {
                    // Whatever its columns are.
                    if let Some(One { table, .. }) = self.find(relation, lsn)? {
                        take(Operation::truncate(table, lsn));
                    }
                }
                return Ok(None);
            }
            Change::Relation(relation) => return Ok(self.compare(relation, lsn)),
            Change::Type(_) | Change::Message(_) => return Ok(None),
            _ => {
                return Err(Error::person(format!(
                    "a change at {lsn} is of a kind that is not known here"
                )));
            }
        };
        let Some(One { table, joining, .. }) = self.find(relation, lsn)? else {
            return Ok(None);
        };
        if *joining && let Some(differing) = Differing::between(table, relation) {
            return Ok(Some(differing));
        }
        match change {
            Change::Insert { new, .. } => take(Operation::insert(table, *new, lsn)?),
            Change::Update { old, new, .. } => take(Operation::update(table, *old, *new, lsn)?),
            Change::Delete { old, .. } => take(Operation::delete(table, *old, lsn)?),
            _ => {}
        }
        Ok(None)
    }

    fn compare(&self, relation: &Arc<Relation>, lsn: Lsn) -> Option<Differing> {
        // Partitions are announced beside the root that their rows are published under. A table that we do not follow
        // matters once it changes.
        let one = self.0.get(&relation.oid)?;
        if lsn < one.from {
            return None;
        }
        Differing::between(&one.table, relation)
    }

    /// The table that a change is about; `None` if it is left out here.
    fn find(&self, relation: &Relation, lsn: Lsn) -> Result<Option<&One>> {
        // Of a table that is not known nothing is owed: if it is published, its copy is yet to come, from a snapshot that
        // is newer than all that was received before the ledger had it.
        let one = self.0.get(&relation.oid);
        match one.filter(|one| lsn >= one.from) {
            Some(One {
                table,
                unsettled: true,
                ..
            }) => Err(Error::retry(format!(
                "the definition of table {table} is not known yet at {lsn}"
            ))),
            one => Ok(one),
        }
    }
}

impl Differing {
    fn between(table: &Arc<Table>, relation: &Arc<Relation>) -> Option<Self> {
        let difference = table.difference(relation)?;
        Some(Self {
            table: Arc::clone(table),
            relation: Arc::clone(relation),
            difference,
        })
    }
}

#[cfg(test)]
mod tests;
