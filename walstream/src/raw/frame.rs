//! Frames as the consumer gets them: lent, in the bytes of the lot that they came in.

use std::sync::Arc;

use bytes::Bytes;
use walproto::{Frame, Lsn, Timestamp};

use super::passing::Received;
use super::reached::look;
use crate::channel::split_frame;
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
    /// The next frame of the lot.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        lot: &'a Received,
        ledger: &'a Arc<Ledger>,
    ) -> Option<RawFrame<'a>> {
        let mut frames = self.frames(lot, ledger);
        let frame = frames.next()?;
        *self = Self {
            at: lot.bytes.len() - frames.rest.len(),
            reached: frames.reached,
        };
        Some(frame)
    }

    /// All of the lot that is left.
    pub(super) fn rest<'a>(&mut self, lot: &'a Received, ledger: &'a Arc<Ledger>) -> RawLot<'a> {
        let frames = self.frames(lot, ledger);
        *self = Self {
            at: lot.bytes.len(),
            reached: lot.reached,
        };
        RawLot { frames }
    }

    #[inline]
    fn frames<'a>(&self, lot: &'a Received, ledger: &'a Arc<Ledger>) -> RawFrames<'a> {
        RawFrames {
            rest: lot.bytes.get(self.at..).unwrap_or_default(),
            reached: self.reached,
            lot,
            ledger,
        }
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
#[derive(Clone, Debug)]
pub struct RawLot<'a> {
    frames: RawFrames<'a>,
}

impl<'a> RawLot<'a> {
    /// The frames, in the order of the stream; at least one.
    #[inline]
    pub fn frames(&self) -> RawFrames<'a> {
        self.frames.clone()
    }

    /// When they were read from the socket, by this machine's clock.
    pub const fn received_at(&self) -> Timestamp {
        self.frames.lot.at
    }

    /// What to hand back once all of them and everything before them is durable.
    pub fn token(&self) -> RawToken {
        self.frames.ledger.mark(self.frames.lot.reached)
    }
}

/// Walks the frames of a [`RawLot`].
#[derive(Clone, Debug)]
pub struct RawFrames<'a> {
    /// Messages CopyData, each whole.
    rest: &'a [u8],
    /// What is confirmed with the last frame before it.
    reached: Lsn,
    lot: &'a Received,
    ledger: &'a Arc<Ledger>,
}

impl<'a> Iterator for RawFrames<'a> {
    type Item = RawFrame<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawFrame<'a>> {
        let (body, rest) = split_frame(self.rest)?;
        self.rest = rest;
        // The task has read it once: there is no error left.
        if let Ok((_, Some(reached))) = look(body) {
            self.reached = self.reached.max(reached);
        }
        Some(RawFrame {
            body,
            lot: self.lot,
            reached: self.reached,
            ledger: self.ledger,
        })
    }
}
