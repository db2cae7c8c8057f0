//! A socket that lets a busy server get ahead.
//!
//! A server sends each message by itself. Who waits in the kernel is woken for each one, and it is the server that pays
//! for waking: on a machine with idle cores that costs it more than decoding the change. So when messages come one by
//! one without a pause, nobody waits for the next: the socket is taken out of the poll for [`NAP`], and what came
//! meanwhile is read in one go. A single transaction is not delayed by it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

/// The shortest time that a timer of tokio's can wait. Nothing is kept open at the server longer by it than by a slow
/// network.
const NAP: Duration = Duration::from_millis(1);

/// So many messages in a row show that more are coming.
const ROW: u32 = 32;

/// What comes within this time comes without a pause.
const SOON: Duration = Duration::from_micros(200);

/// A read that brings more than this was worth waking up for.
const LITTLE: usize = 4 << 10;

/// Less than this after a nap means that the server has no more to say.
const ENOUGH: usize = 2 << 10;

/// With more than this after a nap the server may have had to wait for room in the socket, which costs more than waking
/// us: 64 KiB made small transactions a tenth slower, 1 MiB a third.
const PLENTY: usize = 24 << 10;

/// A connected socket of any kind.
#[derive(Debug)]
pub(crate) struct Socket {
    line: Line,
    pace: Pace,
}

#[derive(Debug)]
enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
    Napping(Apart),
    /// Was lost between the poll and us.
    Gone,
}

/// A socket that the poll does not know.
#[derive(Debug)]
struct Apart {
    socket: Plain,
    until: Pin<Box<Sleep>>,
    /// Waits for its end.
    reader: Option<Waker>,
}

#[derive(Debug)]
enum Plain {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self {
            line: Line::Tcp(socket),
            pace: Pace::default(),
        }
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self {
            line: Line::Unix(socket),
            pace: Pace::default(),
        }
    }
}

impl Socket {
    /// Takes it out of the poll.
    fn nap(&mut self) -> io::Result<()> {
        let socket = match std::mem::replace(&mut self.line, Line::Gone) {
            Line::Tcp(socket) => Plain::Tcp(socket.into_std()?),
            Line::Unix(socket) => Plain::Unix(socket.into_std()?),
            line => {
                self.line = line;
                return Ok(());
            }
        };
        self.line = Line::Napping(Apart {
            socket,
            until: Box::pin(tokio::time::sleep(NAP)),
            reader: None,
        });
        Ok(())
    }

    /// Puts it back, if it is out.
    fn wake(&mut self) -> io::Result<()> {
        let Apart { socket, reader, .. } = match std::mem::replace(&mut self.line, Line::Gone) {
            Line::Napping(apart) => apart,
            line => {
                self.line = line;
                return Ok(());
            }
        };
        self.line = match socket {
            Plain::Tcp(socket) => Line::Tcp(TcpStream::from_std(socket)?),
            Plain::Unix(socket) => Line::Unix(UnixStream::from_std(socket)?),
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket was lost")
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Line::Napping(Apart { until, reader, .. }) = &mut self.line {
            if until.as_mut().poll(cx).is_pending() {
                *reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            *reader = None;
            self.wake()?;
        }
        let (room, before) = (buffer.remaining(), buffer.filled().len());
        ready!(match &mut self.line {
            Line::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Line::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            Line::Napping(_) | Line::Gone => Poll::Ready(Err(gone())),
        })?;
        let bytes = buffer.filled().len() - before;
        if bytes > 0 && self.pace.came(bytes, bytes == room, Instant::now()) {
            self.nap()?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wake()?;
        match &mut self.line {
            Line::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Line::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Line::Napping(_) | Line::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have no buffer of their own here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wake()?;
        match &mut self.line {
            Line::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Line::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Line::Napping(_) | Line::Gone => Poll::Ready(Err(gone())),
        }
    }
}

/// How a server sends.
#[derive(Debug, Default)]
struct Pace {
    /// Reads of little, one soon after the other.
    row: u32,
    /// What came since the socket was last empty.
    bytes: usize,
    /// When it was.
    emptied: Option<Instant>,
    napped: bool,
}

impl Pace {
    /// Whether to take a nap after a read, behind which there may be `more` in the socket.
    fn came(&mut self, bytes: usize, more: bool, now: Instant) -> bool {
        self.bytes += bytes;
        if more {
            return false;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let before = self.emptied.replace(now);
        if std::mem::take(&mut self.napped) {
            self.napped = (ENOUGH..PLENTY).contains(&bytes);
        } else {
            let soon = before.is_some_and(|before| now - before < SOON);
            self.row = if soon && bytes < LITTLE {
                self.row + 1
            } else {
                0
            };
            self.napped = self.row >= ROW;
        }
        if self.napped {
            self.row = 0;
        }
        self.napped
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    #[test]
    fn messages_one_by_one_make_it_nap_until_they_end() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for message in 0..ROW {
            assert!(!pace.came(100, false, now), "{message}");
            now += 20 * MICRO;
        }
        assert!(pace.came(100, false, now));
        for _ in 0..10 {
            now += NAP;
            assert!(pace.came(20_000, false, now));
        }
        now += NAP;
        assert!(!pace.came(100, false, now), "the last ones");
        for message in 0..ROW - 1 {
            now += 20 * MICRO;
            assert!(!pace.came(100, false, now), "{message}");
        }
    }

    #[test]
    fn nothing_else_makes_it_nap() {
        let cases = [
            ("single transactions", 100, false, SOON),
            ("large reads", LITTLE, false, MICRO),
            ("full reads", 100, true, MICRO),
        ];
        for (what, bytes, more, pause) in cases {
            let mut pace = Pace::default();
            let mut now = Instant::now();
            for _ in 0..1000 {
                assert!(!pace.came(bytes, more, now), "{what}");
                now += pause;
            }
        }
    }

    #[test]
    fn a_server_that_may_wait_for_room_is_read_at_once() {
        let mut pace = Pace {
            napped: true,
            ..Pace::default()
        };
        let now = Instant::now();
        assert!(!pace.came(PLENTY - 1, true, now));
        assert!(!pace.came(1, false, now));
    }

    /// A pair, of which ours has had its first byte and naps.
    async fn napping() -> (Socket, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ours = Socket::from(ours);
        ours.pace = Pace {
            row: ROW,
            emptied: Some(Instant::now()),
            ..Pace::default()
        };
        theirs.write_all(b"a").await.unwrap();
        assert_eq!(read(&mut ours).await, b"a");
        assert!(matches!(ours.line, Line::Napping(_)));
        (ours, theirs)
    }

    async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10);
        socket.read_buf(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_lost_over_a_nap_and_it_ends_by_itself() {
        let (mut ours, mut theirs) = napping().await;
        theirs.write_all(b"b").await.unwrap();
        theirs.write_all(b"c").await.unwrap();
        let asleep = Instant::now();
        assert_eq!(read(&mut ours).await, b"bc");
        assert!(asleep.elapsed() >= NAP);
        assert!(matches!(ours.line, Line::Unix(_)));
        drop(theirs);
        assert_eq!(read(&mut ours).await, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn writing_ends_a_nap_for_who_reads_too() {
        let (ours, mut theirs) = napping().await;
        let (mut reading, mut writing) = tokio::io::split(ours);
        let reader = tokio::spawn(async move { read(&mut reading).await });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        writing.write_all(b"x").await.unwrap();
        assert_eq!(read(&mut theirs).await, b"x");
        theirs.write_all(b"b").await.unwrap();
        let came = tokio::time::timeout(NAP / 2, reader).await;
        assert_eq!(came.unwrap().unwrap(), b"b");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
