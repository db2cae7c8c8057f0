//! Why a column's bytes are not the value asked for.

use core::fmt;

/// Bytes that are not a value of the type asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValueError {
    /// What is wrong.
    pub kind: ValueErrorKind,
    /// What was being read.
    pub expected: Expected,
    /// At which byte of the column's value.
    pub offset: u32,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueErrorKind {
    /// NULL, and the type has no room for it.
    Null,
    /// A TOASTed value that did not change, and so was not sent.
    Unchanged,
    /// The value ends too early.
    Truncated,
    /// The value is complete, and bytes are left over.
    TrailingBytes,
    /// A byte that cannot stand here.
    UnexpectedByte,
    /// A number or a part of a date that the type cannot hold.
    OutOfRange,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Text with escapes in it, which this type cannot be read through; see [`Quoted`](super::Quoted).
    NeedsUnescaping,
    /// An array whose parts differ in length or depth, or whose bounds say something else.
    Ragged,
    /// A composite with another number of fields.
    FieldCount,
    /// A date as a `DateStyle` other than `ISO` writes it, which means different days under different settings.
    DateStyle,
    /// The text form, of which the value cannot be borrowed.
    NotBinary,
}

/// The type that was being read, named as in PostgreSQL's manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named as in PostgreSQL's manual")]
pub enum Expected {
    Boolean,
    Inet,
    Cidr,
    Macaddr,
    Macaddr8,
    BitString,
    Array,
    Range,
    Multirange,
    Composite,
    /// Text of any kind.
    Text,
    /// Anything.
    Any,
    SmallInt,
    Integer,
    BigInt,
    Real,
    DoublePrecision,
    Numeric,
    Oid,
    Xid,
    Xid8,
    PgLsn,
    Char,
    Json,
    Uuid,
    Bytea,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
}

impl ValueError {
    /// For a type of the caller's own that is read by [`FromColumn`](super::FromColumn); `offset` counts from the
    /// first byte of the column's value.
    #[cold]
    pub fn new(kind: ValueErrorKind, expected: Expected, offset: usize) -> Self {
        Self {
            kind,
            expected,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
        }
    }

    /// The same error in a value that stands `bytes` further behind.
    pub(crate) const fn behind(self, bytes: u32) -> Self {
        Self {
            offset: self.offset.saturating_add(bytes),
            ..self
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            expected,
            offset,
        } = self;
        write!(f, "{kind}, in {expected} at byte {offset}")
    }
}

impl core::error::Error for ValueError {}

impl fmt::Display for ValueErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "unexpected NULL",
            Self::Unchanged => "unchanged TOASTed value, which was not sent",
            Self::Truncated => "value ends too early",
            Self::TrailingBytes => "bytes left over after the value",
            Self::UnexpectedByte => "unexpected byte",
            Self::OutOfRange => "out of range",
            Self::NotUtf8 => "not UTF-8",
            Self::NeedsUnescaping => "text with escapes, which have to be undone first",
            Self::Ragged => "parts of an array differ in length or depth",
            Self::FieldCount => "another number of fields",
            Self::DateStyle => "the session's DateStyle is not ISO",
            Self::NotBinary => "the text form cannot be borrowed",
        })
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::Macaddr => "macaddr",
            Self::Macaddr8 => "macaddr8",
            Self::BitString => "bit string",
            Self::Array => "array",
            Self::Range => "range",
            Self::Multirange => "multirange",
            Self::Composite => "composite",
            Self::Text => "text",
            Self::Any => "a value",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::DoublePrecision => "double precision",
            Self::Numeric => "numeric",
            Self::Oid => "oid",
            Self::Xid => "xid",
            Self::Xid8 => "xid8",
            Self::PgLsn => "pg_lsn",
            Self::Char => "\"char\"",
            Self::Json => "json",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::TimeTz => "time with time zone",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamp with time zone",
            Self::Interval => "interval",
        })
    }
}
