//! What is written is what real servers sent, what the other writer writes, and what the decoder reads back.

mod written;

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testdata::capture::{Streaming, captures};
use testdata::writer;
use walproto::{
    Begin, BeginPrepare, Column, ColumnDef, ColumnDefs, Commit, CommitPrepared, Decoder, Delete,
    EncodeError, EncodeErrorKind, Encoder, Frame, Insert, Keepalive, Logical, Lsn, Message, Oid,
    OldRow, Origin, Prepare, Relation, RelationOids, ReplicaIdentity, RollbackPrepared,
    StreamAbort, StreamCommit, StreamPrepare, StreamStart, Timestamp, Truncate, Tuple, Type,
    Update, WalData, Xid,
};
use written::{Cell as Value, Place, Row, Written, kinds};

#[test]
fn every_capture_is_written_as_the_server_wrote_it() {
    let mut met = BTreeSet::new();
    let mut buffer = vec![0; 1 << 20];
    for golden in captures() {
        let capture = golden.capture();
        let parallel = capture.header.streaming == Streaming::Parallel;
        let binary = capture.header.binary;
        let mut decoder = Decoder::new().parallel(parallel).binary(binary);
        let mut encoder = Encoder::new().parallel(parallel).binary(binary);
        for (number, frame) in capture.frames.iter().enumerate() {
            let place = format!("{}, frame {}", golden.name, number + 1);
            let parsed = Frame::parse(frame).expect("captures are sound");
            let len = parsed.encode(&mut buffer).expect("a frame fits");
            assert_eq!(&buffer[..len], frame, "{place}");
            assert_eq!(parsed.encoded_len(), Ok(len));

            let Frame::WalData(wal) = parsed else {
                met.insert('k');
                continue;
            };
            assert_eq!([&wal.head()[..], wal.data].concat(), *frame);
            let decoded = decoder.decode(wal.data).expect("captures are sound");
            let needed = encoder.encoded_len(decoded.xid, &decoded.message);
            assert_eq!(needed, Ok(wal.data.len()), "{place}");
            let len = encoder
                .encode(decoded.xid, &decoded.message, &mut buffer)
                .unwrap_or_else(|error| panic!("{error}: {place}"));
            assert_eq!(
                buffer[..len].escape_ascii().to_string(),
                wal.data.escape_ascii().to_string(),
                "{place}"
            );
            assert_eq!(encoder.in_block(), decoder.in_block());
            met.insert(char::from(buffer[0]));
        }
    }
    assert_eq!(met.into_iter().collect::<String>(), "ABCDEIKMOPRSTUYbckpr");
}

/// The message, of fields and buffers of our own.
fn build<'a>(written: &'a Written, scratch: &'a mut [u8]) -> Result<Message<'a>, EncodeError> {
    Ok(match written {
        Written::Begin(lsn, time, xid) => Message::Begin(Begin {
            final_lsn: Lsn(*lsn),
            commit_time: Timestamp(*time),
            xid: Xid(*xid),
        }),
        Written::Commit(lsn, end, time) => Message::Commit(Commit {
            commit_lsn: Lsn(*lsn),
            end_lsn: Lsn(*end),
            commit_time: Timestamp(*time),
        }),
        Written::Origin(lsn, name) => Message::Origin(Origin {
            commit_lsn: Lsn(*lsn),
            name,
        }),
        Written::Relation(oid, namespace, name, identity, columns) => {
            let columns = columns.iter().map(|(flags, name, oid, typmod)| ColumnDef {
                key: *flags == 1,
                name,
                type_oid: Oid(*oid),
                typmod: *typmod,
            });
            Message::Relation(Relation {
                oid: Oid(*oid),
                namespace,
                name,
                identity: match identity {
                    b'd' => ReplicaIdentity::Default,
                    b'n' => ReplicaIdentity::Nothing,
                    b'f' => ReplicaIdentity::Full,
                    _ => ReplicaIdentity::Index,
                },
                columns: ColumnDefs::write(columns, scratch)?.0,
            })
        }
        Written::Type(oid, namespace, name) => Message::Type(Type {
            oid: Oid(*oid),
            namespace,
            name,
        }),
        Written::Insert(oid, new) => Message::Insert(Insert {
            relation: Oid(*oid),
            new: row(new, scratch)?.0,
        }),
        Written::Update(oid, old, new) => {
            let (old, scratch) = match old {
                Some((mark, row)) => {
                    let (row, rest) = self::row(row, scratch)?;
                    (Some(old_row(*mark, row)), rest)
                }
                None => (None, scratch),
            };
            Message::Update(Update {
                relation: Oid(*oid),
                old,
                new: row(new, scratch)?.0,
            })
        }
        Written::Delete(oid, mark, old) => Message::Delete(Delete {
            relation: Oid(*oid),
            old: old_row(*mark, row(old, scratch)?.0),
        }),
        Written::Truncate(flags, oids) => Message::Truncate(Truncate {
            cascade: flags & 1 != 0,
            restart_identity: flags & 2 != 0,
            relations: RelationOids::write(oids.iter().map(|oid| Oid(*oid)), scratch)?.0,
        }),
        Written::Logical(flags, lsn, prefix, content) => Message::Logical(Logical {
            transactional: *flags == 1,
            lsn: Lsn(*lsn),
            prefix,
            content,
        }),
        Written::StreamStart(xid, first) => Message::StreamStart(StreamStart {
            xid: Xid(*xid),
            first_segment: *first == 1,
        }),
        Written::StreamStop => Message::StreamStop,
        Written::StreamCommit(xid, lsn, end, time) => Message::StreamCommit(StreamCommit {
            xid: Xid(*xid),
            commit_lsn: Lsn(*lsn),
            end_lsn: Lsn(*end),
            commit_time: Timestamp(*time),
        }),
        Written::StreamAbort(xid, subxid, abort) => Message::StreamAbort(StreamAbort {
            xid: Xid(*xid),
            subxid: Xid(*subxid),
            abort: abort.map(|(lsn, time)| (Lsn(lsn), Timestamp(time))),
        }),
        Written::BeginPrepare((lsn, end, time, xid, gid)) => Message::BeginPrepare(BeginPrepare {
            prepare_lsn: Lsn(*lsn),
            end_lsn: Lsn(*end),
            prepare_time: Timestamp(*time),
            xid: Xid(*xid),
            gid,
        }),
        Written::Prepare((lsn, end, time, xid, gid)) => Message::Prepare(Prepare {
            prepare_lsn: Lsn(*lsn),
            end_lsn: Lsn(*end),
            prepare_time: Timestamp(*time),
            xid: Xid(*xid),
            gid,
        }),
        Written::CommitPrepared((lsn, end, time, xid, gid)) => {
            Message::CommitPrepared(CommitPrepared {
                commit_lsn: Lsn(*lsn),
                end_lsn: Lsn(*end),
                commit_time: Timestamp(*time),
                xid: Xid(*xid),
                gid,
            })
        }
        Written::RollbackPrepared(prepared, end, prepare_time, time, xid, gid) => {
            Message::RollbackPrepared(RollbackPrepared {
                prepare_end_lsn: Lsn(*prepared),
                rollback_end_lsn: Lsn(*end),
                prepare_time: Timestamp(*prepare_time),
                rollback_time: Timestamp(*time),
                xid: Xid(*xid),
                gid,
            })
        }
        Written::StreamPrepare((lsn, end, time, xid, gid)) => {
            Message::StreamPrepare(StreamPrepare {
                prepare_lsn: Lsn(*lsn),
                end_lsn: Lsn(*end),
                prepare_time: Timestamp(*time),
                xid: Xid(*xid),
                gid,
            })
        }
    })
}

fn row<'b>(row: &Row, scratch: &'b mut [u8]) -> Result<(Tuple<'b>, &'b mut [u8]), EncodeError> {
    let columns = row.iter().map(|cell| match cell {
        Value::Null => Column::Null,
        Value::Unchanged => Column::Unchanged,
        Value::Text(data) => Column::Text(data),
        Value::Binary(data) => Column::Binary(data),
    });
    Tuple::write(columns, scratch)
}

fn old_row(mark: u8, row: Tuple<'_>) -> OldRow<'_> {
    if mark == b'K' {
        OldRow::Key(row)
    } else {
        OldRow::Full(row)
    }
}

fn has_zero_in_text(written: &Written) -> bool {
    let zero = |row: &Row| {
        row.iter()
            .any(|cell| matches!(cell, Value::Text(text) if text.contains(&0)))
    };
    match written {
        Written::Insert(_, row) | Written::Delete(_, _, row) => zero(row),
        Written::Update(_, old, new) => zero(new) || old.as_ref().is_some_and(|(_, old)| zero(old)),
        _ => false,
    }
}

fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn every_kind_of_message_is_written_as_the_other_writer_does_and_read_back() {
    let mut met = String::new();
    let refused = Cell::new(0);
    for kind in kinds() {
        let mut runner = TestRunner::new(cases(128));
        let tag = Cell::new(0);
        runner
            .run(&(kind, any::<Option<u32>>()), |(written, block)| {
                let in_block = match written.place() {
                    Place::Inside => true,
                    Place::Outside => false,
                    Place::Both => block.is_some(),
                };
                let xid = if written.carries_xid() { block } else { None };
                let expected = written.bytes(xid, 0);
                tag.set(expected[0]);

                let mut scratch = vec![0; expected.len()];
                let message = match build(&written, &mut scratch) {
                    Ok(message) => message,
                    Err(error) => {
                        prop_assert_eq!(error.kind, EncodeErrorKind::ZeroByte);
                        prop_assert!(has_zero_in_text(&written));
                        refused.set(refused.get() + 1);
                        return Ok(());
                    }
                };
                prop_assert!(!has_zero_in_text(&written));

                let before = Encoder::new()
                    .parallel(written.is_parallel())
                    .binary(written.has_binary())
                    .inside_block(in_block);
                let xid = xid.map(Xid);
                prop_assert_eq!(before.encoded_len(xid, &message), Ok(expected.len()));

                // A longer buffer stays as it was behind the message.
                let mut buffer = vec![0xAA; expected.len() + 3];
                let mut encoder = before;
                prop_assert_eq!(
                    encoder.encode(xid, &message, &mut buffer),
                    Ok(expected.len())
                );
                prop_assert_eq!(&buffer[..expected.len()], &expected[..]);
                prop_assert_eq!(&buffer[expected.len()..], &[0xAA; 3]);

                let mut decoder = Decoder::new()
                    .parallel(written.is_parallel())
                    .binary(written.has_binary())
                    .inside_block(in_block);
                let decoded = decoder.decode(&expected).expect("what is written is sound");
                prop_assert_eq!(decoded.xid, xid);
                prop_assert_eq!(decoded.message, message);
                prop_assert_eq!(&Written::read(&decoded.message), &written);
                prop_assert_eq!(encoder.in_block(), decoder.in_block());

                // Every shorter buffer is too small, and says by how much.
                for len in 0..expected.len() {
                    let mut encoder = before;
                    let error = encoder
                        .encode(xid, &message, &mut buffer[..len])
                        .expect_err("must be too small");
                    prop_assert_eq!(error.needed(), Some(expected.len()));
                    prop_assert_eq!(error.tag, expected[0]);
                    prop_assert_eq!(encoder, before);
                }

                let mut out = b"before".to_vec();
                let mut encoder = before;
                prop_assert_eq!(encoder.append(xid, &message, &mut out), Ok(expected.len()));
                prop_assert_eq!(out, [b"before", &expected[..]].concat());
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
        met.push(char::from(tag.get()));
    }
    assert_eq!(met, "BCORYIUDTMSEcAbPKrp");
    assert!(refused.get() > 0, "no text with a zero byte was made up");
}

#[test]
fn bits_without_a_meaning_are_let_go_but_for_those_of_columns() {
    for kind in kinds() {
        TestRunner::new(cases(48))
            .run(&(kind, any::<u8>()), |(written, noise)| {
                let in_block = written.place() == Place::Inside;
                let bytes = written.bytes(None, noise);
                let decoded = Decoder::new()
                    .parallel(written.is_parallel())
                    .binary(true)
                    .inside_block(in_block)
                    .decode(&bytes)
                    .expect("what is written is sound");
                let mut again = Vec::new();
                let written_again = Encoder::new()
                    .parallel(written.is_parallel())
                    .binary(true)
                    .inside_block(in_block)
                    .append(None, &decoded.message, &mut again);
                prop_assert_eq!(written_again, Ok(bytes.len()));
                let noise = if bytes[0] == b'R' { noise } else { 0 };
                prop_assert_eq!(again, written.bytes(None, noise));
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Whatever the settings of both sides: what one writes the other reads, what one refuses the other refuses, for the
/// same reason.
#[test]
fn the_encoder_refuses_what_the_decoder_would() {
    let message = prop::strategy::Union::new(kinds());
    let input = (message, any::<(bool, bool, bool)>(), any::<Option<u32>>());
    let (written_by_both, refused_by_both) = (Cell::new(0), Cell::new(0));
    TestRunner::new(cases(2000))
        .run(&input, |(written, (parallel, binary, in_block), xid)| {
            let mut scratch = [0; 1024];
            let Ok(message) = build(&written, &mut scratch) else {
                return Ok(());
            };
            let mut encoder = Encoder::new()
                .parallel(parallel)
                .binary(binary)
                .inside_block(in_block);
            let mut decoder = Decoder::new()
                .parallel(parallel)
                .binary(binary)
                .inside_block(in_block);
            let mut buffer = [0; 1024];
            match encoder.encode(xid.map(Xid), &message, &mut buffer) {
                Ok(len) => {
                    let decoded = decoder
                        .decode(&buffer[..len])
                        .map_err(|error| TestCaseError::fail(error.to_string()))?;
                    prop_assert_eq!(decoded.xid, xid.map(Xid));
                    prop_assert_eq!(decoded.message, message);
                    prop_assert_eq!(decoder.in_block(), encoder.in_block());
                    written_by_both.set(written_by_both.get() + 1);
                }
                Err(error) => {
                    let wants_xid = written.carries_xid() && in_block;
                    match error.kind {
                        EncodeErrorKind::MissingXid => prop_assert!(wants_xid && xid.is_none()),
                        EncodeErrorKind::UnexpectedXid => {
                            prop_assert!(!wants_xid && xid.is_some());
                        }
                        kind => {
                            let xid = xid.filter(|_| written.carries_xid());
                            let error = decoder
                                .decode(&written.bytes(xid, 0))
                                .expect_err("must be refused");
                            prop_assert_eq!(format!("{:?}", error.kind), format!("{:?}", kind));
                        }
                    }
                    refused_by_both.set(refused_by_both.get() + 1);
                }
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        written_by_both.get() > 100 && refused_by_both.get() > 100,
        "{written_by_both:?} written, {refused_by_both:?} refused"
    );
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_frame_is_written_as_the_other_writer_does(
        (start, end, time, reply_requested) in any::<(u64, u64, i64, bool)>(),
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let wal = WalData { start: Lsn(start), end: Lsn(end), sent_at: Timestamp(time), data: &data };
        let keepalive = Keepalive { wal_end: Lsn(end), sent_at: Timestamp(time), reply_requested };
        prop_assert_eq!(&keepalive.encode()[..], writer::keepalive(end, time, u8::from(reply_requested)));
        for (frame, expected) in [
            (Frame::WalData(wal), writer::wal_data(start, end, time, &data)),
            (Frame::Keepalive(keepalive), writer::keepalive(end, time, u8::from(reply_requested))),
        ] {
            let mut buffer = [0; 80];
            prop_assert_eq!(frame.encode(&mut buffer), Ok(expected.len()));
            prop_assert_eq!(&buffer[..expected.len()], &expected[..]);
            prop_assert_eq!(Frame::parse(&expected), Ok(frame));
            for len in 0..expected.len() {
                let error = frame.encode(&mut buffer[..len]).expect_err("must be too small");
                prop_assert_eq!(error.needed(), Some(expected.len()));
            }
        }
    }
}
