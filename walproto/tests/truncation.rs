//! Messages that are cut, that go on, and that are changed at one byte: every cut and every byte, of every kind of
//! message and of every capture.

use std::collections::BTreeSet;

use testdata::capture::{Capture, Streaming, captures};
use testdata::writer::{self, Column, Value};
use walproto::{Decoder, ErrorKind, Frame, Message, Tuple};

/// A message, and the decoder that can read it.
type Sample = (Decoder, Vec<u8>);

/// Every kind of message in each of its forms.
fn written() -> Vec<Sample> {
    let outside = Decoder::new();
    let inside = Decoder::new().inside_block(true);
    let row = [
        Value::Null,
        Value::Unchanged,
        Value::text("42"),
        Value::text(""),
    ];
    let binary = [Value::Binary(&[0, 0, 0, 42]), Value::Null];
    let columns = [
        Column {
            flags: 1,
            name: "id",
            type_oid: 23,
            typmod: -1,
        },
        Column {
            flags: 0,
            name: "note",
            type_oid: 1043,
            typmod: 14,
        },
    ];
    let mut samples = vec![
        (outside, writer::begin(1 << 24, -5, 750)),
        (outside, writer::commit(0, 1 << 24, 1 << 25, -5)),
        (outside, writer::origin(12345, "node")),
        (inside, writer::origin(0, "node")),
        (outside, writer::stream_start(750, 1)),
        (inside, writer::stream_stop()),
        (outside, writer::stream_commit(750, 0, 1 << 24, 1 << 25, 7)),
        (outside, writer::stream_abort(750, 751, None)),
        (
            outside.parallel(true),
            writer::stream_abort(750, 751, Some((1 << 24, 7))),
        ),
        (outside, writer::begin_prepare(1, 2, 3, 750, "gid")),
        (outside, writer::prepare(0, 1, 2, 3, 750, "gid")),
        (outside, writer::commit_prepared(0, 1, 2, 3, 750, "gid")),
        (
            outside,
            writer::rollback_prepared(0, 1, 2, 3, 4, 750, "gid"),
        ),
        (outside, writer::stream_prepare(0, 1, 2, 3, 750, "gid")),
    ];
    for (decoder, xid) in [(outside, None), (inside, Some(750))] {
        let with_binary = decoder.binary(true);
        samples.extend([
            (
                decoder,
                writer::relation(xid, 16385, "public", "t", b'd', &columns),
            ),
            (decoder, writer::relation(xid, 16385, "", "t", b'n', &[])),
            (decoder, writer::r#type(xid, 16386, "public", "mood")),
            (decoder, writer::insert(xid, 16385, &row)),
            (decoder, writer::insert(xid, 16385, &[])),
            (with_binary, writer::insert(xid, 16385, &binary)),
            (decoder, writer::update(xid, 16385, None, &row)),
            (
                decoder,
                writer::update(xid, 16385, Some((b'K', &row)), &row),
            ),
            (
                with_binary,
                writer::update(xid, 16385, Some((b'O', &binary)), &binary),
            ),
            (decoder, writer::delete(xid, 16385, b'K', &row)),
            (with_binary, writer::delete(xid, 16385, b'O', &binary)),
            (decoder, writer::truncate(xid, 3, &[16385, 16386])),
            (decoder, writer::logical(xid, 1, 9, "prefix", b"content")),
            (decoder, writer::logical(xid, 0, 9, "", b"")),
        ]);
    }
    samples
}

/// Every message of a capture, each once.
fn captured(capture: &Capture) -> Vec<Sample> {
    let mut decoder = Decoder::new()
        .parallel(capture.header.streaming == Streaming::Parallel)
        .binary(capture.header.binary);
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for bytes in capture.messages() {
        let before = decoder;
        decoder.decode(bytes).expect("captures are sound");
        if seen.insert(bytes) {
            samples.push((before, bytes.to_vec()));
        }
    }
    samples
}

/// Runs `check` over what the writer makes and over all captures.
fn for_each_sample(check: impl Fn(Decoder, &[u8])) {
    let mut samples = written();
    let tags: BTreeSet<_> = samples.iter().map(|(_, bytes)| bytes[0]).collect();
    assert_eq!(tags.len(), 19, "a kind of message is missing");
    for golden in captures() {
        samples.extend(captured(&golden.capture()));
    }
    for (decoder, bytes) in samples {
        check(decoder, &bytes);
    }
}

#[test]
fn every_proper_prefix_fails_at_a_byte_within_it() {
    for_each_sample(|before, bytes| {
        assert!(before.clone().decode(bytes).is_ok());
        for cut in 0..bytes.len() {
            let mut after = before;
            let error = after
                .decode(&bytes[..cut])
                .expect_err("a part is not the whole");
            let offset = error.offset as usize;
            assert!(
                offset <= cut && offset < bytes.len(),
                "{error}, cut at {cut}: {}",
                bytes.escape_ascii()
            );
            assert_eq!(after, before);
        }
    });
}

#[test]
fn every_byte_appended_is_a_byte_too_many() {
    for_each_sample(|before, bytes| {
        let mut longer = bytes.to_vec();
        longer.push(0);
        for extra in 0..=u8::MAX {
            longer[bytes.len()] = extra;
            let mut after = before;
            let error = after.decode(&longer).expect_err("a byte is left over");
            assert_eq!(error.kind, ErrorKind::TrailingBytes, "{error}");
            assert_eq!(error.offset as usize, bytes.len());
            assert_eq!(after, before);
        }
    });
}

#[test]
fn no_change_of_one_byte_panics() {
    for (decoder, bytes) in written() {
        change_each_byte(decoder, &bytes, |_, byte| {
            (0..=u8::MAX).filter(move |b| *b != byte)
        });
    }
    for golden in captures() {
        for (decoder, bytes) in captured(&golden.capture()) {
            // The lowest bit and the highest: of lengths and counts, a little more or less and far too much. In long
            // messages one of them by turns, because their time grows with the square of their length.
            let long = bytes.len() > 300;
            change_each_byte(decoder, &bytes, |at, byte| {
                [byte ^ 1, byte ^ 0x80]
                    .into_iter()
                    .skip(usize::from(long && at % 2 == 0))
                    .take(if long { 1 } else { 2 })
            });
        }
    }
}

fn change_each_byte<I: IntoIterator<Item = u8>>(
    before: Decoder,
    bytes: &[u8],
    variants: impl Fn(usize, u8) -> I,
) {
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len() {
        for byte in variants(at, bytes[at]) {
            changed[at] = byte;
            let mut after = before;
            match after.decode(&changed) {
                Ok(decoded) => walk(&decoded.message),
                Err(error) => {
                    assert!(error.offset as usize <= bytes.len(), "{error}");
                    assert_eq!(after, before);
                }
            }
        }
        changed[at] = bytes[at];
    }
}

/// Goes over everything that was checked when it was read, without looking into long values.
fn walk(message: &Message<'_>) {
    let row = |row: Tuple<'_>| assert_eq!(row.columns().count(), row.len());
    match message {
        Message::Insert(insert) => row(insert.new),
        Message::Update(update) => {
            if let Some(old) = update.old {
                row(old.tuple());
            }
            row(update.new);
        }
        Message::Delete(delete) => row(delete.old.tuple()),
        Message::Relation(relation) => {
            assert_eq!(relation.columns.count(), relation.columns.len());
        }
        Message::Truncate(truncate) => {
            assert_eq!(truncate.relations.count(), truncate.relations.len());
        }
        _ => {}
    }
}

/// One past the last byte that belongs to the frame itself.
fn head(frame: &[u8]) -> usize {
    match frame[0] {
        b'w' => 25,
        _ => frame.len(),
    }
}

#[test]
fn every_cut_in_a_frame_fails_at_a_byte_within_it() {
    let mut frames = vec![
        writer::wal_data(1, 2, 3, b"message"),
        writer::wal_data(1, 2, 3, b""),
        writer::keepalive(1, 2, 1),
    ];
    for golden in captures() {
        frames.extend(golden.capture().frames);
    }
    for frame in frames {
        assert!(Frame::parse(&frame).is_ok());
        for cut in 0..head(&frame) {
            let error = Frame::parse(&frame[..cut]).expect_err("a part is not the whole");
            assert!(error.offset as usize <= cut, "{error}, cut at {cut}");
        }
        if frame[0] == b'k' {
            for extra in 0..=u8::MAX {
                let longer = [&frame[..], &[extra]].concat();
                let error = Frame::parse(&longer).expect_err("a byte is left over");
                assert_eq!(error.kind, ErrorKind::TrailingBytes);
                assert_eq!(error.offset as usize, frame.len());
            }
        }
    }
}
