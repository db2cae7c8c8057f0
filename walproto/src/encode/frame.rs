//! What the server wraps around messages, written.

use super::error::{EncodeError, EncodeErrorKind};
use super::writer::Writer;
use crate::error::Field;
use crate::frame::{Frame, Keepalive, WalData};

/// What fits into CopyData: its length is signed, 32 bits wide, and counts itself.
const LONGEST: usize = i32::MAX as usize - size_of::<i32>();

impl Frame<'_> {
    /// Writes the content of one CopyData message to the front of `buffer`, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeErrorKind::BufferTooSmall`], which says how many bytes are needed; [`EncodeErrorKind::TooLong`] for more
    /// than CopyData can carry.
    // walsender.c: WalSndPrepareWrite, WalSndKeepalive
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        let mut w = Writer::new(buffer);
        self.write(&mut w);
        w.finish().map(|(written, _)| written.len())
    }

    /// How many bytes [`encode`](Self::encode) would write.
    ///
    /// # Errors
    ///
    /// [`EncodeErrorKind::TooLong`] for more than CopyData can carry.
    pub fn encoded_len(&self) -> Result<usize, EncodeError> {
        let mut w = Writer::new(&mut []);
        self.write(&mut w);
        w.len()
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::WalData(wal) => {
                wal.write_head(w);
                if wal.data.len() > LONGEST - 25 {
                    w.refuse(EncodeErrorKind::TooLong, Field::MessageContent);
                }
                w.bytes(wal.data);
            }
            Self::Keepalive(keepalive) => keepalive.write(w),
        }
    }
}

impl WalData<'_> {
    /// What stands before the message: `w`, start (8), end (8), time (8).
    ///
    /// For who writes or sends the message itself behind it, and so need not copy it; the message is not looked at.
    ///
    /// ```
    /// use walproto::{Begin, Encoder, Frame, Lsn, Message, Timestamp, WalData, Xid};
    ///
    /// let (lsn, now) = (Lsn(0x17D6100), Timestamp(0));
    /// let begin = Message::Begin(Begin { final_lsn: lsn, commit_time: now, xid: Xid(750) });
    ///
    /// let mut buffer = [0; 64];
    /// let (head, body) = buffer.split_at_mut(25);
    /// let len = Encoder::new().encode(None, &begin, body)?;
    /// head.copy_from_slice(&WalData { start: lsn, end: lsn, sent_at: now, data: &[] }.head());
    ///
    /// let copy_data = &buffer[..25 + len];
    /// assert!(matches!(Frame::parse(copy_data)?, Frame::WalData(wal) if wal.data.len() == len));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // walsender.c: WalSndPrepareWrite
    pub fn head(&self) -> [u8; 25] {
        let mut bytes = [0; 25];
        self.write_head(&mut Writer::new(&mut bytes));
        bytes
    }

    fn write_head(&self, w: &mut Writer<'_>) {
        w.tag(b'w');
        w.lsn(self.start);
        w.lsn(self.end);
        w.timestamp(self.sent_at);
    }
}

impl Keepalive {
    /// The content of a CopyData message: `k`, WAL end (8), time (8), reply request (1).
    // walsender.c: WalSndKeepalive
    pub fn encode(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        self.write(&mut Writer::new(&mut bytes));
        bytes
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.tag(b'k');
        w.lsn(self.wal_end);
        w.timestamp(self.sent_at);
        w.u8(u8::from(self.reply_requested));
    }
}
