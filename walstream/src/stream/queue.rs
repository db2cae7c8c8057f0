//! What waits for the consumer, and how far the consumer was handed things.

use std::collections::VecDeque;

use walproto::Lsn;

use crate::reconnect::Reconnected;
use crate::spool::Complete;
use crate::transactions::{Standalone, Whole};

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) events: VecDeque<Waiting>,
    /// The last keepalive behind everything that waits, and whether the server wants an answer.
    pub(super) idle: Option<(Lsn, bool)>,
    pub(super) reached: Reached,
}

/// Up to where the consumer was handed everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reached {
    /// Transactions that commit before it.
    pub(super) lsn: Lsn,
    /// The last logical message outside any transaction. Those come in the order of their positions, but not in that
    /// of the transactions around them.
    pub(super) message: Lsn,
}

#[derive(Debug)]
pub(super) enum Waiting {
    Transaction(Box<Whole>, Complete),
    Message(Standalone),
    Reconnected(Reconnected),
}
