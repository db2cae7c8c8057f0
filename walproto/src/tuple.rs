//! A row as it travels: checked once, then walked without errors.

use core::fmt;
use core::iter::FusedIterator;
use core::str::Utf8Error;

use crate::error::{Error, ErrorKind, Field, Result};
use crate::reader::Reader;

/// One column of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// SQL NULL; in a key-only old row also "not sent", see [`OldRow::Key`](crate::OldRow::Key).
    Null,
    /// A TOASTed value that the update did not touch; the message does not hold it.
    Unchanged,
    /// The type's text form in the client encoding, without a zero byte.
    Text(&'a [u8]),
    /// The type's binary form, as its send function made it.
    Binary(&'a [u8]),
}

impl<'a> Column<'a> {
    /// The bytes of the value, whatever its form; `None` for NULL and for an unchanged TOASTed value.
    pub const fn as_bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => Some(bytes),
            Self::Null | Self::Unchanged => None,
        }
    }

    /// The text form as a string; `None` for everything that is not text.
    ///
    /// # Errors
    ///
    /// The bytes may be no UTF-8 when the database's encoding is `SQL_ASCII`.
    pub fn as_str(self) -> Option<Result<&'a str, Utf8Error>> {
        match self {
            Self::Text(bytes) => Some(core::str::from_utf8(bytes)),
            Self::Null | Self::Unchanged | Self::Binary(_) => None,
        }
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Text(bytes) => write!(f, "Text(\"{}\")", bytes.escape_ascii()),
            Self::Binary(bytes) => write!(f, "Binary(\"{}\")", bytes.escape_ascii()),
        }
    }
}

/// A row; its columns stand in the order of the latest [`Relation`](crate::Relation) for its table.
///
/// Layout: number of columns (2), then for each its kind (1), `n`, `u`, `t` or `b`, and for the last two a length (4) and
/// that many bytes. Written by `logicalrep_write_tuple` of `proto.c`. Another kind, a count or length that the message
/// cannot hold, a negative length, and `b` where binary was not asked for are errors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    // Both as wide as a register, so that a message is moved in few pieces.
    count: usize,
    columns: &'a [u8],
}

impl<'a> Tuple<'a> {
    // proto.c: logicalrep_write_tuple
    pub(crate) fn read(r: &mut Reader<'a>, binary: bool) -> Result<Self> {
        let at = r.rest();
        let count = r.u16(Field::ColumnCount)?;
        let columns = r.rest();
        let Some(rest) = walk(columns, count, binary) else {
            if usize::from(count) > columns.len() {
                return Err(r.error_at(at, ErrorKind::PastEnd, Field::ColumnCount));
            }
            return Err(explain(r, columns, binary));
        };
        r.continue_at(rest);
        let (columns, _) = columns.split_at(columns.len() - rest.len());
        Ok(Self::checked(count, columns))
    }

    /// The row at the beginning of `bytes` and what follows it; `None` if it is not sound.
    #[inline(always)]
    pub(crate) fn first(bytes: &'a [u8], binary: bool) -> Option<(Self, &'a [u8])> {
        let (count, columns) = bytes.split_first_chunk()?;
        let count = u16::from_be_bytes(*count);
        let rest = walk(columns, count, binary)?;
        let columns = columns.get(..columns.len() - rest.len())?;
        Some((Self::checked(count, columns), rest))
    }

    /// The row that `bytes` are; `None` if it is not sound.
    #[inline(always)]
    pub(crate) fn whole(bytes: &'a [u8], binary: bool) -> Option<Self> {
        let (count, columns) = bytes.split_first_chunk()?;
        let count = u16::from_be_bytes(*count);
        let rest = walk(columns, count, binary)?;
        rest.is_empty().then_some(Self::checked(count, columns))
    }

    #[inline(always)]
    const fn checked(count: u16, columns: &'a [u8]) -> Self {
        Self {
            count: count as usize,
            columns,
        }
    }

    /// Number of columns.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether the row has no columns, as in a table without any.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in order.
    pub const fn columns(&self) -> Columns<'a> {
        Columns {
            left: self.count,
            rest: self.columns,
        }
    }

    /// The columns in order, text as `&str`.
    ///
    /// Faster than [`Column::as_str`] on each: what lies between two short values is UTF-8 too, so a row is mostly
    /// checked by one call instead of one for each value.
    #[inline]
    pub fn text_columns(&self) -> TextColumns<'a> {
        TextColumns {
            columns: self.columns(),
            valid: valid(self.columns),
        }
    }
}

#[cfg(any(feature = "alloc", feature = "encode"))]
impl<'a> Tuple<'a> {
    /// A row of `count` columns that were laid out in `columns`.
    pub(crate) const fn from_wire(count: u16, columns: &'a [u8]) -> Self {
        Self::checked(count, columns)
    }

    /// Number of columns, and their bytes.
    #[expect(clippy::cast_possible_truncation, reason = "it comes from a u16")]
    pub(crate) const fn wire(&self) -> (u16, &'a [u8]) {
        (self.count as u16, self.columns)
    }
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.columns()).finish()
    }
}

impl<'a> IntoIterator for Tuple<'a> {
    type Item = Column<'a>;
    type IntoIter = Columns<'a>;

    fn into_iter(self) -> Columns<'a> {
        self.columns()
    }
}

/// What follows `count` columns, if they are sound.
#[inline(always)]
fn walk(mut rest: &[u8], count: u16, binary: bool) -> Option<&[u8]> {
    for _ in 0..count {
        rest = match rest.split_first_chunk::<5>() {
            // One check of the end for kind and length.
            Some((&[kind, len @ ..], rest)) if kind == b't' || (kind == b'b' && binary) => {
                // A negative length becomes one of two gigabytes and more, which no message holds.
                let (_, rest) = rest.split_at_checked(u32::from_be_bytes(len) as usize)?;
                rest
            }
            _ => match rest.split_first()? {
                (b'n' | b'u', rest) => rest,
                _ => return None,
            },
        };
    }
    Some(rest)
}

// Where this is not so, a length would lose its upper half below.
const _: () = assert!(size_of::<usize>() >= size_of::<u32>());

/// Finds out what [`walk`] did not like.
#[cold]
fn explain(r: &Reader<'_>, mut at: &[u8], binary: bool) -> Error {
    while let Some(rest) = walk(at, 1, binary) {
        at = rest;
    }
    let Some((kind, rest)) = at.split_first() else {
        return r.error_at(at, ErrorKind::Truncated, Field::ColumnKind);
    };
    match kind {
        b'b' if !binary => return r.error_at(at, ErrorKind::BinaryNotAsked, Field::ColumnKind),
        b't' | b'b' => {}
        _ => return r.error_at(at, ErrorKind::UnexpectedByte, Field::ColumnKind),
    }
    let kind = match rest.split_first_chunk() {
        None => ErrorKind::Truncated,
        Some((len, _)) if i32::from_be_bytes(*len) < 0 => ErrorKind::Negative,
        Some(_) => ErrorKind::PastEnd,
    };
    r.error_at(rest, kind, Field::ColumnLength)
}

/// The columns of a [`Tuple`]; never fails, because the row was checked when it was read.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    left: usize,
    rest: &'a [u8],
}

/// Bits of `n` and `u` that `t` and `b` do not have: one test tells them apart in a row that was checked.
const NO_VALUE: u8 = 0b1001;

impl<'a> Iterator for Columns<'a> {
    type Item = Column<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Column<'a>> {
        if let Some((&[kind, len @ ..], rest)) = self.rest.split_first_chunk::<5>()
            && kind & NO_VALUE == 0
        {
            let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(len) as usize)?;
            self.left -= 1;
            self.rest = rest;
            return Some(if kind == b't' {
                Column::Text(bytes)
            } else {
                Column::Binary(bytes)
            });
        }
        let (&kind, rest) = self.rest.split_first()?;
        self.left -= 1;
        self.rest = rest;
        Some(if kind == b'n' {
            Column::Null
        } else {
            Column::Unchanged
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Columns<'_> {}
impl FusedIterator for Columns<'_> {}

/// One column of a row, its text checked; see [`Column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextColumn<'a> {
    /// SQL NULL, or "not sent".
    Null,
    /// A TOASTed value that the update did not touch.
    Unchanged,
    /// The type's text form.
    Text(&'a str),
    /// The type's binary form.
    Binary(&'a [u8]),
    /// Text that is no UTF-8: possible when the database's encoding is `SQL_ASCII`.
    NotUtf8(&'a [u8]),
}

/// The columns of a [`Tuple`], text as `&str`.
#[derive(Clone, Debug)]
pub struct TextColumns<'a> {
    columns: Columns<'a>,
    /// The beginning of what is left, as far as it is known to be UTF-8: headers too, whose bytes are all below 128
    /// when the length is.
    valid: &'a str,
}

impl<'a> Iterator for TextColumns<'a> {
    type Item = TextColumn<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<TextColumn<'a>> {
        // Kind and length stand before a value; where there is none, the kind alone.
        let (column, len) = match self.columns.next()? {
            Column::Text(bytes) => {
                if let Some((known, valid)) = self.valid.split_at_checked(HEADER + bytes.len())
                    && let Some(text) = known.get(HEADER..)
                {
                    self.valid = valid;
                    return Some(TextColumn::Text(text));
                }
                let (text, valid) = check(bytes, self.columns.rest);
                self.valid = valid;
                return Some(text.map_or(TextColumn::NotUtf8(bytes), TextColumn::Text));
            }
            Column::Null => (TextColumn::Null, 1),
            Column::Unchanged => (TextColumn::Unchanged, 1),
            Column::Binary(bytes) => (TextColumn::Binary(bytes), HEADER + bytes.len()),
        };
        self.valid = self.valid.get(len..).unwrap_or_default();
        Some(column)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.columns.size_hint()
    }
}

impl ExactSizeIterator for TextColumns<'_> {}
impl FusedIterator for TextColumns<'_> {}

/// A value behind the part that is known to be UTF-8, and what becomes known of the rest.
// By value and not inlined, as what is passed by reference cannot stay in registers.
#[cold]
#[inline(never)]
fn check<'a>(bytes: &'a [u8], rest: &'a [u8]) -> (Option<&'a str>, &'a str) {
    (core::str::from_utf8(bytes).ok(), valid(rest))
}

const HEADER: usize = 5;

/// The beginning of `bytes` that is UTF-8.
fn valid(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (head, _) = bytes.split_at(error.valid_up_to());
            core::str::from_utf8(head).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn read(bytes: &[u8], binary: bool) -> Result<Tuple<'_>> {
        Tuple::read(&mut Reader::over(bytes), binary)
    }

    const ROW: &[u8] = &[
        0, 4, // four columns
        b'n', b'u', // NULL, unchanged TOAST
        b't', 0, 0, 0, 2, b'4', b'2', // text
        b't', 0, 0, 0, 0, // empty text
    ];

    #[test]
    fn null_unchanged_and_empty_are_three_things() {
        let row = read(ROW, false).unwrap();
        let columns: Vec<_> = row.columns().collect();
        assert_eq!(
            columns,
            [
                Column::Null,
                Column::Unchanged,
                Column::Text(b"42"),
                Column::Text(b"")
            ]
        );
        assert_eq!(row.columns().len(), 4);
    }

    #[test]
    fn the_iterator_knows_what_is_left() {
        let mut columns = read(ROW, false).unwrap().columns();
        for left in (0..4).rev() {
            assert!(columns.next().is_some());
            assert_eq!(columns.len(), left);
        }
        assert_eq!(columns.next(), None);
    }

    #[test]
    fn broken_columns_are_named_with_their_byte() {
        for (bytes, kind, field, offset) in [
            (
                &[0, 1, b'x'][..],
                ErrorKind::UnexpectedByte,
                Field::ColumnKind,
                2,
            ),
            (
                &[0, 1, b'b', 0, 0, 0, 0],
                ErrorKind::BinaryNotAsked,
                Field::ColumnKind,
                2,
            ),
            (&[0, 2, b'n'], ErrorKind::PastEnd, Field::ColumnCount, 0),
            (
                &[0, 1, b't', 0, 0, 0],
                ErrorKind::Truncated,
                Field::ColumnLength,
                3,
            ),
            (
                &[0, 1, b't', 0, 0, 0, 2, b'4'],
                ErrorKind::PastEnd,
                Field::ColumnLength,
                3,
            ),
            (
                &[0, 1, b't', 0xFF, 0xFF, 0xFF, 0xFF, b'4'],
                ErrorKind::Negative,
                Field::ColumnLength,
                3,
            ),
            (
                &[0, 2, b't', 0, 0, 0, 1, b'4'],
                ErrorKind::Truncated,
                Field::ColumnKind,
                8,
            ),
        ] {
            let error = read(bytes, false).unwrap_err();
            assert_eq!(
                (error.kind, error.field, error.offset),
                (kind, field, offset),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn text_columns_are_what_the_columns_are() {
        let short = "é".repeat(60);
        let long = "é".repeat(70); // 140 bytes: a byte of its length is no UTF-8
        let broken = &b"caf\xE9"[..]; // LATIN1
        let split = &b"\xC3"[..]; // with the next kind no letter either
        let values = [
            Some(b"42".as_slice()),
            None,
            Some(short.as_bytes()),
            Some(long.as_bytes()),
            Some(b""),
            Some(broken),
            Some(split),
            None,
            Some(b"end"),
        ];
        // Every order of three, so that each follows each.
        for a in values {
            for b in values {
                for c in values {
                    let mut bytes = std::vec![0, 3];
                    for value in [a, b, c] {
                        let Some(value) = value else {
                            bytes.push(b'n');
                            continue;
                        };
                        bytes.push(b't');
                        bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                        bytes.extend_from_slice(value);
                    }
                    let row = read(&bytes, false).unwrap();
                    let expected: Vec<_> = row
                        .columns()
                        .map(|column| match column {
                            Column::Null => TextColumn::Null,
                            Column::Unchanged => TextColumn::Unchanged,
                            Column::Binary(bytes) => TextColumn::Binary(bytes),
                            Column::Text(bytes) => match core::str::from_utf8(bytes) {
                                Ok(text) => TextColumn::Text(text),
                                Err(_) => TextColumn::NotUtf8(bytes),
                            },
                        })
                        .collect();
                    assert_eq!(row.text_columns().collect::<Vec<_>>(), expected);
                }
            }
        }
    }

    #[test]
    fn binary_columns_come_when_asked_for() {
        let row = read(&[0, 1, b'b', 0, 0, 0, 1, 7], true).unwrap();
        assert_eq!(row.columns().next(), Some(Column::Binary(&[7])));
    }
}
