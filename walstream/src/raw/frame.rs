//! Frames as the consumer gets them: lent, in the bytes of the lot that they came in.

use std::sync::Arc;

use bytes::Bytes;
use walproto::{Frame, Lsn, Timestamp};

use super::passing::Received;
use super::reached::look;
use crate::channel::Lot;
use crate::progress::{Ledger, RawToken};

/// How far a lot is handed out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Where the next frame begins.
    pub(super) at: usize,
    /// What is confirmed with the last frame before it.
    reached: Lsn,
}

impl Place {
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        lot: &'a Received,
        ledger: &'a Arc<Ledger>,
    ) -> Option<RawFrame<'a>> {
        let (body, next) = Lot::frame(&lot.bytes, self.at)?;
        self.at = next;
        // The task has read it once: there is no error left.
        if let Ok((_, Some(reached))) = look(body) {
            self.reached = self.reached.max(reached);
        }
        Some(RawFrame {
            body,
            lot,
            reached: self.reached,
            ledger,
        })
    }

    /// Hands out all of the lot that is left.
    pub(super) fn rest<'a>(&mut self, lot: &'a Received, ledger: &'a Arc<Ledger>) -> RawLot<'a> {
        let from = *self;
        *self = Self {
            at: lot.bytes.len(),
            reached: lot.reached,
        };
        RawLot { from, lot, ledger }
    }
}

/// One frame as it came: the content of one CopyData message of the server.
///
/// It is lent until the stream is asked for the next one.
#[derive(Clone, Copy, Debug)]
pub struct RawFrame<'a> {
    body: &'a [u8],
    lot: &'a Received,
    reached: Lsn,
    ledger: &'a Arc<Ledger>,
}

impl<'a> RawFrame<'a> {
    /// The bytes: `w` and a message of pgoutput, `k`, or something that only later servers send.
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        self.body
    }

    /// The bytes, to keep: a copy, or for a large frame the part of the read buffer where it lies.
    ///
    /// Large is at least a quarter of that buffer, which lives as long as the frame: what is kept never takes more than
    /// four times its size.
    pub fn to_bytes(&self) -> Bytes {
        const SHARE: usize = 4;
        if self.body.len() >= self.lot.buffer / SHARE {
            self.lot.bytes.slice_ref(self.body)
        } else {
            Bytes::copy_from_slice(self.body)
        }
    }

    /// What they say.
    ///
    /// # Errors
    ///
    /// Those of [`Frame::parse`].
    #[inline]
    pub fn parse(&self) -> walproto::Result<Frame<'a>> {
        Frame::parse(self.body)
    }

    /// When it was read from the socket, by this machine's clock; frames that were read at once have one time.
    #[inline]
    pub const fn received_at(&self) -> Timestamp {
        self.lot.at
    }

    /// What to hand back once this frame and everything before it is durable.
    pub fn token(&self) -> RawToken {
        self.ledger.mark(self.reached)
    }
}

/// Frames that were read at once; see [`RawStream::next_lot`](crate::RawStream::next_lot).
#[derive(Clone, Copy, Debug)]
pub struct RawLot<'a> {
    from: Place,
    lot: &'a Received,
    ledger: &'a Arc<Ledger>,
}

impl<'a> RawLot<'a> {
    /// The frames, in the order of the stream; at least one.
    #[inline]
    pub const fn frames(&self) -> RawFrames<'a> {
        RawFrames {
            place: self.from,
            lot: self.lot,
            ledger: self.ledger,
        }
    }

    /// When they were read from the socket, by this machine's clock.
    pub const fn received_at(&self) -> Timestamp {
        self.lot.at
    }

    /// What to hand back once all of them and everything before them is durable.
    pub fn token(&self) -> RawToken {
        self.ledger.mark(self.lot.reached)
    }
}

/// Walks the frames of a [`RawLot`].
#[derive(Clone, Debug)]
pub struct RawFrames<'a> {
    place: Place,
    lot: &'a Received,
    ledger: &'a Arc<Ledger>,
}

impl<'a> Iterator for RawFrames<'a> {
    type Item = RawFrame<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawFrame<'a>> {
        self.place.next(self.lot, self.ledger)
    }
}
