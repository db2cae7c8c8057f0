//! Framed messages over a socket: many per system call, reading and writing independent of each other.

mod reader;
mod socket;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

pub(crate) use reader::{Lot, Reader, split_frame};
pub(crate) use socket::Socket;

use crate::error::{Error, Result};
use crate::tls;

/// Until the server has shown that it is one, it may send this much at once.
pub(crate) const STARTUP_LIMIT: usize = 64 << 10;

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

/// What goes to the server. Nothing leaves before [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct Writer {
    socket: WriteHalf,
    buffer: BytesMut,
    /// Whether the socket may hold back some of what it took, as one of TLS does.
    held_back: bool,
}

// What both halves share, a session of TLS or a socket that may nap, is locked for as long as one read or write takes that
// does not wait, so neither can hold up the other.
#[derive(Debug)]
enum ReadHalf {
    Plain(tokio::io::ReadHalf<Socket>),
    Tls(tokio::io::ReadHalf<TlsStream<Socket>>),
}

#[derive(Debug)]
enum WriteHalf {
    Plain(tokio::io::WriteHalf<Socket>),
    Tls(tokio::io::WriteHalf<TlsStream<Socket>>),
}

impl Channel {
    fn new(read: ReadHalf, write: WriteHalf) -> Self {
        Self {
            reader: Reader::new(read),
            writer: Writer {
                socket: write,
                buffer: BytesMut::new(),
                held_back: false,
            },
        }
    }

    fn plain(socket: Socket) -> Self {
        let (read, write) = tokio::io::split(socket);
        Self::new(ReadHalf::Plain(read), WriteHalf::Plain(write))
    }

    /// Sets the largest message that is accepted.
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.reader.set_limit(bytes);
    }

    /// The largest message that is accepted.
    pub(crate) fn limit(&self) -> usize {
        self.reader.limit()
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
        Self::plain(stream.into())
    }
}

impl From<TcpStream> for Channel {
    fn from(stream: TcpStream) -> Self {
        Self::plain(stream.into())
    }
}

impl From<TlsStream<Socket>> for Channel {
    fn from(stream: TlsStream<Socket>) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self::new(ReadHalf::Tls(read), WriteHalf::Tls(write))
    }
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
                WriteHalf::Plain(socket) => Pin::new(socket).poll_write(cx, buffer),
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
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

#[cfg(test)]
mod tests;
