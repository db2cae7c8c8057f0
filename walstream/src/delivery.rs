//! When the changes of a transaction are handed over, and where a stream ends.

use walproto::Lsn;

/// When the changes of a transaction are handed over, and where the stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Transactions that are prepared first, on a slot that has `two_phase`.
    pub(crate) prepared: PreparedDelivery,
    /// Transactions that the server streams before they have ended.
    pub(crate) streamed: StreamedDelivery,
    /// Ends the stream at this position; see [`StreamBuilder::until`](crate::StreamBuilder::until). `None` goes on for
    /// ever.
    pub(crate) until: Option<Lsn>,
}

/// When prepared transactions are handed over, on a slot that has `two_phase`. On any other the server sends them
/// when they commit.
///
/// The slot decides, not the options of the stream: one that was made or once started with `two_phase` sends
/// prepared transactions at their prepare whatever the protocol version.
///
/// A transaction is told from others by [`PreparedId`](crate::PreparedId). Before `two_phase` of a slot is switched off
/// (from 18 on), all prepared transactions must have ended: the server sends the others again, as ordinary ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreparedDelivery {
    /// As ordinary transactions at `COMMIT PREPARED`; until then they wait here and hold the position.
    ///
    /// While one has not ended, nothing behind its prepare is told to the server, whatever was confirmed: after a crash
    /// of either side its content comes again. So WAL piles up at the server for as long as it is left open, and what
    /// commits meanwhile comes again after a restart (below the consumer's stored position it is left out). A server
    /// that shuts down waits until everything is durable; when only a prepared transaction stands against that, the
    /// connection is given up, as if it were lost.
    ///
    /// A commit whose content went to another consumer, who confirmed its prepare, is
    /// [`ErrorKind::TwoPhase`](crate::ErrorKind::TwoPhase).
    #[default]
    AtCommit,
    /// At `PREPARE TRANSACTION`, to be kept by the consumer until their commit or rollback comes.
    ///
    /// | event | what the consumer makes durable before it confirms | a crash before that |
    /// |---|---|---|
    /// | [`Prepared`](crate::Event::Prepared) | the content under its [`id`](crate::Prepared::id) | it comes again |
    /// | [`CommitPrepared`](crate::Event::CommitPrepared) | the content of the one with this name and number, applied | it comes again, alone |
    /// | [`RollbackPrepared`](crate::Event::RollbackPrepared) | that the content is gone, if it was there | it comes again, alone |
    ///
    /// Once a prepare is confirmed its content does not come again: the destination must have it durable, as a
    /// prepared transaction of its own or in a table. Only one that was prepared before the slot had `two_phase` comes
    /// late, directly before its commit, and may then come again with it; the id tells.
    AtPrepare,
}

/// When transactions are handed over that the server streams before they have ended.
///
/// It streams those that outgrow its `logical_decoding_work_mem`, if
/// [`StreamOptions::streaming`](crate::StreamOptions::streaming) asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamedDelivery {
    /// Whole, at their commit.
    #[default]
    AtCommit,
    /// In the pieces that come, to be applied early and undone if they roll back.
    ///
    /// The destination has one transaction open for each transaction in pieces, beside the one for those that come
    /// whole:
    ///
    /// | event | what the destination does |
    /// |---|---|
    /// | [`StreamChunk`](crate::Event::StreamChunk) | begins its transaction with the [first](crate::StreamChunk::is_first), and applies the changes |
    /// | [`Change::Savepoint`](crate::Change::Savepoint) among them | sets a savepoint named by the number |
    /// | [`StreamAbort`](crate::Event::StreamAbort) with a savepoint | goes back to it; it and those set after it are gone, and it is set anew if the number comes again |
    /// | [`StreamAbort`](crate::Event::StreamAbort) without | rolls the transaction back |
    /// | [`StreamCommit`](crate::Event::StreamCommit) | commits, with the position beside the changes; then confirms |
    /// | [`StreamPrepare`](crate::Event::StreamPrepare) | prepares, or stores what it was given; then confirms |
    ///
    /// Commits come in the order of the source, so the destination commits in that order too. Changes of a transaction
    /// in pieces come before those of others that commit earlier: where both touch one row, a destination that applies
    /// early waits for a lock that is given up only by a later event, so it must not block the stream with it.
    /// PostgreSQL's own parallel apply has the same problem and the same answer: one worker for each, and commits in
    /// order.
    ///
    /// Pieces have no token and hold no position. A consumer that crashes leaves open transactions that its
    /// destination rolls back; they come again from their first piece. When the connection is lost, each is undone by
    /// a [`StreamAbort`](crate::Event::StreamAbort) before [`Reconnected`](crate::Event::Reconnected), for the same
    /// reason; one that turns out to be a repeat of what was handed out before ends with a
    /// [`StreamAbort`](crate::Event::StreamAbort) too. At the end of the stream those that are still open are the
    /// consumer's to roll back.
    ///
    /// With [`PreparedDelivery::AtCommit`] one in pieces that is prepared stays open until
    /// [`StreamCommit`](crate::Event::StreamCommit), which comes at `COMMIT PREPARED`, or a
    /// [`StreamAbort`](crate::Event::StreamAbort) at `ROLLBACK PREPARED`.
    AsReceived,
}
