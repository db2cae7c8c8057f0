//! A change that owns its names and values.

#[cfg(feature = "serde")]
mod json;
mod table;

pub use table::{Table, TableColumn, TableError, Tables};

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::{Column, Lsn, OldRow, Tuple, Xid};

/// A change with the names of its table and columns, which can be kept, queued, and sent to another thread.
///
/// It holds a copy of its own row, in one piece, and shares the names with all other events of the table. Made by
/// [`Tables::event`].
///
/// ```
/// use walproto::{Change, Column, Decoder, Tables};
///
/// # fn messages() -> Vec<Vec<u8>> {
/// #     vec![
/// #         b"R\0\0\x40\x01public\0users\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff".to_vec(),
/// #         b"I\0\0\x40\x01N\0\x01t\0\0\0\x0242".to_vec(),
/// #     ]
/// # }
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let (mut decoder, mut tables) = (Decoder::new(), Tables::new());
/// for message in messages() {
///     if let Some(event) = tables.event(&decoder.decode(&message)?)? {
///         sender.send(event)?;
///     }
/// }
/// drop(sender);
/// for event in receiver {
///     let new = event.new_row().unwrap();
///     assert_eq!((&*new.table().name, new.get("id")), ("users", Some(Column::Text(b"42"))));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # JSON
///
/// With the feature `serde` it can be written and read in any format. In those for people, as JSON, what does not apply
/// is left out:
///
/// ```json
/// {
///   "kind": "update",
///   "xid": 741,
///   "table": {
///     "oid": 16385, "schema": "public", "name": "users", "identity": "default",
///     "columns": [{"name": "id", "type_oid": 23, "typmod": -1, "key": true}, …]
///   },
///   "key": {"id": "1"},
///   "new": {"id": "2", "note": null, "photo": {"unchanged": true}, "raw": {"binary": "00ff"}}
/// }
/// ```
///
/// - `kind`: `insert`, `update`, `delete`, `truncate` or `message`.
/// - `xid`: only of changes inside a stream block.
/// - `new`: the row now. `old`: the whole row as it was; `key`: only its key, the columns outside were not sent.
/// - A value: text as a string, NULL as `null`; `{"unchanged": true}` for a TOASTed value that was not sent;
///   `{"binary": hex}` for the binary form; `{"not_utf8": hex}` for text that is not UTF-8.
/// - Of `truncate`: `tables`, `cascade`, `restart_identity`. Of `message`: `transactional`, `lsn`, `prefix`, and
///   `content`, as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// Only inside a stream block: the (sub)transaction of the change; see [`Decoded::xid`](crate::Decoded::xid).
    pub xid: Option<Xid>,
    /// What happened.
    pub change: Change,
}

/// What happened, to which table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A new row.
    Insert {
        /// Its table.
        table: Arc<Table>,
        /// The row.
        new: OwnedTuple,
    },
    /// A changed row.
    Update {
        /// Its table.
        table: Arc<Table>,
        /// Absent when the replica identity is a key that did not change.
        old: Option<OwnedOldRow>,
        /// The row now.
        new: OwnedTuple,
    },
    /// A row that is gone.
    Delete {
        /// Its table.
        table: Arc<Table>,
        /// What identifies the row.
        old: OwnedOldRow,
    },
    /// Tables emptied by one statement.
    Truncate {
        /// The published tables among those emptied.
        tables: Box<[Arc<Table>]>,
        /// `CASCADE` was given.
        cascade: bool,
        /// `RESTART IDENTITY` was given.
        restart_identity: bool,
    },
    /// From `pg_logical_emit_message`.
    Message {
        /// Part of the surrounding transaction.
        transactional: bool,
        /// Its position.
        lsn: Lsn,
        /// What kind of message it is, as the application chose.
        prefix: Box<str>,
        /// The content, any bytes.
        content: Box<[u8]>,
    },
}

impl ChangeEvent {
    /// The table of a changed row; `None` for truncate, which may have several, and for messages.
    pub const fn table(&self) -> Option<&Arc<Table>> {
        match &self.change {
            Change::Insert { table, .. }
            | Change::Update { table, .. }
            | Change::Delete { table, .. } => Some(table),
            Change::Truncate { .. } | Change::Message { .. } => None,
        }
    }

    /// The row as it is now, after an insert or update.
    pub fn new_row(&self) -> Option<NamedRow<'_>> {
        let (table, row, old) = match &self.change {
            Change::Insert { table, new } => (table, new, None),
            Change::Update { table, old, new } => (table, new, old.as_ref()),
            _ => return None,
        };
        Some(NamedRow {
            table,
            tuple: row.tuple(),
            old: old.map(|old| old.row().tuple()),
            only_key: false,
        })
    }

    /// What is known of the row as it was, of an update or delete.
    pub fn old_row(&self) -> Option<NamedRow<'_>> {
        let (table, old) = match &self.change {
            Change::Update {
                table,
                old: Some(old),
                ..
            }
            | Change::Delete { table, old } => (table, old.row()),
            _ => return None,
        };
        Some(NamedRow {
            table,
            tuple: old.tuple(),
            old: None,
            only_key: matches!(old, OldRow::Key(_)),
        })
    }
}

/// A row of a [`ChangeEvent`] beside the names of its columns.
#[derive(Clone, Copy, Debug)]
pub struct NamedRow<'a> {
    table: &'a Table,
    tuple: Tuple<'a>,
    #[cfg_attr(
        not(feature = "serde"),
        expect(dead_code, reason = "only a type of the user's is filled from it")
    )]
    old: Option<Tuple<'a>>,
    only_key: bool,
}

impl<'a> NamedRow<'a> {
    /// Its table.
    pub const fn table(&self) -> &'a Table {
        self.table
    }

    /// The row.
    pub const fn tuple(&self) -> Tuple<'a> {
        self.tuple
    }

    /// The columns with their names; `None` for those outside the key in an old row of which only the key was sent.
    pub fn columns(
        &self,
    ) -> impl Iterator<Item = (&'a str, Option<Column<'a>>)> + Clone + fmt::Debug {
        let only_key = self.only_key;
        self.table
            .columns
            .iter()
            .zip(self.tuple.columns())
            .map(move |(def, column)| {
                let sent = !only_key || def.key;
                (&*def.name, sent.then_some(column))
            })
    }

    /// The column of this name, if there is one and it was sent.
    pub fn get(&self, name: &str) -> Option<Column<'a>> {
        let mut columns = self.columns();
        columns.find(|(column, _)| *column == name)?.1
    }

    /// Reads the row into a type of the user's; see [`Tuple::deserialize`], and
    /// [`Update::deserialize`](crate::Update::deserialize) for values that did not change.
    ///
    /// # Errors
    ///
    /// As for a tuple, and for fields of columns that were not sent.
    #[cfg(feature = "serde")]
    pub fn deserialize<T: serde::Deserialize<'a>>(&self) -> Result<T, crate::RowError> {
        crate::deserialize::read_named(self.tuple, self.old, self.only_key, self.table.defs())
    }
}

/// A row in one piece of memory of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedTuple {
    count: u16,
    columns: Box<[u8]>,
}

impl OwnedTuple {
    /// The row.
    pub const fn tuple(&self) -> Tuple<'_> {
        Tuple::from_wire(self.count, &self.columns)
    }
}

impl From<Tuple<'_>> for OwnedTuple {
    fn from(tuple: Tuple<'_>) -> Self {
        let (count, columns) = tuple.wire();
        Self {
            count,
            columns: columns.into(),
        }
    }
}

impl fmt::Debug for OwnedTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tuple().fmt(f)
    }
}

/// An [`OldRow`] that owns its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedOldRow {
    /// Only the key.
    Key(OwnedTuple),
    /// The whole row.
    Full(OwnedTuple),
}

impl OwnedOldRow {
    /// The row.
    pub const fn row(&self) -> OldRow<'_> {
        match self {
            Self::Key(tuple) => OldRow::Key(tuple.tuple()),
            Self::Full(tuple) => OldRow::Full(tuple.tuple()),
        }
    }
}
