//! A committed transaction as the consumer gets it.

use walproto::{Lsn, Timestamp, Xid};

use crate::changes::Changes;
use crate::error::Error;
use crate::progress::Token;
use crate::transactions::{Origin, Whole};

/// A committed transaction, whole: every change that survived, none that was rolled back.
#[derive(Debug)]
pub struct Transaction {
    whole: Box<Whole>,
    token: Token,
}

impl Transaction {
    pub(crate) const fn new(whole: Box<Whole>, token: Token) -> Self {
        Self { whole, token }
    }

    /// Its number.
    pub const fn xid(&self) -> Xid {
        self.whole.ended.xid
    }

    /// Start of its commit record. A stored position above this means that it was applied before.
    pub const fn commit_lsn(&self) -> Lsn {
        self.whole.ended.commit_lsn
    }

    /// First byte behind its commit record: the position to store with its changes.
    pub const fn end_lsn(&self) -> Lsn {
        self.whole.ended.end_lsn
    }

    /// When it committed, at the node it came from.
    pub const fn commit_time(&self) -> Timestamp {
        self.whole.ended.commit_time
    }

    /// Name under which it was prepared, on a slot that has `two_phase`.
    pub fn gid(&self) -> Option<&str> {
        self.whole.prepared.as_ref().map(|id| id.gid.as_str())
    }

    /// Where it came from, when it was not written on this server.
    pub const fn origin(&self) -> Option<&Origin> {
        self.whole.body.origin.as_ref()
    }

    /// Bytes its messages take, a measure for batches.
    pub fn size(&self) -> u64 {
        self.whole.body.contents.len()
    }

    /// Whether nothing in it was published.
    pub fn is_empty(&self) -> bool {
        self.whole.body.contents.is_empty()
    }

    /// Its changes from the beginning; reads from the local spool file where the transaction is large.
    ///
    /// # Errors
    ///
    /// When the spool file cannot be read.
    pub fn changes(&mut self) -> Result<Changes<'_>, Error> {
        self.whole.body.changes()
    }

    /// Says that the transaction is durable in the destination; see [`Token::confirm`].
    pub fn confirm(self) {
        self.into_token().confirm();
    }

    /// Drops the content and keeps the token, to confirm it later.
    pub fn into_token(self) -> Token {
        let Self { whole, token } = self;
        drop(whole);
        token
    }
}
