//! A consumer that takes nothing: what comes goes to disk up to the cap, then reading waits, and in the end everything
//! is handed out whole and in order. Feedback goes on through all of it.

use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::tests::{HOUR, TIMEOUT, keepalive, rows, start, transaction};
use super::*;
use crate::error::ErrorKind;
use crate::scripted::{insert, message, update, whole};
use crate::spool::PIECE;

const CAP: u64 = 4 << 20;
const MEMORY: u64 = 256 << 10;

fn limits() -> Limits {
    Limits {
        memory: MEMORY,
        spool: CAP,
        ..Limits::default()
    }
}

/// So little memory that one transaction fills it: everything behind the first is put off.
fn one() -> Limits {
    Limits {
        memory: 10,
        ..limits()
    }
}

/// A server that has sent these and a client that has read them, with nothing taken.
async fn sent(limits: Limits, bytes: &[u8]) -> (UnixStream, Stream) {
    let (mut server, stream) = start(TIMEOUT, limits);
    server.write_all(bytes).await.unwrap();
    // The clock stands still until nothing is left to do.
    tokio::time::sleep(Duration::from_millis(1)).await;
    (server, stream)
}

fn several(commits: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let rows = |commit: u64| [insert(&commit.to_string())];
    let all = commits
        .into_iter()
        .map(|commit| whole(commit, &rows(commit)));
    all.collect::<Vec<_>>().concat()
}

/// Takes the transaction of [`several`] that committed there.
async fn take(stream: &mut Stream, commit: u64) -> Transaction {
    let mut transaction = transaction(stream).await;
    assert_eq!(transaction.commit_lsn(), Lsn(commit));
    assert_eq!(rows(&mut transaction), [commit.to_string()]);
    transaction
}

async fn idle(stream: &mut Stream) -> (u64, bool) {
    match stream.next_event().await.unwrap() {
        Some(Event::Idle(idle)) => (idle.lsn().0, idle.reply_requested()),
        other => panic!("{other:?}"),
    }
}

/// What the server sends in an hour of which nobody takes anything, and what it is told meanwhile.
#[tokio::test(start_paused = true)]
async fn for_an_hour_the_disk_fills_to_its_cap_and_then_reading_waits() {
    const TRANSACTIONS: u64 = 30_000;
    let (server, mut stream) = start(TIMEOUT, limits());
    let (mut hearing, mut sending) = server.into_split();
    let commit = |number: u64| 100 * (number + 1);
    let padding = "x".repeat(200);
    let row = move |number: u64| format!("{number} {padding}");
    let script = {
        let row = row.clone();
        async move {
            for number in 0..TRANSACTIONS {
                let rows = [insert(&row(number)), insert(&row(number))];
                sending
                    .write_all(&whole(commit(number), &rows))
                    .await
                    .unwrap();
            }
            let last = commit(TRANSACTIONS - 1) + 50;
            sending.write_all(&keepalive(last, 1)).await.unwrap();
            sending
        }
    };
    let script = tokio::spawn(script);

    let begun = Instant::now();
    let mut updates = 0;
    while begun.elapsed() < HOUR {
        let before = Instant::now();
        assert_eq!(
            update(&mut hearing).await,
            (0, false),
            "no ping: the silence is ours"
        );
        assert!(before.elapsed() <= TIMEOUT / 3, "{:?}", before.elapsed());
        updates += 1;
        let held = stream.held();
        assert!(
            held.memory < MEMORY + 10_000 && held.disk <= CAP,
            "{held:?}"
        );
    }
    assert_eq!(updates, 720);
    let full = stream.held().disk;
    assert!(full > CAP - 2 * PIECE as u64, "{full}");
    assert!(!script.is_finished(), "reading is held back");
    assert!(
        stream.progress().received().0 > CAP / 10,
        "what is put off was received"
    );

    let heard = tokio::spawn(async move { while update(&mut hearing).await.0 != last_end() {} });
    const fn last_end() -> u64 {
        100 * TRANSACTIONS + 50
    }
    for number in 0..TRANSACTIONS {
        let mut transaction = transaction(&mut stream).await;
        assert_eq!(transaction.commit_lsn(), Lsn(commit(number)));
        assert_eq!(rows(&mut transaction), [row(number), row(number)]);
        transaction.confirm();
    }
    let Some(Event::Idle(last)) = stream.next_event().await.unwrap() else {
        panic!("no idle position")
    };
    assert_eq!(
        (last.lsn(), last.reply_requested()),
        (Lsn(last_end()), true)
    );
    last.confirm();
    heard.await.unwrap();
    assert_eq!((stream.held().memory, stream.held().disk), (0, 0));
    drop(script.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_at_once_and_told_to_the_consumer_in_its_place() {
    let bytes = [
        several([100, 200, 300]),
        keepalive(400, 1),
        keepalive(450, 0),
        several([500]),
        keepalive(600, 0),
    ];
    let asked = Instant::now();
    let (mut server, mut stream) = sent(one(), &bytes.concat()).await;
    assert_eq!(update(&mut server).await, (0, false));
    assert!(
        asked.elapsed() < Duration::from_millis(2),
        "not at the interval"
    );
    assert_eq!(stream.progress().received(), Lsn(600));
    for commit in [100, 200, 300] {
        take(&mut stream, commit).await.confirm();
        while update(&mut server).await.0 != commit + 8 {}
    }
    // Overtaken by the transaction behind it, if that is there in time.
    tokio::time::sleep(Duration::from_millis(1)).await;
    take(&mut stream, 500).await.confirm();
    assert_eq!(idle(&mut stream).await, (600, false));
    // And the way is direct again.
    server.write_all(&several([700])).await.unwrap();
    take(&mut stream, 700).await.confirm();
}

#[tokio::test(start_paused = true)]
async fn received_is_what_came_and_not_what_was_looked_at() {
    let (_server, mut stream) = sent(one(), &several([100, 200, 300])).await;
    assert_eq!(stream.progress().received(), Lsn(308));
    take(&mut stream, 100).await.confirm();
    assert_eq!(stream.progress().durable(), Lsn(108));
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_comes_before_the_end_of_the_connection() {
    let commits = (1..=2000).map(|number| 100 * number);
    for ended in [true, false] {
        let (mut server, mut stream) = start(TIMEOUT, one());
        let mut bytes = several(commits.clone());
        if ended {
            bytes.extend(b"c\0\0\0\x04");
        }
        server.write_all(&bytes).await.unwrap();
        drop(server);
        tokio::time::sleep(TIMEOUT).await;
        for commit in commits.clone() {
            take(&mut stream, commit).await.confirm();
        }
        match stream.next_event().await {
            Ok(None) => assert!(ended),
            Err(error) => assert!(!ended && error.is_transient(), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(stream.next_event().await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_an_error_in_its_place_and_with_its_byte() {
    let before = several([100, 200, 300]);
    let bytes = [&before[..], &message(b"?"), &several([400])].concat();
    let (_server, mut stream) = sent(one(), &bytes).await;
    for commit in [100, 200, 300] {
        drop(take(&mut stream, commit).await);
    }
    let error = stream.next_event().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(error.offset(), Some(before.len() as u64), "{error}");
    assert!(stream.next_event().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_comes_before_the_error_of_a_full_disk() {
    let full = Limits {
        folder: "/dev/full".into(),
        ..one()
    };
    let rows = [insert(&"x".repeat(5000))];
    let commits: Vec<u64> = (1..=200).map(|number| 100 * number).collect();
    let bytes = commits.iter().map(|commit| whole(*commit, &rows));
    let (mut server, mut stream) = start(TIMEOUT, full);
    // It leaves in the middle.
    let _ = server.write_all(&bytes.collect::<Vec<_>>().concat()).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut taken = Vec::new();
    let error = loop {
        match stream.next_event().await {
            Ok(Some(Event::Transaction(transaction))) => taken.push(transaction.commit_lsn().0),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Spool);
    assert!(error.with_sources().contains("No space left on device"));
    assert!(taken.len() >= PIECE / 6000, "{}", taken.len());
    assert_eq!(taken, commits[..taken.len()]);
}

#[tokio::test(start_paused = true)]
async fn finishing_does_not_wait_for_what_was_put_off() {
    let (mut server, stream) = sent(one(), &several([100, 200, 300])).await;
    let finish = tokio::spawn(stream.finish());
    assert_eq!(update(&mut server).await, (0, false));
    let mut done = [0; 5];
    server.read_exact(&mut done).await.unwrap();
    assert_eq!(done, *b"c\0\0\0\x04");
    server.write_all(b"c\0\0\0\x04Z\0\0\0\x05I").await.unwrap();
    finish.await.unwrap().unwrap();

    // Nor when the connection is gone already.
    let (server, stream) = sent(one(), &several([100, 200, 300])).await;
    drop(server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let finished = stream.finish().await;
    assert!(finished.unwrap_err().is_transient());
}

/// A streamed transaction that has not ended, of so many rows of a kilobyte.
fn open(count: usize) -> Vec<u8> {
    let row = writer::insert(Some(900), 1, &[writer::Value::text(&"x".repeat(1000))]);
    let column = writer::Column {
        flags: 1,
        name: "id",
        type_oid: 25,
        typmod: -1,
    };
    let relation = writer::relation(Some(900), 1, "public", "t", b'd', &[column]);
    let mut bytes = message(&writer::stream_start(900, 1));
    bytes.extend(message(&relation));
    (0..count).for_each(|_| bytes.extend(message(&row)));
    bytes.extend(message(&writer::stream_stop()));
    bytes
}

#[tokio::test(start_paused = true)]
async fn an_open_transaction_past_the_cap_is_an_error_only_once_nothing_complete_waits() {
    let bytes = [several([100, 200]), open(6000)].concat();
    let (mut server, mut stream) = start(TIMEOUT, one());
    let script = tokio::spawn(async move {
        // It leaves in the middle, when the cap is met.
        let sent = server.write_all(&bytes).await;
        (server, sent)
    });
    tokio::time::sleep(HOUR).await;
    assert!(!script.is_finished(), "reading is held back");
    take(&mut stream, 100).await.confirm();
    take(&mut stream, 200).await.confirm();
    let error = stream.next_event().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let (_server, sent) = script.await.unwrap();
    assert!(sent.is_err());
}

/// What is put off is at the cap, and open; its commit is not read, and nothing else would make room.
#[tokio::test(start_paused = true)]
async fn what_was_put_off_is_looked_at_before_the_cap_is_an_error() {
    let rows_of_the_cap = usize::try_from(CAP).unwrap() / (1000 + 16 + 12) - 20;
    let commit = message(&writer::stream_commit(900, 0, 300, 308, 0));
    let bytes = [several([100]), open(rows_of_the_cap), commit].concat();
    let (mut server, mut stream) = start(TIMEOUT, one());
    let script = tokio::spawn(async move {
        server.write_all(&bytes).await.unwrap();
        server
    });
    tokio::time::sleep(HOUR).await;
    assert_eq!(
        stream.progress().received(),
        Lsn(108),
        "reading is held back"
    );
    take(&mut stream, 100).await.confirm();
    let large = transaction(&mut stream).await;
    assert_eq!(large.commit_lsn(), Lsn(300));
    drop(script.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_larger_than_the_memory_passes_through_the_backlog() {
    let commit = message(&writer::stream_commit(900, 0, 300, 308, 0));
    let bytes = [several([100]), open(3000), commit, several([400])].concat();
    let (mut server, mut stream) = start(TIMEOUT, one());
    let script = tokio::spawn(async move {
        server.write_all(&bytes).await.unwrap();
        server
    });
    // Not so long that the server is asked whether it is there.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let put_off = stream.held().disk;
    assert!(put_off > 3_000_000 - 2 * PIECE as u64, "{put_off}");
    take(&mut stream, 100).await.confirm();
    let mut large = transaction(&mut stream).await;
    let held = stream.held();
    assert!(
        held.disk < put_off + 2 * PIECE as u64,
        "not held twice: {held:?}"
    );
    assert_eq!(rows(&mut large), vec!["x".repeat(1000); 3000]);
    large.confirm();
    take(&mut stream, 400).await.confirm();
    assert!(
        !stream.running.is_finished(),
        "all of it over the connection"
    );
    assert_eq!(stream.held().disk, 0);
    drop(script.await.unwrap());
}
