//! What of the assembled is handed to the consumer: repeats are left out, and there may be an end.

use std::collections::HashSet;

use walproto::Lsn;

use super::queue::{Reached, Waiting};
use crate::delivery::{Delivery, PreparedDelivery};
use crate::error::Error;
use crate::event::{PreparedId, StreamAbort};
use crate::transactions::{Assembled, Ended, Prepare};

/// What of the assembled is handed to the consumer.
#[derive(Debug)]
pub(super) struct Handover {
    delivery: Delivery,
    /// What the consumer had when this connection began.
    skip: Reached,
    /// Prepared transactions that the consumer was handed over an earlier connection, and not their end.
    known: HashSet<PreparedId>,
    /// A prepare from before `skip` that may be a repeat: what follows tells.
    doubtful: Option<Doubtful>,
    ended: bool,
}

#[derive(Debug)]
enum Doubtful {
    Whole(Box<Prepare>),
    InPieces(Box<Prepare>, bool),
}

impl Handover {
    pub(super) fn new(delivery: Delivery, skip: Reached, known: HashSet<PreparedId>) -> Self {
        Self {
            delivery,
            skip,
            known,
            doubtful: None,
            ended: delivery.until.is_some_and(|until| until <= skip.lsn),
        }
    }

    /// What commits before it is a repeat.
    pub(super) const fn skip(&self) -> Lsn {
        self.skip.lsn
    }

    /// Whether nothing that follows is handed over.
    pub(super) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// The consumer has everything that was wanted.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether an end is wanted that has not come.
    pub(super) const fn wants_end(&self) -> bool {
        self.delivery.until.is_some() && !self.ended
    }

    /// The server has come this far, and has sent everything that ends before it.
    pub(super) fn passed(&mut self, lsn: Lsn) {
        self.ended |= self.delivery.until.is_some_and(|until| until <= lsn);
    }

    /// Puts what is for the consumer behind `out`.
    ///
    /// # Errors
    ///
    /// The commit of a prepared transaction whose content is needed and will not come.
    pub(super) fn decide(
        &mut self,
        assembled: Assembled,
        out: &mut Vec<Waiting>,
    ) -> Result<(), Error> {
        if let Some(doubtful) = self.doubtful.take() {
            self.settle(doubtful, &assembled, out);
        }
        match assembled {
            Assembled::Transaction(whole) => {
                if self.repeats(&whole.ended) {
                    out.extend(whole.prepared.map(Waiting::Released));
                } else if self.qualifies(whole.ended.commit_lsn, whole.ended.first) {
                    self.passed(whole.ended.end_lsn);
                    out.push(Waiting::Transaction(whole));
                }
            }
            Assembled::Message(message) => {
                if message.lsn > self.skip.message && self.qualifies_end(message.lsn) {
                    out.push(Waiting::Message(message));
                }
            }
            Assembled::Held(id) => {
                self.passed(id.end_lsn);
                out.push(Waiting::Held(id));
            }
            Assembled::Released {
                id,
                end_lsn,
                handed,
            } => {
                out.extend(handed.then_some(undo(&id)));
                out.push(Waiting::Released(id));
                self.passed(end_lsn);
            }
            Assembled::Prepared(prepare) => self.prepare(Doubtful::Whole(prepare), out),
            Assembled::StreamPrepare { prepare, handed } => {
                self.prepare(Doubtful::InPieces(prepare, handed), out);
            }
            Assembled::CommitPrepared { gid, ended } => {
                if self.repeats(&ended) || !self.qualifies(ended.commit_lsn, Lsn::ZERO) {
                    return Ok(());
                }
                if self.delivery.prepared == PreparedDelivery::AtCommit {
                    return Err(Error::two_phase(&gid, ended.xid, ended.commit_lsn));
                }
                self.passed(ended.end_lsn);
                out.push(Waiting::CommitPrepared(gid, ended));
            }
            Assembled::RollbackPrepared(rolled_back) => {
                // Where contents wait here, one that does not needs no rollback.
                if self.delivery.prepared == PreparedDelivery::AtPrepare
                    && rolled_back.end_lsn > self.skip.lsn
                    && self.qualifies_end(rolled_back.end_lsn)
                {
                    out.push(Waiting::RollbackPrepared(rolled_back));
                }
            }
            Assembled::Piece(piece) => {
                let first = piece.body.first;
                if first.is_zero() || self.qualifies(first, first) {
                    out.push(Waiting::Piece(piece));
                }
            }
            Assembled::Abort(abort) => out.push(Waiting::Abort(abort)),
            Assembled::StreamCommit {
                ended,
                prepared,
                handed,
            } => {
                let undone = handed.then_some(Waiting::Abort(StreamAbort {
                    xid: ended.xid,
                    savepoint: None,
                }));
                if self.repeats(&ended) {
                    out.extend(undone);
                    out.extend(prepared.map(Waiting::Released));
                } else if self.qualifies(ended.commit_lsn, ended.first) {
                    self.passed(ended.end_lsn);
                    out.push(Waiting::StreamCommit(ended, prepared));
                } else {
                    out.extend(undone);
                }
            }
        }
        Ok(())
    }

    fn repeats(&self, ended: &Ended) -> bool {
        ended.commit_lsn < self.skip.lsn
    }

    /// Whether what ends with the record at `last`, and began at `first`, lies before the end. If not, the end is here.
    fn qualifies(&mut self, last: Lsn, first: Lsn) -> bool {
        let begins = if first.is_zero() { last } else { first };
        let within = self
            .delivery
            .until
            .is_none_or(|until| last < until || begins < until);
        self.ended |= !within;
        within
    }

    /// The same for a record that ends at `end`.
    fn qualifies_end(&mut self, end: Lsn) -> bool {
        self.passed(end);
        self.delivery.until.is_none_or(|until| end <= until)
    }

    fn prepare(&mut self, prepare: Doubtful, out: &mut Vec<Waiting>) {
        let (Doubtful::Whole(it) | Doubtful::InPieces(it, _)) = &prepare;
        let id = &it.id;
        if id.end_lsn > self.skip.lsn {
            let (last, first, end) = (it.prepare_lsn, it.body.first, id.end_lsn);
            if self.qualifies(last, first) {
                self.passed(end);
                prepare.give(out);
            } else {
                prepare.undo(out);
            }
        } else if self.known.contains(id) {
            prepare.undo(out);
        } else {
            self.doubtful = Some(prepare);
        }
    }

    /// The consumer had it long ago, unless it was prepared before the slot had `two_phase`: then it comes only now,
    /// directly before its commit.
    fn settle(&self, doubtful: Doubtful, next: &Assembled, out: &mut Vec<Waiting>) {
        let (Doubtful::Whole(it) | Doubtful::InPieces(it, _)) = &doubtful;
        let commits = matches!(
            next,
            Assembled::CommitPrepared { gid, ended }
                if *gid == it.id.gid && ended.xid == it.id.xid && !self.repeats(ended)
        );
        if commits {
            doubtful.give(out);
        } else {
            doubtful.undo(out);
        }
    }
}

impl Doubtful {
    fn give(self, out: &mut Vec<Waiting>) {
        out.push(match self {
            Self::Whole(prepare) => Waiting::Prepared(prepare),
            Self::InPieces(prepare, _) => Waiting::StreamPrepare(prepare),
        });
    }

    /// Leaves it out; pieces of it that were handed over are undone.
    fn undo(self, out: &mut Vec<Waiting>) {
        if let Self::InPieces(prepare, true) = self {
            out.push(undo(&prepare.id));
        }
    }
}

fn undo(id: &PreparedId) -> Waiting {
    Waiting::Abort(StreamAbort {
        xid: id.xid,
        savepoint: None,
    })
}
