//! The raw stream against a scripted server: what its tokens stand for, and that feedback waits for nobody.

use bytes::Bytes;
use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use walproto::{Frame, Timestamp};

use super::*;
use crate::error::ErrorKind;
use crate::progress::RawToken;
use crate::scripted::{copy_data, insert, message, update, whole};

const TIMEOUT: Duration = Duration::from_secs(15);
const MEMORY: u64 = 1 << 20;

fn start(timeout: Duration, memory: u64) -> (UnixStream, RawStream) {
    let (server, client) = UnixStream::pair().unwrap();
    let mut channel = Channel::from(client);
    channel.set_limit(1 << 30);
    (server, RawStream::over(channel, timeout, memory))
}

/// A frame that was kept.
struct Kept {
    bytes: Bytes,
    at: Timestamp,
    token: RawToken,
}

impl From<RawFrame<'_>> for Kept {
    fn from(frame: RawFrame<'_>) -> Self {
        Self {
            bytes: frame.to_bytes(),
            at: frame.received_at(),
            token: frame.token(),
        }
    }
}

async fn frame(stream: &mut RawStream) -> Kept {
    let frame = stream.next().await.unwrap();
    frame.expect("the stream goes on").into()
}

async fn frames(stream: &mut RawStream, count: usize) -> Vec<Kept> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(frame(stream).await);
    }
    all
}

/// A message in a frame with positions of its own, which nobody may confirm.
fn misleading(bytes: &[u8]) -> Vec<u8> {
    copy_data(&writer::wal_data(9999, 9999, 0, bytes))
}

fn keepalive(wal_end: u64, reply: u8) -> Vec<u8> {
    copy_data(&writer::keepalive(wal_end, 0, reply))
}

#[tokio::test]
async fn frames_come_byte_by_byte_as_they_were_sent() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    let sent = [
        writer::wal_data(1, 2, 3, &writer::begin(100, 0, 7)),
        writer::keepalive(50, 4, 0),
        b"s later servers send this".to_vec(),
    ];
    for body in &sent {
        server.write_all(&copy_data(body)).await.unwrap();
    }
    let received = frames(&mut stream, 3).await;
    for (frame, body) in received.iter().zip(&sent) {
        assert_eq!(frame.bytes, body);
        assert!(frame.at > Timestamp(0));
    }
    assert_eq!(received[2].token.lsn(), Lsn(50));
}

#[tokio::test]
async fn a_kept_frame_is_copied_if_it_is_small_and_shared_if_it_is_large() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    for (length, shared) in [
        (1000, false),
        (60_000, false),
        (70_000, true),
        (1 << 20, true),
    ] {
        let row = insert(&"x".repeat(length));
        let send = async { server.write_all(&row).await.unwrap() };
        let ((), frame) = tokio::join!(send, stream.next());
        let frame = frame.unwrap().unwrap();
        let kept = frame.to_bytes();
        assert_eq!(kept, frame.bytes());
        assert_eq!(kept.as_ptr() == frame.bytes().as_ptr(), shared, "{length}");
    }
}

/// Over buffers that are given back in any order, and one that is not.
#[tokio::test]
async fn frames_by_lots_are_those_that_were_sent() {
    const ROWS: usize = 20_000;
    let (mut server, mut stream) = start(TIMEOUT, 64 << 20);
    let script = tokio::spawn(async move {
        for row in 0..ROWS {
            let value = format!("{row:0>width$}", width = 8 + row % 300);
            server.write_all(&insert(&value)).await.unwrap();
        }
        server.write_all(&keepalive(500, 0)).await.unwrap();
        server
    });
    let mut kept = Vec::new();
    let mut rows = 0;
    let mut last = Lsn(0);
    // One frame, then the rest of what came with it, in turn.
    while rows < ROWS {
        assert!(stream.ready().await.unwrap());
        let frame = stream.try_next().expect("it is ready");
        kept.push((rows, frame.to_bytes()));
        rows += 1;
        let Some(lot) = stream.next_lot().await.unwrap() else {
            panic!("the stream goes on")
        };
        for frame in lot.frames() {
            if let Ok(Frame::WalData(wal)) = frame.parse() {
                let value = std::str::from_utf8(&wal.data[13..]).unwrap();
                assert_eq!(value.parse::<usize>().unwrap(), rows);
                rows += 1;
            }
            last = frame.token().lsn();
        }
        assert_eq!(lot.token().lsn(), last);
    }
    for (row, frame) in &kept {
        let value = std::str::from_utf8(&frame[25 + 13..]).unwrap();
        assert_eq!(value.parse::<usize>().unwrap(), *row);
    }
    drop(script.await.unwrap());
}

#[tokio::test]
async fn what_is_no_frame_may_come_anywhere_between_frames() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    let notice = b"N\0\0\0\x17SNOTICE\0C00000\0Mx\0\0".to_vec();
    let parameter = b"S\0\0\0\x09x\0yz\0".to_vec();
    let (first, last) = (keepalive(50, 0), keepalive(60, 0));
    for between in [
        vec![&notice],
        vec![&notice, &parameter, &notice],
        vec![&parameter],
    ] {
        let mut bytes = first.clone();
        between.into_iter().for_each(|other| bytes.extend(other));
        bytes.extend(&last);
        server.write_all(&bytes).await.unwrap();
        let came = frames(&mut stream, 2).await;
        assert_eq!(
            (&came[0].bytes[..], &came[1].bytes[..]),
            (&first[5..], &last[5..])
        );
    }
}

#[tokio::test]
async fn a_token_stands_for_the_last_end_or_keepalive_and_never_for_its_own_frame() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    let parallel_abort = Some((9999, 0));
    // What is sent, and where one is once it is durable.
    let script: Vec<(Vec<u8>, u64)> = vec![
        (misleading(&writer::begin(100, 0, 7)), 0),
        (misleading(&writer::insert(None, 1, &[])), 0),
        (misleading(&writer::commit(0, 100, 108, 0)), 108),
        (misleading(&writer::logical(None, 0, 9999, "p", b"x")), 108),
        (misleading(&writer::stream_start(8, 1)), 108),
        (misleading(&writer::insert(Some(8), 1, &[])), 108),
        (misleading(&writer::stream_stop()), 108),
        // An open streamed transaction holds nothing back.
        (keepalive(150, 0), 150),
        (misleading(&writer::stream_commit(8, 0, 200, 208, 0)), 208),
        (keepalive(210, 0), 210),
        (misleading(&writer::stream_start(9, 1)), 210),
        (misleading(&writer::stream_stop()), 210),
        (misleading(&writer::stream_abort(9, 9, parallel_abort)), 210),
        (
            misleading(&writer::begin_prepare(300, 308, 0, 10, "g")),
            210,
        ),
        (misleading(&writer::prepare(0, 300, 308, 0, 10, "g")), 308),
        (
            misleading(&writer::commit_prepared(0, 400, 408, 0, 10, "g")),
            408,
        ),
        (
            misleading(&writer::stream_prepare(0, 500, 508, 0, 11, "h")),
            508,
        ),
        (
            misleading(&writer::rollback_prepared(0, 508, 608, 0, 0, 11, "h")),
            608,
        ),
        // Never back.
        (keepalive(600, 0), 608),
    ];
    for (bytes, _) in &script {
        server.write_all(bytes).await.unwrap();
    }
    for (at, (bytes, reached)) in script.iter().enumerate() {
        let frame = frame(&mut stream).await;
        assert_eq!(frame.bytes, bytes[5..], "frame {at}");
        assert_eq!(frame.token.lsn(), Lsn(*reached), "frame {at}");
    }
    assert_eq!(stream.progress().received(), Lsn(608));
    assert_eq!(stream.progress().durable(), Lsn(0));
}

#[tokio::test]
async fn only_a_token_that_is_handed_back_is_told_and_the_last_one_is_enough() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    for commit in [100, 200, 300] {
        server
            .write_all(&whole(commit, &[insert("x")]))
            .await
            .unwrap();
    }
    server.write_all(&keepalive(400, 1)).await.unwrap();
    assert_eq!(
        update(&mut server).await,
        (0, false),
        "received is not durable"
    );
    let all = frames(&mut stream, 13).await;
    // The row of the third transaction: what is before it is durable, and that ends with the second.
    all[10].token.confirm();
    assert_eq!(update(&mut server).await, (208, false));
    // An older one changes nothing, and nothing is sent for it.
    all[3].token.confirm();
    all[12].token.confirm();
    assert_eq!(update(&mut server).await, (400, false));
}

#[tokio::test]
async fn a_prepared_transaction_is_confirmed_only_with_its_content() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    let content = [
        message(&writer::begin_prepare(300, 308, 0, 10, "g")),
        message(&writer::insert(None, 1, &[])),
        message(&writer::prepare(0, 300, 308, 0, 10, "g")),
        keepalive(350, 1),
    ];
    server.write_all(&content.concat()).await.unwrap();
    assert_eq!(update(&mut server).await, (0, false));
    let all = frames(&mut stream, 4).await;
    assert_eq!(all[1].token.lsn(), Lsn(0));
    all[2].token.confirm();
    assert_eq!(update(&mut server).await, (308, false));
    all[3].token.confirm();
    assert_eq!(update(&mut server).await, (350, false));
}

#[tokio::test]
async fn a_full_queue_holds_the_reader_back_and_not_the_feedback() {
    const ROW: usize = 1000;
    const FRAMES: usize = 4000;
    let (server, mut stream) = start(Duration::from_millis(150), 64 << 10);
    let row = "x".repeat(ROW);
    let (mut reading, mut writing) = server.into_split();
    let script = tokio::spawn(async move {
        let row = insert(&row);
        for _ in 0..FRAMES {
            writing.write_all(&row).await.unwrap();
        }
        writing.write_all(&keepalive(500, 1)).await.unwrap();
        writing
    });
    let first = frame(&mut stream).await;
    // Five timeouts long nobody takes anything; silence is ours, so no ping and no end.
    for _ in 0..15 {
        let mut update = [0; 39];
        reading.read_exact(&mut update).await.unwrap();
        assert_eq!((update[5], update[38]), (b'r', 0));
    }
    assert!(!script.is_finished(), "all of it went somewhere");
    let bytes =
        |lots: &VecDeque<Received>| -> usize { lots.iter().map(|lot| lot.bytes.len()).sum() };
    let held = bytes(&stream.taken) + bytes(&stream.running.shared().inbox().waiting.lots);
    assert!(held < 512 << 10, "{held} bytes wait");
    assert_eq!(stream.progress().received(), Lsn(0));
    drop(first);
    let rest = frames(&mut stream, FRAMES).await;
    assert_eq!(rest[FRAMES - 1].token.lsn(), Lsn(500));
    drop(script.await.unwrap());
}

#[tokio::test]
async fn what_came_before_an_error_is_handed_out_first() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    // A commit that is cut off: its position cannot be told.
    server.write_all(&message(b"C\0\0")).await.unwrap();
    assert_eq!(frames(&mut stream, 4).await[3].token.lsn(), Lsn(108));
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

/// The gap between handing a token back and the update that carries it.
#[tokio::test]
async fn a_position_that_was_not_sent_was_never_told() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    let last = frames(&mut stream, 4).await.pop().unwrap();
    // On a single thread the task has not run since.
    last.token.confirm();
    drop(stream);
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn a_batch_is_gathered_without_waiting() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    assert!(stream.try_next().is_none());
    server
        .write_all(&whole(100, &[insert("1"), insert("2")]))
        .await
        .unwrap();
    let mut batch = vec![frame(&mut stream).await];
    while let Some(frame) = stream.try_next() {
        batch.push(frame.into());
    }
    assert_eq!(batch.len(), 5);
    stream.ping();
    assert_eq!(update(&mut server).await, (0, true));
}

#[tokio::test]
async fn finishing_tells_the_last_position_and_waits_for_the_end() {
    let (mut server, mut stream) = start(TIMEOUT, MEMORY);
    server.write_all(&whole(100, &[insert("1")])).await.unwrap();
    frames(&mut stream, 4).await[3].token.confirm();
    assert_eq!(update(&mut server).await.0, 108);
    let finish = tokio::spawn(stream.finish());
    assert_eq!(update(&mut server).await.0, 108);
    let mut done = [0; 5];
    server.read_exact(&mut done).await.unwrap();
    assert_eq!(done, [b'c', 0, 0, 0, 4]);
    server
        .write_all(&[b'c', 0, 0, 0, 4, b'Z', 0, 0, 0, 5, b'I'])
        .await
        .unwrap();
    finish.await.unwrap().unwrap();
}
