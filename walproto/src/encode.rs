//! Writing messages: the way back, for proxies, mocks and tests.

mod build;
mod error;
mod frame;
mod message;
mod writer;

pub use build::TupleWriter;
pub use error::{EncodeError, EncodeErrorKind};

use crate::error::Field;
use crate::message::Message;
use crate::message::stream::StreamAbort;
use crate::{Column, Tuple, Xid};
use writer::Writer;

/// Writes messages one after the other, as a server does.
///
/// The mirror of [`Decoder`](crate::Decoder), and told the same: what was asked for at START_REPLICATION, and whether
/// we are inside a stream block. What it writes, that decoder reads back as it was; what that decoder would refuse is
/// an error here.
///
/// A message that was read is written byte for byte as the server sent it. Only bits of flags that have no meaning yet
/// are not kept, except those of columns; no server sets them.
///
/// New messages are made of the same types: most are plain structs, and what a message borrows is laid out in a buffer
/// by [`Tuple::write`], [`TupleWriter`], [`ColumnDefs::write`](crate::ColumnDefs::write) and
/// [`RelationOids::write`](crate::RelationOids::write).
///
/// ```
/// use walproto::{Column, Decoder, Encoder, Insert, Message, Oid, Tuple};
///
/// let mut scratch = [0; 64];
/// let (new, _) = Tuple::write([Column::Text(b"42"), Column::Null], &mut scratch)?;
/// let insert = Message::Insert(Insert { relation: Oid(16385), new });
///
/// let mut buffer = [0; 64];
/// let len = Encoder::new().encode(None, &insert, &mut buffer)?;
/// assert_eq!(&buffer[..len], b"I\0\0\x40\x01N\0\x02t\0\0\0\x0242n");
/// assert_eq!(Decoder::new().decode(&buffer[..len])?.message, insert);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoder {
    parallel: bool,
    binary: bool,
    in_block: bool,
}

impl Encoder {
    /// For a stream in text form without `streaming=parallel`.
    pub const fn new() -> Self {
        Self {
            parallel: false,
            binary: false,
            in_block: false,
        }
    }

    /// Whether the client asked for `streaming=parallel`: Stream Abort must then have a position and a time.
    #[must_use]
    pub const fn parallel(self, parallel: bool) -> Self {
        Self { parallel, ..self }
    }

    /// Whether the client asked for `binary`; otherwise a binary column is an error.
    #[must_use]
    pub const fn binary(self, binary: bool) -> Self {
        Self { binary, ..self }
    }

    /// Starts inside a stream block or outside.
    #[must_use]
    pub const fn inside_block(self, in_block: bool) -> Self {
        Self { in_block, ..self }
    }

    /// Whether the last message written lies inside a stream block.
    pub const fn in_block(&self) -> bool {
        self.in_block
    }

    /// Writes one message to the front of `buffer`, and says how long it is.
    ///
    /// `xid` stands as in [`Decoded`](crate::Decoded): the (sub)transaction of a change, relation, type or logical
    /// message inside a stream block, and nothing else has one.
    ///
    /// # Errors
    ///
    /// What the protocol does not allow, and [`EncodeErrorKind::BufferTooSmall`], which says how many bytes are needed.
    /// The state is then as before; what the buffer holds is not said.
    #[inline]
    pub fn encode(
        &mut self,
        xid: Option<Xid>,
        message: &Message<'_>,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let mut w = Writer::new(buffer);
        let in_block = self.write(xid, message, &mut w);
        let (written, _) = w.finish()?;
        self.in_block = in_block;
        Ok(written.len())
    }

    /// How many bytes [`encode`](Self::encode) would write.
    ///
    /// # Errors
    ///
    /// What the protocol does not allow.
    pub fn encoded_len(
        &self,
        xid: Option<Xid>,
        message: &Message<'_>,
    ) -> Result<usize, EncodeError> {
        let mut w = Writer::new(&mut []);
        self.write(xid, message, &mut w);
        w.len()
    }

    /// Writes one message behind what `out` holds, and says how long it is.
    ///
    /// # Errors
    ///
    /// What the protocol does not allow; `out` and the state are then as before.
    #[cfg(feature = "alloc")]
    pub fn append(
        &mut self,
        xid: Option<Xid>,
        message: &Message<'_>,
        out: &mut alloc::vec::Vec<u8>,
    ) -> Result<usize, EncodeError> {
        let start = out.len();
        let len = self.encoded_len(xid, message)?;
        out.resize(start.saturating_add(len), 0);
        self.encode(xid, message, out.get_mut(start..).unwrap_or_default())
    }

    /// Writes the message and says whether the next one lies inside a block.
    fn write(&self, xid: Option<Xid>, message: &Message<'_>, w: &mut Writer<'_>) -> bool {
        let tag = message::tag(message);
        w.tag(tag);
        self.check_place(tag, xid, w);
        if let Some(xid) = xid {
            w.xid(xid);
        }
        match message {
            Message::Insert(m) => {
                self.check_row(m.new, w);
                m.write(w);
            }
            Message::Update(m) => {
                if let Some(old) = m.old {
                    self.check_row(old.tuple(), w);
                }
                self.check_row(m.new, w);
                m.write(w);
            }
            Message::Delete(m) => {
                self.check_row(m.old.tuple(), w);
                m.write(w);
            }
            Message::StreamAbort(m) => {
                self.check_abort(m, w);
                m.write(w);
            }
            Message::StreamStart(m) => {
                m.write(w);
                return true;
            }
            Message::StreamStop => return false,
            Message::Begin(m) => m.write(w),
            Message::Commit(m) => m.write(w),
            Message::Origin(m) => m.write(w),
            Message::Relation(m) => m.write(w),
            Message::Type(m) => m.write(w),
            Message::Truncate(m) => m.write(w),
            Message::Logical(m) => m.write(w),
            Message::StreamCommit(m) => m.write(w),
            Message::BeginPrepare(m) => m.write(w),
            Message::Prepare(m) => m.write(w),
            Message::CommitPrepared(m) => m.write(w),
            Message::RollbackPrepared(m) => m.write(w),
            Message::StreamPrepare(m) => m.write(w),
        }
        self.in_block
    }

    fn check_place(&self, tag: u8, xid: Option<Xid>, w: &mut Writer<'_>) {
        let carries_xid = matches!(tag, b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M');
        match (tag, self.in_block) {
            (b'E', false) => w.refuse(EncodeErrorKind::OutsideBlock, Field::Tag),
            (b'E' | b'O', _) => {}
            (_, true) if !carries_xid => w.refuse(EncodeErrorKind::InsideBlock, Field::Tag),
            _ => {}
        }
        match xid {
            None if carries_xid && self.in_block => {
                w.refuse(EncodeErrorKind::MissingXid, Field::Xid);
            }
            Some(_) if !(carries_xid && self.in_block) => {
                w.refuse(EncodeErrorKind::UnexpectedXid, Field::Xid);
            }
            _ => {}
        }
    }

    #[inline]
    fn check_row(&self, row: Tuple<'_>, w: &mut Writer<'_>) {
        if !self.binary && row.columns().any(|c| matches!(c, Column::Binary(_))) {
            w.refuse(EncodeErrorKind::BinaryNotAsked, Field::ColumnKind);
        }
    }

    fn check_abort(&self, abort: &StreamAbort, w: &mut Writer<'_>) {
        match (self.parallel, abort.abort) {
            (true, None) => w.refuse(EncodeErrorKind::AbortWithoutPosition, Field::AbortLsn),
            (false, Some(_)) => w.refuse(EncodeErrorKind::AbortWithPosition, Field::AbortLsn),
            _ => {}
        }
    }
}
