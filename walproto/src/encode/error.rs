//! Why a message cannot be written.

use core::fmt;

use crate::error::{Byte, Field};

/// A message that the protocol does not allow, or that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeError {
    /// What is wrong.
    pub kind: EncodeErrorKind,
    /// The field that cannot be written.
    pub field: Field,
    /// First byte of the message; 0 for a part that is not in a message yet.
    pub tag: u8,
}

impl EncodeError {
    /// How many bytes the buffer must have, when that is all that is wrong.
    pub const fn needed(&self) -> Option<usize> {
        match self.kind {
            EncodeErrorKind::BufferTooSmall { needed } => Some(needed),
            _ => None,
        }
    }
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The buffer ends too early.
    BufferTooSmall {
        /// Bytes that it must have, from its beginning.
        needed: usize,
    },
    /// A zero byte in a name or in a column's text, which would end it.
    ZeroByte,
    /// A value longer than its length can say, or an identifier longer than a server allows.
    TooLong,
    /// More columns or relations than their count can say.
    TooMany,
    /// A position that must not be 0/0.
    ZeroLsn,
    /// A column in binary form, which was not asked for.
    BinaryNotAsked,
    /// A message inside a stream block that must say which transaction it belongs to.
    MissingXid,
    /// A transaction where the message has no room for it.
    UnexpectedXid,
    /// The message cannot stand between Stream Start and Stream Stop.
    InsideBlock,
    /// Stream Stop without a Stream Start before it.
    OutsideBlock,
    /// Stream Abort without position and time although `streaming=parallel` was asked for.
    AbortWithoutPosition,
    /// Stream Abort with position and time although `streaming=parallel` was not asked for.
    AbortWithPosition,
    /// The `Display` of a value given to [`TupleWriter::text`](crate::TupleWriter::text) failed.
    NotDisplayed,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, field, tag } = *self;
        write!(f, "{kind}")?;
        match (kind, tag) {
            (EncodeErrorKind::BufferTooSmall { .. }, 0) => Ok(()),
            (EncodeErrorKind::BufferTooSmall { .. }, _) => write!(f, ", for {}", Byte(tag)),
            (_, 0) => write!(f, ", in {field}"),
            _ => write!(f, ", in {field} of {}", Byte(tag)),
        }
    }
}

impl core::error::Error for EncodeError {}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooSmall { needed } => {
                return write!(f, "buffer too small, {needed} bytes are needed");
            }
            Self::ZeroByte => "zero byte in text",
            Self::TooLong => "too long for the protocol",
            Self::TooMany => "more than the protocol can count",
            Self::ZeroLsn => "position is 0/0",
            Self::BinaryNotAsked => "binary column although text was asked for",
            Self::MissingXid => "no transaction although inside a stream block",
            Self::UnexpectedXid => "transaction where there is no room for one",
            Self::InsideBlock => "message not allowed inside a stream block",
            Self::OutsideBlock => "stream stop outside a stream block",
            Self::AbortWithoutPosition => {
                "no abort position although streaming=parallel was asked for"
            }
            Self::AbortWithPosition => {
                "abort position although streaming=parallel was not asked for"
            }
            Self::NotDisplayed => "value could not be formatted",
        })
    }
}
