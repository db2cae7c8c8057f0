//! What a column's bytes mean: typed readers of the text and binary forms, without an allocation.
//!
//! ```
//! use walproto::Column;
//!
//! assert_eq!(Column::Text(b"t").value::<bool>(), Ok(true));
//! assert_eq!(Column::Binary(&[0]).value::<bool>(), Ok(false));
//! assert_eq!(Column::Null.value::<Option<bool>>(), Ok(None));
//! ```

mod array;
mod bits;
mod boolean;
mod bytea;
mod calendar;
mod composite;
mod date;
mod element;
mod error;
mod float;
mod inet;
mod integer;
mod interval;
mod mac;
mod multirange;
mod nested;
mod numeric;
mod quoted;
mod range;
mod scan;
mod text;
mod time;
mod timestamp;
mod uuid;

pub use array::{Array, BoxArray, Dimension, Elements, Values};
pub use bits::{BitString, Bits};
pub use bytea::{Bytea, BytesOf};
pub use composite::{Composite, FieldTypes, Fields};
pub use date::Date;
pub use element::Element;
pub use error::{Expected, ValueError, ValueErrorKind};
pub use inet::{Cidr, Inet};
pub use integer::Xid8;
pub use interval::Interval;
pub use mac::{MacAddr, MacAddr8};
pub use multirange::{Multirange, RangeValues, Ranges};
pub use numeric::{Digits, Numeric};
pub use quoted::{BufferTooSmall, Quoted};
pub use range::Range;
pub use text::{Char, Json};
pub use time::{Time, TimeTz};
pub use timestamp::LocalTimestamp;
pub use uuid::Uuid;

use crate::Column;

/// A type that can be read from a column.
pub trait FromColumn<'a>: Sized {
    /// What is being read, for errors.
    const EXPECTED: Expected;

    /// Reads the text form, as the type's output function wrote it under the settings named in the type's docs.
    ///
    /// # Errors
    ///
    /// The bytes are not what the server writes for this type.
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError>;

    /// Reads the binary form, as the type's send function wrote it.
    ///
    /// # Errors
    ///
    /// The bytes are not what the server sends for this type.
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError>;

    /// Reads the text form where it stands in an array, a composite or a range with escapes in it.
    ///
    /// Only types whose text can hold a quote or a backslash come here.
    ///
    /// # Errors
    ///
    /// As for [`from_text`](Self::from_text), or the type cannot be read without the escapes being undone.
    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        match text.as_plain() {
            Some(text) => Self::from_text(text),
            None => Err(quoted::needs_unescaping(Self::EXPECTED)),
        }
    }

    /// Reads a column in whichever form it came.
    ///
    /// # Errors
    ///
    /// As for the two forms, and for NULL and unchanged TOASTed values, unless the type has room for them:
    /// `Option` takes NULL.
    #[inline]
    fn from_column(column: Column<'a>) -> Result<Self, ValueError> {
        match column {
            Column::Text(text) => Self::from_text(text),
            Column::Binary(bytes) => Self::from_binary(bytes),
            Column::Null => Err(ValueError::new(ValueErrorKind::Null, Self::EXPECTED, 0)),
            Column::Unchanged => Err(ValueError::new(
                ValueErrorKind::Unchanged,
                Self::EXPECTED,
                0,
            )),
        }
    }
}

impl<'a, T: FromColumn<'a>> FromColumn<'a> for Option<T> {
    const EXPECTED: Expected = T::EXPECTED;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        T::from_text(text).map(Some)
    }

    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        T::from_binary(bytes).map(Some)
    }

    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        T::from_quoted(text).map(Some)
    }

    fn from_column(column: Column<'a>) -> Result<Self, ValueError> {
        match column {
            Column::Null => Ok(None),
            column => T::from_column(column).map(Some),
        }
    }
}

impl<'a> Column<'a> {
    /// The value, read from whichever form came.
    ///
    /// # Errors
    ///
    /// The bytes are not what a server sends for this type, or there is no value and the type has no room for that.
    #[inline]
    pub fn value<T: FromColumn<'a>>(self) -> Result<T, ValueError> {
        T::from_column(self)
    }
}
