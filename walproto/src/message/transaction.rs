//! Where a transaction begins, ends and came from.

use crate::error::{Field, Result};
use crate::reader::Reader;
use crate::{Lsn, Timestamp, Xid};

/// First message of a transaction that is sent whole, after it committed.
///
/// Layout: `B`, final position (8), commit time (8), transaction (4). Written by `logicalrep_write_begin` of `proto.c`.
/// A final position of 0/0 is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Start of the commit record; equals [`Commit::commit_lsn`].
    pub final_lsn: Lsn,
    /// When it committed, at the node it came from.
    pub commit_time: Timestamp,
    /// The transaction.
    pub xid: Xid,
}

impl Begin {
    // proto.c: logicalrep_write_begin
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            final_lsn: r.set_lsn(Field::FinalLsn)?,
            commit_time: r.timestamp(Field::CommitTime)?,
            xid: r.xid(Field::Xid)?,
        })
    }
}

/// Last message of a transaction that is sent whole.
///
/// Layout: `C`, flags (1), commit position (8), end position (8), commit time (8). Written by `logicalrep_write_commit`
/// of `proto.c`. Flags other than 0 are an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// First byte behind the commit record: the position to confirm once the transaction is durable.
    pub end_lsn: Lsn,
    /// When it committed, at the node it came from.
    pub commit_time: Timestamp,
}

impl Commit {
    // proto.c: logicalrep_write_commit
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self> {
        r.zero_flags()?;
        Ok(Self {
            commit_lsn: r.lsn(Field::CommitLsn)?,
            end_lsn: r.lsn(Field::EndLsn)?,
            commit_time: r.timestamp(Field::CommitTime)?,
        })
    }
}

/// Sent right after the first message of a transaction that came from another node.
///
/// Layout: `O`, commit position (8), name (string). Written by `logicalrep_write_origin` of `proto.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Commit position on the node that wrote it first; 0/0 inside a stream block.
    pub commit_lsn: Lsn,
    /// Name given to `pg_replication_origin_create`.
    pub name: &'a str,
}

impl<'a> Origin<'a> {
    // proto.c: logicalrep_write_origin
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            commit_lsn: r.lsn(Field::CommitLsn)?,
            name: r.name(Field::OriginName)?,
        })
    }
}
