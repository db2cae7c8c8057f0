//! Makes transactions out of frames, on the task's side.
//!
//! A frame goes straight into the assembler, or round a full memory by way of the [`Overflow`]. The server is not kept
//! waiting by that: its questions are answered and what was received is told when a frame is read. Only the consumer gets
//! everything in its place.

use std::sync::Arc;

use walproto::{Decoder, Frame, Keepalive, Lsn, Timestamp};

use super::handover::Handover;
use super::overflow::Overflow;
use super::queue::{Queue, Reached, Waiting};
use crate::delivery::Delivery;
use crate::driver::{Behind, Shared, Sink};
use crate::error::Error;
use crate::event::StreamAbort;
use crate::limits::Limits;
use crate::raw;
use crate::reconnect::Reconnected;
use crate::spool::{Complete, Folder, PIECE, Received, Usage};
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
    overflow: Overflow,
    /// There is something that the consumer has not heard of.
    news: bool,
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
            overflow: Overflow::new(&usage, &limits),
            handover: Handover::new(delivery, reached, written),
            decoder,
            delivery,
            usage,
            limits,
            out: Vec::new(),
            news: false,
            insisting: Insisting::default(),
        }
    }

    /// What is held, kept up to date.
    pub(super) const fn usage(&self) -> &Arc<Usage> {
        &self.usage
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
        Folder::from(limits),
        limits.memory,
    )
}

impl Sink for Assembling {
    type Waiting = Queue;

    fn take(
        &mut self,
        shared: &Shared<Queue>,
        body: &[u8],
        offset: u64,
    ) -> Result<Option<Keepalive>, Error> {
        let frame = Frame::parse(body).map_err(|error| Error::decode(error, Lsn::ZERO))?;
        match (frame, self.overflow.backlog()) {
            (Frame::Keepalive(keepalive), None) => {
                self.keepalive(shared, &keepalive)?;
            }
            (Frame::Keepalive(keepalive), Some(backlog)) => {
                backlog.keepalive(keepalive.wal_end, keepalive.reply_requested);
            }
            (Frame::WalData(wal), None) => self.message(shared, wal.start, wal.data)?,
            (Frame::WalData(wal), Some(backlog)) => {
                backlog
                    .message(wal.start, offset, wal.data)
                    .map_err(Error::spool)?;
                // It has come, whoever looks at it when. One that cannot be read is an error in its place.
                if let Ok(Some(end)) = raw::end(wal.data) {
                    shared.progress.raise_received(end);
                }
            }
            _ => {}
        }
        match frame {
            Frame::Keepalive(keepalive) => Ok(Some(keepalive)),
            _ => Ok(None),
        }
    }

    fn catch_up(&mut self, shared: &Shared<Queue>) -> Result<Behind, Error> {
        // A few milliseconds.
        const AT_ONCE: usize = 4 * PIECE;
        let Some(mut backlog) = self.overflow.take() else {
            return Ok(Behind::Nothing);
        };
        let mut done = 0;
        while done < AT_ONCE {
            // What lies behind the end is not wanted.
            if self.handover.is_ended() {
                self.overflow.clear();
                return Ok(Behind::Nothing);
            }
            if !self.overflow.has_room(shared) {
                self.overflow.put_back(backlog);
                return Ok(Behind::Waiting);
            }
            if !backlog.advance().map_err(Error::spool)? {
                self.overflow.clear();
                return Ok(Behind::Nothing);
            }
            // What is not a matter of bytes counts too.
            done += 256;
            match backlog.current() {
                Received::Message { lsn, offset, bytes } => {
                    done += bytes.len();
                    self.message(shared, lsn, bytes)
                        .map_err(|error| error.at_byte(offset))?;
                }
                Received::Keepalive {
                    wal_end,
                    reply_requested,
                } => {
                    let keepalive = Keepalive {
                        wal_end,
                        reply_requested,
                        // When it was sent is not asked for here.
                        sent_at: Timestamp::default(),
                    };
                    self.keepalive(shared, &keepalive)?;
                }
            }
        }
        self.overflow.put_back(backlog);
        Ok(Behind::More)
    }

    fn pass_on(&mut self, shared: &Shared<Queue>) {
        // Once for all that a read brought: the consumer may sleep on another thread, and waking it costs a system call.
        if std::mem::take(&mut self.news) {
            shared.ready.ring();
        }
    }

    fn is_full(&self) -> bool {
        self.overflow.is_full() || self.handover.is_ended()
    }

    fn asks(&self) -> bool {
        self.handover.wants_end()
    }

    fn hold(&mut self, queue: &mut Queue) -> Result<bool, Error> {
        // Nothing more is wanted of the server, but that it hears of what becomes durable.
        if self.handover.is_ended() {
            return Ok(true);
        }
        self.overflow.hold(queue)
    }

    fn restart(&mut self, queue: &mut Queue) -> Lsn {
        queue.restart();
        // Open transactions, their files, what was put off and the relations go with it: a new session sends all of
        // them again.
        self.assembler = assembler(self.decoder, self.delivery, &self.usage, &self.limits);
        self.overflow.clear();
        self.handover
            .restart(queue.reached, queue.prepared.clone(), queue.ended);
        self.insisting = Insisting::default();
        queue.reached.lsn
    }

    fn reconnected(&mut self, queue: &mut Queue, reconnected: Reconnected) {
        // Behind its end a stream has nothing to say.
        if !queue.ended {
            queue.events.push_back(Waiting::Reconnected(reconnected));
        }
    }
}

impl Assembling {
    fn message(&mut self, shared: &Shared<Queue>, lsn: Lsn, message: &[u8]) -> Result<(), Error> {
        match self.assembler.receive(lsn, message) {
            Ok(None) => Ok(()),
            Ok(Some(assembled)) => self.deliver(shared, assembled),
            Err(error) => Err(assemble_error(error, lsn)),
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
        self.news = true;
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
            waiting.count(|bytes| {
                Complete::new(Arc::clone(&self.usage), Arc::clone(&shared.wake), bytes)
            });
        }
        let mut inbox = shared.inbox();
        let queue = &mut inbox.waiting;
        // An earlier keepalive is below this.
        queue.idle = None;
        queue.events.extend(self.out.drain(..));
        self.end(queue);
        self.news = true;
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
