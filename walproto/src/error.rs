//! What was wrong with a message, for which field, at which byte.

use core::fmt;

/// Result of reading a message or a part of one.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Bytes that are not what the protocol allows.
///
/// Prints what is wrong, where, and at which byte: `length or count past the end of the message, in column length of
/// Insert ('I') at byte 9`.
///
/// Eight bytes, `Copy`. [`offset`](Self::offset) counts from the first byte handed to the decoder (or to
/// [`Frame::parse`](crate::Frame::parse)), so a hex dump shows the spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The field that was being read.
    pub field: Field,
    /// First byte of the message, 0 for an empty one.
    pub tag: u8,
    /// Where the field, or the byte that is wrong, begins.
    pub offset: u32,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The message has no bytes.
    Empty,
    /// The message ends before the field does.
    Truncated,
    /// The message is complete, and bytes are left over.
    TrailingBytes,
    /// No message of the protocol begins with this byte.
    UnknownTag,
    /// The message cannot stand between Stream Start and Stream Stop.
    InsideBlock,
    /// Stream Stop without a Stream Start before it.
    OutsideBlock,
    /// A string has no closing zero byte.
    Unterminated,
    /// A name is not UTF-8, although the client encoding is.
    NotUtf8,
    /// A global transaction identifier is longer than the 199 characters a server allows.
    TooLong,
    /// A length or count below zero.
    Negative,
    /// A length or count that the rest of the message cannot hold.
    PastEnd,
    /// A byte that must be one of a few letters or digits, and is another.
    UnexpectedByte,
    /// A column in binary form, which was not asked for.
    BinaryNotAsked,
    /// Flags that must be zero.
    NonZeroFlags,
    /// A position that must not be 0/0.
    ZeroLsn,
    /// Stream Abort without position and time although `streaming=parallel` was asked for.
    AbortWithoutPosition,
    /// Stream Abort with position and time although `streaming=parallel` was not asked for.
    AbortWithPosition,
}

/// The part of a message that was being read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The first byte, which says what message it is.
    Tag,
    /// A transaction.
    Xid,
    /// The subtransaction of Stream Abort.
    SubXid,
    /// The flags of a message.
    Flags,
    /// Of Begin: where the commit record starts.
    FinalLsn,
    /// Where the commit record starts.
    CommitLsn,
    /// First byte behind the commit or prepare record.
    EndLsn,
    /// Where the prepare record starts.
    PrepareLsn,
    /// Of Rollback Prepared: first byte behind the prepare record.
    PrepareEndLsn,
    /// Of Rollback Prepared: first byte behind the rollback record.
    RollbackEndLsn,
    /// Of Stream Abort, with `streaming=parallel`: where it was rolled back.
    AbortLsn,
    /// When a transaction committed.
    CommitTime,
    /// When a transaction was prepared.
    PrepareTime,
    /// When a prepared transaction was rolled back.
    RollbackTime,
    /// Of Stream Abort, with `streaming=parallel`: when it was rolled back.
    AbortTime,
    /// A global transaction identifier.
    Gid,
    /// The name of an origin.
    OriginName,
    /// The oid of a table.
    RelationOid,
    /// The schema of a table or type.
    Namespace,
    /// The name of a table.
    RelationName,
    /// The letter of a replica identity.
    ReplicaIdentity,
    /// How many columns a row or relation has.
    ColumnCount,
    /// The flags of a relation's column.
    ColumnFlags,
    /// The name of a relation's column.
    ColumnName,
    /// The type of a relation's column.
    ColumnType,
    /// The type modifier of a relation's column.
    ColumnTypmod,
    /// The oid of a type.
    TypeOid,
    /// The name of a type.
    TypeName,
    /// The mark before a row: `N`, `K` or `O`.
    TupleTag,
    /// The kind of a row's column: `n`, `u`, `t` or `b`.
    ColumnKind,
    /// The length of a row's column.
    ColumnLength,
    /// The value of a row's column.
    ColumnData,
    /// How many tables Truncate names.
    RelationCount,
    /// The position of a logical message.
    MessageLsn,
    /// The prefix of a logical message.
    MessagePrefix,
    /// The length of a logical message's content.
    MessageLength,
    /// The content of a logical message, or the message in a frame.
    MessageContent,
    /// Of Stream Start: whether it is the first of its transaction.
    FirstSegment,
    /// Of XLogData: the position of the message.
    WalStart,
    /// Of XLogData and keepalives: how far the server is.
    WalEnd,
    /// Of XLogData and keepalives: when it was sent.
    SendTime,
    /// Of keepalives: whether the server waits for an answer.
    ReplyRequested,
    /// Of a client's status update: what it received.
    Written,
    /// Of a client's status update: what is durable there.
    Flushed,
    /// Of a client's status update: what is visible there.
    Applied,
    /// The client's clock.
    ClientTime,
    /// Of a client's status update: whether it waits for an answer.
    ReplyWanted,
    /// Of hot standby feedback: the oldest transaction needed for rows.
    Xmin,
    /// Of hot standby feedback: the epoch of that transaction.
    XminEpoch,
    /// Of hot standby feedback: the oldest transaction needed for catalogs.
    CatalogXmin,
    /// Of hot standby feedback: the epoch of that transaction.
    CatalogXminEpoch,
    /// The end of what a client sends.
    FeedbackEnd,
    /// The end of a message.
    End,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            field,
            tag,
            offset,
        } = *self;
        let of: &dyn fmt::Display = match (tag, field.is_of_feedback()) {
            (b'r', true) => &"Standby Status Update ('r')",
            _ => &Byte(tag),
        };
        match kind {
            ErrorKind::Empty => return f.write_str("empty message"),
            ErrorKind::UnknownTag => return write!(f, "{kind} {of}"),
            ErrorKind::TrailingBytes => write!(f, "{kind}, in {of}")?,
            _ => write!(f, "{kind}, in {field} of {of}")?,
        }
        write!(f, " at byte {offset}")
    }
}

impl core::error::Error for Error {}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty message",
            Self::Truncated => "message ends too early",
            Self::TrailingBytes => "bytes left over after the message",
            Self::UnknownTag => "unknown message type",
            Self::InsideBlock => "message not allowed inside a stream block",
            Self::OutsideBlock => "stream stop outside a stream block",
            Self::Unterminated => "string without closing zero byte",
            Self::NotUtf8 => "string is not UTF-8",
            Self::TooLong => "string too long",
            Self::Negative => "negative number",
            Self::PastEnd => "length or count past the end of the message",
            Self::UnexpectedByte => "unexpected byte",
            Self::BinaryNotAsked => "binary column although text was asked for",
            Self::NonZeroFlags => "flags are not zero",
            Self::ZeroLsn => "position is 0/0",
            Self::AbortWithoutPosition => {
                "no abort position although streaming=parallel was asked for"
            }
            Self::AbortWithPosition => {
                "abort position although streaming=parallel was not asked for"
            }
        })
    }
}

impl Field {
    /// Whether a client sends it: `r` is one message from a client and another from a server.
    const fn is_of_feedback(self) -> bool {
        matches!(
            self,
            Self::Written
                | Self::Flushed
                | Self::Applied
                | Self::ClientTime
                | Self::ReplyWanted
                | Self::FeedbackEnd
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "message type",
            Self::Xid => "transaction id",
            Self::SubXid => "subtransaction id",
            Self::Flags => "flags",
            Self::FinalLsn => "final position",
            Self::CommitLsn => "commit position",
            Self::EndLsn => "end position",
            Self::PrepareLsn => "prepare position",
            Self::PrepareEndLsn => "end position of the prepare",
            Self::RollbackEndLsn => "end position of the rollback",
            Self::AbortLsn => "abort position",
            Self::CommitTime => "commit time",
            Self::PrepareTime => "prepare time",
            Self::RollbackTime => "rollback time",
            Self::AbortTime => "abort time",
            Self::Gid => "global transaction identifier",
            Self::OriginName => "origin name",
            Self::RelationOid => "relation oid",
            Self::Namespace => "namespace",
            Self::RelationName => "relation name",
            Self::ReplicaIdentity => "replica identity",
            Self::ColumnCount => "column count",
            Self::ColumnFlags => "column flags",
            Self::ColumnName => "column name",
            Self::ColumnType => "column type",
            Self::ColumnTypmod => "column type modifier",
            Self::TypeOid => "type oid",
            Self::TypeName => "type name",
            Self::TupleTag => "tuple tag",
            Self::ColumnKind => "column kind",
            Self::ColumnLength => "column length",
            Self::ColumnData => "column data",
            Self::RelationCount => "relation count",
            Self::MessageLsn => "message position",
            Self::MessagePrefix => "message prefix",
            Self::MessageLength => "message length",
            Self::MessageContent => "message content",
            Self::FirstSegment => "first segment mark",
            Self::WalStart => "WAL start",
            Self::WalEnd => "WAL end",
            Self::SendTime => "send time",
            Self::ReplyRequested => "reply request",
            Self::Written => "written position",
            Self::Flushed => "flushed position",
            Self::Applied => "applied position",
            Self::ClientTime => "client time",
            Self::ReplyWanted => "reply request",
            Self::Xmin => "xmin",
            Self::XminEpoch => "epoch of xmin",
            Self::CatalogXmin => "catalog xmin",
            Self::CatalogXminEpoch => "epoch of catalog xmin",
            Self::FeedbackEnd | Self::End => "end",
        })
    }
}

/// A tag as a reader knows it: name and letter, or the number where it is no tag.
pub(crate) struct Byte(pub(crate) u8);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match crate::message::name(self.0) {
            Some(name) => write!(f, "{name} ('{}')", char::from(self.0)),
            None if self.0.is_ascii_graphic() => write!(f, "'{}'", char::from(self.0)),
            None => write!(f, "0x{:02X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), 8);
    }

    #[test]
    fn says_what_where_and_at_which_byte() {
        let error = |kind, field, tag| {
            Error {
                kind,
                field,
                tag,
                offset: 41,
            }
            .to_string()
        };
        assert_eq!(
            error(ErrorKind::PastEnd, Field::ColumnLength, b'I'),
            "length or count past the end of the message, in column length of Insert ('I') at byte 41"
        );
        assert_eq!(
            error(ErrorKind::UnknownTag, Field::Tag, b'z'),
            "unknown message type 'z'"
        );
        assert_eq!(
            error(ErrorKind::UnknownTag, Field::Tag, 7),
            "unknown message type 0x07"
        );
        assert_eq!(error(ErrorKind::Empty, Field::Tag, 0), "empty message");
        assert_eq!(
            error(ErrorKind::TrailingBytes, Field::End, b'C'),
            "bytes left over after the message, in Commit ('C') at byte 41"
        );
    }
}
