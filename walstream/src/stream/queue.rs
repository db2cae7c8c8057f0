//! What waits for the consumer, and how far the consumer was handed things.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use walproto::{Lsn, Xid};

use crate::event::{
    CommitPrepared, Event, Idle, LogicalMessage, Prepared, PreparedId, RollbackPrepared,
    StreamAbort, StreamChunk, StreamCommit, StreamPrepare,
};
use crate::progress::{Ledger, Token};
use crate::reconnect::Reconnected;
use crate::transaction::Transaction;
use crate::transactions::{Body, Ended, Piece, Prepare, RolledBack, Standalone, Whole};

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) events: VecDeque<Waiting>,
    /// The last keepalive behind everything that waits, and whether the server wants an answer.
    pub(super) idle: Option<(Lsn, bool)>,
    pub(super) reached: Reached,
    /// Nothing follows what waits: the stream was to end here.
    pub(super) ended: bool,
    /// Places of prepared transactions whose content waits on our side. They hold the position until these end.
    holds: HashMap<PreparedId, Token>,
    /// Prepared transactions that were handed out and have not ended.
    pub(super) prepared: HashSet<PreparedId>,
    /// Transactions that were handed out in pieces and have not ended.
    in_pieces: Vec<Xid>,
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
    Transaction(Box<Whole>),
    Message(Standalone),
    Reconnected(Reconnected),
    /// Not for the consumer: from here on the position is held for a prepared transaction.
    Held(PreparedId),
    /// Not for the consumer: from here on it is not any more.
    Released(PreparedId),
    Prepared(Box<Prepare>),
    CommitPrepared(String, Ended),
    RollbackPrepared(RolledBack),
    Piece(Box<Piece>),
    Abort(StreamAbort),
    StreamCommit(Ended, Option<PreparedId>),
    StreamPrepare(Box<Prepare>),
}

impl Waiting {
    /// The content, if it has one that takes room.
    pub(super) fn body(&mut self) -> Option<&mut Body> {
        match self {
            Self::Transaction(whole) => Some(&mut whole.body),
            Self::Prepared(prepare) => Some(&mut prepare.body),
            Self::Piece(piece) => Some(&mut piece.body),
            _ => None,
        }
    }
}

impl Queue {
    pub(super) fn new(reached: Reached) -> Self {
        Self {
            reached,
            ..Self::default()
        }
    }

    /// Does what stands at the front and is not for the consumer; `true` if there was any.
    pub(super) fn settle(&mut self, ledger: &Arc<Ledger>) -> bool {
        let before = self.events.len();
        loop {
            match self.events.front() {
                Some(Waiting::Held(id)) => {
                    // Sent again over another connection, it has its place already.
                    if !self.holds.contains_key(id) {
                        // It moves nothing itself: that is for the transaction, or for what comes behind a rollback.
                        self.holds.insert(id.clone(), ledger.issue(Lsn::ZERO));
                    }
                }
                Some(Waiting::Released(id)) => {
                    if let Some(hold) = self.holds.remove(id) {
                        hold.confirm();
                    }
                }
                _ => return self.events.len() < before,
            }
            self.events.pop_front();
        }
    }

    /// Whether there is something for the consumer, once the front is settled.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.idle.is_none()
    }

    /// Whether nothing but prepared transactions on our side keeps the position from moving.
    pub(super) fn is_held(&self, ledger: &Ledger) -> bool {
        !self.holds.is_empty() && ledger.waits_for(self.holds.values())
    }

    /// Hands out the first thing that waits, once the front is settled.
    pub(super) fn take(&mut self, ledger: &Arc<Ledger>) -> Event {
        let Some(waiting) = self.events.pop_front() else {
            let (lsn, reply_requested) = self.idle.take().unwrap_or_default();
            return Event::Idle(Idle {
                reply_requested,
                token: self.reach(lsn, ledger),
            });
        };
        match waiting {
            Waiting::Transaction(whole) => {
                let token = self.reach(whole.ended.end_lsn, ledger);
                let token = self.with_hold(token, whole.prepared.as_ref());
                Event::Transaction(Transaction::new(whole, token))
            }
            Waiting::Message(message) => {
                self.reached.message = self.reached.message.max(message.lsn);
                // It holds its place among the others and moves nothing itself: transactions that began before it
                // may still be open.
                let token = ledger.issue(Lsn::ZERO);
                Event::Message(LogicalMessage { message, token })
            }
            Waiting::Reconnected(reconnected) => Event::Reconnected(reconnected),
            Waiting::Prepared(prepare) => {
                self.prepared.insert(prepare.id.clone());
                let token = self.reach(prepare.id.end_lsn, ledger);
                Event::Prepared(Prepared { prepare, token })
            }
            Waiting::CommitPrepared(gid, ended) => {
                self.prepared
                    .retain(|id| id.gid != gid || id.xid != ended.xid);
                let token = self.reach(ended.end_lsn, ledger);
                Event::CommitPrepared(CommitPrepared { gid, ended, token })
            }
            Waiting::RollbackPrepared(rolled_back) => {
                self.prepared.remove(&rolled_back.id);
                let token = self.reach(rolled_back.end_lsn, ledger);
                Event::RollbackPrepared(RollbackPrepared { rolled_back, token })
            }
            Waiting::Piece(piece) => {
                if !self.in_pieces.contains(&piece.body.xid) {
                    self.in_pieces.push(piece.body.xid);
                }
                Event::StreamChunk(StreamChunk { piece })
            }
            Waiting::Abort(abort) => {
                if abort.savepoint.is_none() {
                    self.in_pieces.retain(|xid| *xid != abort.xid);
                }
                Event::StreamAbort(abort)
            }
            Waiting::StreamCommit(ended, prepared) => {
                self.in_pieces.retain(|xid| *xid != ended.xid);
                let token = self.reach(ended.end_lsn, ledger);
                let token = self.with_hold(token, prepared.as_ref());
                Event::StreamCommit(StreamCommit {
                    ended,
                    prepared,
                    token,
                })
            }
            Waiting::StreamPrepare(prepare) => {
                self.in_pieces.retain(|xid| *xid != prepare.id.xid);
                self.prepared.insert(prepare.id.clone());
                let token = self.reach(prepare.id.end_lsn, ledger);
                Event::StreamPrepare(StreamPrepare { prepare, token })
            }
            Waiting::Held(_) | Waiting::Released(_) => unreachable!("the front was settled"),
        }
    }

    /// The consumer is handed what ends here.
    fn reach(&mut self, lsn: Lsn, ledger: &Arc<Ledger>) -> Token {
        self.reached.lsn = self.reached.lsn.max(lsn);
        ledger.issue(lsn)
    }

    /// The token, which stands for the place of the prepare too.
    fn with_hold(&mut self, token: Token, prepared: Option<&PreparedId>) -> Token {
        match prepared.and_then(|id| self.holds.remove(id)) {
            Some(hold) => token.with(hold),
            None => token,
        }
    }

    /// Throws away what waits, as it comes again. What was handed out in pieces is to be undone first.
    pub(super) fn restart(&mut self) {
        // With nothing left to hand out, the end stays where it is.
        self.ended &= self.events.is_empty() && self.idle.is_none();
        self.events.clear();
        self.idle = None;
        let aborts = self.in_pieces.iter().map(|&xid| {
            Waiting::Abort(StreamAbort {
                xid,
                savepoint: None,
            })
        });
        self.events.extend(aborts);
    }
}
