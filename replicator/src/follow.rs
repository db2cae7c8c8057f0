//! From a change of the stream to operations on the tables that we follow.

use std::collections::HashMap;
use std::sync::Arc;

use walstream::walproto::{Lsn, Oid};
use walstream::{Change, Relation};

use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::position::{TableRow, TableState};
use crate::selection::Selection;
use crate::table::Table;

/// The tables of the ledger, by the source's number.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    followed: HashMap<Oid, Followed>,
    selection: Selection,
}

/// A table, and from where on the stream is about it.
#[derive(Debug)]
struct Followed {
    table: Arc<Table>,
    /// Its copy holds what committed before; a table that is stopped gets nothing.
    from: Lsn,
}

impl Tables {
    /// These, and what the user leaves out of what is published.
    pub(crate) fn new(rows: impl IntoIterator<Item = TableRow>, selection: &Selection) -> Self {
        let followed = |row: TableRow| {
            let from = match row.state {
                TableState::Stopped(_) => Lsn(u64::MAX),
                _ => row.sync_position.unwrap_or_default(),
            };
            let table = Arc::new(row.table);
            (table.oid, Followed { table, from })
        };
        Self {
            followed: rows.into_iter().map(followed).collect(),
            selection: selection.clone(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.followed.len()
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
                if let Some(table) = self.find(relation, lsn)? {
                    take(Operation::insert(table, *new, lsn)?);
                }
            }
            Change::Update { relation, old, new } => {
                if let Some(table) = self.find(relation, lsn)? {
                    take(Operation::update(table, *old, *new, lsn)?);
                }
            }
            Change::Delete { relation, old } => {
                if let Some(table) = self.find(relation, lsn)? {
                    take(Operation::delete(table, *old, lsn)?);
                }
            }
            Change::Truncate { relations, .. } => {
                for relation in relations {
                    if let Some(table) = self.find(relation, lsn)? {
                        take(Operation::truncate(table, lsn));
                    }
                }
            }
            Change::Relation(relation) => {
                // Partitions are announced beside the root that their rows are published under. A table that we
                // do not follow matters once it changes.
                if let Some(Followed { table, from }) = self.followed.get(&relation.oid)
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
    fn find(&self, relation: &Relation, lsn: Lsn) -> Result<Option<&Arc<Table>>> {
        let Relation {
            namespace,
            name,
            oid,
            ..
        } = relation;
        if let Some(Followed { table, from }) = self.followed.get(oid) {
            return Ok((lsn >= *from).then_some(table));
        }
        if self.selection.leaves_out(namespace, name) {
            return Ok(None);
        }
        Err(Error::person(format!(
            "table {namespace}.{name} (oid {oid}) changed at {lsn}, but it was not published when the destination was \
             filled"
        ))
        .with_hint(
            "it was created or added to the publication since; take it out of the publication and have no change of it \
             pending, or fill the destination anew: replicator drop with the same options and --destination, remove \
             the tables there, then replicator run",
        ))
    }
}

fn changed(table: &Table, difference: &str) -> Error {
    Error::person(format!("the definition of table {table} changed at the source: {difference}")).with_hint(
        "changes of a definition are not followed yet; to fill the destination anew: replicator drop with the same \
         options and --destination, remove the tables there, then replicator run",
    )
}
