//! What the server wraps around messages: WAL data and keepalives.

use crate::error::{ErrorKind, Field, Result};
use crate::reader::Reader;
use crate::{Lsn, Timestamp};

/// The content of one CopyData message from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// `w`: one pgoutput message.
    WalData(WalData<'a>),
    /// `k`: how far the server is, and perhaps a request to answer.
    Keepalive(Keepalive),
}

/// One pgoutput message with what the server says around it: the manual's XLogData.
///
/// Layout: `w`, start (8), end (8), time (8), message. Written by `WalSndPrepareWrite` of `walsender.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalData<'a> {
    /// Position of the message, 0/0 for some. Neither a range with [`end`](Self::end) nor rising: never confirm it.
    pub start: Lsn,
    /// Equal to [`start`](Self::start) for pgoutput.
    pub end: Lsn,
    /// When the server sent it.
    pub sent_at: Timestamp,
    /// Exactly one message for [`Decoder::decode`](crate::Decoder::decode).
    pub data: &'a [u8],
}

/// How far the server has decoded: the manual's primary keepalive message.
///
/// Layout: `k`, WAL end (8), time (8), reply request (1). Written by `WalSndKeepalive` of `walsender.c`.
///
/// [`wal_end`](Self::wal_end) may be confirmed once everything received before it is durable. On a server that is busy
/// with tables nobody publishes, only this lets the slot move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// End of the last record decoded. Every published transaction that committed before it has been sent before.
    pub wal_end: Lsn,
    /// When the server sent it.
    pub sent_at: Timestamp,
    /// The server wants a status update now, or it will close the connection.
    pub reply_requested: bool,
}

impl<'a> Frame<'a> {
    /// Reads the content of one CopyData message.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownTag`] for any other first byte (`s` comes from server 19 on, and only when asked for),
    /// [`ErrorKind::Truncated`] and [`ErrorKind::TrailingBytes`].
    // walsender.c: WalSndPrepareWrite, WalSndKeepalive
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        // Nearly every frame, read in the caller; the rest, and every error, by a call.
        if let Some(([b'w', head @ ..], data)) = bytes.split_first_chunk::<25>()
            && let ([start, end, sent_at], []) = head.as_chunks()
        {
            return Ok(Self::WalData(WalData {
                start: Lsn(u64::from_be_bytes(*start)),
                end: Lsn(u64::from_be_bytes(*end)),
                sent_at: Timestamp(i64::from_be_bytes(*sent_at)),
                data,
            }));
        }
        Self::parse_any(bytes)
    }

    // walsender.c: WalSndPrepareWrite, WalSndKeepalive
    #[inline(never)]
    fn parse_any(bytes: &'a [u8]) -> Result<Self> {
        let mut r = Reader::new(bytes)?;
        match r.tag() {
            b'w' => Ok(Self::WalData(WalData {
                start: r.lsn(Field::WalStart)?,
                end: r.lsn(Field::WalEnd)?,
                sent_at: r.timestamp(Field::SendTime)?,
                data: r.rest(),
            })),
            b'k' => {
                let keepalive = Keepalive {
                    wal_end: r.lsn(Field::WalEnd)?,
                    sent_at: r.timestamp(Field::SendTime)?,
                    reply_requested: r.u8(Field::ReplyRequested)? != 0,
                };
                r.finish()?;
                Ok(Self::Keepalive(keepalive))
            }
            _ => Err(r.error_at(bytes, ErrorKind::UnknownTag, Field::Tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_reads_what_the_long_way_reads() {
        let mut bytes = [0_u8; 40];
        for (at, byte) in (1..).zip(&mut bytes) {
            *byte = at;
        }
        for tag in [b'w', b'k', b's', 0] {
            bytes[0] = tag;
            for len in 0..bytes.len() {
                assert_eq!(Frame::parse(&bytes[..len]), Frame::parse_any(&bytes[..len]));
            }
        }
    }
}
