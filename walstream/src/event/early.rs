//! Transactions in pieces, as the server streams them before they have ended.

use walproto::{Lsn, Timestamp, Xid};

use super::PreparedId;
use crate::changes::Changes;
use crate::error::Error;
use crate::progress::Token;
use crate::transactions::{Ended, Origin, Piece, Prepare};

/// Changes of a transaction that has not ended: what one stream block brought, or a part of it.
///
/// Chunks of several transactions come in turns, each transaction's in the order of its changes. They hold no position
/// and have no token: until its end is confirmed, the server sends such a transaction again from its beginning.
#[derive(Debug)]
pub struct StreamChunk {
    pub(crate) piece: Box<Piece>,
}

impl StreamChunk {
    /// The transaction's number.
    pub const fn xid(&self) -> Xid {
        self.piece.body.xid
    }

    /// Whether nothing of the transaction came before, since it was last undone as a whole.
    pub const fn is_first(&self) -> bool {
        self.piece.first
    }

    /// Where it came from, when it was not written on this server.
    pub const fn origin(&self) -> Option<&Origin> {
        self.piece.body.origin.as_ref()
    }

    /// Bytes its messages take, a measure for batches.
    pub fn size(&self) -> u64 {
        self.piece.body.contents.len()
    }

    /// Its changes, with a [`Change::Savepoint`](crate::Change::Savepoint) before the first of each subtransaction.
    ///
    /// # Errors
    ///
    /// When the spool file cannot be read.
    pub fn changes(&mut self) -> Result<Changes<'_>, Error> {
        self.piece.body.changes()
    }
}

/// That changes which came in chunks are to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamAbort {
    /// The transaction.
    pub xid: Xid,
    /// Back to this [`Change::Savepoint`](crate::Change::Savepoint), which is gone then, as are those set after it.
    /// `None` undoes the whole transaction.
    pub savepoint: Option<Xid>,
}

/// That a transaction whose changes came in chunks committed. One without published changes had no chunk.
#[derive(Debug)]
pub struct StreamCommit {
    pub(crate) ended: Ended,
    pub(crate) prepared: Option<PreparedId>,
    pub(crate) token: Token,
}

impl StreamCommit {
    /// The transaction's number.
    pub const fn xid(&self) -> Xid {
        self.ended.xid
    }

    /// Name under which it was prepared, if it was.
    pub fn gid(&self) -> Option<&str> {
        self.prepared.as_ref().map(|id| id.gid.as_str())
    }

    /// Start of its commit record. A stored position above this means that it was applied before.
    pub const fn commit_lsn(&self) -> Lsn {
        self.ended.commit_lsn
    }

    /// First byte behind its commit record: the position to store with its changes.
    pub const fn end_lsn(&self) -> Lsn {
        self.ended.end_lsn
    }

    /// When it committed.
    pub const fn commit_time(&self) -> Timestamp {
        self.ended.commit_time
    }

    /// Says that all its changes are durable in the destination; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}

/// That a transaction whose changes came in chunks was prepared. Its end comes as
/// [`CommitPrepared`](super::CommitPrepared) or [`RollbackPrepared`](super::RollbackPrepared), no more chunks do.
///
/// What [`Prepared`](super::Prepared) says of positions, keeping and repeats is true here too.
#[derive(Debug)]
pub struct StreamPrepare {
    pub(crate) prepare: Box<Prepare>,
    pub(crate) token: Token,
}

impl StreamPrepare {
    /// What tells it from others, to keep its content by.
    pub const fn id(&self) -> &PreparedId {
        &self.prepare.id
    }

    /// Its name.
    pub fn gid(&self) -> &str {
        &self.prepare.id.gid
    }

    /// Its number.
    pub const fn xid(&self) -> Xid {
        self.prepare.id.xid
    }

    /// Start of the record of its prepare.
    pub const fn prepare_lsn(&self) -> Lsn {
        self.prepare.prepare_lsn
    }

    /// First byte behind the record of its prepare: the position to store with its content.
    pub const fn end_lsn(&self) -> Lsn {
        self.prepare.id.end_lsn
    }

    /// When it was prepared.
    pub const fn prepare_time(&self) -> Timestamp {
        self.prepare.prepare_time
    }

    /// Says that all its changes are durable in the destination; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}
