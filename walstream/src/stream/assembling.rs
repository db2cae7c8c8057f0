//! Makes transactions out of frames, on the task's side.

use std::sync::Arc;

use bytes::Bytes;
use walproto::{Decoder, Frame, Keepalive, Lsn};

use super::queue::{Queue, Reached, Waiting};
use crate::delivery::Delivery;
use crate::driver::{Shared, Sink};
use crate::error::Error;
use crate::limits::Limits;
use crate::reconnect::Reconnected;
use crate::spool::{Complete, Usage};
use crate::transactions::{AssembleError, Assembled, Assembler};

/// Makes transactions out of frames, on the task's side.
pub(super) struct Assembling {
    assembler: Assembler,
    /// As it is at the beginning of a connection.
    decoder: Decoder,
    usage: Arc<Usage>,
    limits: Limits,
    #[expect(dead_code, reason = "not yet")]
    delivery: Delivery,
    /// What the consumer had when this connection began.
    skip: Reached,
}

fn assembler(decoder: Decoder, usage: &Arc<Usage>, limits: &Limits) -> Assembler {
    Assembler::new(
        decoder,
        Arc::clone(usage),
        limits.folder.clone(),
        limits.memory,
    )
}

impl Assembling {
    pub(super) fn new(decoder: Decoder, limits: Limits, delivery: Delivery, skip: Reached) -> Self {
        let usage = Arc::<Usage>::default();
        Self {
            assembler: assembler(decoder, &usage, &limits),
            decoder,
            usage,
            limits,
            delivery,
            skip,
        }
    }
}

impl Sink for Assembling {
    type Waiting = Queue;

    fn take(&mut self, shared: &Shared<Queue>, body: Bytes) -> Result<Option<Keepalive>, Error> {
        self.frame(shared, &body)
    }

    fn is_full(&self) -> bool {
        self.usage.memory() > self.limits.memory
    }

    fn hold(&mut self, queue: &mut Queue) -> Result<bool, Error> {
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
        queue.events.clear();
        queue.idle = None;
        self.skip = queue.reached;
        // Open transactions, their files and the relations go with it: a new session sends all of them again.
        self.assembler = assembler(self.decoder, &self.usage, &self.limits);
        self.skip.lsn
    }

    fn reconnected(&mut self, queue: &mut Queue, reconnected: Reconnected) {
        queue.events.push_back(Waiting::Reconnected(reconnected));
    }
}

impl Assembling {
    fn frame(&mut self, shared: &Shared<Queue>, body: &[u8]) -> Result<Option<Keepalive>, Error> {
        match Frame::parse(body).map_err(|error| Error::decode(error, Lsn::ZERO))? {
            // After a lost connection the server begins where the slot is, which may lie behind the consumer.
            Frame::Keepalive(keepalive) if keepalive.wal_end < self.skip.lsn => {
                return Ok(Some(keepalive));
            }
            Frame::Keepalive(keepalive) => {
                let mut inbox = shared.inbox();
                let idle = &mut inbox.waiting.idle;
                let asked = keepalive.reply_requested || idle.is_some_and(|(_, asked)| asked);
                *idle = Some((keepalive.wal_end, asked));
                drop(inbox);
                shared.ready.ring();
                return Ok(Some(keepalive));
            }
            Frame::WalData(wal) => match self.assembler.receive(wal.start, wal.data) {
                Ok(None) => {}
                Ok(Some(assembled)) => self.deliver(shared, assembled),
                Err(error) => return Err(assemble_error(error, wal.start)),
            },
            _ => {}
        }
        Ok(None)
    }

    fn deliver(&self, shared: &Shared<Queue>, assembled: Assembled) {
        let waiting = match assembled {
            Assembled::Transaction(whole) => {
                shared.progress.raise_received(whole.end_lsn);
                if whole.commit_lsn < self.skip.lsn {
                    return;
                }
                let complete = Complete::new(Arc::clone(&self.usage), Arc::clone(&shared.wake));
                Waiting::Transaction(whole, complete)
            }
            Assembled::Message(message) if message.lsn <= self.skip.message => return,
            Assembled::Message(message) => Waiting::Message(message),
        };
        let mut inbox = shared.inbox();
        // An earlier keepalive is below this.
        inbox.waiting.idle = None;
        inbox.waiting.events.push_back(waiting);
        drop(inbox);
        shared.ready.ring();
    }
}

fn assemble_error(error: AssembleError, lsn: Lsn) -> Error {
    match error {
        AssembleError::Decode(error) => Error::decode(error, lsn),
        AssembleError::Spool(error) => Error::spool(error),
        AssembleError::TwoPhase(_) => Error::two_phase(error.to_string()),
        AssembleError::OutOfPlace { .. }
        | AssembleError::Contradiction(_)
        | AssembleError::ColumnTwice { .. } => Error::contradiction(&error.to_string(), lsn),
    }
}
