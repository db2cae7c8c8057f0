//! Prepared transactions and their ends, as a consumer gets them that keeps prepared ones itself.

use walproto::{Lsn, Timestamp, Xid};

use crate::changes::Changes;
use crate::error::Error;
use crate::progress::Token;
use crate::transactions::{Ended, Origin, Prepare, RolledBack};

/// Which prepared transaction. A name (`gid`) alone is not enough: it is free again once its transaction has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreparedId {
    /// Name given to `PREPARE TRANSACTION`.
    pub gid: String,
    /// The transaction.
    pub xid: Xid,
    /// First byte behind the record of its prepare.
    pub end_lsn: Lsn,
}

/// A prepared transaction, with every change that survived, none that was rolled back.
///
/// Make its content durable under its [`id`](Self::id), then confirm: it does not come again, but for a repeat after a
/// crash, which has the same id. Apply the content when its [`CommitPrepared`] comes, and drop it at its
/// [`RollbackPrepared`].
///
/// A transaction that was prepared before the slot had `two_phase` comes directly before its [`CommitPrepared`]. Its
/// position then lies before those of events that came earlier.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) prepare: Box<Prepare>,
    pub(crate) token: Token,
}

impl Prepared {
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

    /// Where it came from, when it was not written on this server.
    pub const fn origin(&self) -> Option<&Origin> {
        self.prepare.body.origin.as_ref()
    }

    /// Bytes its messages take, a measure for batches.
    pub fn size(&self) -> u64 {
        self.prepare.body.contents.len()
    }

    /// Whether nothing in it was published. Its end comes all the same.
    pub fn is_empty(&self) -> bool {
        self.prepare.body.contents.is_empty()
    }

    /// Its changes from the beginning; reads from the local spool file where the transaction is large.
    ///
    /// # Errors
    ///
    /// When the spool file cannot be read.
    pub fn changes(&mut self) -> Result<Changes<'_>, Error> {
        self.prepare.body.changes()
    }

    /// Says that its content is durable in the destination; see [`Token::confirm`].
    pub fn confirm(self) {
        self.into_token().confirm();
    }

    /// Drops the content and keeps the token, to confirm it later.
    pub fn into_token(self) -> Token {
        let Self { prepare, token } = self;
        drop(prepare);
        token
    }
}

/// That a prepared transaction committed.
///
/// Its content came before, perhaps to an earlier process. It is the one with this [`gid`](Self::gid) and
/// [`xid`](Self::xid) that has not ended; the server does not say where it was prepared.
#[derive(Debug)]
pub struct CommitPrepared {
    pub(crate) gid: String,
    pub(crate) ended: Ended,
    pub(crate) token: Token,
}

impl CommitPrepared {
    /// Name of the prepared transaction.
    pub fn gid(&self) -> &str {
        &self.gid
    }

    /// Number of the prepared transaction.
    pub const fn xid(&self) -> Xid {
        self.ended.xid
    }

    /// Start of the commit record. A stored position above this means that it was applied before.
    pub const fn commit_lsn(&self) -> Lsn {
        self.ended.commit_lsn
    }

    /// First byte behind the commit record: the position to store.
    pub const fn end_lsn(&self) -> Lsn {
        self.ended.end_lsn
    }

    /// When it committed.
    pub const fn commit_time(&self) -> Timestamp {
        self.ended.commit_time
    }

    /// Says that the content is durable and visible; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}

/// That a prepared transaction was rolled back: its content is to be dropped. One that is not known needs nothing.
#[derive(Debug)]
pub struct RollbackPrepared {
    pub(crate) rolled_back: RolledBack,
    pub(crate) token: Token,
}

impl RollbackPrepared {
    /// Which one.
    pub const fn id(&self) -> &PreparedId {
        &self.rolled_back.id
    }

    /// Name of the prepared transaction.
    pub fn gid(&self) -> &str {
        &self.rolled_back.id.gid
    }

    /// Number of the prepared transaction.
    pub const fn xid(&self) -> Xid {
        self.rolled_back.id.xid
    }

    /// First byte behind the record of the rollback: the position to store.
    pub const fn end_lsn(&self) -> Lsn {
        self.rolled_back.end_lsn
    }

    /// When it was rolled back.
    pub const fn rollback_time(&self) -> Timestamp {
        self.rolled_back.time
    }

    /// Says that the content is gone; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}
