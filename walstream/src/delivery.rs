//! When the changes of a transaction are handed over, and where a stream ends.

use walproto::Lsn;

/// When the changes of a transaction are handed over, and where the stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Transactions that are prepared first, on a slot that has `two_phase`.
    pub prepared: PreparedDelivery,
    /// Transactions that the server streams before they have ended.
    pub streamed: StreamedDelivery,
    /// Ends the stream at this position; a transaction that crosses it is handed over whole. `None` goes on for ever.
    pub until: Option<Lsn>,
}

/// When prepared transactions are handed over, on a slot that has `two_phase`. On any other the server sends them
/// when they commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreparedDelivery {
    /// As ordinary transactions at `COMMIT PREPARED`; until then they wait here and hold the position.
    #[default]
    AtCommit,
    /// At `PREPARE TRANSACTION`, to be kept by the consumer until their commit or rollback comes.
    AtPrepare,
}

/// When transactions are handed over that the server streams before they have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamedDelivery {
    /// Whole, at their commit.
    #[default]
    AtCommit,
    /// In the pieces that come, to be applied early and undone if they roll back.
    AsReceived,
}
