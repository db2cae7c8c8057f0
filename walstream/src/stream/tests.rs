//! The driver against a scripted server, for what a real one does only now and then.

use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use walproto::Column;

use super::*;
use crate::error::ErrorKind;
use crate::scripted::{copy_data, insert, message, update, whole};
use crate::transaction::Change;

const TIMEOUT: Duration = Duration::from_secs(15);

fn start(timeout: Duration, limits: Limits) -> (UnixStream, Stream) {
    let (server, client) = UnixStream::pair().unwrap();
    let mut channel = Channel::from(client);
    channel.set_limit(1 << 30);
    (
        server,
        Stream::over(channel, timeout, Decoder::new(), limits),
    )
}

async fn transaction(stream: &mut Stream) -> Transaction {
    match stream.next().await.unwrap() {
        Some(Event::Transaction(transaction)) => transaction,
        other => panic!("{other:?}"),
    }
}

fn rows(transaction: &mut Transaction) -> Vec<String> {
    let mut changes = transaction.changes().unwrap();
    let mut rows = Vec::new();
    while let Some((_, change)) = changes.next().unwrap() {
        if let Change::Insert { new, .. } = change {
            let Some(Column::Text(text)) = new.columns().next() else {
                panic!("{new:?}")
            };
            rows.push(String::from_utf8(text.to_vec()).unwrap());
        }
    }
    rows
}

/// A loop that took a message off the buffer and then stopped for breath lost one in a thousand.
#[tokio::test]
async fn every_message_of_a_full_buffer_is_taken() {
    const ROWS: usize = 20_000;
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    let expected: Vec<String> = (0..ROWS).map(|row| row.to_string()).collect();
    let inserts: Vec<Vec<u8>> = expected.iter().map(|value| insert(value)).collect();
    // On a single thread the server fills the socket before the client reads: reads are as large as they get.
    let script = tokio::spawn(async move {
        server.write_all(&whole(100, &inserts)).await.unwrap();
        server
    });
    let mut transaction = transaction(&mut stream).await;
    assert_eq!(rows(&mut transaction), expected);
    drop(script.await.unwrap());
}

#[tokio::test]
async fn a_half_received_message_does_not_stop_the_feedback() {
    let timeout = Duration::from_millis(300);
    let (mut server, mut stream) = start(timeout, Limits::default());
    let bytes = whole(100, &[insert(&"x".repeat(100_000))]);
    let (first, second) = bytes.split_at(50_000);
    server.write_all(first).await.unwrap();
    for _ in 0..2 {
        assert_eq!(update(&mut server).await, (0, false));
    }
    server.write_all(second).await.unwrap();
    let mut transaction = transaction(&mut stream).await;
    assert_eq!(rows(&mut transaction)[0].len(), 100_000);
    transaction.confirm();
    while update(&mut server).await.0 != 108 {}
}

#[tokio::test]
async fn a_full_queue_holds_the_reader_back_and_not_the_feedback() {
    let limits = Limits {
        memory: 10,
        ..Limits::default()
    };
    let (mut server, mut stream) = start(Duration::from_millis(150), limits);
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    server.write_all(&whole(200, &[insert("2")])).await.unwrap();
    // Five timeouts long nobody takes anything; silence is ours, so no ping and no end.
    for _ in 0..15 {
        assert_eq!(update(&mut server).await, (0, false));
    }
    assert_eq!(
        stream.progress().received(),
        Lsn(108),
        "the second is not read"
    );
    for (row, end) in [("1", 108), ("2", 208)] {
        let mut transaction = transaction(&mut stream).await;
        assert_eq!(rows(&mut transaction), [row]);
        transaction.confirm();
        while update(&mut server).await.0 != end {}
    }
}

#[tokio::test]
async fn what_came_before_an_error_is_handed_out_first() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    server.write_all(&message(b"?")).await.unwrap();
    let mut transaction = transaction(&mut stream).await;
    assert_eq!(rows(&mut transaction), ["1"]);
    let error = stream.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        stream.next().await.unwrap().is_none(),
        "the error is told once"
    );
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert!(
        rest.is_empty(),
        "the connection is closed, and nothing was confirmed"
    );
}

#[tokio::test]
async fn a_length_that_lies_is_an_error() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    server.write_all(&[b'd', 0, 0, 0, 3]).await.unwrap();
    let error = stream.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_keepalive_behind_a_waiting_transaction_confirms_nothing() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    server
        .write_all(&copy_data(&writer::keepalive(500, 0, 1)))
        .await
        .unwrap();
    assert_eq!(
        update(&mut server).await,
        (0, false),
        "received is not durable"
    );
    let transaction = transaction(&mut stream).await;
    let Some(Event::Idle(idle)) = stream.next().await.unwrap() else {
        panic!("no idle position")
    };
    assert_eq!((idle.lsn(), idle.reply_requested()), (Lsn(500), true));
    idle.confirm();
    server
        .write_all(&copy_data(&writer::keepalive(500, 0, 1)))
        .await
        .unwrap();
    assert_eq!(
        update(&mut server).await,
        (0, false),
        "the transaction is not confirmed"
    );
    transaction.confirm();
    assert_eq!(update(&mut server).await, (500, false));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let (_server, mut stream) = start(TIMEOUT, Limits::default());
    let error = stream.next().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn finishing_tells_the_last_position_and_waits_for_the_end() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    transaction(&mut stream).await.confirm();
    assert_eq!(update(&mut server).await.0, 108);
    let finish = tokio::spawn(stream.finish());
    assert_eq!(update(&mut server).await.0, 108);
    let mut done = [0; 5];
    server.read_exact(&mut done).await.unwrap();
    assert_eq!(done, [b'c', 0, 0, 0, 4]);
    // A transaction that was being sent goes on.
    server.write_all(&whole(200, &[insert("2")])).await.unwrap();
    assert!(!finish.is_finished());
    server
        .write_all(&[b'c', 0, 0, 0, 4, b'Z', 0, 0, 0, 5, b'I'])
        .await
        .unwrap();
    finish.await.unwrap().unwrap();
}
