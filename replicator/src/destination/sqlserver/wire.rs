//! The connection under a session: its first words, and TLS where both sides want it.
//!
//! In this protocol client and server say in the clear whether they will have TLS, shake hands within packets of the
//! protocol, and go on within TLS. All of that is done here. The driver comes when it is done; its own first words,
//! which it cannot leave out, are answered from here, and what it is told is that there is no TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::failure::{no_tls, unreachable, wants_tls};
use super::trust;
use super::url::Address;
use crate::destination::tls::Mode;
use crate::error::{Error, Result};

/// A connection of which only the login is left to be done.
#[derive(Debug)]
pub(super) struct Wire {
    inner: Inner,
    greeting: Greeting,
}

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<Envelope>>),
}

/// What the driver says first, and what it gets for it.
#[derive(Debug)]
enum Greeting {
    /// So much of it came.
    Heard(Vec<u8>),
    /// So much of the answer is left.
    Answered(&'static [u8]),
    Done,
}

/// Bytes in front of every packet: kind, status, length (two), session (two), number, window.
pub(super) const HEAD: usize = 8;

/// Kinds of packets.
pub(super) const PRELOGIN: u8 = 0x12;
pub(super) const ANSWER: u8 = 0x04;

/// Status of the last packet of a message.
pub(super) const LAST: u8 = 1;

/// How much encryption is offered or wanted.
const ON: u8 = 1;
const NOT_SUPPORTED: u8 = 2;
const REQUIRED: u8 = 3;

/// Which option of the first message that is.
const ENCRYPTION: u8 = 1;

/// Behind the last option.
const END: u8 = 0xff;

/// Before sizes are agreed upon, no packet is larger.
const LARGEST: usize = 4096;

/// For the driver: only that there is no encryption.
const NONE: &[u8] = &[
    ANSWER,
    LAST,
    0,
    15,
    0,
    0,
    1,
    0, // head
    ENCRYPTION,
    0,
    6,
    0,
    1,
    END, // where it is, and how long
    NOT_SUPPORTED,
];

impl Wire {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Nobody there, no TLS where it is asked for, a certificate that does not count.
    pub(super) async fn connect(address: &Address) -> Result<Self> {
        let failed = |error: io::Error| unreachable(address, error);
        let target = (&*address.host, address.port);
        let mut socket = TcpStream::connect(target).await.map_err(failed)?;
        prepare(&socket).map_err(failed)?;
        let mode = address.tls.mode;
        let ours = if mode == Mode::Disable {
            NOT_SUPPORTED
        } else {
            ON
        };
        socket.write_all(&hello(ours)).await.map_err(failed)?;
        let theirs = read_answer(&mut socket).await.map_err(failed)?;
        let inner = match (mode, theirs) {
            (Mode::Disable, ON | REQUIRED) => return Err(wants_tls(address)),
            (Mode::Disable, _) => Inner::Plain(socket),
            (_, ON | REQUIRED) => Inner::Tls(Box::new(encrypt(address, socket).await?)),
            (Mode::Prefer, _) => Inner::Plain(socket),
            _ => return Err(no_tls(address)),
        };
        Ok(Self {
            inner,
            greeting: Greeting::Heard(Vec::new()),
        })
    }

    /// Whether what goes over it is encrypted.
    #[cfg(test)]
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.inner, Inner::Tls(_))
    }
}

/// A network that swallows everything is noticed by asking; small requests do not wait for company.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    const QUIET: Duration = Duration::from_secs(10);
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(QUIET);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// The client's first message.
fn hello(encryption: u8) -> Vec<u8> {
    // Version, encryption, instance (none), thread, several results at a time (no): number, place, length.
    let options: [(u8, &[u8]); 5] = [
        (0, &[0; 6]),
        (ENCRYPTION, &[encryption]),
        (2, &[0]),
        (3, &[0; 4]),
        (4, &[0]),
    ];
    let mut place = options.len() * 5 + 1;
    let (mut table, mut values) = (Vec::new(), Vec::new());
    for (option, value) in options {
        table.push(option);
        table.extend_from_slice(&short(place));
        table.extend_from_slice(&short(value.len()));
        values.extend_from_slice(value);
        place += value.len();
    }
    table.push(END);
    table.extend_from_slice(&values);
    packet(PRELOGIN, LAST, &table)
}

/// A packet with its head.
pub(super) fn packet(kind: u8, status: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = short(HEAD + body.len());
    let mut packet = vec![kind, status, high, low, 0, 0, 1, 0];
    packet.extend_from_slice(body);
    packet
}

/// A length of two bytes; no packet of ours is longer.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// How much encryption the server wants.
async fn read_answer(socket: &mut TcpStream) -> io::Result<u8> {
    let mut head = [0; HEAD];
    socket.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    // Not every server answers with a packet of another kind than the question.
    if ![ANSWER, PRELOGIN].contains(&head[0])
        || head[1] & LAST == 0
        || !(HEAD..=LARGEST).contains(&length)
    {
        return Err(strange());
    }
    let mut body = vec![0; length - HEAD];
    socket.read_exact(&mut body).await?;
    let mut options = body.chunks_exact(5).take_while(|option| option[0] != END);
    let Some(option) = options.find(|option| option[0] == ENCRYPTION) else {
        return Ok(NOT_SUPPORTED);
    };
    let place = usize::from(u16::from_be_bytes([option[1], option[2]]));
    body.get(place).copied().ok_or_else(strange)
}

fn strange() -> io::Error {
    io::Error::other("what answers there does not speak SQL Server's protocol")
}

/// Shakes hands.
async fn encrypt(address: &Address, socket: TcpStream) -> Result<TlsStream<Envelope>> {
    let tls = address.tls.clone();
    let settings = tokio::task::spawn_blocking(move || trust::settings(&tls)).await;
    let settings = settings
        .unwrap_or_else(|error| Err(Error::usage("TLS cannot be set up").caused_by(error)))?;
    let name = ServerName::try_from(address.host.clone()).map_err(|error| {
        Error::usage("the destination's host is no name that a certificate could have")
            .caused_by(error)
    })?;
    let connector = TlsConnector::from(Arc::new(settings));
    let connected = connector.connect(name, Envelope::new(socket)).await;
    let mut stream = connected.map_err(|error| unreachable(address, error))?;
    stream.get_mut().0.open();
    Ok(stream)
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Greeting::Answered(rest) = &mut this.greeting {
            let (now, later) = rest.split_at(rest.len().min(buf.remaining()));
            buf.put_slice(now);
            *rest = later;
            if later.is_empty() {
                this.greeting = Greeting::Done;
            }
            return Poll::Ready(Ok(()));
        }
        match &mut this.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Greeting::Heard(heard) = &mut this.greeting {
            heard.extend_from_slice(buf);
            let length = heard
                .get(2..4)
                .map(|at| usize::from(at[0]) << 8 | usize::from(at[1]));
            if length.is_some_and(|length| heard.len() >= length) {
                this.greeting = Greeting::Answered(NONE);
            }
            return Poll::Ready(Ok(buf.len()));
        }
        match &mut this.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A socket whose bytes travel in packets as long as hands are shaken, and as they are afterwards.
#[derive(Debug)]
pub(super) struct Envelope {
    socket: TcpStream,
    is_open: bool,
    /// What is to be sent with the next packets.
    waiting: Vec<u8>,
    /// Packets, and how much of them is out.
    packed: Vec<u8>,
    sent: usize,
    /// The head of the packet that comes in, and how much of it is there.
    head: [u8; HEAD],
    heard: usize,
    /// What is still to come of that packet.
    left: usize,
}

impl Envelope {
    pub(super) const fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            is_open: false,
            waiting: Vec::new(),
            packed: Vec::new(),
            sent: 0,
            head: [0; HEAD],
            heard: 0,
            left: 0,
        }
    }

    /// Hands are shaken.
    pub(super) const fn open(&mut self) {
        self.is_open = true;
    }

    fn pack(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut parts = waiting.chunks(LARGEST - HEAD).peekable();
        while let Some(part) = parts.next() {
            let status = if parts.peek().is_none() { LAST } else { 0 };
            self.packed.extend(packet(PRELOGIN, status, part));
        }
    }
}

impl AsyncRead for Envelope {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_open {
            return Pin::new(&mut this.socket).poll_read(cx, buf);
        }
        while this.left == 0 {
            let mut head = ReadBuf::new(&mut this.head[this.heard..]);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut head))?;
            match head.filled().len() {
                0 => return Poll::Ready(Ok(())),
                more => this.heard += more,
            }
            if this.heard == HEAD {
                let length = usize::from(u16::from_be_bytes([this.head[2], this.head[3]]));
                this.left = length.checked_sub(HEAD).ok_or_else(strange)?;
                this.heard = 0;
            }
        }
        let room = this.left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.socket).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        this.left -= read;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Envelope {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_open {
            return Pin::new(&mut this.socket).poll_write(cx, buf);
        }
        this.waiting.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.waiting.is_empty() {
            this.pack();
        }
        while this.sent < this.packed.len() {
            let rest = &this.packed[this.sent..];
            match ready!(Pin::new(&mut this.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => this.sent += more,
            }
        }
        this.packed.clear();
        this.sent = 0;
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
