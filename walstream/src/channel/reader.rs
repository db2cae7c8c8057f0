//! The messages of a server, cut out of what comes: many per system call, none before it is whole.
//!
//! # Memory
//!
//! Frames of a stream are looked at where they lie, and a run of them is handed on as one [`Lot`]: a slice of the read
//! buffer, counted once for all that is in it. Reading goes on behind it in the same buffer, then in another one, and a
//! buffer is used again once no lot of it is left: with a consumer that keeps up there are two of them, and nothing is
//! allocated any more. A message larger than [`READ_BUFFER`] has a buffer of its own size.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::{BackendMessage, ReadHalf, STARTUP_LIMIT};
use crate::error::{Error, ErrorKind, Result};
use crate::server_error::ServerError;
use crate::tls;

/// Room for one read; fits the second-level cache of every server processor.
pub(super) const READ_BUFFER: usize = 256 << 10;

/// With less room than this a read is hardly worth its system call.
const LEAST_ROOM: usize = READ_BUFFER / 8;

/// No other message than rows, copied data and texts comes near this.
const CONTROL_LIMIT: usize = 1 << 20;

/// So much of an error or notice is kept; what follows, at worst a gigabyte, is passed over.
pub(super) const TEXT_LIMIT: usize = 64 << 10;

/// Type and length before each message.
const HEADER: usize = 5;

/// Frames that came together: messages CopyData, whole, one behind the other as the server sent them.
#[derive(Debug)]
pub(crate) struct Lot {
    pub(crate) bytes: Bytes,
    /// Size of the buffer that is kept as long as any of the bytes.
    pub(crate) buffer: usize,
}

/// Splits off a message CopyData if it is whole: its content, and what is behind it.
#[inline]
pub(crate) fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[b'd', length @ ..], rest) = bytes.split_first_chunk::<HEADER>()? else {
        return None;
    };
    // The length counts itself.
    let length = (u32::from_be_bytes(length) as usize).checked_sub(HEADER - 1)?;
    rest.split_at_checked(length)
}

/// What comes from the server.
#[derive(Debug)]
pub(crate) struct Reader {
    socket: ReadHalf,
    buffer: BytesMut,
    /// Size of the allocation behind `buffer`.
    pub(super) allocated: usize,
    pub(super) lent: Lent,
    limit: usize,
    /// Bytes that came before those in `buffer`.
    offset: u64,
    /// Bytes to pass over: the rest of a text that was cut.
    skip: usize,
}

impl Reader {
    pub(super) fn new(socket: ReadHalf) -> Self {
        Self {
            socket,
            buffer: BytesMut::with_capacity(READ_BUFFER),
            allocated: READ_BUFFER,
            lent: Lent::default(),
            limit: STARTUP_LIMIT,
            offset: 0,
            skip: 0,
        }
    }

    /// Sets the largest message that is accepted.
    pub(super) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// The largest message that is accepted.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// The next message. Notices go to the log and are not returned.
    ///
    /// Cancel safe: a message that has come in part stays in the buffer.
    pub(crate) async fn recv(&mut self) -> Result<BackendMessage> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<BackendMessage>> {
        loop {
            if let Some(message) = self.try_recv()? {
                return Poll::Ready(Ok(message));
            }
            ready!(self.poll_fill(cx))?;
        }
    }

    /// A message that has already come whole.
    pub(crate) fn try_recv(&mut self) -> Result<Option<BackendMessage>> {
        while let Some(head) = self.whole()? {
            if let Some(message) = self.message(head) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// As [`try_recv`](Self::try_recv), up to the next frame, which is left to [`walk`](Self::walk).
    pub(crate) fn try_other(&mut self) -> Result<Option<BackendMessage>> {
        while let Some(head) = self.whole()?.filter(|head| head.tag != b'd') {
            if let Some(message) = self.message(head) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The first message in the buffer, if it has come whole.
    fn whole(&mut self) -> Result<Option<Head>> {
        self.pass_over();
        let head = self.head()?;
        Ok(head.filter(|head| self.buffer.len() >= head.kept))
    }

    /// Takes a message that has come whole out of the buffer, unless it is a notice.
    fn message(&mut self, head: Head) -> Option<BackendMessage> {
        let offset = self.offset;
        let mut body = self.take(head.kept);
        self.skip = head.size - head.kept;
        body.advance(HEADER);
        if head.tag == b'N' {
            log(&ServerError::read(&body));
            return None;
        }
        Some(BackendMessage {
            tag: head.tag,
            body: body.freeze(),
            offset,
        })
    }

    /// Waits until a message has come whole.
    ///
    /// Cancel safe, as [`recv`](Self::recv).
    pub(crate) async fn ready(&mut self) -> Result<()> {
        poll_fn(|cx| {
            loop {
                if self.whole()?.is_some() {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_fill(cx))?;
            }
        })
        .await
    }

    /// Shows the frames that have come whole, up to the first message of another kind and for as long as `take` wants
    /// more. The bytes of those that were taken, to be let go by [`split`](Self::split) or [`pass`](Self::pass); an
    /// error is about the one behind them.
    pub(crate) fn walk(
        &self,
        mut take: impl FnMut(&[u8], u64) -> Result<bool>,
    ) -> (usize, Result<()>) {
        let mut rest = &self.buffer[self.skip.min(self.buffer.len())..];
        let mut walked = 0;
        // What is too long or cannot be is left to `judge`.
        while let Some((body, behind)) = split_frame(rest)
            && body.len() <= self.limit - (HEADER - 1)
        {
            let offset = self.offset + walked as u64;
            let more = match take(body, offset) {
                Ok(more) => more,
                Err(error) => return (walked, Err(error.at_byte(offset))),
            };
            walked += HEADER + body.len();
            rest = behind;
            if !more {
                break;
            }
        }
        (walked, Ok(()))
    }

    /// Hands out the first bytes as they are.
    pub(crate) fn split(&mut self, bytes: usize) -> Lot {
        Lot {
            bytes: self.take(bytes).freeze(),
            buffer: self.allocated,
        }
    }

    /// Leaves the first bytes behind.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.offset += bytes as u64;
        self.buffer.advance(bytes);
    }

    /// How many bytes have come on this connection, also of a message that is not whole.
    pub(crate) fn received(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// How many bytes have left the buffer: those of all messages that were taken.
    pub(crate) const fn left(&self) -> u64 {
        self.offset
    }

    fn take(&mut self, bytes: usize) -> BytesMut {
        self.offset += bytes as u64;
        self.buffer.split_to(bytes)
    }

    /// Drops what has come of the rest of a text that was cut.
    fn pass_over(&mut self) {
        let come = self.skip.min(self.buffer.len());
        self.skip -= come;
        self.pass(come);
    }

    /// What the first message in the buffer is, once its header is there.
    fn head(&self) -> Result<Option<Head>> {
        let Some((&[tag, length @ ..], _)) = self.buffer.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(length);
        self.judge(tag, length)
            .map(Some)
            .map_err(|error| error.at_byte(self.offset))
    }

    /// Before the rest has come: nobody waits for, or makes room for, what cannot be.
    fn judge(&self, tag: u8, length: i32) -> Result<Head> {
        let limit = self.limit;
        let name = tag.escape_ascii();
        if limit == STARTUP_LIMIT
            && !(is_known(tag) && usize::try_from(length).is_ok_and(|length| length <= limit))
        {
            return Err(
                Error::protocol("what answered does not speak PostgreSQL's protocol")
                    .with_hint("Check host and port."),
            );
        }
        if !is_known(tag) {
            return Err(Error::protocol(format!(
                "the server sent a message of unknown type '{name}'"
            )));
        }
        // The length counts itself.
        let length = match usize::try_from(length) {
            Ok(length) if length >= HEADER - 1 => length,
            _ => {
                return Err(Error::protocol(format!(
                    "the server sent a message '{name}' of length {length}"
                )));
            }
        };
        if length > limit {
            let what = format!(
                "the server sent a message '{name}' of {length} bytes, and the limit is {limit}"
            );
            return Err(Error::new(ErrorKind::Limit, what).with_hint(
                "Raise max_message_size, up to 1 GiB, the largest that a server can send.",
            ));
        }
        let size = length + 1;
        let kept = match tag {
            b'd' | b'D' => size,
            b'E' | b'N' => size.min(TEXT_LIMIT),
            _ if length <= CONTROL_LIMIT => size,
            _ => {
                return Err(Error::protocol(format!(
                    "the server sent a message '{name}' of {length} bytes, and none of that type has more than {CONTROL_LIMIT}"
                )));
            }
        };
        Ok(Head { tag, size, kept })
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let size = self.head()?.map_or(0, |head| head.kept);
        self.make_room(size);
        let Self { socket, buffer, .. } = self;
        match ready!(pin!(socket.read_buf(buffer)).poll(cx)) {
            Ok(0) => Poll::Ready(Err(Error::closed())),
            Ok(_) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(tls::broken(error))),
        }
    }

    /// Room for the rest of a message of this size, and for a good deal more where it costs nothing.
    fn make_room(&mut self, size: usize) {
        let held = self.buffer.len();
        let need = size.max(held + LEAST_ROOM);
        // A buffer made for one large message is not kept for the small ones.
        let too_big =
            self.allocated > READ_BUFFER && size <= READ_BUFFER && held < READ_BUFFER - LEAST_ROOM;
        if !too_big && (self.buffer.capacity() >= need || self.buffer.try_reclaim(need - held)) {
            return;
        }
        let mut fresh = if need <= READ_BUFFER {
            self.lent.give_back()
        } else {
            BytesMut::with_capacity(need)
        };
        fresh.extend_from_slice(&self.buffer);
        let mut full = std::mem::replace(&mut self.buffer, fresh);
        if self.allocated == READ_BUFFER {
            full.clear();
            self.lent.0.push_back(full);
        }
        self.allocated = need.max(READ_BUFFER);
    }
}

/// Full buffers of [`READ_BUFFER`] bytes, oldest first, whose lots others may still have.
///
/// There are as many as there once were at the same time: what a consumer that falls behind leaves waiting is bounded
/// elsewhere. Those that are not needed any more go one by one.
#[derive(Debug, Default)]
pub(super) struct Lent(pub(super) VecDeque<BytesMut>);

impl Lent {
    /// So many stay though they are free: a consumer may be a little behind now and then.
    const SPARE: usize = 4;

    /// A buffer that is free again, or a new one.
    fn give_back(&mut self) -> BytesMut {
        let first = self.next_free(0);
        if self.0.len() > Self::SPARE
            && let Some(another) = first.and_then(|first| self.next_free(first + 1))
        {
            self.0.remove(another);
        }
        first
            .and_then(|first| self.0.remove(first))
            .unwrap_or_else(|| BytesMut::with_capacity(READ_BUFFER))
    }

    fn next_free(&mut self, from: usize) -> Option<usize> {
        let buffers = self.0.iter_mut().enumerate().skip(from);
        let mut free = buffers.filter_map(|(at, buffer)| {
            // All of it, or nothing.
            buffer.try_reclaim(READ_BUFFER).then_some(at)
        });
        free.next()
    }
}

/// A message whose header has come.
struct Head {
    tag: u8,
    /// With the header.
    size: usize,
    /// So much of it is handed out; the rest is passed over.
    kept: usize,
}

/// Whether any server of protocol 3 sends messages of this type.
const fn is_known(tag: u8) -> bool {
    matches!(
        tag,
        b'1'..=b'3'
            | b'A'
            | b'C'
            | b'D'
            | b'E'
            | b'G'
            | b'H'
            | b'I'
            | b'K'
            | b'N'
            | b'R'
            | b'S'
            | b'T'
            | b'V'
            | b'W'
            | b'Z'
            | b'c'
            | b'd'
            | b'n'
            | b's'
            | b't'
            | b'v'
    )
}

fn log(notice: &ServerError) {
    // Anybody who can raise a notice on the server could otherwise fill our log.
    const LONGEST: usize = 1000;
    let text = &notice.message;
    let end = text.char_indices().nth(LONGEST).map(|(at, _)| at);
    tracing::debug!(
        severity = notice.severity,
        code = notice.code,
        "notice from the server: {}{}",
        &text[..end.unwrap_or(text.len())],
        end.map_or("", |_| "…")
    );
}
