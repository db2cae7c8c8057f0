//! Why a row does not fit the type asked for: which column, of which type, and what was asked.

use core::fmt::{self, Write};

use serde::de::{self, Expected, Unexpected};

use super::types;
use crate::Oid;
use crate::value::ValueError;

/// What goes wrong on the way.
///
/// A row is read with [`Failed`] first, which costs nothing, and once more with [`RowError`] if that failed: a large
/// error in every `Result` would cost as much as reading the values.
pub(super) trait Fault: de::Error {
    fn new(kind: RowErrorKind, asked: &'static str) -> Self;

    /// Says in which column it was.
    fn at(self, column: &str, type_oid: Oid) -> Self;
}

/// That something went wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed;

impl Fault for Failed {
    #[inline]
    fn new(_: RowErrorKind, _: &'static str) -> Self {
        Self
    }

    #[inline]
    fn at(self, _: &str, _: Oid) -> Self {
        self
    }
}

impl de::Error for Failed {
    #[inline]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }

    #[inline]
    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self
    }

    #[inline]
    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self
    }

    #[inline]
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self
    }

    #[inline]
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    #[inline]
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    #[inline]
    fn missing_field(_: &'static str) -> Self {
        Self
    }

    #[inline]
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl core::error::Error for Failed {}

/// A row that does not fit into the type asked for.
///
/// `Copy` and without borrows: it holds the column's name, and what serde or the user's own code said, in itself, up
/// to 90 bytes for both; what is longer is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RowError {
    kind: RowErrorKind,
    type_oid: Oid,
    asked: &'static str,
    text: Text,
}

// So that functions that return it pass clippy's `result_large_err`.
const _: () = assert!(size_of::<RowError>() < 128);

/// What is wrong with a row or one of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowErrorKind {
    /// The row has another number of columns than its relation.
    ColumnCount {
        /// Columns in the row.
        row: u16,
        /// Columns in the relation.
        relation: u16,
    },
    /// The relation has no column for a field; [`asked`](RowError::asked) is the field's name.
    NoColumn,
    /// NULL, and the field's type has no room for it: use `Option`.
    Null,
    /// A TOASTed value that did not change, and so was not sent: use [`Sent`](crate::Sent).
    Unchanged,
    /// A column outside the key, in an old row of which only the key was sent: use [`Sent`](crate::Sent).
    NotSent,
    /// The bytes are no value of the type asked for.
    Value(ValueError),
    /// The column's type cannot be read as what was asked for, whatever its value.
    Mismatch,
    /// A number that the type asked for cannot hold.
    OutOfRange,
    /// The text is not UTF-8.
    NotUtf8,
    /// A text too long to be written without the feature `alloc`.
    TooLong,
    /// What serde, or the type's own code, said; see [`message`](RowError::message).
    Message,
}

impl RowError {
    /// What is wrong.
    pub const fn kind(&self) -> RowErrorKind {
        self.kind
    }

    /// Name of the column; `None` when the row as a whole does not fit.
    pub fn column(&self) -> Option<&str> {
        Some(self.text.parts().0).filter(|name| !name.is_empty())
    }

    /// The column's type; 0 when the row as a whole does not fit.
    pub const fn type_oid(&self) -> Oid {
        self.type_oid
    }

    /// What was to be made of it: a type of Rust, or the name of the field without a column; may be empty.
    pub const fn asked(&self) -> &'static str {
        self.asked
    }

    /// What serde, or the type's own code, said; may be cut, may be empty.
    pub fn message(&self) -> &str {
        self.text.parts().1
    }
}

impl Fault for RowError {
    #[cold]
    fn new(kind: RowErrorKind, asked: &'static str) -> Self {
        Self {
            kind,
            type_oid: Oid(0),
            asked,
            text: Text::EMPTY,
        }
    }

    #[cold]
    fn at(mut self, column: &str, type_oid: Oid) -> Self {
        self.text = Text::new(column, self.text.parts().1);
        self.type_oid = type_oid;
        self
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = self.column() {
            match types::name(self.type_oid) {
                Some(name) => write!(f, "column \"{column}\" of type {name}: ")?,
                None => write!(f, "column \"{column}\" of type {}: ", self.type_oid)?,
            }
        }
        match self.kind {
            RowErrorKind::ColumnCount { row, relation } => {
                return write!(f, "{row} columns in the row, {relation} in its relation");
            }
            RowErrorKind::NoColumn => return write!(f, "no column for field \"{}\"", self.asked),
            RowErrorKind::Message => return f.write_str(self.message()),
            RowErrorKind::Null => f.write_str("unexpected NULL")?,
            RowErrorKind::Unchanged => {
                f.write_str("unchanged TOASTed value, which was not sent")?
            }
            RowErrorKind::NotSent => f.write_str("outside the key, and so not sent")?,
            RowErrorKind::Value(error) => error.fmt(f)?,
            RowErrorKind::Mismatch => f.write_str("a value of another kind")?,
            RowErrorKind::OutOfRange => f.write_str("out of range")?,
            RowErrorKind::NotUtf8 => f.write_str("not UTF-8")?,
            RowErrorKind::TooLong => f.write_str("too long without the feature `alloc`")?,
        }
        match self.asked {
            "" => Ok(()),
            asked => write!(f, ", to be read as {asked}"),
        }
    }
}

impl fmt::Debug for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowError")
            .field("kind", &self.kind)
            .field("column", &self.column())
            .field("type_oid", &self.type_oid)
            .field("asked", &self.asked)
            .field("message", &self.message())
            .finish()
    }
}

impl core::error::Error for RowError {}

impl de::Error for RowError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut error = Self::new(RowErrorKind::Message, "");
        // Cutting is not an error.
        let _ = write!(error.text, "{message}");
        error
    }

    #[cold]
    fn missing_field(field: &'static str) -> Self {
        Self::new(RowErrorKind::NoColumn, field)
    }
}

/// Room for a column's name and a message, which stands before it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Text {
    bytes: [u8; Self::LEN],
    message: u8,
    column: u8,
}

impl Text {
    const LEN: usize = 90;
    /// As long as names are at a server in UTF-8 (`NAMEDATALEN` less the zero byte).
    const NAME: usize = 63;
    const EMPTY: Self = Self {
        bytes: [0; Self::LEN],
        message: 0,
        column: 0,
    };

    fn new(column: &str, message: &str) -> Self {
        let column = cut(column, Self::NAME);
        let mut text = Self::EMPTY;
        text.push(cut(message, Self::LEN - column.len()));
        text.message = text.column;
        text.column = 0;
        text.push(column);
        text
    }

    /// Appends what there is room for.
    fn push(&mut self, more: &str) {
        let at = usize::from(self.message) + usize::from(self.column);
        if let Some(room) = self.bytes.get_mut(at..) {
            let more = cut(more, room.len());
            for (to, from) in room.iter_mut().zip(more.bytes()) {
                *to = from;
            }
            self.column += u8::try_from(more.len()).unwrap_or(0);
        }
    }

    /// The column and the message.
    fn parts(&self) -> (&str, &str) {
        let (message, rest) = self
            .bytes
            .split_at_checked(self.message.into())
            .unwrap_or_default();
        let column = rest.get(..self.column.into()).unwrap_or_default();
        let text = |bytes| core::str::from_utf8(bytes).unwrap_or_default();
        (text(column), text(message))
    }
}

/// Only for the message, before there is a name.
impl Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.push(more);
        self.message += core::mem::take(&mut self.column);
        Ok(())
    }
}

/// As much of a text as `len` bytes hold.
fn cut(text: &str, len: usize) -> &str {
    (0..=len)
        .rev()
        .find_map(|len| text.get(..len.min(text.len())))
        .unwrap_or_default()
}
