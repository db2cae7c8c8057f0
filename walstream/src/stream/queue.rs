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
use crate::spool::Complete;
use crate::transaction::Transaction;
use crate::transactions::{Ended, Piece, Prepare, RolledBack, Standalone, Whole};

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
    Message(Standalone, Option<Complete>),
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
    /// Counts it if it takes room, with so many bytes that are not counted yet.
    pub(super) fn count(&mut self, complete: impl FnOnce(usize) -> Complete) {
        let (place, bytes) = match self {
            Self::Transaction(whole) => (&mut whole.body.complete, 0),
            Self::Prepared(prepare) => (&mut prepare.body.complete, 0),
            Self::Piece(piece) => (&mut piece.body.complete, 0),
            Self::Message(message, place) => (place, message.prefix.len() + message.content.len()),
            _ => return,
        };
        *place = Some(complete(bytes));
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
            // A keepalive right behind a commit may not count it: walsender.c moves on once it is sent. Who stores this
            // position must not go back.
            let lsn = lsn.max(self.reached.lsn);
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
            Waiting::Message(message, complete) => {
                // It is the consumer's now, and small.
                drop(complete);
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
        if lsn < self.reached.lsn {
            // Prepared before the slot had `two_phase`. Its position must not be told: it may lie before the slot's.
            return ledger.issue(Lsn::ZERO);
        }
        self.reached.lsn = lsn;
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
        // Where the position has moved past one all the same, its transaction was handed out before it was sent again
        // with the place it has now, and neither comes once more.
        let passed = self.holds.extract_if(|id, hold| hold.is_passed(id.end_lsn));
        passed.for_each(|(_, hold)| hold.confirm());
        // With nothing left to hand out that comes again, the end stays where it is.
        let undone = |waiting: &Waiting| matches!(waiting, Waiting::Abort(_));
        self.ended &= self.events.iter().all(undone) && self.idle.is_none();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    fn ledger() -> (Arc<Progress>, Arc<Ledger>) {
        let progress = Arc::<Progress>::default();
        (Arc::clone(&progress), Ledger::new(progress, || {}))
    }

    fn id(gid: &str) -> PreparedId {
        PreparedId {
            gid: gid.to_owned(),
            xid: Xid(700),
            end_lsn: Lsn(108),
        }
    }

    /// A commit in pieces stands for any transaction: it has no content.
    fn commit(lsn: u64, prepared: Option<&str>) -> Waiting {
        let ended = Ended {
            xid: Xid(700),
            commit_lsn: Lsn(lsn - 8),
            end_lsn: Lsn(lsn),
            commit_time: walproto::Timestamp(0),
            first: Lsn::ZERO,
        };
        Waiting::StreamCommit(ended, prepared.map(id))
    }

    fn take(queue: &mut Queue, ledger: &Arc<Ledger>) -> Token {
        queue.settle(ledger);
        match queue.take(ledger) {
            Event::StreamCommit(commit) => commit.into_token(),
            Event::Idle(idle) => idle.into_token(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_prepare_holds_the_position_until_its_transaction_is_confirmed() {
        let (progress, ledger) = ledger();
        let mut queue = Queue::default();
        queue.events.extend([
            commit(50, None),
            Waiting::Held(id("a")),
            commit(200, None),
            commit(300, Some("a")),
            commit(400, None),
        ]);
        let [one, two, held, last] = std::array::from_fn(|_| take(&mut queue, &ledger));
        last.confirm();
        two.confirm();
        one.confirm();
        assert_eq!(progress.durable(), Lsn(50));
        held.confirm();
        assert_eq!(progress.durable(), Lsn(400));
        assert!(!queue.is_held(&ledger));
    }

    #[test]
    fn a_rollback_lets_go_and_moves_nothing_that_the_consumer_did_not_store() {
        let (progress, ledger) = ledger();
        let mut queue = Queue::default();
        queue.events.extend([
            commit(50, None),
            Waiting::Held(id("a")),
            Waiting::Released(id("a")),
        ]);
        take(&mut queue, &ledger).confirm();
        assert!(queue.settle(&ledger));
        assert!(queue.is_empty());
        assert_eq!(
            progress.durable(),
            Lsn(50),
            "the prepare has no position of its own"
        );
        queue.idle = Some((Lsn(300), false));
        take(&mut queue, &ledger).confirm();
        assert_eq!(progress.durable(), Lsn(300));
    }

    #[test]
    fn an_idle_position_behind_a_prepare_waits_with_it() {
        let (progress, ledger) = ledger();
        let mut queue = Queue::default();
        queue.events.push_back(Waiting::Held(id("a")));
        queue.idle = Some((Lsn(300), false));
        take(&mut queue, &ledger).confirm();
        assert_eq!(progress.durable(), Lsn::ZERO);
        assert!(queue.is_held(&ledger));
        queue.events.push_back(Waiting::Released(id("a")));
        queue.settle(&ledger);
        assert_eq!(progress.durable(), Lsn(300));
    }

    #[test]
    fn a_prepare_that_comes_again_keeps_its_place() {
        let (progress, ledger) = ledger();
        let mut queue = Queue::default();
        queue
            .events
            .extend([Waiting::Held(id("a")), commit(200, None)]);
        take(&mut queue, &ledger).confirm();
        queue.restart();
        queue
            .events
            .extend([Waiting::Held(id("a")), commit(300, Some("a"))]);
        take(&mut queue, &ledger).confirm();
        assert_eq!(progress.durable(), Lsn(300));
    }

    #[test]
    fn a_restart_keeps_the_end_only_where_everything_was_handed_out() {
        let (_, ledger) = ledger();
        let mut queue = Queue {
            ended: true,
            ..Queue::default()
        };
        queue.events.push_back(commit(50, None));
        queue.restart();
        assert!(!queue.ended, "it comes again, and the end behind it");
        queue.ended = true;
        queue.restart();
        assert!(queue.ended);
        assert_eq!(take(&mut queue, &ledger).lsn(), Lsn::ZERO);
    }
}
