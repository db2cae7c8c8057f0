//! The channel against a peer that sends in odd pieces, lies about lengths, or does not read.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::reader::{READ_BUFFER, TEXT_LIMIT};
use super::*;
use crate::error::ErrorKind;

const SOON: Duration = Duration::from_millis(50);

fn pair() -> (Channel, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut channel = Channel::from(ours);
    channel.set_limit(1 << 30);
    (channel, theirs)
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

#[tokio::test]
async fn messages_come_whole_however_they_are_cut() {
    let bodies = [
        &b""[..],
        b"x",
        &[7; 300_000],
        b"y",
        &[8; 100_000],
        &[9; 127 << 10],
    ];
    let stream: Vec<u8> = bodies.iter().flat_map(|body| message(b'd', body)).collect();
    for piece in [1009, 65_536, stream.len()] {
        let (mut channel, mut peer) = pair();
        let sent = stream.clone();
        let sender = tokio::spawn(async move {
            for piece in sent.chunks(piece) {
                peer.write_all(piece).await.unwrap();
            }
            peer
        });
        for body in bodies {
            let message = channel.recv().await.unwrap();
            assert!(message.tag == b'd' && message.body == body);
        }
        drop(sender.await.unwrap());
        assert_eq!(
            channel.recv().await.unwrap_err().kind(),
            ErrorKind::ConnectionClosed
        );
    }
}

#[tokio::test]
async fn a_dropped_recv_loses_nothing() {
    let (mut channel, mut peer) = pair();
    for byte in message(b'D', b"abc") {
        assert!(
            timeout(Duration::from_millis(5), channel.recv())
                .await
                .is_err()
        );
        peer.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(&channel.recv().await.unwrap().body[..], b"abc");
}

#[tokio::test]
async fn lengths_that_cannot_be_are_refused() {
    for (length, kind) in [
        (0, ErrorKind::Protocol),
        (3, ErrorKind::Protocol),
        (-1, ErrorKind::Protocol),
        (i32::MIN, ErrorKind::Protocol),
        (2_000_000, ErrorKind::Limit),
        (i32::MAX, ErrorKind::Limit),
    ] {
        let (mut channel, mut peer) = pair();
        channel.set_limit(1_999_999);
        peer.write_all(b"d").await.unwrap();
        peer.write_all(&i32::to_be_bytes(length)).await.unwrap();
        assert_eq!(channel.recv().await.unwrap_err().kind(), kind, "{length}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_does_not_stop_our_reading() {
    let (mut channel, mut peer) = pair();
    // More than any socket buffer takes.
    channel.writer().copy_data(&vec![1; 8 << 20]);
    assert!(timeout(SOON, channel.writer().flush()).await.is_err());
    assert!(channel.writer().is_pending());
    peer.write_all(&message(b'd', b"read")).await.unwrap();
    assert_eq!(&channel.recv().await.unwrap().body[..], b"read");

    // Apart, as the stream uses them.
    let (mut reader, mut writer) = channel.split();
    peer.write_all(&message(b'd', b"again")).await.unwrap();
    tokio::select! {
        message = reader.recv() => assert_eq!(&message.unwrap().body[..], b"again"),
        _ = writer.flush() => panic!("nobody has read it"),
    }
    let mut received = vec![0; 5 + (8 << 20)];
    let (written, read) = tokio::join!(writer.flush(), peer.read_exact(&mut received));
    written.unwrap();
    read.unwrap();
    assert!(received[..5] == [b'd', 0, 0x80, 0, 4] && received[5..].iter().all(|byte| *byte == 1));
}

#[tokio::test]
async fn a_half_received_message_does_not_stop_our_writing() {
    let (channel, mut peer) = pair();
    let (mut reader, mut writer) = channel.split();
    let large = message(b'd', &[5; 100_000]);
    peer.write_all(&large[..50_000]).await.unwrap();
    assert!(timeout(SOON, reader.recv()).await.is_err());
    writer.copy_data(b"status");
    tokio::select! {
        _ = reader.recv() => panic!("half a message"),
        written = writer.flush() => written.unwrap(),
    }
    let mut received = [0; 11];
    peer.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"d\0\0\0\x0astatus");
    peer.write_all(&large[50_000..]).await.unwrap();
    assert_eq!(reader.recv().await.unwrap().body.len(), 100_000);
}

#[tokio::test]
async fn notices_are_not_handed_out() {
    let (mut channel, mut peer) = pair();
    let notice = message(b'N', b"SWARNING\0C01000\0Mtext\0\0");
    peer.write_all(&[&notice[..], &notice, &message(b'Z', b"I")].concat())
        .await
        .unwrap();
    assert_eq!(channel.recv().await.unwrap().tag, b'Z');
}

#[tokio::test]
async fn the_buffer_is_used_again_and_gives_back_what_a_large_message_took() {
    let (mut channel, mut peer) = pair();
    let sender = tokio::spawn(async move {
        let small = message(b'd', &[1; 1000]).repeat(2000);
        peer.write_all(&small).await.unwrap();
        peer.write_all(&message(b'd', &vec![2; 4 << 20]))
            .await
            .unwrap();
        peer.write_all(&small).await.unwrap();
        peer
    });
    let mut places = std::collections::HashSet::new();
    let mut take = async |channel: &mut Channel, count| {
        for _ in 0..count {
            let message = channel.recv().await.unwrap();
            places.insert(message.body.as_ptr().addr() >> 17);
        }
        channel.reader.allocated
    };
    assert_eq!(take(&mut channel, 2000).await, READ_BUFFER);
    assert!((4 << 20..5 << 20).contains(&take(&mut channel, 1).await));
    assert_eq!(take(&mut channel, 2000).await, READ_BUFFER);
    // 4 MB of small messages came through very few pieces of memory.
    assert!(places.len() < 8, "{}", places.len());
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn kept_messages_stay_as_they_were() {
    let (mut channel, mut peer) = pair();
    let sender = tokio::spawn(async move {
        for i in 0..5000_u32 {
            peer.write_all(&message(b'd', &i.to_be_bytes().repeat(100)))
                .await
                .unwrap();
        }
        peer
    });
    let mut kept = Vec::new();
    for _ in 0..5000 {
        kept.push(channel.recv().await.unwrap().body);
    }
    for (i, body) in (0..5000_u32).zip(&kept) {
        assert!(*body == i.to_be_bytes().repeat(100));
    }
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn the_rest_of_a_long_text_is_passed_over_and_not_kept() {
    const LONG: usize = 20 << 20;
    let (mut channel, mut peer) = pair();
    let text = [&b"SERROR\0C22023\0M"[..], &vec![b'x'; LONG], b"\0\0"].concat();
    let sent = [
        message(b'N', &text),
        message(b'd', b"between"),
        message(b'E', &text),
        message(b'Z', b"I"),
    ];
    let expected: Vec<u64> = [1, 2, 3]
        .map(|at| sent[..at].iter().map(|message| message.len() as u64).sum())
        .to_vec();
    let sender = tokio::spawn(async move {
        peer.write_all(&sent.concat()).await.unwrap();
        peer
    });
    let mut came = Vec::new();
    for tag in *b"dEZ" {
        let message = channel.recv().await.unwrap();
        assert_eq!(message.tag, tag);
        assert!(message.body.len() < TEXT_LIMIT);
        assert_eq!(channel.reader.allocated, READ_BUFFER);
        came.push(message.offset);
    }
    assert_eq!(came, expected, "what is passed over counts too");
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn a_flood_of_notices_takes_no_room() {
    let (mut channel, mut peer) = pair();
    let sender = tokio::spawn(async move {
        let lot = message(b'N', b"SNOTICE\0C00000\0Mflood\0\0").repeat(1000);
        for _ in 0..300 {
            peer.write_all(&lot).await.unwrap();
        }
        peer.write_all(&message(b'Z', b"I")).await.unwrap();
        peer
    });
    assert_eq!(channel.recv().await.unwrap().tag, b'Z');
    assert_eq!(channel.reader.allocated, READ_BUFFER);
    drop(sender.await.unwrap());
}

/// Both ends of a connection over TLS, whose sockets hold about this many bytes.
async fn covered(room: usize) -> (Channel, impl AsyncRead + AsyncWrite + Unpin) {
    let made = testdata::Certificates::new();
    let certificate = made.own("server", &testdata::Wish::default());
    let acceptor = tls::tests::acceptor(&certificate, &[]);
    let mode = crate::SslMode::Require;
    let tls = crate::config::Tls {
        mode,
        ..Default::default()
    };
    let (ours, theirs) = tls::tests::shake_with(&tls, "localhost", &acceptor, room).await;
    let mut channel = Channel::from(ours.unwrap().0);
    channel.set_limit(1 << 30);
    (channel, theirs.unwrap())
}

#[tokio::test]
async fn over_tls_a_peer_that_does_not_read_does_not_stop_our_reading() {
    let (channel, mut peer) = covered(256 << 10).await;
    let (mut reader, mut writer) = channel.split();
    // More than socket and session take.
    let size = 32 << 20;
    writer.copy_data(&vec![1; size]);
    assert!(timeout(SOON, writer.flush()).await.is_err());
    for text in [&b"read"[..], b"again"] {
        peer.write_all(&message(b'd', text)).await.unwrap();
        peer.flush().await.unwrap();
        tokio::select! {
            message = reader.recv() => assert_eq!(&message.unwrap().body[..], text),
            _ = writer.flush() => panic!("nobody has read it"),
        }
    }
    let mut received = vec![0; 5 + size];
    let (written, read) = tokio::join!(writer.flush(), peer.read_exact(&mut received));
    written.unwrap();
    read.unwrap();
    assert!(received[5..].iter().all(|byte| *byte == 1));
    assert!(!writer.is_pending());
}

#[tokio::test]
async fn over_tls_a_half_received_message_does_not_stop_our_writing() {
    let (channel, mut peer) = covered(256 << 10).await;
    let (mut reader, mut writer) = channel.split();
    let large = message(b'd', &[5; 3_000_000]);
    peer.write_all(&large[..50_000]).await.unwrap();
    peer.flush().await.unwrap();
    assert!(timeout(SOON, reader.recv()).await.is_err());
    writer.copy_data(b"status");
    tokio::select! {
        _ = reader.recv() => panic!("half a message"),
        written = writer.flush() => written.unwrap(),
    }
    let mut received = [0; 11];
    peer.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"d\0\0\0\x0astatus");
    let rest = async {
        peer.write_all(&large[50_000..]).await.unwrap();
        peer.flush().await.unwrap();
    };
    let ((), message) = tokio::join!(rest, reader.recv());
    assert!(message.unwrap().body == large[5..]);
}

#[tokio::test]
async fn over_tls_nothing_stays_behind_when_the_peer_reads_late() {
    let (mut channel, mut peer) = covered(4 << 10).await;
    let writer = channel.writer();
    // More than the sockets take and less than the session, which then has all of it.
    let size = 60_000;
    writer.copy_data(&vec![3; size]);
    assert!(timeout(SOON, writer.flush()).await.is_err());
    assert!(writer.buffer.is_empty() && writer.is_pending());
    let mut received = vec![0; 5 + size];
    let both = async { tokio::join!(writer.flush(), peer.read_exact(&mut received)) };
    let (written, read) = timeout(Duration::from_secs(60), both).await.unwrap();
    written.unwrap();
    read.unwrap();
    assert!(!writer.is_pending() && received[5..].iter().all(|byte| *byte == 3));
}
