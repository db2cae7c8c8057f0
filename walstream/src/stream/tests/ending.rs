//! A stream that is to end at a position.

use super::*;
use crate::scripted::copy_data;

const UNTIL: u64 = 500;

fn start_until() -> (UnixStream, Stream) {
    let (server, client) = UnixStream::pair().unwrap();
    let mut channel = Channel::from(client);
    channel.set_limit(1 << 30);
    let delivery = Delivery {
        until: Some(Lsn(UNTIL)),
        ..Delivery::default()
    };
    let (decoder, limits) = (Decoder::new(), Limits::default());
    let stream = Stream::delivering(channel, TIMEOUT, decoder, limits, delivery);
    (server, stream)
}

/// An empty transaction with its first change and its commit at these positions.
fn empty(first: u64, commit: u64) -> Vec<u8> {
    let frame = |lsn, message: &[u8]| copy_data(&writer::wal_data(lsn, lsn, 0, message));
    [
        frame(first, &writer::begin(commit, 0, 700)),
        frame(commit + 8, &writer::commit(0, commit, commit + 8, 0)),
    ]
    .concat()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_asked_every_second() {
    let (mut server, mut stream) = start_until();
    let begin = Instant::now();
    for second in 0..4 {
        assert_eq!(update(&mut server).await, (0, true));
        assert_eq!(begin.elapsed(), Duration::from_secs(second));
    }
    server.write_all(&keepalive(UNTIL - 1, 0)).await.unwrap();
    assert_eq!(update(&mut server).await, (0, true));
    let early = tokio::time::timeout(Duration::from_millis(1), stream.next()).await;
    assert!(early.is_err());
    server.write_all(&keepalive(UNTIL, 0)).await.unwrap();
    assert!(stream.next().await.unwrap().is_none());
    // There is nothing to ask for any more, but the connection lives on for what is still to be confirmed.
    let end = Instant::now();
    while update(&mut server).await.0 < UNTIL {}
    assert_eq!(end.elapsed(), Duration::ZERO);
    assert_eq!(update(&mut server).await, (UNTIL, false));
    assert_eq!(end.elapsed(), TIMEOUT / 3);
}

#[tokio::test(start_paused = true)]
async fn behind_the_end_nothing_is_taken_whatever_comes() {
    let (mut server, mut stream) = start_until();
    let before = empty(100, 200);
    let behind = empty(UNTIL, 600);
    // Would be handed over if it came first.
    let crosses = empty(300, 700);
    server
        .write_all(&[before, behind, crosses, keepalive(800, 1)].concat())
        .await
        .unwrap();
    let transaction = stream.next().await.unwrap().unwrap();
    assert_eq!(transaction.end_lsn(), Lsn(208));
    for _ in 0..3 {
        assert!(stream.next_event().await.unwrap().is_none());
        tokio::time::sleep(TIMEOUT).await;
    }
    transaction.confirm();
    while update(&mut server).await.0 != 208 {}
    let finish = tokio::spawn(stream.finish());
    let done = [&b"C\0\0\0\x0b"[..], b"COPY 0\0", b"Z\0\0\0\x05I"].concat();
    server.write_all(&done).await.unwrap();
    finish.await.unwrap().unwrap();
    let mut last = Vec::new();
    server.read_to_end(&mut last).await.unwrap();
    assert!(last.ends_with(b"X\0\0\0\x04"), "an end in order");
}
