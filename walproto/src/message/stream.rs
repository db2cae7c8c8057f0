//! Transactions that are sent before they end, in blocks.

use crate::error::{ErrorKind, Field, Result};
use crate::reader::Reader;
use crate::{Lsn, Timestamp, Xid};

/// A block of changes begins; until Stream Stop everything belongs to this transaction.
///
/// Layout: `S`, transaction (4), first segment (1). Written by `logicalrep_write_stream_start` of `proto.c`. A first
/// segment other than 0 and 1 is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// The top-level transaction.
    pub xid: Xid,
    /// Whether this is its first block in the session. After a reconnect blocks come again from the first.
    pub first_segment: bool,
}

impl StreamStart {
    // proto.c: logicalrep_write_stream_start
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self> {
        let xid = r.xid(Field::Xid)?;
        let at = r.rest();
        let first_segment = match r.u8(Field::FirstSegment)? {
            0 => false,
            1 => true,
            _ => return Err(r.error_at(at, ErrorKind::UnexpectedByte, Field::FirstSegment)),
        };
        Ok(Self { xid, first_segment })
    }
}

/// A streamed transaction committed.
///
/// Layout: `c`, transaction (4), flags (1), commit position (8), end position (8), commit time (8). Written by
/// `logicalrep_write_stream_commit` of `proto.c`. Flags other than 0 are an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCommit {
    /// The top-level transaction.
    pub xid: Xid,
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// First byte behind the commit record: the position to confirm once the transaction is durable.
    pub end_lsn: Lsn,
    /// When it committed, at the node it came from.
    pub commit_time: Timestamp,
}

impl StreamCommit {
    // proto.c: logicalrep_write_stream_commit
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self> {
        let xid = r.xid(Field::Xid)?;
        r.zero_flags()?;
        Ok(Self {
            xid,
            commit_lsn: r.lsn(Field::CommitLsn)?,
            end_lsn: r.lsn(Field::EndLsn)?,
            commit_time: r.timestamp(Field::CommitTime)?,
        })
    }
}

/// A streamed transaction, or one of its subtransactions, was rolled back: what was kept for it is to be dropped.
///
/// Layout: `A`, transaction (4), subtransaction (4); with `streaming=parallel` also abort position (8) and abort time (8).
/// Written by `logicalrep_write_stream_abort` of `proto.c`. The form that was not asked for is an error.
///
/// It may name a subtransaction without changes, and a transaction of which nothing was ever sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamAbort {
    /// The top-level transaction.
    pub xid: Xid,
    /// The subtransaction; equal to [`xid`](Self::xid) when all of it was rolled back.
    pub subxid: Xid,
    /// Where and when; only with `streaming=parallel`.
    pub abort: Option<(Lsn, Timestamp)>,
}

impl StreamAbort {
    // proto.c: logicalrep_write_stream_abort
    pub(crate) fn read(r: &mut Reader<'_>, parallel: bool) -> Result<Self> {
        let xid = r.xid(Field::Xid)?;
        let subxid = r.xid(Field::SubXid)?;
        let abort = match (parallel, r.rest().len()) {
            (false, 0) => None,
            (false, 16) => return Err(r.error(ErrorKind::AbortWithPosition, Field::AbortLsn)),
            (true, 0) => return Err(r.error(ErrorKind::AbortWithoutPosition, Field::AbortLsn)),
            (false, _) => None,
            (true, _) => Some((r.lsn(Field::AbortLsn)?, r.timestamp(Field::AbortTime)?)),
        };
        Ok(Self { xid, subxid, abort })
    }
}
