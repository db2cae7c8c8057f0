//! What a table looks like, kept.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::fmt;

use super::{Change, ChangeEvent, OwnedOldRow, OwnedTuple};
use crate::{
    ColumnDef, Decoded, Message, Oid, OldRow, Relation, ReplicaIdentity, Truncate, Tuple, Xid,
};

/// A table with its columns: a [`Relation`] that owns its names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Table {
    /// The table.
    pub oid: Oid,
    /// Its schema; empty means `pg_catalog`.
    #[cfg_attr(feature = "serde", serde(rename = "schema"))]
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// What old rows carry.
    #[cfg_attr(feature = "serde", serde(with = "super::json::Identity"))]
    pub identity: ReplicaIdentity,
    /// The columns that are sent, in the order of the rows.
    pub columns: Box<[TableColumn]>,
}

/// One column of a [`Table`]: a [`ColumnDef`] that owns its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TableColumn {
    /// Its name.
    pub name: Box<str>,
    /// Its type; for a domain the domain's own.
    pub type_oid: Oid,
    /// As `pg_attribute.atttypmod`; -1 for none.
    pub typmod: i32,
    /// Whether it is part of what the replica identity sends; under `FULL` every column is.
    pub key: bool,
}

impl Table {
    /// The columns as a relation has them, for `Tuple::deserialize_columns`.
    pub fn defs(&self) -> impl ExactSizeIterator<Item = ColumnDef<'_>> + Clone + fmt::Debug {
        self.columns.iter().map(TableColumn::def)
    }

    /// Whether this is what the relation says.
    fn is(&self, relation: &Relation<'_>) -> bool {
        self.oid == relation.oid
            && *self.namespace == *relation.namespace
            && *self.name == *relation.name
            && self.identity == relation.identity
            && self.defs().eq(relation.columns)
    }
}

impl TableColumn {
    /// The column as a relation has it.
    pub fn def(&self) -> ColumnDef<'_> {
        ColumnDef {
            key: self.key,
            name: &self.name,
            type_oid: self.type_oid,
            typmod: self.typmod,
        }
    }
}

impl From<&Relation<'_>> for Table {
    fn from(relation: &Relation<'_>) -> Self {
        let columns = relation.columns.map(|column| TableColumn {
            name: column.name.into(),
            type_oid: column.type_oid,
            typmod: column.typmod,
            key: column.key,
        });
        Self {
            oid: relation.oid,
            namespace: relation.namespace.into(),
            name: relation.name.into(),
            identity: relation.identity,
            columns: columns.collect(),
        }
    }
}

/// The tables that a session has told us about; makes change events of messages.
///
/// It grows with the number of tables, and forgets none: begin a new one with each session.
#[derive(Clone, Debug, Default)]
pub struct Tables(BTreeMap<Oid, Arc<Table>>);

impl Tables {
    /// None yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The table, as its latest relation described it.
    pub fn get(&self, oid: Oid) -> Option<&Arc<Table>> {
        self.0.get(&oid)
    }

    /// Takes note of a relation, and makes an event of a change; every other message is `None`.
    ///
    /// What can be `None` and matters, the borders of transactions above all, has neither names nor values, and can be
    /// kept as it is: [`Begin`](crate::Begin), [`Commit`](crate::Commit), [`StreamStart`](crate::StreamStart).
    ///
    /// # Errors
    ///
    /// No relation came before the change, or the row has another number of columns: the session was not read from
    /// its start. Or a relation has two columns of one name, which no table has.
    pub fn event(&mut self, decoded: &Decoded<'_>) -> Result<Option<ChangeEvent>, TableError> {
        let change = match decoded.message {
            Message::Relation(relation) => return self.relation(&relation).map(|()| None),
            Message::Insert(insert) => {
                let table = self.of(insert.relation)?;
                let new = owned(&table, insert.new)?;
                Change::Insert { table, new }
            }
            Message::Update(update) => {
                let table = self.of(update.relation)?;
                let old = update.old.map(|old| owned_old(&table, old)).transpose()?;
                let new = owned(&table, update.new)?;
                Change::Update { table, old, new }
            }
            Message::Delete(delete) => {
                let table = self.of(delete.relation)?;
                let old = owned_old(&table, delete.old)?;
                Change::Delete { table, old }
            }
            Message::Truncate(truncate) => self.truncate(&truncate)?,
            Message::Logical(message) => Change::Message {
                transactional: message.transactional,
                lsn: message.lsn,
                prefix: message.prefix.into(),
                content: message.content.into(),
            },
            _ => return Ok(None),
        };
        let xid: Option<Xid> = decoded.xid;
        Ok(Some(ChangeEvent { xid, change }))
    }

    fn relation(&mut self, relation: &Relation<'_>) -> Result<(), TableError> {
        if self
            .get(relation.oid)
            .is_some_and(|table| table.is(relation))
        {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        if !relation
            .columns
            .map(|column| column.name)
            .all(|name| names.insert(name))
        {
            return Err(TableError::SameName(relation.oid));
        }
        self.0.insert(relation.oid, Arc::new(relation.into()));
        Ok(())
    }

    fn of(&self, oid: Oid) -> Result<Arc<Table>, TableError> {
        self.get(oid).cloned().ok_or(TableError::Unknown(oid))
    }

    fn truncate(&self, truncate: &Truncate<'_>) -> Result<Change, TableError> {
        let tables: Result<_, _> = truncate.relations.map(|oid| self.of(oid)).collect();
        Ok(Change::Truncate {
            tables: tables?,
            cascade: truncate.cascade,
            restart_identity: truncate.restart_identity,
        })
    }
}

fn owned(table: &Table, tuple: Tuple<'_>) -> Result<OwnedTuple, TableError> {
    if tuple.len() != table.columns.len() {
        return Err(TableError::ColumnCount {
            table: table.oid,
            row: tuple.len(),
            relation: table.columns.len(),
        });
    }
    Ok(tuple.into())
}

fn owned_old(table: &Table, old: OldRow<'_>) -> Result<OwnedOldRow, TableError> {
    Ok(match old {
        OldRow::Key(tuple) => OwnedOldRow::Key(owned(table, tuple)?),
        OldRow::Full(tuple) => OwnedOldRow::Full(owned(table, tuple)?),
    })
}

/// A change that does not go with the relations that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// No relation came for this table.
    Unknown(Oid),
    /// Two columns of this table have the same name.
    SameName(Oid),
    /// A row has another number of columns than its relation.
    ColumnCount {
        /// The table.
        table: Oid,
        /// Columns in the row.
        row: usize,
        /// Columns in the relation.
        relation: usize,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(oid) => write!(f, "no relation came for table {oid}"),
            Self::SameName(oid) => write!(f, "two columns of table {oid} have the same name"),
            Self::ColumnCount {
                table,
                row,
                relation,
            } => write!(
                f,
                "{row} columns in a row of table {table}, {relation} in its relation"
            ),
        }
    }
}

impl core::error::Error for TableError {}
