//! A change in the types that a handler asks for.

use serde::de::DeserializeOwned;
use walproto::{Insert, RowError, RowErrorKind, Update};

use crate::changes::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::relations::Relation;

use super::handle::Place;

/// A change of a table, its rows in types of the consumer's.
///
/// Rows are read [by column name](walproto::Tuple::deserialize); columns without a field are passed over. Of an old row
/// the server sends the columns of the table's replica identity: the primary key, unless `ALTER TABLE … REPLICA IDENTITY`
/// says otherwise. So there are several ways to write a handler down:
///
/// | written as | with |
/// |---|---|
/// | `RowChange<User, UserKey>` | one type for the whole row, and one that has the columns of the key alone |
/// | `RowChange<UserKey>` | the key is all that matters |
/// | `RowChange<User, ()>` | old rows do not matter |
/// | `RowChange<User>` | `REPLICA IDENTITY FULL`, or fields outside the key that are [`Sent`](walproto::Sent) |
///
/// A large value that an update did not touch is not sent either, unless the old row has it. A field that is
/// [`Sent<String>`](walproto::Sent) tells it apart; for any other it is an error, never an empty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowChange<T, K = T> {
    /// A new row.
    Insert(T),
    /// A changed row.
    Update {
        /// What is known of the row as it was; `None` when it has the same key as `new`, and only keys are sent.
        old: Option<K>,
        /// The row now.
        new: T,
    },
    /// A row that is gone.
    Delete(K),
    /// The table was emptied. Whether with `CASCADE` or `RESTART IDENTITY`, the change in the transaction says.
    Truncate,
}

impl<T> RowChange<T> {
    /// The rows that it tells of, the old one first; none of them for a truncate.
    pub fn rows(&self) -> impl Iterator<Item = &T> {
        let (first, second) = match self {
            Self::Insert(row) | Self::Delete(row) => (Some(row), None),
            Self::Update { old, new } => (old.as_ref(), Some(new)),
            Self::Truncate => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl<T: DeserializeOwned, K: DeserializeOwned> RowChange<T, K> {
    /// `None` for what is no change of rows.
    pub(super) fn read(
        change: &Change<'_>,
        relation: &Relation,
        place: Place,
    ) -> Result<Option<Self>> {
        let misfit = |what, error| misfit(what, relation, place, error);
        let (oid, defs) = (relation.oid, relation.defs());
        Ok(Some(match *change {
            Change::Insert { new, .. } => {
                let insert = Insert { relation: oid, new };
                let row = insert.new.deserialize_columns(defs);
                Self::Insert(row.map_err(|error| misfit("a row inserted into", error))?)
            }
            Change::Update { old, new, .. } => {
                let update = Update {
                    relation: oid,
                    old,
                    new,
                };
                let known = old.map(|old| old.deserialize_columns(defs.clone()));
                let known = known.transpose();
                let row = update.deserialize_columns(defs);
                Self::Update {
                    old: known.map_err(|error| misfit("the old row of an update of", error))?,
                    new: row.map_err(|error| misfit("the new row of an update of", error))?,
                }
            }
            Change::Delete { old, .. } => {
                let row = old.deserialize_columns(defs);
                Self::Delete(row.map_err(|error| misfit("a row deleted from", error))?)
            }
            Change::Truncate { .. } => Self::Truncate,
            _ => return Ok(None),
        }))
    }
}

#[cold]
fn misfit(what: &str, relation: &Relation, place: Place, error: RowError) -> Error {
    let Relation {
        namespace, name, ..
    } = relation;
    let text = format!(
        "{what} {namespace}.{name} does not fit the type that it is to be read into {place}"
    );
    let failed = Error::new(ErrorKind::Row, text);
    let failed = match error.kind() {
        RowErrorKind::Unchanged => failed.with_hint(
            "Make the field a Sent<…>, or have the server send whole old rows with ALTER TABLE … REPLICA IDENTITY FULL.",
        ),
        RowErrorKind::NotSent => failed.with_hint(
            "Read old rows into a type that has the columns of the key alone, or make the field a Sent<…>.",
        ),
        RowErrorKind::Null => failed.with_hint("Make the field an Option<…>."),
        _ => failed,
    };
    failed.with_source(error)
}
