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
    /// The end of the server's log when the stream began. What had committed then is not missed because of when the
    /// server happens to say how far it is.
    written: Lsn,
    ended: bool,
}

#[derive(Debug)]
enum Doubtful {
    Whole(Box<Prepare>),
    InPieces(Box<Prepare>, bool),
}

impl Handover {
    pub(super) fn new(delivery: Delivery, skip: Reached, written: Lsn) -> Self {
        Self {
            delivery,
            skip,
            known: HashSet::new(),
            doubtful: None,
            written,
            ended: false,
        }
    }

    /// Another connection begins, for a consumer that has this, and with `ended` all that is wanted.
    pub(super) fn restart(&mut self, skip: Reached, known: HashSet<PreparedId>, ended: bool) {
        self.skip = skip;
        self.known = known;
        self.doubtful = None;
        self.ended = ended;
    }

    /// What commits before it is a repeat.
    pub(super) const fn skip(&self) -> Lsn {
        self.skip.lsn
    }

    /// Whether nothing that follows is handed over.
    pub(super) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether an end is wanted that has not come.
    pub(super) const fn wants_end(&self) -> bool {
        self.delivery.until.is_some() && !self.ended
    }

    /// The server has come this far, and has sent everything that ends before it.
    pub(super) fn passed(&mut self, lsn: Lsn) {
        let until = self.delivery.until;
        self.ended |= until.is_some_and(|until| until.max(self.written) <= lsn);
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
                } else if self.qualifies(&whole.ended) {
                    out.push(Waiting::Transaction(whole));
                }
            }
            Assembled::Message(message) => {
                let within = self.delivery.until.is_none_or(|it| message.lsn <= it);
                self.passed(message.lsn);
                // Behind the end too, if more is to come: the position of that would stand for this one as well.
                if (within || !self.ended) && message.lsn > self.skip.message {
                    out.push(Waiting::Message(message, None));
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
                if self.repeats(&ended) || !self.qualifies(&ended) {
                    return Ok(());
                }
                if self.delivery.prepared == PreparedDelivery::AtCommit {
                    return Err(Error::two_phase(&gid, ended.xid, ended.commit_lsn));
                }
                out.push(Waiting::CommitPrepared(gid, ended));
            }
            Assembled::RollbackPrepared(rolled_back) => {
                // Where contents wait here, one that does not needs no rollback.
                if self.delivery.prepared == PreparedDelivery::AtPrepare
                    && rolled_back.end_lsn > self.skip.lsn
                    // Its last byte; where the record begins is not said.
                    && self.lies_before(Lsn(rolled_back.end_lsn.0.saturating_sub(1)), Lsn::ZERO)
                {
                    out.push(Waiting::RollbackPrepared(rolled_back));
                }
            }
            // Whether the end lies before its commit is not known; if it does, it is undone then.
            Assembled::Piece(piece) => out.push(Waiting::Piece(piece)),
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
                } else if self.qualifies(&ended) {
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

    fn qualifies(&mut self, ended: &Ended) -> bool {
        self.lies_before(ended.commit_lsn, ended.first)
    }

    /// Whether what began at `first` (0/0 when that is not known) and ends with the record at `last` is handed over. The
    /// first that is not is the end, and so is one that crosses it.
    ///
    /// One that ends with its last byte before it is not: the next may cross.
    fn lies_before(&mut self, last: Lsn, first: Lsn) -> bool {
        let Some(until) = self.delivery.until else {
            return true;
        };
        self.ended |= last >= until;
        last < until || !first.is_zero() && first < until
    }

    fn prepare(&mut self, prepare: Doubtful, out: &mut Vec<Waiting>) {
        let (Doubtful::Whole(it) | Doubtful::InPieces(it, _)) = &prepare;
        let id = &it.id;
        if id.end_lsn > self.skip.lsn {
            let (last, first) = (it.prepare_lsn, it.body.first);
            if self.lies_before(last, first) {
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
    fn settle(&mut self, doubtful: Doubtful, next: &Assembled, out: &mut Vec<Waiting>) {
        let (Doubtful::Whole(it) | Doubtful::InPieces(it, _)) = &doubtful;
        let commits = matches!(
            next,
            Assembled::CommitPrepared { gid, ended }
                if *gid == it.id.gid && ended.xid == it.id.xid && !self.repeats(ended)
        );
        // Late or not, it may lie behind the end.
        if commits && self.lies_before(it.prepare_lsn, it.body.first) {
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

#[cfg(test)]
mod tests;
