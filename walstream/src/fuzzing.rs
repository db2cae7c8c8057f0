//! A way in for the fuzzer: what any server may send, through everything that stands behind a socket.

use std::cell::RefCell;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use walproto::{Decoder, Feedback, Lsn};

use crate::channel::Channel;
use crate::error::ErrorKind;
use crate::event::Event;
use crate::limits::Limits;
use crate::stream::Stream;

/// The largest message that is accepted here.
const LARGEST: usize = 256 << 10;

/// Streams these bytes, in pieces of the lengths in `cuts` over and over, to a consumer that confirms all it gets.
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
    let mut stream = Stream::over(channel, Duration::from_secs(60), Decoder::new(), limits);
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
    let (mut last, mut highest) = (Lsn::ZERO, Lsn::ZERO);
    loop {
        match stream.next_event().await {
            Ok(Some(Event::Reconnected(_))) => unreachable!("it has one connection"),
            Ok(Some(Event::Transaction(mut transaction))) => {
                assert!(transaction.end_lsn() > last, "out of commit order");
                assert!(transaction.end_lsn() > transaction.commit_lsn());
                last = transaction.end_lsn();
                highest = highest.max(last);
                if let Ok(mut changes) = transaction.changes() {
                    while let Ok(Some(change)) = changes.next() {
                        drop(change);
                    }
                }
                transaction.confirm();
            }
            Ok(Some(Event::Idle(idle))) => {
                highest = highest.max(idle.lsn());
                idle.confirm();
            }
            Ok(Some(Event::Message(message))) => message.confirm(),
            Ok(Some(other)) => unreachable!("not asked for: {other:?}"),
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
    assert!(stream.progress().durable() <= highest);
    highest
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
