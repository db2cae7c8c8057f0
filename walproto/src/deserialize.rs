//! A row into a user's type, by column name, through serde.

mod cell;
mod error;
mod nested;
mod questions;
mod row;
mod sent;
mod tried;
mod typed;
mod types;
mod written;

pub use error::{RowError, RowErrorKind};
pub use sent::Sent;
pub use tried::Tried;

use serde::Deserialize;

use crate::{ColumnDef, Delete, Insert, OldRow, Relation, Tuple, Update};
use row::{Source, read};

impl<'a> Tuple<'a> {
    /// Reads the row into a type of the user's, by column name.
    ///
    /// Nothing is allocated here: what can be lent is lent, and numbers, dates and the like are read in place. The type
    /// itself may allocate (`String`, `Vec`). Both forms of a value give the same; text that says a number is read as one.
    ///
    /// | field | takes |
    /// |---|---|
    /// | `bool` | `boolean` |
    /// | integers | any integer type, `oid`, `xid8`, a whole `numeric`, if the value fits |
    /// | `f32`, `f64` | `real`, `double precision`, `numeric` and integer types, rounded |
    /// | `&str`, `char` | the text form, lent; of binary forms those that are text |
    /// | `String` | also other binary forms, written as the server would: numbers, moments, `uuid`, `inet`, ranges |
    /// | `Vec<u8>`, `[u8; N]` | the bytes of `bytea` and `uuid` |
    /// | `&[u8]` | the bytes as they came, lent; but not the text form of `bytea`, which is not its bytes |
    /// | [`Bytea`](crate::value::Bytea), [`Numeric`](crate::value::Numeric), [`Array`](crate::value::Array), … | themselves, in both forms, lent |
    /// | an enum of unit variants | the label of an enum |
    /// | `Vec<T>`, `[T; N]`, `Vec<Vec<T>>` | an array of as many dimensions |
    /// | a tuple, a tuple struct, a struct in a field | a composite, by position |
    /// | `Option<T>` | NULL as `None` |
    /// | [`Sent<T>`](crate::Sent) | also a value that was not sent: NULL, unchanged and not sent are three things |
    /// | [`Tried<T>`](crate::Tried) | also a value that does not fit, with the reason |
    ///
    /// The row itself may be a struct, a map from names, or a tuple of all columns in order. A field without a column is
    /// an error, unless it is an `Option` or has `#[serde(default)]`; a column without a field is passed over, unless the
    /// type has `#[serde(deny_unknown_fields)]`. Where serde asks what there is (`flatten`, untagged enums,
    /// `serde_json::Value`), numbers but `numeric` are numbers, `bytea` is bytes, arrays are sequences, and everything
    /// else is text; a value that was not sent is an error.
    ///
    /// A row that does not fit is read twice, so that those that fit need not carry a large error along.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use walproto::{Decoder, Message};
    ///
    /// #[derive(Deserialize)]
    /// struct Account<'a> {
    ///     id: i64,
    ///     owner: Option<&'a str>,
    /// }
    ///
    /// let mut decoder = Decoder::new();
    /// let Message::Relation(relation) = decoder.decode(
    ///     b"R\0\0\x40\x01public\0account\0d\0\x02\
    ///       \x01id\0\0\0\0\x14\xff\xff\xff\xff\0owner\0\0\0\0\x19\xff\xff\xff\xff",
    /// )?.message else { panic!("not a relation") };
    /// let Message::Insert(insert) = decoder.decode(
    ///     b"I\0\0\x40\x01N\0\x02t\0\0\0\x0242t\0\0\0\x03Ada",
    /// )?.message else { panic!("not an insert") };
    ///
    /// let account: Account = insert.new.deserialize(&relation)?;
    /// assert_eq!((account.id, account.owner), (42, Some("Ada")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The relation is not this row's, a column is missing, or a value does not fit its field.
    #[inline]
    pub fn deserialize<T: Deserialize<'a>>(self, relation: &Relation<'a>) -> Result<T, RowError> {
        self.deserialize_columns(relation.columns)
    }

    /// The same for who keeps the columns apart, as in an array or a vector.
    ///
    /// It is faster, too: a [`Relation`] reads its columns' names anew for each row. And where a column's type is a
    /// domain, of which the relation has only the oid, the base type can be given here.
    ///
    /// # Errors
    ///
    /// There are more columns than in the row or fewer, a column is missing, or a value does not fit its field.
    #[inline]
    pub fn deserialize_columns<T, C>(self, columns: C) -> Result<T, RowError>
    where
        T: Deserialize<'a>,
        C: IntoIterator<Item = ColumnDef<'a>, IntoIter: ExactSizeIterator + Clone>,
    {
        let source = Source {
            tuple: self,
            old: None,
            only_key: false,
        };
        read(&source, columns.into_iter())
    }
}

/// The same for a row that was kept.
#[cfg(feature = "alloc")]
pub(crate) fn read_named<'a, T: Deserialize<'a>>(
    tuple: Tuple<'a>,
    old: Option<Tuple<'a>>,
    only_key: bool,
    columns: impl ExactSizeIterator<Item = ColumnDef<'a>> + Clone,
) -> Result<T, RowError> {
    let source = Source {
        tuple,
        old,
        only_key,
    };
    read(&source, columns)
}

impl<'a> Insert<'a> {
    /// Reads the row into a type of the user's; see [`Tuple::deserialize`].
    ///
    /// # Errors
    ///
    /// As for a tuple.
    #[inline]
    pub fn deserialize<T: Deserialize<'a>>(&self, relation: &Relation<'a>) -> Result<T, RowError> {
        self.new.deserialize(relation)
    }
}

impl<'a> Update<'a> {
    /// Reads the row as it is now into a type of the user's; see [`Tuple::deserialize`].
    ///
    /// TOASTed values that did not change are taken from the old row where it holds them: under replica identity
    /// full, and where they are part of a key that was sent.
    ///
    /// # Errors
    ///
    /// As for a tuple.
    #[inline]
    pub fn deserialize<T: Deserialize<'a>>(&self, relation: &Relation<'a>) -> Result<T, RowError> {
        self.deserialize_columns(relation.columns)
    }

    /// The same for who keeps the columns apart; see [`Tuple::deserialize_columns`].
    ///
    /// # Errors
    ///
    /// As for a tuple.
    #[inline]
    pub fn deserialize_columns<T, C>(&self, columns: C) -> Result<T, RowError>
    where
        T: Deserialize<'a>,
        C: IntoIterator<Item = ColumnDef<'a>, IntoIter: ExactSizeIterator + Clone>,
    {
        let source = Source {
            tuple: self.new,
            old: self.old.map(|old| old.tuple()),
            only_key: false,
        };
        read(&source, columns.into_iter())
    }
}

impl<'a> Delete<'a> {
    /// Reads what is known of the row that is gone; see [`OldRow::deserialize`].
    ///
    /// # Errors
    ///
    /// As for an old row.
    #[inline]
    pub fn deserialize<T: Deserialize<'a>>(&self, relation: &Relation<'a>) -> Result<T, RowError> {
        self.old.deserialize(relation)
    }
}

impl<'a> OldRow<'a> {
    /// Reads the row as it was; see [`Tuple::deserialize`].
    ///
    /// Of [`OldRow::Key`] the columns outside the key were not sent, which is not NULL: their fields must be
    /// [`Sent`], or the type must not have them.
    ///
    /// # Errors
    ///
    /// As for a tuple, and for fields of columns that were not sent.
    #[inline]
    pub fn deserialize<T: Deserialize<'a>>(&self, relation: &Relation<'a>) -> Result<T, RowError> {
        self.deserialize_columns(relation.columns)
    }

    /// The same for who keeps the columns apart; see [`Tuple::deserialize_columns`].
    ///
    /// # Errors
    ///
    /// As for a tuple, and for fields of columns that were not sent.
    #[inline]
    pub fn deserialize_columns<T, C>(&self, columns: C) -> Result<T, RowError>
    where
        T: Deserialize<'a>,
        C: IntoIterator<Item = ColumnDef<'a>, IntoIter: ExactSizeIterator + Clone>,
    {
        let source = Source {
            tuple: self.tuple(),
            old: None,
            only_key: matches!(self, Self::Key(_)),
        };
        read(&source, columns.into_iter())
    }
}
