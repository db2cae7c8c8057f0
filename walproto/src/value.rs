//! What a column's bytes mean: typed readers of the text and binary forms, without an allocation.
//!
//! ```
//! use walproto::Column;
//!
//! assert_eq!(Column::Text(b"t").value::<bool>(), Ok(true));
//! assert_eq!(Column::Binary(&[0]).value::<bool>(), Ok(false));
//! assert_eq!(Column::Null.value::<Option<bool>>(), Ok(None));
//! ```
//!
//! # Types
//!
//! Read a column as the type that its relation names ([`ColumnDef::type_oid`](crate::ColumnDef::type_oid)): the bytes
//! do not say what they are. The text forms are those under the settings that the [crate page](crate) names; numbers
//! in binary forms are big-endian, and their lengths are in bytes.
//!
//! | PostgreSQL | Rust | text | binary | written by |
//! |---|---|---|---|---|
//! | `boolean` | `bool` | `t` or `f` | 1: 0 or 1 | `boolout`, `boolsend` |
//! | `smallint`, `integer`, `bigint` | `i16`, `i32`, `i64` | decimal | 2, 4, 8 | `int2out`, `int4out`, `int8out`; `int2send`, … |
//! | `oid`, `xid`, `xid8` | [`Oid`](crate::Oid), [`Xid`](crate::Xid), [`Xid8`] | decimal | 4, 4, 8 | `oidout`, `xidout`, `xid8out`; `oidsend`, … |
//! | `pg_lsn` | [`Lsn`](crate::Lsn) | `16/B374D848` | 8 | `pg_lsn_out`, `pg_lsn_send` |
//! | `real`, `double precision` | `f32`, `f64` | shortest exact, `NaN`, `Infinity` | 4, 8: IEEE 754 | `float4out`, `float8out`; `float4send`, … |
//! | `numeric` | [`Numeric`] | decimal, `NaN`, `Infinity` | 2 each: number of digits, weight, sign, scale; 2 per digit of base 10,000 | `numeric_out`, `numeric_send` |
//! | `date` | [`Date`] | `2000-01-31`, `… BC`, `infinity` | 4: days since 2000 | `date_out`, `date_send` |
//! | `time`, `timetz` | [`Time`], [`TimeTz`] | `12:34:56.789`, `…+02` | 8: microseconds since midnight; 4: seconds west of UTC | `time_out`, `timetz_out`; `time_send`, … |
//! | `timestamp` | [`LocalTimestamp`] | `2000-01-31 12:34:56.789` | 8: microseconds since 2000 | `timestamp_out`, `timestamp_send` |
//! | `timestamptz` | [`Timestamp`](crate::Timestamp) | `…+00` | 8: microseconds since 2000 in UTC | `timestamptz_out`, `timestamptz_send` |
//! | `interval` | [`Interval`] | `1 year 2 mons -3 days 04:05:06` | 8: microseconds, 4: days, 4: months | `interval_out`, `interval_send` |
//! | `text`, `varchar`, `char(n)`, `name`, enums, `xml` | `&str` | itself | itself | `textout`, `textsend`, … |
//! | `json`, `jsonb` | [`Json`] | itself | itself; `jsonb` after a 1 | `json_out`, `jsonb_out`; `json_send`, … |
//! | `"char"` | [`Char`] | itself, or octal | 1 | `charout`, `charsend` |
//! | `bytea` | [`Bytea`] | `\x00ff`, or escapes | itself | `byteaout`, `byteasend` |
//! | `uuid` | [`Uuid`] | in hexadecimal | 16 | `uuid_out`, `uuid_send` |
//! | `inet`, `cidr` | [`Inet`], [`Cidr`] | `10.0.0.1/8` | 1 each: family, bits, whether cidr, length; the address | `inet_out`, `cidr_out`; `inet_send`, … |
//! | `macaddr`, `macaddr8` | [`MacAddr`], [`MacAddr8`] | in hexadecimal | 6, 8 | `macaddr_out`, `macaddr8_out`; `macaddr_send`, … |
//! | `bit`, `varbit` | [`BitString`] | `0101` | 4: number of bits; the bits, the first one highest | `bit_out`, `varbit_out`; `bit_send`, … |
//! | arrays | [`Array`] | `{1,NULL,"a b"}` | see there | `array_out`, `array_send` |
//! | composites | [`Composite`], tuples | `(1,,"a b")` | see there | `record_out`, `record_send` |
//! | ranges | [`Range`] | `[1,5)`, `empty` | see there | `range_out`, `range_send` |
//! | multiranges | [`Multirange`] | `{[1,5),[7,9)}` | see there | `multirange_out`, `multirange_send` |
//!
//! `Option<T>` takes NULL. A domain is read as its base type. Every other type has a text form at least:
//! [`Column::as_str`] and [`Column::as_bytes`] give what came.
//!
//! # Values inside values
//!
//! Arrays, composites and multiranges are checked when they are read, and then walked without errors; what is inside is
//! an [`Element`], or is read as a type on the way. Text quotes what is inside, and escapes it once more for each level:
//! all types but `&str`, [`Json`] and [`Bytea`] in its older style are read through the escapes at any depth. For text
//! there is [`Quoted`], which prints, compares and iterates over the text without its escapes, or writes it to a buffer.
//!
//! ```
//! use walproto::Column;
//! use walproto::value::{Array, LocalTimestamp, Quoted, Range};
//!
//! // An array of composites of an integer, a text and a range of timestamps.
//! let column = Column::Text(br#"{"(7,\"say \"\"a\"\"\",\"[\"\"2000-01-01 00:00:00\"\",)\")"}"#);
//! let array: Array = column.value()?;
//! for row in array.values() {
//!     let (id, text, during): (i32, Quoted, Range<LocalTimestamp>) = row?;
//!     assert_eq!((id, text.to_string()), (7, r#"say "a""#.to_string()));
//!     assert_eq!(during.to_string(), r#"["2000-01-01 00:00:00",)"#);
//! }
//! # Ok::<(), walproto::value::ValueError>(())
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
mod line;
mod mac;
mod multirange;
mod nested;
mod numeric;
mod packed;
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
