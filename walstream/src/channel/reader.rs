//! The messages of a server, cut out of what comes: many per system call, none before it is whole.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;

use super::{BackendMessage, ReadHalf, STARTUP_LIMIT};
use crate::error::{Error, ErrorKind, Result};
use crate::server_error::ServerError;
use crate::tls;

/// Room for one read; fits the second-level cache of every server processor.
pub(super) const READ_BUFFER: usize = 128 << 10;

/// With less room than this a read is hardly worth its system call.
const LEAST_ROOM: usize = READ_BUFFER / 8;

/// No other message than rows, copied data and texts comes near this.
const CONTROL_LIMIT: usize = 1 << 20;

/// So much of an error or notice is kept; what follows, at worst a gigabyte, is passed over.
pub(super) const TEXT_LIMIT: usize = 64 << 10;

/// Type and length before each message.
const HEADER: usize = 5;

/// What comes from the server.
#[derive(Debug)]
pub(crate) struct Reader {
    socket: ReadHalf,
    buffer: BytesMut,
    /// Size of the allocation behind `buffer`.
    pub(super) allocated: usize,
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
        loop {
            self.pass_over();
            let Some(Head { tag, size, kept }) = self.head()? else {
                return Ok(None);
            };
            if self.buffer.len() < kept {
                return Ok(None);
            }
            let offset = self.offset;
            let mut body = self.take(kept);
            self.skip = size - kept;
            body.advance(HEADER);
            if tag == b'N' {
                log(&ServerError::read(&body));
                continue;
            }
            return Ok(Some(BackendMessage {
                tag,
                body: body.freeze(),
                offset,
            }));
        }
    }

    /// How many bytes have come on this connection, also of a message that is not whole.
    pub(crate) fn received(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn take(&mut self, bytes: usize) -> BytesMut {
        self.offset += bytes as u64;
        self.buffer.split_to(bytes)
    }

    /// Drops what has come of the rest of a text that was cut.
    fn pass_over(&mut self) {
        let come = self.skip.min(self.buffer.len());
        self.skip -= come;
        self.take(come);
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
        self.allocated = need.max(READ_BUFFER);
        let mut fresh = BytesMut::with_capacity(self.allocated);
        fresh.extend_from_slice(&self.buffer);
        self.buffer = fresh;
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
