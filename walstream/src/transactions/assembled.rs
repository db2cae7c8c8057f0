//! What messages are joined to.

use std::collections::HashSet;
use std::sync::Arc;

use walproto::{Decoder, Lsn, Timestamp, Xid};

use crate::event::{PreparedId, StreamAbort};
use crate::relations::Relations;
use crate::spool::{Complete, Contents};

/// What a message completed.
#[derive(Debug)]
pub(crate) enum Assembled {
    Transaction(Box<Whole>),
    /// A logical message outside any transaction.
    Message(Standalone),
    /// A prepared transaction, whose content is kept until its commit.
    Held(PreparedId),
    /// A prepared transaction whose content was kept, and is not any more.
    Released {
        id: PreparedId,
        end_lsn: Lsn,
        /// Pieces of it were handed over.
        handed: bool,
    },
    /// A prepared transaction with its content.
    Prepared(Box<Prepare>),
    /// The commit of a prepared transaction whose content is not here.
    CommitPrepared {
        gid: String,
        ended: Ended,
    },
    /// The rollback of a prepared transaction whose content is not here.
    RollbackPrepared(RolledBack),
    /// A part of a transaction that has not ended.
    Piece(Box<Piece>),
    /// Pieces were handed over that are to be undone.
    Abort(StreamAbort),
    /// The commit of a transaction in pieces.
    StreamCommit {
        ended: Ended,
        prepared: Option<PreparedId>,
        handed: bool,
    },
    /// The prepare of a transaction in pieces; what is left of its content is none.
    StreamPrepare {
        prepare: Box<Prepare>,
        handed: bool,
    },
}

impl Assembled {
    /// Up to where everything has been received with it, if it says so.
    pub(crate) fn end_lsn(&self) -> Option<Lsn> {
        match self {
            Self::Transaction(whole) => Some(whole.ended.end_lsn),
            Self::StreamCommit { ended, .. } | Self::CommitPrepared { ended, .. } => {
                Some(ended.end_lsn)
            }
            Self::Held(id) => Some(id.end_lsn),
            Self::Prepared(prepare) | Self::StreamPrepare { prepare, .. } => {
                Some(prepare.id.end_lsn)
            }
            Self::Released { end_lsn, .. } => Some(*end_lsn),
            Self::RollbackPrepared(rolled_back) => Some(rolled_back.end_lsn),
            Self::Message(_) | Self::Piece(_) | Self::Abort(_) => None,
        }
    }
}

/// Messages of a transaction, and what it takes to read them.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) xid: Xid,
    pub(crate) origin: Option<Origin>,
    /// Where the first change lies; 0/0 when the server did not say.
    pub(crate) first: Lsn,
    pub(crate) contents: Contents,
    /// Subtransactions that were rolled back; their messages are to be left out.
    pub(crate) aborted: HashSet<Xid>,
    /// The relations before the first change.
    pub(crate) relations: Arc<Relations>,
    /// Reads the messages in `contents`.
    pub(crate) decoder: Decoder,
    /// Counts it while it takes room. Behind the contents, so that the room is free when the reader hears of it.
    pub(crate) complete: Option<Complete>,
}

/// A commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) xid: Xid,
    pub(crate) commit_lsn: Lsn,
    pub(crate) end_lsn: Lsn,
    pub(crate) commit_time: Timestamp,
    /// Where the first change lies; 0/0 when it is not known.
    pub(crate) first: Lsn,
}

/// A committed transaction with all its changes.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) body: Body,
    pub(crate) ended: Ended,
    /// If it was prepared first, and we were told.
    pub(crate) prepared: Option<PreparedId>,
}

/// A prepared transaction with all its changes.
#[derive(Debug)]
pub(crate) struct Prepare {
    pub(crate) id: PreparedId,
    pub(crate) prepare_lsn: Lsn,
    pub(crate) prepare_time: Timestamp,
    pub(crate) body: Body,
}

/// The rollback of a prepared transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RolledBack {
    pub(crate) id: PreparedId,
    pub(crate) end_lsn: Lsn,
    pub(crate) time: Timestamp,
}

/// A part of a transaction that has not ended.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) body: Body,
    /// Nothing of it was handed over before.
    pub(crate) first: bool,
}

/// A logical message outside any transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standalone {
    pub(crate) lsn: Lsn,
    pub(crate) prefix: String,
    pub(crate) content: Vec<u8>,
}

/// Where a transaction was first written, when it reached this server by replication.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Commit position on the node that wrote it first; 0/0 for a streamed transaction.
    pub commit_lsn: Lsn,
    /// Name given to `pg_replication_origin_create`.
    pub name: String,
}
