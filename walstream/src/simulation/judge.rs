//! Holds what is delivered against what is due: each once, in order, with the right content.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use testdata::story::Wal;
use walproto::{Lsn, Xid};

use super::compare;
use super::early::Early;
use super::expected::{Due, What, is_message};
use super::world::World;
use crate::delivery::{Delivery, PreparedDelivery};
use crate::event::{Event, Prepared, PreparedId};
use crate::progress::Token;
use crate::transaction::Transaction;

/// Of something that was delivered: the place among what is due, if it has one, and its position.
pub(super) struct Taken {
    pub(super) due: Option<usize>,
    pub(super) position: u64,
}

/// Of one stream.
pub(super) struct Judge<'a> {
    world: &'a Arc<Mutex<World>>,
    wal: Arc<Wal>,
    delivery: Delivery,
    /// What is due, with its place among all; and how much of it has come.
    dues: Vec<(usize, Due)>,
    next: usize,
    /// Where the slot was at the beginning.
    slot: u64,
    /// The last message outside transactions.
    message: u64,
    /// Prepared transactions that have come and not ended.
    prepared: BTreeMap<u32, PreparedId>,
    /// What came of transactions before their end.
    early: Early,
    /// Transactions that end at or behind the place where the stream is to end.
    crossing: u32,
    last: u64,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        world: &'a Arc<Mutex<World>>,
        delivery: Delivery,
        slot: Lsn,
        reached: Lsn,
    ) -> Self {
        let shared = world.lock().unwrap();
        let dues = shared.dues.iter().copied().enumerate();
        let dues = dues.filter(|(_, due)| {
            let floor = if due.what == What::Message {
                slot
            } else {
                reached
            };
            shared.wal.records[due.record].start >= floor.0
        });
        Self {
            world,
            wal: Arc::clone(&shared.wal),
            delivery,
            dues: dues.collect(),
            next: 0,
            slot: slot.0,
            message: 0,
            prepared: BTreeMap::new(),
            early: Early::default(),
            crossing: 0,
            last: 0,
        }
    }

    fn met(&self, name: &'static str) {
        self.world.lock().unwrap().counts.met(name);
    }

    /// An event and its token, if it has one. `walks` to look at the changes too.
    pub(super) fn event(
        &mut self,
        event: Event,
        walks: bool,
    ) -> Result<Option<(Taken, Token)>, String> {
        let taken = match event {
            Event::Transaction(mut transaction) => {
                let taken = self.transaction(&mut transaction, walks)?;
                (taken, transaction.into_token())
            }
            Event::Message(message) => {
                self.met("event: message");
                let lsn = message.lsn().0;
                if lsn <= self.message {
                    return Err(format!("the message at {lsn:X} came again or too late"));
                }
                self.message = lsn;
                let (record, due) = self.find_message(lsn)?;
                let text = self.wal.records[record].text();
                if message.prefix() != "out" || message.content() != text.as_bytes() {
                    return Err(format!("the message at {lsn:X} is {message:?}"));
                }
                let due = Some(due);
                (Taken { due, position: 0 }, message.into_token())
            }
            Event::Idle(idle) => {
                self.met("event: idle");
                let position = idle.lsn().0;
                self.passed(position)?;
                if position < self.last {
                    return Err(format!("idle at {position:X} behind {:X}", self.last));
                }
                self.last = self.last.max(position);
                let due = None;
                (Taken { due, position }, idle.into_token())
            }
            Event::Reconnected(_) => {
                self.met("event: reconnected");
                self.early.is_undone()?;
                return Ok(None);
            }
            Event::Prepared(mut prepared) => {
                self.met("event: prepared");
                let taken = self.prepared(&mut prepared, walks)?;
                (taken, prepared.into_token())
            }
            Event::CommitPrepared(commit) => {
                self.met("event: commit prepared");
                let (xid, gid) = (commit.xid(), commit.gid().to_owned());
                let what = |what| matches!(what, What::CommitPrepared(_));
                let (number, due) = self.find(commit.commit_lsn().0, "a commit prepared", what)?;
                let ends = (commit.commit_lsn(), commit.end_lsn(), commit.commit_time());
                compare::commit(&self.wal, number, xid, Some(&gid), ends)?;
                self.settle(number, &gid, xid)?;
                self.taken(due, commit.end_lsn(), commit.into_token())
            }
            Event::RollbackPrepared(rollback) => {
                self.met("event: rollback prepared");
                let end = rollback.end_lsn().0;
                let what = |what| matches!(what, What::RollbackPrepared(_));
                let (number, due) = self.find_end(end, "a rollback prepared", what)?;
                let id = rollback.id();
                let model = &self.wal.transactions[&number];
                if compare::id(&self.wal, number).as_ref() != Some(id)
                    || rollback.rollback_time().0 != model.time
                {
                    return Err(format!("the rollback at {end:X} is of {id:?}"));
                }
                self.prepared.remove(&number);
                self.taken(due, rollback.end_lsn(), rollback.into_token())
            }
            Event::StreamChunk(mut chunk) => {
                self.met("event: chunk");
                let world = self.world.lock().unwrap();
                self.early.chunk(&world, &mut chunk)?;
                return Ok(None);
            }
            Event::StreamAbort(abort) => {
                self.met(match abort.savepoint {
                    Some(_) => "event: abort to a savepoint",
                    None => "event: abort of all",
                });
                self.early.abort(abort)?;
                return Ok(None);
            }
            Event::StreamCommit(commit) => {
                self.met("event: stream commit");
                let (number, due) = self.find_commit(commit.commit_lsn(), commit.xid())?;
                let ends = (commit.commit_lsn(), commit.end_lsn(), commit.commit_time());
                let gid = self.gid(number);
                if gid.is_some() {
                    self.met("event: stream commit of a prepared one");
                }
                compare::commit(&self.wal, number, commit.xid(), gid.as_deref(), ends)?;
                if commit.gid() != gid.as_deref() {
                    return Err(format!("the name is {:?}, not {gid:?}", commit.gid()));
                }
                let world = self.world.lock().unwrap();
                self.early.end(&world, commit.xid(), number)?;
                drop(world);
                self.taken(due, commit.end_lsn(), commit.into_token())
            }
            Event::StreamPrepare(prepare) => {
                self.met("event: stream prepare");
                let id = prepare.id().clone();
                let times = (prepare.prepare_lsn(), prepare.prepare_time());
                let (number, due) = self.begin_prepared(&id, times)?;
                let world = self.world.lock().unwrap();
                self.early.end(&world, prepare.xid(), number)?;
                drop(world);
                self.taken(due, prepare.end_lsn(), prepare.into_token())
            }
        };
        Ok(Some(taken))
    }

    fn taken(&mut self, due: Option<usize>, position: Lsn, token: Token) -> (Taken, Token) {
        self.last = self.last.max(position.0);
        let position = position.0;
        (Taken { due, position }, token)
    }

    fn transaction(&mut self, transaction: &mut Transaction, walks: bool) -> Result<Taken, String> {
        self.met("event: transaction");
        let (number, due) = self.find_commit(transaction.commit_lsn(), transaction.xid())?;
        let gid = self.gid(number);
        let ends = (
            transaction.commit_lsn(),
            transaction.end_lsn(),
            transaction.commit_time(),
        );
        compare::commit(&self.wal, number, transaction.xid(), gid.as_deref(), ends)?;
        compare::origin(&self.wal, number, transaction.origin())?;
        if transaction.gid() != gid.as_deref() {
            return Err(format!("the name is {:?}, not {gid:?}", transaction.gid()));
        }
        if transaction.is_empty() {
            self.met("event: empty transaction");
        }
        if gid.is_some() {
            self.met("event: transaction that was prepared");
        }
        if walks {
            let world = self.world.lock().unwrap();
            let mut changes = transaction.changes().map_err(|error| error.to_string())?;
            compare::changes(&world, &mut changes, number)
                .map_err(|what| format!("transaction {}: {what}", transaction.xid()))?;
        }
        self.last = self.last.max(transaction.end_lsn().0);
        let position = transaction.end_lsn().0;
        Ok(Taken { due, position })
    }

    fn prepared(&mut self, prepared: &mut Prepared, walks: bool) -> Result<Taken, String> {
        let id = prepared.id().clone();
        let times = (prepared.prepare_lsn(), prepared.prepare_time());
        let (number, due) = self.begin_prepared(&id, times)?;
        compare::origin(&self.wal, number, prepared.origin())?;
        if walks {
            let world = self.world.lock().unwrap();
            let mut changes = prepared.changes().map_err(|error| error.to_string())?;
            compare::changes(&world, &mut changes, number)
                .map_err(|what| format!("prepared transaction {}: {what}", id.xid))?;
        }
        let position = id.end_lsn.0;
        self.last = self.last.max(position);
        Ok(Taken { due, position })
    }

    fn begin_prepared(
        &mut self,
        id: &PreparedId,
        (lsn, time): (Lsn, walproto::Timestamp),
    ) -> Result<(u32, Option<usize>), String> {
        let all = &self.wal.transactions;
        let number = all
            .keys()
            .copied()
            .find(|number| compare::id(&self.wal, *number).as_ref() == Some(id));
        let number = number.ok_or_else(|| format!("nothing was prepared as {id:?}"))?;
        let (record, _) = all[&number].prepare.as_ref().expect("it has an id");
        if self.wal.records[*record].start != lsn.0 || i64::from(number) != time.0 {
            return Err(format!("{id:?} was prepared at {lsn} and {time}"));
        }
        if self.prepared.insert(number, id.clone()).is_some() {
            return Err(format!("{id:?} was prepared again"));
        }
        let mut dues = self.world.lock().unwrap().dues.clone().into_iter();
        let due = dues.position(|due| due.what == What::Prepared(number));
        let due = due.ok_or_else(|| format!("{id:?} is not due"))?;
        // Directly before its commit it may be what was prepared long ago, or a repeat.
        if self.world.lock().unwrap().durable.contains(&due)
            && !self.dues[self.next..].iter().any(|(at, _)| *at == due)
        {
            self.met("event: prepared again after a crash");
            return Ok((number, None));
        }
        let found = self.next_due(|_, due| due.what == What::Prepared(number));
        let found = found.map_err(|next| format!("{id:?} came in place of {next}"))?;
        self.cross(number, lsn.0)?;
        Ok((number, Some(found)))
    }

    /// The content of a prepared transaction that commits has come, to this stream or one before it.
    fn settle(&mut self, number: u32, gid: &str, xid: Xid) -> Result<(), String> {
        let world = self.world.lock().unwrap();
        let mut dues = world.dues.iter();
        let prepared = dues.position(|due| due.what == What::Prepared(number));
        let stored = prepared.is_some_and(|due| world.durable.contains(&due));
        if self.prepared.remove(&number).is_some() || stored {
            return Ok(());
        }
        Err(format!(
            "{gid:?} of {xid} committed, and its content never came"
        ))
    }

    /// The name under which a transaction was prepared, if the stream was told.
    fn gid(&self, number: u32) -> Option<String> {
        let two_phase = self.world.lock().unwrap().options.two_phase_at.is_some();
        let (_, gid) = self.wal.transactions[&number].prepare.as_ref()?;
        two_phase.then(|| gid.clone())
    }

    fn find_commit(&mut self, lsn: Lsn, xid: Xid) -> Result<(u32, Option<usize>), String> {
        let of = |what| matches!(what, What::Commit(_));
        self.find(lsn.0, "a transaction", of)
            .map_err(|what| format!("{xid}: {what}"))
    }

    fn find(
        &mut self,
        start: u64,
        name: &str,
        of: impl Fn(What) -> bool,
    ) -> Result<(u32, Option<usize>), String> {
        let this = |wal: &Wal, due: &Due| of(due.what) && wal.records[due.record].start == start;
        let found = match self.overtaken(&this) {
            Some(found) => found,
            None => self
                .next_due(this)
                .map_err(|next| format!("{name} at {start:X} came in place of {next}"))?,
        };
        let record = self.world.lock().unwrap().dues[found].record;
        let number = self.wal.records[record].transaction;
        self.cross(number, start)?;
        Ok((number, Some(found)))
    }

    fn find_end(
        &mut self,
        end: u64,
        name: &str,
        of: impl Fn(What) -> bool,
    ) -> Result<(u32, Option<usize>), String> {
        let record = self.wal.records.iter().find(|record| record.end == end);
        let start = record.map_or(0, |record| record.start);
        self.find(start, name, of)
    }

    /// An empty transaction that one connection left out, and that the next one sent although messages behind it had
    /// come: they do not move the position.
    fn overtaken(&self, this: &impl Fn(&Wal, &Due) -> bool) -> Option<usize> {
        let passed = self.dues[..self.next].iter().rev();
        let (at, due) = passed
            .take_while(|(_, due)| due.what == What::Message || !due.needed)
            .find(|(_, due)| this(&self.wal, due))?;
        let end = self.wal.records[due.record].end;
        (!due.needed && end > self.last).then_some(*at)
    }

    /// Goes to what this is, past what need not come.
    fn next_due(&mut self, what: impl Fn(&Wal, &Due) -> bool) -> Result<usize, String> {
        while let Some((at, due)) = self.dues.get(self.next).copied() {
            if what(&self.wal, &due) {
                self.next += 1;
                return Ok(at);
            }
            if due.needed {
                let start = self.wal.records[due.record].start;
                return Err(format!("{:?} at {start:X}", due.what));
            }
            self.next += 1;
        }
        Err("the end".to_owned())
    }

    fn find_message(&mut self, lsn: u64) -> Result<(usize, usize), String> {
        if lsn <= self.slot {
            // From before the slot, which went back since.
            let world = self.world.lock().unwrap();
            let mut dues = world.dues.iter().enumerate();
            let of = dues.find(|(_, due)| {
                due.what == What::Message && self.wal.records[due.record].end == lsn
            });
            let of = of.ok_or_else(|| format!("there is no message at {lsn:X}"))?;
            return Ok((of.1.record, of.0));
        }
        let of =
            |wal: &Wal, due: &Due| due.what == What::Message && wal.records[due.record].end == lsn;
        let due = self
            .next_due(of)
            .map_err(|next| format!("the message at {lsn:X} came in place of {next}"))?;
        let record = self.world.lock().unwrap().dues[due].record;
        Ok((record, due))
    }

    /// What ends at or behind the place where the stream is to end has to begin before it, and be the only one.
    fn cross(&mut self, number: u32, start: u64) -> Result<(), String> {
        let Some(until) = self.delivery.until.filter(|until| until.0 <= start) else {
            return Ok(());
        };
        self.crossing += 1;
        let changes = &self.wal.transactions[&number].changes;
        let first = changes.first().map(|at| self.wal.records[*at].start);
        if self.crossing > 1 || first.is_none_or(|first| first >= until.0) {
            return Err(format!(
                "what ends at {start:X} is too much for a stream until {until}"
            ));
        }
        self.met("event: across the end");
        Ok(())
    }

    /// Everything that ends before this position has been delivered.
    fn passed(&self, lsn: u64) -> Result<(), String> {
        for (_, due) in &self.dues[self.next..] {
            let record = &self.wal.records[due.record];
            if record.end <= lsn && due.needed {
                return Err(format!(
                    "{:?} at {:X} was not delivered before {lsn:X}",
                    due.what, record.start
                ));
            }
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> Result<(), String> {
        self.passed(self.wal.end)
    }

    /// The stream says that it is at its end.
    pub(super) fn is_ended(&self) -> Result<(), String> {
        let Some(until) = self.delivery.until else {
            return Err("the stream ended".to_owned());
        };
        self.early.is_undone()?;
        let world = self.world.lock().unwrap();
        // What has begun before the place and is the first to commit behind it comes too, if it had when it all began.
        let mut behind = self.dues.iter().map(|(_, due)| due).filter(|due| {
            let record = &self.wal.records[due.record];
            match due.what {
                What::Message => false,
                // Of these the server says only where they end.
                What::RollbackPrepared(_) => record.end > until.0,
                _ => record.start >= until.0,
            }
        });
        let crosses = |due: &&Due| match due.what {
            What::Commit(transaction) => {
                let mut sent = self.wal.surviving(transaction);
                let first = sent.find(|it| world.options.messages || !is_message(it));
                due.needed
                    && self.wal.records[due.record].end <= world.written
                    && first.is_some_and(|first| compare::place(first) < until.0)
            }
            _ => false,
        };
        let crossing = behind.next().filter(crosses);
        for (_, due) in &self.dues[self.next..] {
            let record = &self.wal.records[due.record];
            let before = record.start < until.0 && record.end <= until.0 && due.needed;
            if before || crossing == Some(due) {
                return Err(format!(
                    "{:?} at {:X} was not delivered before the end",
                    due.what, record.start
                ));
            }
        }
        Ok(())
    }

    /// How far the slot is once all is confirmed, if nothing holds it.
    pub(super) fn last(&self) -> Option<u64> {
        let world = self.world.lock().unwrap();
        let held = self.delivery.prepared == PreparedDelivery::AtCommit
            && world.dues.iter().any(|due| match due.what {
                What::Hold(transaction) => {
                    let (end, _) = self.wal.transactions[&transaction].end.unzip();
                    let end = end.map_or(u64::MAX, |end| self.wal.records[end].end);
                    end > self.last
                }
                _ => false,
            });
        (!held).then_some(self.last)
    }
}
