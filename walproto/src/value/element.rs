//! One value inside another: an array's element, a composite's field, a range's bound.

use core::fmt;

use super::{BufferTooSmall, Expected, FromColumn, Quoted, ValueError, ValueErrorKind};
use crate::Column;

/// A value inside an array, a composite or a range.
///
/// As [`FromColumn`] it takes a column whatever it holds, so that `Range<Element>` is a range of anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// SQL NULL.
    Null,
    /// The type's text form, lent as it stands.
    Text(&'a [u8]),
    /// The type's text form with escapes in it.
    Quoted(Quoted<'a>),
    /// The type's binary form.
    Binary(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The value, read from whichever form came.
    ///
    /// Numbers, dates and everything else that never holds a quote or a backslash, and the types made of others, are
    /// read at any depth of nesting; so is bytea in hex. `&str` and `&[u8]` can lend only what has no escapes:
    /// take [`Quoted`] for text of any kind.
    ///
    /// # Errors
    ///
    /// The bytes are not what a server sends for this type, or hold escapes that this type cannot be read through,
    /// or the value is NULL and the type has no room for that.
    #[inline]
    pub fn value<T: FromColumn<'a>>(self) -> Result<T, ValueError> {
        match self {
            Self::Null => T::from_column(Column::Null),
            Self::Text(text) => T::from_text(text),
            Self::Quoted(text) => T::from_quoted(text),
            Self::Binary(bytes) => T::from_binary(bytes),
        }
    }

    /// The value as a column; `None` where escapes stand in the way.
    pub const fn as_column(self) -> Option<Column<'a>> {
        match self {
            Self::Null => Some(Column::Null),
            Self::Text(text) => Some(Column::Text(text)),
            Self::Quoted(_) => None,
            Self::Binary(bytes) => Some(Column::Binary(bytes)),
        }
    }

    /// The value as a column, from `buffer` where it has to be unescaped.
    ///
    /// # Errors
    ///
    /// The buffer is shorter than the text without its escapes.
    pub fn unescape<'b>(self, buffer: &'b mut [u8]) -> Result<Column<'b>, BufferTooSmall>
    where
        'a: 'b,
    {
        Ok(match self {
            Self::Null => Column::Null,
            Self::Text(text) => Column::Text(text),
            Self::Quoted(text) => Column::Text(text.unescape(buffer)?),
            Self::Binary(bytes) => Column::Binary(bytes),
        })
    }

    /// The bytes as they stand in the message; none for NULL.
    pub(super) const fn raw(self) -> &'a [u8] {
        match self {
            Self::Null => &[],
            Self::Text(raw) | Self::Binary(raw) => raw,
            Self::Quoted(text) => text.raw(),
        }
    }

    /// Whether the value is NULL.
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> FromColumn<'a> for Element<'a> {
    const EXPECTED: Expected = Expected::Any;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Ok(Self::Text(text))
    }

    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        Ok(Self::Binary(bytes))
    }

    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        Ok(Self::Quoted(text))
    }

    fn from_column(column: Column<'a>) -> Result<Self, ValueError> {
        match column {
            Column::Null => Ok(Self::Null),
            Column::Text(text) => Ok(Self::Text(text)),
            Column::Binary(bytes) => Ok(Self::Binary(bytes)),
            Column::Unchanged => Err(ValueError::new(
                ValueErrorKind::Unchanged,
                Self::EXPECTED,
                0,
            )),
        }
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Text(text) => write!(f, "Text(\"{}\")", text.escape_ascii()),
            Self::Quoted(text) => text.fmt(f),
            Self::Binary(bytes) => write!(f, "Binary(\"{}\")", bytes.escape_ascii()),
        }
    }
}
