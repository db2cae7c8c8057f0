//! Two-phase commit: transactions that are prepared first and end later.

use crate::error::{Field, Result};
use crate::reader::Reader;
use crate::{Lsn, Timestamp, Xid};

/// First message of a transaction that was prepared.
///
/// Layout: `b`, prepare position (8), end position (8), prepare time (8), transaction (4), global identifier (string).
/// Written by `logicalrep_write_begin_prepare` of `proto.c`. A position of 0/0 and an identifier of more than 199
/// characters are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginPrepare<'a> {
    /// Start of the prepare record.
    pub prepare_lsn: Lsn,
    /// First byte behind the prepare record.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time: Timestamp,
    /// The transaction.
    pub xid: Xid,
    /// Global transaction identifier, as given to `PREPARE TRANSACTION`. Can be reused after the transaction ended.
    pub gid: &'a str,
}

impl<'a> BeginPrepare<'a> {
    // proto.c: logicalrep_write_begin_prepare
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            prepare_lsn: r.set_lsn(Field::PrepareLsn)?,
            end_lsn: r.set_lsn(Field::EndLsn)?,
            prepare_time: r.timestamp(Field::PrepareTime)?,
            xid: r.xid(Field::Xid)?,
            gid: r.gid()?,
        })
    }
}

/// Last message of a transaction that was prepared; repeats what [`BeginPrepare`] said.
///
/// Layout: `P`, flags (1), prepare position (8), end position (8), prepare time (8), transaction (4), global identifier
/// (string). Written by `logicalrep_write_prepare` of `proto.c`. Flags other than 0, a position of 0/0, and an identifier
/// of more than 199 characters are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// Start of the prepare record.
    pub prepare_lsn: Lsn,
    /// First byte behind the prepare record.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time: Timestamp,
    /// The transaction.
    pub xid: Xid,
    /// Global transaction identifier.
    pub gid: &'a str,
}

impl<'a> Prepare<'a> {
    // proto.c: logicalrep_write_prepare
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        r.zero_flags()?;
        Ok(Self {
            prepare_lsn: r.set_lsn(Field::PrepareLsn)?,
            end_lsn: r.set_lsn(Field::EndLsn)?,
            prepare_time: r.timestamp(Field::PrepareTime)?,
            xid: r.xid(Field::Xid)?,
            gid: r.gid()?,
        })
    }
}

/// A prepared transaction was committed, perhaps long after it was prepared and in another session.
///
/// Layout: `K`, flags (1), commit position (8), end position (8), commit time (8), transaction (4), global identifier
/// (string). Written by `logicalrep_write_commit_prepared` of `proto.c`. Flags other than 0, a position of 0/0, and an
/// identifier of more than 199 characters are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPrepared<'a> {
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// First byte behind the commit record.
    pub end_lsn: Lsn,
    /// When it committed.
    pub commit_time: Timestamp,
    /// The transaction.
    pub xid: Xid,
    /// Global transaction identifier.
    pub gid: &'a str,
}

impl<'a> CommitPrepared<'a> {
    // proto.c: logicalrep_write_commit_prepared
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        r.zero_flags()?;
        Ok(Self {
            commit_lsn: r.set_lsn(Field::CommitLsn)?,
            end_lsn: r.set_lsn(Field::EndLsn)?,
            commit_time: r.timestamp(Field::CommitTime)?,
            xid: r.xid(Field::Xid)?,
            gid: r.gid()?,
        })
    }
}

/// A prepared transaction was rolled back.
///
/// Layout: `r`, flags (1), end position of the prepare (8), end position of the rollback (8), prepare time (8), rollback
/// time (8), transaction (4), global identifier (string). Written by `logicalrep_write_rollback_prepared` of `proto.c`.
/// Flags other than 0, a position of 0/0, and an identifier of more than 199 characters are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackPrepared<'a> {
    /// First byte behind the prepare record; tells reused identifiers apart.
    pub prepare_end_lsn: Lsn,
    /// First byte behind the rollback record.
    pub rollback_end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time: Timestamp,
    /// When it was rolled back.
    pub rollback_time: Timestamp,
    /// The transaction.
    pub xid: Xid,
    /// Global transaction identifier.
    pub gid: &'a str,
}

impl<'a> RollbackPrepared<'a> {
    // proto.c: logicalrep_write_rollback_prepared
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        r.zero_flags()?;
        Ok(Self {
            prepare_end_lsn: r.set_lsn(Field::PrepareEndLsn)?,
            rollback_end_lsn: r.set_lsn(Field::RollbackEndLsn)?,
            prepare_time: r.timestamp(Field::PrepareTime)?,
            rollback_time: r.timestamp(Field::RollbackTime)?,
            xid: r.xid(Field::Xid)?,
            gid: r.gid()?,
        })
    }
}

/// A streamed transaction was prepared: ends it as [`Prepare`] ends one that is sent whole.
///
/// Layout: `p`, flags (1), prepare position (8), end position (8), prepare time (8), transaction (4), global identifier
/// (string). Written by `logicalrep_write_stream_prepare` of `proto.c`. Flags other than 0, a position of 0/0, and an
/// identifier of more than 199 characters are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPrepare<'a> {
    /// Start of the prepare record.
    pub prepare_lsn: Lsn,
    /// First byte behind the prepare record.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time: Timestamp,
    /// The top-level transaction.
    pub xid: Xid,
    /// Global transaction identifier.
    pub gid: &'a str,
}

impl<'a> StreamPrepare<'a> {
    // proto.c: logicalrep_write_stream_prepare
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        let Prepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } = Prepare::read(r)?;
        Ok(Self {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        })
    }
}
