//! How transactions end: commits, aborts and prepares, and those that are sent whole at their end.

use super::Sender;
use crate::random::chance_for;
use crate::story::{Kind, Record};
use crate::writer;

impl<'a> Sender<'a> {
    pub(super) fn undo(&mut self, record: &'a Record, xids: &[u32]) {
        let transaction = record.transaction;
        self.forget_altered(transaction);
        let wal = self.wal;
        let buffer = self.open.entry(transaction).or_default();
        let kept = |at: &usize| match &wal.records[*at].kind {
            Kind::Change(row) => !xids.contains(&row.xid),
            Kind::Alter(xid, _) => !xids.contains(xid),
            _ => true,
        };
        buffer.waiting.retain(kept);
        let sent: Vec<_> = buffer.sent.extract_if(.., |at| !kept(at)).collect();
        let streamed = buffer.streamed;
        if !self.options.streaming || record.start < self.start {
            return;
        }
        // Those of which something was sent, and now and then others.
        let mut xids = xids.to_vec();
        if self.chance(15, record, 50) {
            xids.reverse();
        }
        for xid in xids {
            let known = sent.iter().any(|at| match &wal.records[*at].kind {
                Kind::Change(row) => row.xid == xid,
                _ => false,
            });
            if streamed && known {
                self.stream_abort("abort of a subtransaction", transaction, xid, record);
            } else if chance_for(self.salt + 16, xid.into(), 15) {
                self.stream_abort(
                    "abort of an unknown subtransaction",
                    transaction,
                    xid,
                    record,
                );
            }
        }
    }

    fn stream_abort(&mut self, name: &'static str, transaction: u32, xid: u32, record: &Record) {
        for known in self.known.values_mut() {
            known.streams.retain(|stream| *stream != transaction);
        }
        let place = self.options.parallel.then_some((record.start, 0));
        let top = self.wal.transactions[&transaction].xid;
        let message = writer::stream_abort(top, xid, place);
        self.frame(name, record.start, record, &message);
    }

    pub(super) fn commit(&mut self, at: usize, record: &'a Record) {
        let transaction = record.transaction;
        let model = &self.wal.transactions[&transaction];
        let prepared = model.prepare.as_ref().zip(self.options.two_phase_at);
        if record.start < self.start {
            self.open.remove(&transaction);
            self.forget_altered(transaction);
            return;
        }
        if let Some(((prepare, gid), two_phase_at)) = prepared {
            let prepare = &self.wal.records[*prepare];
            if prepare.start < two_phase_at {
                self.whole_prepared(transaction, prepare, "late begin prepare", "late prepare");
            }
            let message =
                writer::commit_prepared(0, record.start, record.end, model.time, model.xid, gid);
            self.frame("commit prepared", record.end, record, &message);
            self.ends(at);
            self.open.remove(&transaction);
            return;
        }
        let buffer = self.open.entry(transaction).or_default();
        let waits = !buffer.waiting.is_empty();
        if buffer.streamed {
            if waits || self.chance(17, record, 20) {
                self.block(transaction, record);
            }
            for known in self.known.values_mut() {
                let before = known.streams.len();
                known.streams.retain(|stream| *stream != transaction);
                known.global |= known.streams.len() < before;
            }
            let message = writer::stream_commit(model.xid, 0, record.start, record.end, model.time);
            self.frame("stream commit", record.end, record, &message);
            self.ends(at);
        } else {
            let waiting = std::mem::take(&mut buffer.waiting);
            let changes = |at: &usize| matches!(self.wal.records[*at].kind, Kind::Change(_));
            let empty = !waiting.iter().any(changes);
            if self.options.empty || !empty {
                self.inside = true;
                let begin = writer::begin(record.start, model.time, model.xid);
                let name = if empty { "empty begin" } else { "begin" };
                self.whole(transaction, record, name, &begin, waiting);
                let message = writer::commit(0, record.start, record.end, model.time);
                self.frame("commit", record.end, record, &message);
                self.ends(at);
            }
        }
        self.open.remove(&transaction);
        self.forget_altered(transaction);
    }

    /// The beginning of a transaction that is sent at once, and its changes.
    fn whole(
        &mut self,
        transaction: u32,
        end: &'a Record,
        name: &'static str,
        begin: &[u8],
        waiting: Vec<usize>,
    ) {
        let origin = self.wal.transactions[&transaction].origin.as_deref();
        let first = waiting
            .first()
            .filter(|_| origin.is_none())
            .map_or(0, |at| self.wal.records[*at].start);
        self.inside = true;
        self.frame(name, first, end, begin);
        if let Some(origin) = origin {
            self.frame("origin", 0, end, &writer::origin(77, origin));
        }
        for at in waiting {
            let record = &self.wal.records[at];
            let aborted = matches!(self.wal.transactions[&transaction].end, Some((_, false)));
            if aborted && self.chance(18, record, 10) {
                self.cut_short();
                break;
            }
            self.change(transaction, record, None, false);
        }
        self.inside = false;
    }

    fn whole_prepared(
        &mut self,
        transaction: u32,
        prepare: &'a Record,
        begin_name: &'static str,
        end_name: &'static str,
    ) {
        let model = &self.wal.transactions[&transaction];
        let gid = model.prepare.as_ref().map_or("", |prepare| &prepare.1);
        let waiting = std::mem::take(&mut self.open.entry(transaction).or_default().waiting);
        let time = i64::from(transaction);
        let begin = writer::begin_prepare(prepare.start, prepare.end, time, model.xid, gid);
        self.whole(transaction, prepare, begin_name, &begin, waiting);
        let message = writer::prepare(0, prepare.start, prepare.end, time, model.xid, gid);
        self.frame(end_name, prepare.end, prepare, &message);
        self.note_name(transaction);
        self.forget_altered(transaction);
    }

    pub(super) fn prepare(&mut self, at: usize, record: &'a Record) {
        let transaction = record.transaction;
        if self.options.two_phase_at.is_none() {
            return;
        }
        self.open.entry(transaction).or_default().prepared = true;
        if record.start < self.start {
            return;
        }
        if self.open.entry(transaction).or_default().streamed {
            if !self.open[&transaction].waiting.is_empty() || self.chance(19, record, 20) {
                self.block(transaction, record);
            }
            let model = &self.wal.transactions[&transaction];
            let gid = model.prepare.as_ref().map_or("", |prepare| &prepare.1);
            let time = i64::from(transaction);
            let message = writer::stream_prepare(0, record.start, record.end, time, model.xid, gid);
            self.frame("stream prepare", record.end, record, &message);
            self.note_name(transaction);
        } else {
            self.whole_prepared(transaction, record, "begin prepare", "prepare");
        }
        self.ends(at);
    }

    pub(super) fn abort(&mut self, at: usize, record: &'a Record) {
        let transaction = record.transaction;
        let model = &self.wal.transactions[&transaction];
        let buffer = self.open.remove(&transaction).unwrap_or_default();
        self.forget_altered(transaction);
        if record.start < self.start {
            return;
        }
        if let Some(((prepare, gid), two_phase_at)) =
            model.prepare.as_ref().zip(self.options.two_phase_at)
        {
            let prepare = &self.wal.records[*prepare];
            // Nobody was told of one that was prepared before, but now and then they are of its end.
            if prepare.start >= two_phase_at || self.chance(20, record, 50) {
                let message = writer::rollback_prepared(
                    0,
                    prepare.end,
                    record.end,
                    i64::from(transaction),
                    model.time,
                    model.xid,
                    gid,
                );
                self.frame("rollback prepared", record.end, record, &message);
                self.ends(at);
            }
            return;
        }
        if buffer.streamed {
            for sub in &model.subtransactions {
                if !model.undone.contains(sub) && chance_for(self.salt + 21, (*sub).into(), 60) {
                    self.stream_abort("abort of a subtransaction", transaction, *sub, record);
                }
            }
            self.stream_abort("abort of a transaction", transaction, model.xid, record);
        } else if self.options.streaming && self.chance(22, record, 20) {
            let name = "abort of an unknown transaction";
            self.stream_abort(name, transaction, model.xid, record);
        }
    }
}
