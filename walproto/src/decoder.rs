//! From the bytes of one message to the message.

use crate::Xid;
use crate::error::{ErrorKind, Field, Result};
use crate::message::Message;
use crate::message::logical::Logical;
use crate::message::prepared::{
    BeginPrepare, CommitPrepared, Prepare, RollbackPrepared, StreamPrepare,
};
use crate::message::row::{Delete, Insert, Update};
use crate::message::schema::{Relation, Type};
use crate::message::stream::{StreamAbort, StreamCommit, StreamStart};
use crate::message::transaction::{Begin, Commit, Origin};
use crate::message::truncate::Truncate;
use crate::reader::Reader;

/// Reads messages one after the other.
///
/// It knows what was asked for at START_REPLICATION and whether we are inside a stream block, which the bytes
/// themselves do not tell; nothing else. Messages of every protocol version are known whatever was asked: a slot
/// made with `two_phase` sends version 3 messages even to a client of version 1.
///
/// ```
/// use walproto::{Decoder, Lsn, Message};
///
/// let bytes = [
///     b'B', //
///     0, 0, 0, 0, 0x01, 0x7D, 0x61, 0x00, // final position
///     0, 0, 0, 0, 0, 0, 0, 0, // commit time
///     0, 0, 2, 0xEE, // transaction
/// ];
/// let mut decoder = Decoder::new();
/// let decoded = decoder.decode(&bytes)?;
/// let Message::Begin(begin) = decoded.message else { panic!() };
/// assert_eq!(begin.final_lsn, Lsn(0x17D6100));
/// # Ok::<(), walproto::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoder {
    parallel: bool,
    binary: bool,
    in_block: bool,
}

/// A message, and the transaction it belongs to where the message says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded<'a> {
    /// Only inside a stream block: the (sub)transaction of a change, relation or type, and the top-level
    /// transaction of a logical message.
    pub xid: Option<Xid>,
    /// The message.
    pub message: Message<'a>,
}

impl Decoder {
    /// For a stream in text form without `streaming=parallel`.
    pub const fn new() -> Self {
        Self {
            parallel: false,
            binary: false,
            in_block: false,
        }
    }

    /// Whether `streaming=parallel` was asked for: Stream Abort then carries a position and a time.
    #[must_use]
    pub const fn parallel(self, parallel: bool) -> Self {
        Self { parallel, ..self }
    }

    /// Whether `binary` was asked for; otherwise a binary column is an error.
    #[must_use]
    pub const fn binary(self, binary: bool) -> Self {
        Self { binary, ..self }
    }

    /// Starts inside a stream block or outside, to read messages that were stored apart from their blocks.
    #[must_use]
    pub const fn inside_block(self, in_block: bool) -> Self {
        Self { in_block, ..self }
    }

    /// Whether the last message read lies inside a stream block.
    pub const fn in_block(&self) -> bool {
        self.in_block
    }

    /// Reads one message: the `data` of one [`WalData`](crate::WalData), neither less nor more.
    ///
    /// # Errors
    ///
    /// Anything the protocol does not allow, bytes left over included. The state is then as before.
    // worker.c: apply_dispatch
    #[inline(never)]
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Decoded<'a>> {
        // What most of a stream consists of is read in the caller, where a message is built in registers and never
        // stored; the rest is reached by a call.
        let mut r = Reader::new(bytes)?;
        match r.tag() {
            b'I' => {
                let xid = xid(&mut r, self.in_block)?;
                let message = Insert::read(&mut r, self.binary)?;
                r.finish()?;
                Ok(Decoded {
                    xid,
                    message: Message::Insert(message),
                })
            }
            b'U' => {
                let xid = xid(&mut r, self.in_block)?;
                let message = Update::read(&mut r, self.binary)?;
                r.finish()?;
                Ok(Decoded {
                    xid,
                    message: Message::Update(message),
                })
            }
            b'D' => {
                let xid = xid(&mut r, self.in_block)?;
                let message = Delete::read(&mut r, self.binary)?;
                r.finish()?;
                Ok(Decoded {
                    xid,
                    message: Message::Delete(message),
                })
            }
            b'B' if !self.in_block => {
                let message = Begin::read(&mut r)?;
                r.finish()?;
                Ok(Decoded {
                    xid: None,
                    message: Message::Begin(message),
                })
            }
            b'C' if !self.in_block => {
                let message = Commit::read(&mut r)?;
                r.finish()?;
                Ok(Decoded {
                    xid: None,
                    message: Message::Commit(message),
                })
            }
            _ => self.decode_rare(bytes),
        }
    }

    #[inline(never)]
    fn decode_rare<'a>(&mut self, bytes: &'a [u8]) -> Result<Decoded<'a>> {
        let mut r = Reader::new(bytes)?;
        let mut in_block = self.in_block;
        let xid = match r.tag() {
            b'R' | b'Y' | b'T' | b'M' => xid(&mut r, in_block)?,
            _ => None,
        };
        let message = match r.tag() {
            b'T' => Message::Truncate(Truncate::read(&mut r)?),
            b'R' => Message::Relation(Relation::read(&mut r)?),
            b'Y' => Message::Type(Type::read(&mut r)?),
            b'O' => Message::Origin(Origin::read(&mut r)?),
            b'M' => Message::Logical(Logical::read(&mut r)?),
            b'E' if in_block => {
                in_block = false;
                Message::StreamStop
            }
            b'E' => return Err(r.error_at(bytes, ErrorKind::OutsideBlock, Field::Tag)),
            b'B' | b'C' | b'S' | b'c' | b'A' | b'b' | b'P' | b'K' | b'r' | b'p' if in_block => {
                return Err(r.error_at(bytes, ErrorKind::InsideBlock, Field::Tag));
            }
            b'S' => {
                in_block = true;
                Message::StreamStart(StreamStart::read(&mut r)?)
            }
            b'c' => Message::StreamCommit(StreamCommit::read(&mut r)?),
            b'A' => Message::StreamAbort(StreamAbort::read(&mut r, self.parallel)?),
            b'b' => Message::BeginPrepare(BeginPrepare::read(&mut r)?),
            b'P' => Message::Prepare(Prepare::read(&mut r)?),
            b'K' => Message::CommitPrepared(CommitPrepared::read(&mut r)?),
            b'r' => Message::RollbackPrepared(RollbackPrepared::read(&mut r)?),
            b'p' => Message::StreamPrepare(StreamPrepare::read(&mut r)?),
            _ => return Err(r.error_at(bytes, ErrorKind::UnknownTag, Field::Tag)),
        };
        r.finish()?;
        self.in_block = in_block;
        Ok(Decoded { xid, message })
    }
}

/// The (sub)transaction that a change names inside a block.
#[inline(always)]
fn xid(r: &mut Reader<'_>, in_block: bool) -> Result<Option<Xid>> {
    if in_block {
        r.xid(Field::Xid).map(Some)
    } else {
        Ok(None)
    }
}
