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
use crate::short;

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
    // Inlined whatever the compiler thinks of its two kilobytes: a message is then built in registers, and a `match` on
    // it is decided by its tag. By a call it took half as long again (benches/README.md).
    #[inline(always)]
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Decoded<'a>> {
        if let Some(decoded) = short::decode(bytes, self.in_block, self.binary) {
            return Ok(decoded);
        }
        // Taken apart, so that the result of the call does not keep that of the short way in memory.
        let Decoded { xid, message } = self.decode_any(bytes)?;
        Ok(Decoded { xid, message })
    }

    /// Whatever the message is, and whatever is wrong with it.
    #[inline(never)]
    fn decode_any<'a>(&mut self, bytes: &'a [u8]) -> Result<Decoded<'a>> {
        let mut r = Reader::new(bytes)?;
        let mut in_block = self.in_block;
        let xid = match r.tag() {
            b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M' if in_block => Some(r.xid(Field::Xid)?),
            _ => None,
        };
        let message = match r.tag() {
            b'I' => Message::Insert(Insert::read(&mut r, self.binary)?),
            b'U' => Message::Update(Update::read(&mut r, self.binary)?),
            b'D' => Message::Delete(Delete::read(&mut r, self.binary)?),
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
            b'B' => Message::Begin(Begin::read(&mut r)?),
            b'C' => Message::Commit(Commit::read(&mut r)?),
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Both ways through the same bytes, in every state.
    fn compare(bytes: &[u8]) -> usize {
        let mut read = 0;
        for (in_block, binary) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut decoder = Decoder::new().inside_block(in_block).binary(binary);
            let usual = match bytes.first() {
                Some(b'I' | b'U' | b'D') => true,
                Some(b'B' | b'C') => !in_block,
                _ => false,
            };
            let long = decoder.decode_any(bytes).ok().filter(|_| usual);
            assert_eq!(
                short::decode(bytes, in_block, binary),
                long,
                "{}",
                bytes.escape_ascii()
            );
            read += usize::from(long.is_some());
        }
        read
    }

    #[test]
    fn the_short_way_reads_what_the_long_way_reads() {
        let mut read = 0;
        for golden in testdata::captures() {
            // One server version is enough for what the two share.
            if !golden.name.starts_with("pg18") {
                continue;
            }
            for message in golden.capture().messages() {
                read += compare(message);
                let short: Vec<u8> = message.iter().copied().take(120).collect();
                for at in 0..short.len() {
                    compare(&short[..at]);
                    // A position of 0/0, and lengths of none.
                    let mut zero = short.clone();
                    zero.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0);
                    read += compare(&zero);
                    for byte in [0, 1, b'N', b'O', b'b', b'n', b't', 0xFF] {
                        let mut broken = short.clone();
                        broken[at] = byte;
                        read += compare(&broken);
                    }
                }
            }
        }
        assert!(read > 10_000, "only {read} messages were read");
    }
}
