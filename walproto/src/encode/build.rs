//! What new messages borrow: rows, columns of relations and lists of oids, laid out in a caller's buffer.

use core::fmt;

use super::error::{EncodeError, EncodeErrorKind};
use super::writer::Writer;
use crate::error::Field;
use crate::{Column, ColumnDef, ColumnDefs, Oid, RelationOids, Tuple};

/// Lays out a row column by column.
///
/// What is wrong with a column is said at the end, by [`finish`](Self::finish).
///
/// ```
/// use walproto::{Column, TupleWriter};
///
/// let mut buffer = [0; 32];
/// let (row, rest) = TupleWriter::new(&mut buffer)
///     .text(42)
///     .column(Column::Text(b"note"))
///     .column(Column::Unchanged)
///     .finish()?;
/// assert_eq!(row.columns().next(), Some(Column::Text(b"42")));
/// // Room for another row.
/// assert_eq!(rest.len(), 32 - (5 + 2) - (5 + 4) - 1);
/// # Ok::<(), walproto::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct TupleWriter<'b> {
    w: Writer<'b>,
    count: Count,
}

impl<'b> TupleWriter<'b> {
    /// Starts a row at the front of `buffer`: 1 byte for each column, and for each value 4 bytes and its own.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            w: Writer::new(buffer),
            count: Count(0),
        }
    }

    /// One more column.
    #[must_use]
    #[inline]
    pub fn column(mut self, column: Column<'_>) -> Self {
        self.put(column);
        self
    }

    /// One more column, whose text form is what `value` displays; it is formatted right in the buffer.
    #[must_use]
    pub fn text(mut self, value: impl fmt::Display) -> Self {
        self.count.raise(&mut self.w);
        self.w.u8(b't');
        self.w.display(&value, Field::ColumnData);
        self
    }

    /// The row, and what is left of the buffer.
    ///
    /// # Errors
    ///
    /// [`EncodeErrorKind::BufferTooSmall`], which says how many bytes are needed; [`EncodeErrorKind::TooMany`] for more
    /// than 65535 columns, [`EncodeErrorKind::TooLong`] for a value of 2 GiB and more, [`EncodeErrorKind::ZeroByte`]
    /// for text that holds one.
    pub fn finish(self) -> Result<(Tuple<'b>, &'b mut [u8]), EncodeError> {
        let count = self.count.0;
        let (columns, rest) = self.w.finish()?;
        Ok((Tuple::from_wire(count, columns), rest))
    }

    // proto.c: logicalrep_write_tuple
    fn put(&mut self, column: Column<'_>) {
        self.count.raise(&mut self.w);
        match column {
            Column::Null => self.w.u8(b'n'),
            Column::Unchanged => self.w.u8(b'u'),
            Column::Text(text) => {
                self.w.check_text(text, Field::ColumnData);
                self.w.u8(b't');
                self.w.counted(text, Field::ColumnLength);
            }
            Column::Binary(bytes) => {
                self.w.u8(b'b');
                self.w.counted(bytes, Field::ColumnLength);
            }
        }
    }
}

impl<'b> Tuple<'b> {
    /// Lays out a row at the front of `buffer`; gives it, and what is left of the buffer.
    ///
    /// ```
    /// use walproto::{Column, OldRow, Tuple, Update, Oid};
    ///
    /// let mut buffer = [0; 64];
    /// let (key, rest) = Tuple::write([Column::Text(b"1"), Column::Null], &mut buffer)?;
    /// let (new, _) = Tuple::write([Column::Text(b"2"), Column::Text(b"b")], rest)?;
    /// let update = Update { relation: Oid(16385), old: Some(OldRow::Key(key)), new };
    /// # assert_eq!(update.new.len(), 2);
    /// # Ok::<(), walproto::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TupleWriter::finish`].
    pub fn write<'c>(
        columns: impl IntoIterator<Item = Column<'c>>,
        buffer: &'b mut [u8],
    ) -> Result<(Self, &'b mut [u8]), EncodeError> {
        let mut row = TupleWriter::new(buffer);
        for column in columns {
            row.put(column);
            // An iterator may be endless.
            if row.w.is_refused() {
                break;
            }
        }
        row.finish()
    }
}

impl<'b> ColumnDefs<'b> {
    /// Lays out the columns of a relation at the front of `buffer`; gives them, and what is left of the buffer.
    ///
    /// Each takes 10 bytes and its name.
    ///
    /// ```
    /// use walproto::{ColumnDef, ColumnDefs, Oid, Relation, ReplicaIdentity};
    ///
    /// let mut buffer = [0; 64];
    /// let columns = [
    ///     ColumnDef { key: true, name: "id", type_oid: Oid(23), typmod: -1 },
    ///     ColumnDef { key: false, name: "note", type_oid: Oid(25), typmod: -1 },
    /// ];
    /// let (columns, _) = ColumnDefs::write(columns, &mut buffer)?;
    /// let relation = Relation {
    ///     oid: Oid(16385),
    ///     namespace: "public",
    ///     name: "notes",
    ///     identity: ReplicaIdentity::Default,
    ///     columns,
    /// };
    /// # assert_eq!(relation.columns.len(), 2);
    /// # Ok::<(), walproto::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EncodeErrorKind::BufferTooSmall`], which says how many bytes are needed; [`EncodeErrorKind::TooMany`] for more
    /// than 65535 columns, [`EncodeErrorKind::ZeroByte`] for a name that holds one.
    // proto.c: logicalrep_write_attrs
    pub fn write<'c>(
        columns: impl IntoIterator<Item = ColumnDef<'c>>,
        buffer: &'b mut [u8],
    ) -> Result<(Self, &'b mut [u8]), EncodeError> {
        let mut w = Writer::new(buffer);
        let mut count = Count(0);
        for column in columns {
            count.raise(&mut w);
            w.u8(u8::from(column.key));
            w.name(column.name, Field::ColumnName);
            w.oid(column.type_oid);
            w.i32(column.typmod);
            if w.is_refused() {
                break;
            }
        }
        let (columns, rest) = w.finish()?;
        Ok((Self::from_wire(count.0, columns), rest))
    }
}

impl<'b> RelationOids<'b> {
    /// Lays out the tables of a [`Truncate`](crate::Truncate) at the front of `buffer`, 4 bytes each; gives them, and
    /// what is left of the buffer.
    ///
    /// # Errors
    ///
    /// [`EncodeErrorKind::BufferTooSmall`], which says how many bytes are needed.
    // proto.c: logicalrep_write_truncate
    pub fn write(
        relations: impl IntoIterator<Item = Oid>,
        buffer: &'b mut [u8],
    ) -> Result<(Self, &'b mut [u8]), EncodeError> {
        let mut w = Writer::new(buffer);
        relations.into_iter().for_each(|oid| w.oid(oid));
        let (oids, rest) = w.finish()?;
        let (oids, _) = oids.as_chunks();
        Ok((Self::from_wire(oids), rest))
    }
}

/// A count of columns; it stays at the last that 16 bits can say.
#[derive(Clone, Copy, Debug)]
struct Count(u16);

impl Count {
    #[inline]
    fn raise(&mut self, w: &mut Writer<'_>) {
        match self.0.checked_add(1) {
            Some(count) => self.0 = count,
            None => w.refuse(EncodeErrorKind::TooMany, Field::ColumnCount),
        }
    }
}
