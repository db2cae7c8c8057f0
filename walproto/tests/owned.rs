//! Messages that own their bytes say the same as those that borrow them, wherever they are.

use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use testdata::capture::{Streaming, captures};
use walproto::{Decoder, ErrorKind, OwnedMessage};

fn assert_send<T: Send + Sync + 'static>() {}

#[test]
fn every_captured_message_crosses_a_thread_unchanged() {
    assert_send::<OwnedMessage>();
    let mut messages = 0;
    for golden in captures() {
        let capture = golden.capture();
        let mut decoder = Decoder::new()
            .parallel(capture.header.streaming == Streaming::Parallel)
            .binary(capture.header.binary);
        let mut borrowing = decoder;
        let (sender, receiver) = mpsc::channel::<OwnedMessage>();
        let reader = thread::spawn(move || {
            let lines = receiver.into_iter();
            lines
                .map(|owned| (format!("{:?}", owned.decoded()), owned))
                .collect::<Vec<_>>()
        });
        let mut expected = Vec::new();
        for bytes in capture.messages() {
            expected.push(format!("{:?}", borrowing.decode(bytes).unwrap()));
            let owned = decoder.decode_owned(Bytes::copy_from_slice(bytes)).unwrap();
            assert_eq!(decoder, borrowing);
            sender.send(owned).unwrap();
        }
        drop(sender);
        let (lines, kept): (Vec<_>, Vec<_>) = reader.join().unwrap().into_iter().unzip();
        assert_eq!(lines, expected, "{}", golden.name);
        for (owned, bytes) in kept.iter().zip(capture.messages()) {
            assert_eq!(owned.bytes(), bytes);
            let decoded = owned.decoded();
            assert_eq!(
                (owned.message(), owned.xid()),
                (decoded.message, decoded.xid)
            );
            messages += 1;
        }
    }
    assert!(messages > 1000, "only {messages}");
}

#[test]
fn a_broken_message_is_not_made_and_changes_no_state() {
    let mut decoder = Decoder::new();
    let error = decoder
        .decode_owned(Bytes::from_static(b"S\0\0\0\x01"))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Truncated);
    assert_eq!(decoder, Decoder::new());
}

#[test]
fn a_compact_message_shares_nothing() {
    let buffer = Bytes::from(b"....O\0\0\0\0\0\0\0\x28node\0....".to_vec());
    let owned = Decoder::new().decode_owned(buffer.slice(4..18)).unwrap();
    let compact = owned.compact();
    assert_eq!(compact, owned);
    assert_ne!(compact.bytes().as_ptr(), owned.bytes().as_ptr());
    drop(owned);
    assert!(buffer.is_unique());
}
