//! Makes transactions out of frames, on the task's side.

use std::sync::Arc;

use bytes::Bytes;
use walproto::{Decoder, Frame, Keepalive, Lsn};

use super::handover::Handover;
use super::queue::{Queue, Reached, Waiting};
use crate::delivery::Delivery;
use crate::driver::{Shared, Sink};
use crate::error::Error;
use crate::event::StreamAbort;
use crate::limits::Limits;
use crate::reconnect::Reconnected;
use crate::spool::{Complete, Usage};
use crate::transactions::{AssembleError, Assembled, Assembler};

/// Makes transactions out of frames, on the task's side.
pub(super) struct Assembling {
    assembler: Assembler,
    handover: Handover,
    /// As it is at the beginning of a connection.
    decoder: Decoder,
    delivery: Delivery,
    usage: Arc<Usage>,
    limits: Limits,
    /// What one message brought; its room is used again.
    out: Vec<Waiting>,
    insisting: Insisting,
}

/// How often in a row the server asked whether this position is durable.
#[derive(Debug, Default)]
struct Insisting {
    lsn: Lsn,
    times: u32,
}

impl Assembling {
    /// For a consumer that has everything up to `reached`, on a server whose log ends at `written`.
    pub(super) fn new(
        decoder: Decoder,
        limits: Limits,
        delivery: Delivery,
        reached: Reached,
        written: Lsn,
    ) -> Self {
        let usage = Arc::<Usage>::default();
        Self {
            assembler: assembler(decoder, delivery, &usage, &limits),
            handover: Handover::new(delivery, reached, written),
            decoder,
            delivery,
            usage,
            limits,
            out: Vec::new(),
            insisting: Insisting::default(),
        }
    }
}

fn assembler(
    decoder: Decoder,
    delivery: Delivery,
    usage: &Arc<Usage>,
    limits: &Limits,
) -> Assembler {
    Assembler::new(
        decoder,
        delivery,
        Arc::clone(usage),
        limits.folder.clone(),
        limits.memory,
    )
}

impl Sink for Assembling {
    type Waiting = Queue;

    fn take(&mut self, shared: &Shared<Queue>, body: Bytes) -> Result<Option<Keepalive>, Error> {
        self.frame(shared, &body)
    }

    fn is_full(&self) -> bool {
        self.usage.memory() > self.limits.memory || self.handover.is_ended()
    }

    fn asks(&self) -> bool {
        self.handover.wants_end()
    }

    fn hold(&mut self, queue: &mut Queue) -> Result<bool, Error> {
        // Nothing more is wanted of the server, but that it hears of what becomes durable.
        if self.handover.is_ended() {
            return Ok(true);
        }
        // Read before the files are: none complete means that what they hold is open. What was taken and is not done
        // with counts, as it will make room.
        let complete = self.usage.complete() > 0;
        let disk = self.usage.disk() > self.limits.spool;
        if disk && !complete {
            return Err(Error::spool_full(self.limits.spool));
        }
        Ok(disk || !queue.events.is_empty() && self.is_full())
    }

    fn restart(&mut self, queue: &mut Queue) -> Lsn {
        queue.restart();
        // Open transactions, their files and the relations go with it: a new session sends all of them again.
        self.assembler = assembler(self.decoder, self.delivery, &self.usage, &self.limits);
        self.handover
            .restart(queue.reached, queue.prepared.clone(), queue.ended);
        self.insisting = Insisting::default();
        queue.reached.lsn
    }

    fn reconnected(&mut self, queue: &mut Queue, reconnected: Reconnected) {
        queue.events.push_back(Waiting::Reconnected(reconnected));
    }
}

impl Assembling {
    fn frame(&mut self, shared: &Shared<Queue>, body: &[u8]) -> Result<Option<Keepalive>, Error> {
        match Frame::parse(body).map_err(|error| Error::decode(error, Lsn::ZERO))? {
            Frame::Keepalive(keepalive) => {
                self.keepalive(shared, &keepalive)?;
                Ok(Some(keepalive))
            }
            Frame::WalData(wal) => {
                match self.assembler.receive(wal.start, wal.data) {
                    Ok(None) => {}
                    Ok(Some(assembled)) => self.deliver(shared, assembled)?,
                    Err(error) => return Err(assemble_error(error, wal.start)),
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn keepalive(&mut self, shared: &Shared<Queue>, keepalive: &Keepalive) -> Result<(), Error> {
        // After a lost connection the server begins where the slot is, which may lie behind the consumer.
        if keepalive.wal_end < self.handover.skip() {
            return Ok(());
        }
        self.handover.passed(keepalive.wal_end);
        let insists = self.insisting.count(keepalive);
        let mut inbox = shared.inbox();
        let queue = &mut inbox.waiting;
        if insists && queue.is_empty() && queue.is_held(&shared.ledger) {
            return Err(Error::held_at_shutdown(keepalive.wal_end));
        }
        let asked = keepalive.reply_requested || queue.idle.is_some_and(|(_, asked)| asked);
        queue.idle = Some((keepalive.wal_end, asked));
        self.end(queue);
        drop(inbox);
        shared.ready.ring();
        Ok(())
    }

    fn deliver(&mut self, shared: &Shared<Queue>, assembled: Assembled) -> Result<(), Error> {
        if let Some(end_lsn) = assembled.end_lsn() {
            shared.progress.raise_received(end_lsn);
        }
        self.handover.decide(assembled, &mut self.out)?;
        if self.out.is_empty() && !self.handover.is_ended() {
            return Ok(());
        }
        for waiting in &mut self.out {
            if let Some(body) = waiting.body() {
                body.complete = Some(Complete::new(
                    Arc::clone(&self.usage),
                    Arc::clone(&shared.wake),
                ));
            }
        }
        let mut inbox = shared.inbox();
        let queue = &mut inbox.waiting;
        // An earlier keepalive is below this.
        queue.idle = None;
        queue.events.extend(self.out.drain(..));
        self.end(queue);
        drop(inbox);
        shared.ready.ring();
        Ok(())
    }

    /// If the end has come: what was handed over in pieces and did not end before it is undone.
    fn end(&self, queue: &mut Queue) {
        if !self.handover.is_ended() || queue.ended {
            return;
        }
        queue.ended = true;
        let undone = self.assembler.in_pieces().into_iter().map(|xid| {
            Waiting::Abort(StreamAbort {
                xid,
                savepoint: None,
            })
        });
        queue.events.extend(undone);
    }
}

impl Insisting {
    /// Counts the question; `true` when the server goes on and on.
    ///
    /// One that shuts down asks again as soon as it is answered, until all it has sent is durable. At any other time it
    /// asks once, after half of its timeout without a word from us.
    // walsender.c: WalSndDone
    fn count(&mut self, keepalive: &Keepalive) -> bool {
        const ENOUGH: u32 = 20;
        if !keepalive.reply_requested || keepalive.wal_end != self.lsn {
            self.times = 0;
        }
        self.lsn = keepalive.wal_end;
        self.times += u32::from(keepalive.reply_requested);
        self.times >= ENOUGH
    }
}

fn assemble_error(error: AssembleError, lsn: Lsn) -> Error {
    match error {
        AssembleError::Decode(error) => Error::decode(error, lsn),
        AssembleError::Spool(error) => Error::spool(error),
        AssembleError::OutOfPlace { .. }
        | AssembleError::Contradiction(_)
        | AssembleError::ColumnTwice { .. } => Error::contradiction(&error.to_string(), lsn),
    }
}
