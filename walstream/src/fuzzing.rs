//! A way in for the fuzzer: what any server may send, through everything that stands behind a socket.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use walproto::{Decoder, Feedback, Lsn, Xid};

use crate::changes::Changes;
use crate::channel::Channel;
use crate::delivery::{Delivery, PreparedDelivery, StreamedDelivery};
use crate::error::ErrorKind;
use crate::event::Event;
use crate::limits::Limits;
use crate::progress::Token;
use crate::stream::Stream;

/// The largest message that is accepted here.
const LARGEST: usize = 256 << 10;

/// Streams these bytes, in pieces of the lengths in `cuts` over and over, to a consumer that confirms all it gets. The
/// first length also says what is handed over when.
///
/// # Panics
///
/// Where a promise is broken: events that are out of order, an error without its place, a position told to the server
/// that was not confirmed, answers that no server could read, a stream that does not end with its connection.
pub fn feed(bytes: &[u8], cuts: &[u8]) {
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs a few descriptors")
        );
    }
    RUNTIME.with_borrow_mut(|runtime| runtime.block_on(stream(bytes, cuts)));
}

async fn stream(bytes: &[u8], cuts: &[u8]) {
    let (server, client) = UnixStream::pair().expect("a socket pair needs two descriptors");
    let mut channel = Channel::from(client);
    channel.set_limit(LARGEST);
    let limits = Limits {
        memory: 64 << 10,
        spool: 1 << 20,
        ..Limits::default()
    };
    let way = cuts.first().copied().unwrap_or_default();
    let delivery = Delivery {
        prepared: match way & 1 {
            0 => PreparedDelivery::AtCommit,
            _ => PreparedDelivery::AtPrepare,
        },
        streamed: match way & 2 {
            0 => StreamedDelivery::AtCommit,
            _ => StreamedDelivery::AsReceived,
        },
        until: None,
    };
    let (timeout, decoder) = (Duration::from_secs(60), Decoder::new());
    let mut stream = Stream::delivering(channel, timeout, decoder, limits, delivery);
    let (mut reading, mut writing) = server.into_split();
    let send = async move {
        let mut rest = bytes;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = cuts.next().map_or(rest.len(), |&cut| usize::from(cut) + 1);
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            // The client has left, as it may.
            if writing.write_all(piece).await.is_err() {
                break;
            }
            rest = behind;
            tokio::task::yield_now().await;
        }
        drop(writing);
    };
    let consume = async {
        let confirmed = consume(&mut stream, bytes.len() as u64).await;
        drop(stream);
        confirmed
    };
    let hear = async move {
        let mut heard = Vec::new();
        // An error says that it left with our bytes unread.
        let _ = reading.read_to_end(&mut heard).await;
        heard
    };
    let ((), confirmed, heard) = tokio::join!(send, consume, hear);
    check(&heard, confirmed);
}

/// Takes everything; the highest position that was confirmed.
async fn consume(stream: &mut Stream, sent: u64) -> Lsn {
    let mut taken = Taken::default();
    loop {
        match stream.next_event().await {
            Ok(Some(event)) => taken.take(event),
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                if error.kind() == ErrorKind::Protocol {
                    let offset = error.offset().expect("an error with its place");
                    assert!(offset < sent, "{error}");
                }
                break;
            }
        }
    }
    assert!(stream.progress().durable() <= taken.highest);
    taken.highest
}

/// What the consumer was handed.
#[derive(Default)]
struct Taken {
    last: Lsn,
    highest: Lsn,
    /// Transactions that are open in pieces.
    open: HashSet<Xid>,
}

impl Taken {
    fn take(&mut self, event: Event) {
        match event {
            Event::Reconnected(_) => unreachable!("it has one connection"),
            Event::Transaction(mut it) => {
                self.commit(it.commit_lsn(), it.end_lsn());
                it.changes().into_iter().for_each(walk);
                self.confirm(it.into_token());
            }
            Event::Prepared(mut it) => {
                it.changes().into_iter().for_each(walk);
                self.confirm(it.into_token());
            }
            Event::StreamChunk(mut it) => {
                assert_eq!(self.open.insert(it.xid()), it.is_first());
                it.changes().into_iter().for_each(walk);
            }
            Event::StreamAbort(abort) if abort.savepoint.is_some() => {
                assert!(self.open.contains(&abort.xid));
            }
            Event::StreamAbort(abort) => assert!(self.open.remove(&abort.xid)),
            Event::StreamCommit(it) => {
                self.commit(it.commit_lsn(), it.end_lsn());
                self.open.remove(&it.xid());
                self.confirm(it.into_token());
            }
            Event::StreamPrepare(it) => {
                self.open.remove(&it.xid());
                self.confirm(it.into_token());
            }
            Event::CommitPrepared(it) => {
                self.commit(it.commit_lsn(), it.end_lsn());
                self.confirm(it.into_token());
            }
            Event::RollbackPrepared(it) => self.confirm(it.into_token()),
            Event::Idle(it) => self.confirm(it.into_token()),
            Event::Message(it) => it.confirm(),
        }
    }

    fn commit(&mut self, commit: Lsn, end: Lsn) {
        assert!(end > self.last, "out of commit order");
        assert!(end > commit);
        self.last = end;
    }

    fn confirm(&mut self, token: Token) {
        self.highest = self.highest.max(token.lsn());
        token.confirm();
    }
}

fn walk(mut changes: Changes<'_>) {
    while let Ok(Some(change)) = changes.next() {
        drop(change);
    }
}

/// Whether a server could read what it was sent, and was told no more than was confirmed.
fn check(mut heard: &[u8], confirmed: Lsn) {
    let mut told = Lsn::ZERO;
    while let Some((&[tag, a, b, c, d], rest)) = heard.split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize - 4;
        // The connection may have been cut off in the middle of an answer.
        let Some((body, behind)) = rest.split_at_checked(length) else {
            return;
        };
        assert_eq!(tag, b'd');
        let Ok(Feedback::StatusUpdate(update)) = Feedback::parse(body) else {
            panic!("{body:?}")
        };
        assert!(told <= update.flushed && update.flushed <= confirmed);
        assert!(update.flushed <= update.applied && update.flushed <= update.written);
        told = update.flushed;
        heard = behind;
    }
}
