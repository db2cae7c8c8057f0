//! Passes frames on as they are, on the task's side, and what waits for the consumer.

use std::collections::VecDeque;

use bytes::Bytes;
use walproto::{Keepalive, Lsn, Timestamp};

use super::reached::look;
use crate::channel::Lot;
use crate::driver::{Shared, Sink, clock};
use crate::error::Error;

/// Frames that were read at once.
#[derive(Debug)]
pub(super) struct Received {
    /// Messages CopyData, each whole and seen by [`Passing`].
    pub(super) bytes: Bytes,
    /// Size of the buffer that is kept as long as any of the bytes.
    pub(super) buffer: usize,
    pub(super) at: Timestamp,
    /// What is confirmed with the last frame.
    pub(super) reached: Lsn,
}

/// What waits for the consumer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) lots: VecDeque<Received>,
    bytes: u64,
    /// Reading waits until somebody takes this.
    held: bool,
}

impl Queue {
    /// Swaps what waits for an empty queue, whose room is used again. Whether reading waited for that.
    pub(super) fn give(&mut self, empty: &mut VecDeque<Received>) -> bool {
        if self.lots.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.lots, empty);
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }
}

pub(super) struct Passing {
    /// Kept since the queue was last looked at.
    lots: VecDeque<Received>,
    /// Taken since then.
    bytes: u64,
    /// The last position that a frame said: all that is published before it has come.
    reached: Lsn,
    limit: u64,
}

impl Passing {
    /// `limit` is for what waits here and in the queue.
    pub(super) const fn new(limit: u64) -> Self {
        Self {
            lots: VecDeque::new(),
            bytes: 0,
            reached: Lsn::ZERO,
            limit,
        }
    }
}

impl Sink for Passing {
    type Waiting = Queue;

    const KEEPS: bool = true;

    #[inline]
    fn take(
        &mut self,
        _: &Shared<Queue>,
        frame: &[u8],
        _offset: u64,
    ) -> Result<Option<Keepalive>, Error> {
        let (keepalive, reached) = look(frame).map_err(|(error, lsn)| Error::decode(error, lsn))?;
        if let Some(reached) = reached {
            self.reached = self.reached.max(reached);
        }
        self.bytes += frame.len() as u64;
        Ok(keepalive)
    }

    fn keep(&mut self, lot: Lot) {
        self.bytes += size_of::<Received>() as u64;
        self.lots.push_back(Received {
            bytes: lot.bytes,
            buffer: lot.buffer,
            at: clock(),
            reached: self.reached,
        });
    }

    fn pass_on(&mut self, shared: &Shared<Queue>) {
        if self.lots.is_empty() {
            return;
        }
        shared.progress.raise_received(self.reached);
        let mut inbox = shared.inbox();
        let queue = &mut inbox.waiting;
        if queue.lots.is_empty() {
            std::mem::swap(&mut queue.lots, &mut self.lots);
        } else {
            queue.lots.append(&mut self.lots);
        }
        queue.bytes += std::mem::take(&mut self.bytes);
        drop(inbox);
        shared.ready.ring();
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.bytes > self.limit
    }

    fn hold(&mut self, queue: &mut Queue) -> Result<bool, Error> {
        queue.held = queue.bytes > self.limit;
        Ok(queue.held)
    }
}
