//! Reading every capture, every column included, allocates nothing; neither does writing it again.

mod visit;

use std::hint::black_box;

use testdata::capture::{Capture, Streaming, captures};
use visit::visit;
use walproto::{Decoder, Encoder, Frame, Lsn, StatusUpdate, TupleWriter};

/// Reads the capture as a client would; gives the number of messages.
fn read(capture: &Capture) -> usize {
    let mut decoder = Decoder::new()
        .parallel(capture.header.streaming == Streaming::Parallel)
        .binary(capture.header.binary);
    let mut messages = 0;
    for frame in &capture.frames {
        match Frame::parse(frame) {
            Ok(Frame::WalData(wal)) => {
                let decoded = decoder.decode(wal.data).expect("captures are sound");
                black_box(visit(&decoded.message));
                // And the way of an error.
                let cut = &wal.data[..wal.data.len() - 1];
                black_box(decoder.decode(cut).is_err());
                messages += 1;
            }
            Ok(Frame::Keepalive(keepalive)) => {
                let update = StatusUpdate {
                    flushed: keepalive.wal_end,
                    written: "16/B374D848".parse().unwrap_or(Lsn::ZERO),
                    ..StatusUpdate::default()
                };
                black_box(update.encode());
            }
            other => panic!("{other:?}"),
        }
    }
    messages
}

#[test]
fn reading_every_capture_allocates_nothing() {
    let mut messages = 0;
    for golden in captures() {
        let capture = golden.capture();
        let counted = allocation_counter::measure(|| messages += read(&capture));
        assert_eq!(counted.count_total, 0, "{}: {counted:?}", golden.name);
    }
    assert!(messages > 100, "only {messages} messages were read");
}

/// Writes every message again, and each new row once more column by column; gives the number of messages.
fn write(capture: &Capture, buffer: &mut [u8], scratch: &mut [u8]) -> usize {
    let parallel = capture.header.streaming == Streaming::Parallel;
    let binary = capture.header.binary;
    let mut decoder = Decoder::new().parallel(parallel).binary(binary);
    let mut encoder = Encoder::new().parallel(parallel).binary(binary);
    let mut messages = 0;
    for bytes in capture.messages() {
        let decoded = decoder.decode(bytes).expect("captures are sound");
        let len = encoder.encode(decoded.xid, &decoded.message, buffer);
        assert_eq!(len, Ok(bytes.len()));
        if let walproto::Message::Insert(insert) = decoded.message {
            let row = insert
                .new
                .columns()
                .fold(TupleWriter::new(scratch), TupleWriter::column);
            black_box(row.text(messages).finish().expect("the row fits"));
        }
        black_box(
            encoder
                .encode(decoded.xid, &decoded.message, &mut [])
                .is_err(),
        );
        messages += 1;
    }
    messages
}

#[test]
fn writing_every_capture_allocates_nothing() {
    let mut messages = 0;
    let (mut buffer, mut scratch) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    for golden in captures() {
        let capture = golden.capture();
        let counted = allocation_counter::measure(|| {
            messages += write(&capture, &mut buffer, &mut scratch);
        });
        assert_eq!(counted.count_total, 0, "{}: {counted:?}", golden.name);
    }
    assert!(messages > 100, "only {messages} messages were written");
}

#[test]
fn the_counter_would_notice() {
    let counted = allocation_counter::measure(|| drop(black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}
