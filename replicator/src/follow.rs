//! From a change of the stream to operations on the tables that we follow.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use walstream::walproto::{Lsn, Oid};
use walstream::{Change, Relation};

use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::position::{TableRow, TableState};
use crate::table::Table;

/// The tables of the ledger, for all who read the stream; they come and go while it is read.
#[derive(Debug, Default)]
pub(crate) struct Tables(RwLock<Arc<Followed>>);

/// The tables as they are at a moment, by the source's number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed(HashMap<Oid, One>);

/// A table, and from where on the stream is about it.
#[derive(Clone, Debug)]
struct One {
    table: Arc<Table>,
    /// Its copy holds what committed before; a table that is stopped gets nothing.
    from: Lsn,
}

impl Tables {
    /// These.
    pub(crate) fn new(rows: impl IntoIterator<Item = TableRow>) -> Self {
        let one = |row: TableRow| {
            let from = match row.state {
                TableState::Stopped(_) => Lsn(u64::MAX),
                _ => row.sync_position.unwrap_or_default(),
            };
            let table = Arc::new(row.table);
            (table.oid, One { table, from })
        };
        let tables = rows.into_iter().map(one).collect();
        Self(RwLock::new(Arc::new(Followed(tables))))
    }

    /// As they are now. A transaction that was received is read by these to its end, whatever comes meanwhile.
    pub(crate) fn now(&self) -> Arc<Followed> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows a table from now on: what of it is not to be applied is known to who applies it.
    pub(crate) fn put(&self, table: Arc<Table>) {
        let from = Lsn(0);
        self.change(|tables| {
            tables.insert(table.oid, One { table, from });
        });
    }

    /// Follows a table no longer.
    pub(crate) fn stop(&self, oid: Oid) {
        self.change(|tables| {
            if let Some(one) = tables.get_mut(&oid) {
                one.from = Lsn(u64::MAX);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<Oid, One>)) {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut Arc::make_mut(&mut now).0);
    }

    pub(crate) fn len(&self) -> usize {
        self.now().0.len()
    }
}

impl Followed {
    /// The table of that number.
    pub(crate) fn table(&self, oid: Oid) -> Option<Arc<Table>> {
        self.0.get(&oid).map(|one| Arc::clone(&one.table))
    }

    /// Hands the operations that `change` means to `take`.
    ///
    /// A relation is compared with what the ledger says of its table, at its place in the stream: what comes after
    /// it must mean what the destination table was made for.
    pub(crate) fn follow(
        &self,
        lsn: Lsn,
        change: &Change<'_>,
        mut take: impl FnMut(Operation),
    ) -> Result<()> {
        match change {
            Change::Insert { relation, new } => {
                if let Some(table) = self.find(relation, lsn) {
                    take(Operation::insert(table, *new, lsn)?);
                }
            }
            Change::Update { relation, old, new } => {
                if let Some(table) = self.find(relation, lsn) {
                    take(Operation::update(table, *old, *new, lsn)?);
                }
            }
            Change::Delete { relation, old } => {
                if let Some(table) = self.find(relation, lsn) {
                    take(Operation::delete(table, *old, lsn)?);
                }
            }
            Change::Truncate { relations, .. } => {
                for relation in relations {
                    if let Some(table) = self.find(relation, lsn) {
                        take(Operation::truncate(table, lsn));
                    }
                }
            }
            Change::Relation(relation) => {
                // Partitions are announced beside the root that their rows are published under. A table that we
                // do not follow matters once it changes.
                if let Some(One { table, from }) = self.0.get(&relation.oid)
                    && lsn >= *from
                {
                    table
                        .matches(relation)
                        .map_err(|difference| changed(table, &difference))?;
                }
            }
            Change::Type(_) | Change::Message(_) => {}
            _ => {
                return Err(Error::person(format!(
                    "a change at {lsn} is of a kind that is not known here"
                )));
            }
        }
        Ok(())
    }

    /// The table that a change is about; `None` if it is left out here.
    fn find(&self, relation: &Relation, lsn: Lsn) -> Option<&Arc<Table>> {
        // Of a table that is not known nothing is owed: if it is published, its copy is yet to come, from a snapshot that
        // is newer than all that was received before the ledger had it.
        let followed = self.0.get(&relation.oid);
        followed.and_then(|One { table, from }| (lsn >= *from).then_some(table))
    }
}

fn changed(table: &Table, difference: &str) -> Error {
    Error::person(format!("the definition of table {table} changed at the source: {difference}")).with_hint(
        "changes of a definition are not followed yet; to fill the destination anew: replicator drop with the same \
         options and --destination, remove the tables there, then replicator run",
    )
}
