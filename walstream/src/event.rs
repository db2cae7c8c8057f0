//! What a stream yields.

mod early;
mod prepared;

use walproto::Lsn;

pub use early::{StreamAbort, StreamChunk, StreamCommit, StreamPrepare};
pub use prepared::{CommitPrepared, Prepared, PreparedId, RollbackPrepared};

use crate::progress::Token;
use crate::reconnect::Reconnected;
use crate::transaction::Transaction;
use crate::transactions::Standalone;

/// What a stream yields.
///
/// | event | comes |
/// |---|---|
/// | [`Transaction`](Self::Transaction), [`Idle`](Self::Idle) | always |
/// | [`Message`](Self::Message) | with [`StreamOptions::messages`](crate::StreamOptions::messages) |
/// | [`Reconnected`](Self::Reconnected) | with [`Stream::connect`](crate::Stream::connect) |
/// | [`Prepared`](Self::Prepared), [`CommitPrepared`](Self::CommitPrepared), [`RollbackPrepared`](Self::RollbackPrepared) | with [`PreparedDelivery::AtPrepare`](crate::PreparedDelivery::AtPrepare) |
/// | [`StreamChunk`](Self::StreamChunk), [`StreamAbort`](Self::StreamAbort), [`StreamCommit`](Self::StreamCommit) | with [`StreamedDelivery::AsReceived`](crate::StreamedDelivery::AsReceived) |
/// | [`StreamPrepare`](Self::StreamPrepare) | with both |
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A committed transaction, in commit order.
    Transaction(Transaction),
    /// A logical message outside any transaction.
    Message(LogicalMessage),
    /// Nothing is waiting, and the server has come this far.
    Idle(Idle),
    /// The connection was lost and another one took its place. Nothing is missing and nothing comes twice: what follows
    /// goes on behind what was handed out.
    Reconnected(Reconnected),
    /// A transaction was prepared, with all its changes.
    Prepared(Prepared),
    /// A prepared transaction committed.
    CommitPrepared(CommitPrepared),
    /// A prepared transaction was rolled back.
    RollbackPrepared(RollbackPrepared),
    /// Changes of a transaction that has not ended.
    StreamChunk(StreamChunk),
    /// Changes that came in chunks are to be undone.
    StreamAbort(StreamAbort),
    /// A transaction that came in chunks committed.
    StreamCommit(StreamCommit),
    /// A transaction that came in chunks was prepared.
    StreamPrepare(StreamPrepare),
}

/// A logical message outside any transaction. May come again after a restart: tell repeats by its position.
#[derive(Debug)]
pub struct LogicalMessage {
    pub(crate) message: Standalone,
    pub(crate) token: Token,
}

impl LogicalMessage {
    /// Its position.
    pub const fn lsn(&self) -> Lsn {
        self.message.lsn
    }

    /// What kind of message it is, as the application chose.
    pub fn prefix(&self) -> &str {
        &self.message.prefix
    }

    /// The content.
    pub fn content(&self) -> &[u8] {
        &self.message.content
    }

    /// Says that it needs no repeating; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}

/// A position without changes: everything published before it has been received.
///
/// Store the position as if it were a transaction's, then confirm it; so the slot moves while published tables are
/// idle, and a restart finds the stored position where the slot is.
#[derive(Debug)]
pub struct Idle {
    pub(crate) reply_requested: bool,
    pub(crate) token: Token,
}

impl Idle {
    /// The position.
    pub const fn lsn(&self) -> Lsn {
        self.token.lsn()
    }

    /// The server waits for this, for instance to shut down: do not put it off.
    pub const fn reply_requested(&self) -> bool {
        self.reply_requested
    }

    /// Says that the position is stored; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}
