//! The driver against a scripted server, for what a real one does only now and then.

mod ending;

use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;
use walproto::Column;

use super::*;
use crate::changes::Change;
use crate::error::ErrorKind;
use crate::scripted::{copy_data, insert, message, update, whole};
use crate::transaction::Transaction;

pub(super) const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) fn start(timeout: Duration, limits: Limits) -> (UnixStream, Stream) {
    let (server, client) = UnixStream::pair().unwrap();
    let mut channel = Channel::from(client);
    channel.set_limit(1 << 30);
    (
        server,
        Stream::over(channel, timeout, Decoder::new(), limits),
    )
}

pub(super) async fn transaction(stream: &mut Stream) -> Transaction {
    match stream.next_event().await.unwrap() {
        Some(Event::Transaction(transaction)) => transaction,
        other => panic!("{other:?}"),
    }
}

pub(super) fn rows(transaction: &mut Transaction) -> Vec<String> {
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
        spool: 0,
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
    let error = stream.next_event().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        stream.next_event().await.unwrap().is_none(),
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
    let error = stream.next_event().await.unwrap_err();
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
    let Some(Event::Idle(idle)) = stream.next_event().await.unwrap() else {
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
    let error = stream.next_event().await.unwrap_err();
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

/// The scripted server goes on for so long, in the clock of the test: it takes updates, of which there must be one
/// in every third of the timeout, and answers pings. How many of each there were.
async fn live(server: &mut UnixStream, long: Duration) -> (u32, u32) {
    let end = Instant::now() + long;
    let (mut updates, mut pings) = (0, 0);
    while Instant::now() < end {
        let before = Instant::now();
        let (_, ping) = update(server).await;
        assert!(before.elapsed() <= TIMEOUT / 3, "{:?}", before.elapsed());
        updates += 1;
        if ping {
            pings += 1;
            server.write_all(&keepalive(50, 0)).await.unwrap();
        }
    }
    (updates, pings)
}

pub(super) fn keepalive(wal_end: u64, reply: u8) -> Vec<u8> {
    copy_data(&writer::keepalive(wal_end, 0, reply))
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);
const MINUTES: Duration = Duration::from_secs(300);

#[tokio::test(start_paused = true)]
async fn a_requested_reply_comes_in_the_same_instant() {
    let (mut server, _stream) = start(TIMEOUT, Limits::default());
    for _ in 0..100 {
        let asked = Instant::now();
        server.write_all(&keepalive(50, 1)).await.unwrap();
        assert_eq!(update(&mut server).await, (0, false));
        assert_eq!(asked.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_is_told_in_the_same_instant() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    for commit in [100, 200, 300] {
        let rows = [insert("1")];
        server.write_all(&whole(commit, &rows)).await.unwrap();
        let transaction = transaction(&mut stream).await;
        let confirmed = Instant::now();
        transaction.confirm();
        assert_eq!(update(&mut server).await, (commit + 8, false));
        assert_eq!(confirmed.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_server_is_asked_and_each_answer_keeps_the_connection() {
    let (mut server, stream) = start(TIMEOUT, Limits::default());
    let (updates, pings) = live(&mut server, HOUR).await;
    assert_eq!((updates, pings), (3600 / 5, 3600 / 15));
    assert!(!stream.running.is_finished());
}

#[tokio::test(start_paused = true)]
async fn minutes_in_the_middle_of_a_transaction_change_nothing() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    let bytes = whole(100, &[insert("1"), insert("2")]);
    let (first, second) = bytes.split_at(bytes.len() - 30);
    server.write_all(first).await.unwrap();
    server.write_all(&second[..10]).await.unwrap();
    // What is not a message yet cannot be followed by an answer to a ping: the rest comes in small pieces.
    for piece in second[10..].chunks(1) {
        assert_eq!(update(&mut server).await, (0, false));
        assert_eq!(update(&mut server).await, (0, false));
        server.write_all(piece).await.unwrap();
    }
    assert_eq!(rows(&mut transaction(&mut stream).await), ["1", "2"]);

    let begun = message(&writer::begin(200, 0, 701));
    server.write_all(&begun).await.unwrap();
    live(&mut server, MINUTES).await;
    server.write_all(&insert("3")).await.unwrap();
    live(&mut server, MINUTES).await;
    let commit = message(&writer::commit(0, 200, 208, 0));
    server.write_all(&commit).await.unwrap();
    let mut last = loop {
        match stream.next_event().await.unwrap().unwrap() {
            Event::Transaction(transaction) => break transaction,
            Event::Idle(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(rows(&mut last), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn updates_go_on_for_minutes_of_silence_inside_a_message() {
    // A server as patient as this is given as much time to go on.
    let (mut server, mut stream) = start(Duration::from_secs(600), Limits::default());
    let bytes = whole(100, &[insert(&"x".repeat(100_000))]);
    let (first, second) = bytes.split_at(50_000);
    server.write_all(first).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < MINUTES {
        let before = Instant::now();
        assert_eq!(update(&mut server).await, (0, false));
        assert!(before.elapsed() <= Duration::from_secs(10));
    }
    server.write_all(second).await.unwrap();
    assert_eq!(rows(&mut transaction(&mut stream).await)[0].len(), 100_000);
}

/// A large value over a slow line took longer than the patience with a silent server, each time anew.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_slowly_is_no_silence() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    let bytes = whole(100, &[insert(&"x".repeat(100_000))]);
    for piece in bytes.chunks(1000) {
        server.write_all(piece).await.unwrap();
        for _ in 0..2 {
            assert_eq!(update(&mut server).await, (0, false));
        }
    }
    assert_eq!(rows(&mut transaction(&mut stream).await)[0].len(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_take_nothing_for_an_hour() {
    for memory in [10, 1 << 20] {
        let limits = Limits {
            memory,
            spool: 0,
            ..Limits::default()
        };
        let (mut server, mut stream) = start(TIMEOUT, limits);
        for (commit, row) in [(100, "1"), (200, "2"), (300, "3")] {
            let rows = [insert(row)];
            server.write_all(&whole(commit, &rows)).await.unwrap();
        }
        let (updates, pings) = live(&mut server, 3 * TIMEOUT).await;
        assert!(updates >= 9);
        live(&mut server, HOUR).await;
        // While reading waits, silence is ours and no ping is sent.
        assert_eq!(pings == 0, memory == 10);
        for row in ["1", "2", "3"] {
            let mut transaction = transaction(&mut stream).await;
            assert_eq!(rows(&mut transaction), [row]);
            transaction.confirm();
        }
        while update(&mut server).await.0 != 308 {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_asks_until_all_is_confirmed() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    let transaction = transaction(&mut stream).await;
    // Nothing is confirmed: each question is answered with the old position, and the connection stays.
    for _ in 0..100 {
        server.write_all(&keepalive(120, 1)).await.unwrap();
        assert_eq!(update(&mut server).await, (0, false));
    }
    let Some(Event::Idle(idle)) = stream.next_event().await.unwrap() else {
        panic!("no idle position")
    };
    assert!(
        idle.reply_requested(),
        "the consumer is told of the question"
    );
    transaction.confirm();
    assert_eq!(update(&mut server).await, (108, false));
    idle.confirm();
    assert_eq!(update(&mut server).await, (120, false));
    let done = [&b"C\0\0\0\x0b"[..], b"COPY 0\0"].concat();
    server.write_all(&done).await.unwrap();
    assert!(stream.next_event().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_end_said_by_the_server_comes_after_everything_before_it() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    let end = [&whole(100, &[insert("1")])[..], b"c\0\0\0\x04"].concat();
    server.write_all(&end).await.unwrap();
    assert_eq!(rows(&mut transaction(&mut stream).await), ["1"]);
    assert!(stream.next_event().await.unwrap().is_none());
    assert!(stream.next_event().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_server_comes_after_everything_before_it() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    let report = b"SFATAL\0VFATAL\0C57P01\0Mending\0Wslot \"s\"\0\0";
    let length = u32::try_from(report.len() + 4).unwrap().to_be_bytes();
    let error = [b"E", &length[..], report].concat();
    for commit in [100, 200] {
        let rows = [insert("1")];
        server.write_all(&whole(commit, &rows)).await.unwrap();
    }
    server.write_all(&error).await.unwrap();
    drop(server);
    for end in [108, 208] {
        assert_eq!(transaction(&mut stream).await.end_lsn(), Lsn(end));
    }
    let error = stream.next_event().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerShutdown);
    assert_eq!(error.sqlstate(), Some("57P01"));
    assert_eq!(
        error.report().unwrap().context.as_deref(),
        Some("slot \"s\"")
    );
}

#[tokio::test(start_paused = true)]
async fn finishing_inside_a_message_waits_for_its_rest_and_drops_it() {
    let (mut server, stream) = start(TIMEOUT, Limits::default());
    let bytes = whole(100, &[insert(&"x".repeat(100_000))]);
    let (first, second) = bytes.split_at(50_000);
    server.write_all(first).await.unwrap();
    let finish = tokio::spawn(stream.finish());
    assert_eq!(update(&mut server).await, (0, false));
    assert_eq!(server.read_u8().await.unwrap(), b'c');
    assert_eq!(server.read_u32().await.unwrap(), 4);
    // The server's CopyDone overtakes the transaction that it was sending.
    let rest = [second, b"c\0\0\0\x04", &whole(200, &[]), b"Z\0\0\0\x05I"].concat();
    server.write_all(&rest).await.unwrap();
    finish.await.unwrap().unwrap();
    let mut last = Vec::new();
    server.read_to_end(&mut last).await.unwrap();
    assert_eq!(last, b"X\0\0\0\x04", "goodbye, and no position beside");
}

#[tokio::test(start_paused = true)]
async fn finishing_reports_what_kept_the_server_from_its_end() {
    let (mut server, stream) = start(TIMEOUT, Limits::default());
    let finish = tokio::spawn(stream.finish());
    update(&mut server).await;
    server.write_all(b"E\0\0\0\x0cC42704\0\0").await.unwrap();
    let error = finish.await.unwrap().unwrap_err();
    assert_eq!(error.sqlstate(), Some("42704"));

    // And a server that says nothing is not waited for without end.
    let (mut server, stream) = start(TIMEOUT, Limits::default());
    let finish = tokio::spawn(stream.finish());
    update(&mut server).await;
    let error = finish.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionClosed);
}

/// Each question was answered in a buffer of ours that nobody emptied.
#[tokio::test(start_paused = true)]
async fn answers_that_the_server_does_not_read_do_not_pile_up() {
    const QUESTIONS: usize = 20_000;
    let (mut server, _stream) = start(TIMEOUT, Limits::default());
    for _ in 0..QUESTIONS {
        server.write_all(&keepalive(50, 1)).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answers = 0;
    // A third of the timeout later the next one is due; what comes at once was waiting.
    while tokio::time::timeout(TIMEOUT / 6, update(&mut server))
        .await
        .is_ok()
    {
        answers += 1;
    }
    assert!((1..QUESTIONS / 4).contains(&answers), "{answers}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_neither_reads_nor_speaks_is_given_up() {
    let (mut server, mut stream) = start(TIMEOUT, Limits::default());
    // Until its socket is full of answers.
    for _ in 0..2000 {
        server.write_all(&keepalive(50, 1)).await.unwrap();
        tokio::task::yield_now().await;
    }
    let silent = Instant::now();
    let error = loop {
        match stream.next_event().await {
            Ok(event) => drop(event),
            Err(error) => break error,
        }
    };
    assert!(error.is_transient(), "{error}");
    assert_eq!(silent.elapsed(), 2 * TIMEOUT);
}
