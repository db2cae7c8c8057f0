//! Framed messages over a socket: many per system call, reading and writing independent of each other.
//!
//! # Memory
//!
//! Bodies are slices of the read buffer. A kept body keeps the buffer it came in: [`READ_BUFFER`] bytes, or a buffer
//! of its own size where the message is larger. The buffer is used again as soon as no body of it is left, so who
//! keeps small bodies for long copies them.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_rustls::client::TlsStream;

use crate::error::{Error, ErrorKind, Result};
use crate::server_error::ServerError;
use crate::tls;

/// Room for one read; fits the second-level cache of every server processor.
const READ_BUFFER: usize = 128 << 10;

/// With less room than this a read is hardly worth its system call.
const LEAST_ROOM: usize = READ_BUFFER / 8;

/// Until the server has shown that it is one, it may send this much at once.
pub(crate) const STARTUP_LIMIT: usize = 64 << 10;

/// No other message than rows, copied data and texts comes near this.
const CONTROL_LIMIT: usize = 1 << 20;

/// So much of an error or notice is kept; what follows, at worst a gigabyte, is passed over.
const TEXT_LIMIT: usize = 64 << 10;

/// Type and length before each message.
const HEADER: usize = 5;

/// A message of the server: its type, and what follows the length.
#[derive(Clone, Debug)]
pub(crate) struct BackendMessage {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
    /// Bytes that came before it on this connection.
    pub(crate) offset: u64,
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Channel {
    reader: Reader,
    writer: Writer,
}

/// What comes from the server.
#[derive(Debug)]
pub(crate) struct Reader {
    socket: ReadHalf,
    buffer: BytesMut,
    /// Size of the allocation behind `buffer`.
    allocated: usize,
    limit: usize,
    /// Bytes that came before those in `buffer`.
    offset: u64,
    /// Bytes to pass over: the rest of a text that was cut.
    skip: usize,
}

/// What goes to the server. Nothing leaves before [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct Writer {
    socket: WriteHalf,
    buffer: BytesMut,
    /// Whether the socket may hold back some of what it took, as one of TLS does.
    held_back: bool,
}

// A session of TLS is one state for both directions. Its halves lock it for as long as one read or write takes that
// does not wait, so neither can hold up the other.
#[derive(Debug)]
enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    Tls(tokio::io::ReadHalf<TlsStream<TcpStream>>),
}

#[derive(Debug)]
enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
    Tls(tokio::io::WriteHalf<TlsStream<TcpStream>>),
}

impl Channel {
    fn new(read: ReadHalf, write: WriteHalf) -> Self {
        Self {
            reader: Reader {
                socket: read,
                buffer: BytesMut::with_capacity(READ_BUFFER),
                allocated: READ_BUFFER,
                limit: STARTUP_LIMIT,
                offset: 0,
                skip: 0,
            },
            writer: Writer {
                socket: write,
                buffer: BytesMut::new(),
                held_back: false,
            },
        }
    }

    /// Sets the largest message that is accepted.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.reader.limit = bytes;
    }

    /// The largest message that is accepted.
    pub(crate) fn limit(&self) -> usize {
        self.reader.limit
    }

    /// Reading and writing apart, so that one goes on while the other waits.
    pub(crate) fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    pub(crate) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// The next message; writes what is pending meanwhile, so that a server which wants to be read first cannot
    /// block both sides.
    ///
    /// Cancel safe: bytes read and bytes not yet written stay where they are.
    pub(crate) async fn recv(&mut self) -> Result<BackendMessage> {
        let Self { reader, writer } = self;
        poll_fn(|cx| {
            // Writing may fail because the server has closed after an error, which is then still to be read.
            let written = if writer.is_pending() {
                writer.poll_flush(cx)
            } else {
                Poll::Pending
            };
            match (reader.poll_recv(cx), written) {
                (Poll::Ready(message), _) => Poll::Ready(message),
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
                (Poll::Pending, _) => Poll::Pending,
            }
        })
        .await
    }
}

impl From<UnixStream> for Channel {
    fn from(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self::new(ReadHalf::Unix(read), WriteHalf::Unix(write))
    }
}

impl From<TcpStream> for Channel {
    fn from(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self::new(ReadHalf::Tcp(read), WriteHalf::Tcp(write))
    }
}

impl From<TlsStream<TcpStream>> for Channel {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self::new(ReadHalf::Tls(read), WriteHalf::Tls(write))
    }
}

impl Reader {
    /// The next message. Notices go to the log and are not returned.
    ///
    /// Cancel safe: a message that has come in part stays in the buffer.
    pub(crate) async fn recv(&mut self) -> Result<BackendMessage> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<BackendMessage>> {
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

impl Writer {
    /// Whether something waits to be written.
    pub(crate) fn is_pending(&self) -> bool {
        !self.buffer.is_empty() || self.held_back
    }

    /// Writes everything that is pending.
    ///
    /// Cancel safe: what was not written stays pending.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self {
            socket,
            buffer,
            held_back,
        } = self;
        while !buffer.is_empty() {
            let written = match socket {
                WriteHalf::Tcp(socket) => Pin::new(socket).poll_write(cx, buffer),
                WriteHalf::Unix(socket) => Pin::new(socket).poll_write(cx, buffer),
                WriteHalf::Tls(socket) => {
                    *held_back = true;
                    Pin::new(socket).poll_write(cx, buffer)
                }
            };
            match ready!(written) {
                Ok(0) => return Poll::Ready(Err(Error::closed())),
                Ok(written) => buffer.advance(written),
                Err(error) => return Poll::Ready(Err(tls::broken(error))),
            }
        }
        if let WriteHalf::Tls(socket) = socket {
            ready!(Pin::new(socket).poll_flush(cx)).map_err(tls::broken)?;
            *held_back = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Messages in the form of PostgreSQL's protocol, as [`frontend`] writes them.
    pub(crate) fn put(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<()> {
        let before = self.buffer.len();
        write(&mut self.buffer).map_err(|error| {
            // Half a message must not go out.
            self.buffer.truncate(before);
            Error::config("text for the server contains a zero byte or is too long")
                .with_source(error)
        })
    }

    pub(crate) fn copy_data(&mut self, data: &[u8]) {
        // Callers send messages of 34 bytes; only 2 GiB would be too long.
        if let Ok(message) = frontend::CopyData::new(data) {
            message.write(&mut self.buffer);
        }
    }

    pub(crate) fn copy_done(&mut self) {
        frontend::copy_done(&mut self.buffer);
    }

    pub(crate) fn terminate(&mut self) {
        frontend::terminate(&mut self.buffer);
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

#[cfg(test)]
mod tests;
