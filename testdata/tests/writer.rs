//! What the writer writes is what servers send.

use std::collections::BTreeMap;

use testdata::expected::{Cell, Decoder, Message, Old};
use testdata::writer::{self, Column, Value};
use testdata::{captures, expected};

fn values(cells: &[Cell]) -> Vec<Value<'_>> {
    cells
        .iter()
        .map(|cell| match cell {
            Cell::Null => Value::Null,
            Cell::Unchanged => Value::Unchanged,
            Cell::Text(data) => Value::Text(data),
            Cell::Binary(data) => Value::Binary(data),
        })
        .collect()
}

fn old_row(old: &Old) -> (u8, Vec<Value<'_>>) {
    match old {
        Old::Key(cells) => (b'K', values(cells)),
        Old::Full(cells) => (b'O', values(cells)),
    }
}

fn written(xid: Option<u32>, message: &Message) -> Vec<u8> {
    match message {
        &Message::Begin {
            final_lsn,
            commit_time,
            xid,
        } => writer::begin(final_lsn, commit_time, xid),
        &Message::Commit {
            commit_lsn,
            end_lsn,
            commit_time,
        } => writer::commit(0, commit_lsn, end_lsn, commit_time),
        Message::Origin { commit_lsn, name } => writer::origin(*commit_lsn, name),
        Message::Relation {
            oid,
            namespace,
            name,
            identity,
            columns,
        } => {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| Column {
                    flags: u8::from(column.key),
                    name: &column.name,
                    type_oid: column.type_oid,
                    typmod: column.typmod,
                })
                .collect();
            let identity = u8::try_from(*identity).unwrap();
            writer::relation(xid, *oid, namespace, name, identity, &columns)
        }
        Message::Type {
            oid,
            namespace,
            name,
        } => writer::r#type(xid, *oid, namespace, name),
        Message::Insert { relation, new } => writer::insert(xid, *relation, &values(new)),
        Message::Update { relation, old, new } => {
            let old = old.as_ref().map(old_row);
            let old = old.as_ref().map(|(tag, row)| (*tag, row.as_slice()));
            writer::update(xid, *relation, old, &values(new))
        }
        Message::Delete { relation, old } => {
            let (tag, row) = old_row(old);
            writer::delete(xid, *relation, tag, &row)
        }
        Message::Truncate {
            cascade,
            restart_identity,
            relations,
        } => {
            let flags = u8::from(*cascade) | u8::from(*restart_identity) << 1;
            writer::truncate(xid, flags, relations)
        }
        Message::Logical {
            transactional,
            lsn,
            prefix,
            content,
        } => writer::logical(xid, u8::from(*transactional), *lsn, prefix, content),
        &Message::StreamStart { xid, first_segment } => {
            writer::stream_start(xid, u8::from(first_segment))
        }
        Message::StreamStop => writer::stream_stop(),
        &Message::StreamCommit {
            xid,
            commit_lsn,
            end_lsn,
            commit_time,
        } => writer::stream_commit(xid, 0, commit_lsn, end_lsn, commit_time),
        &Message::StreamAbort { xid, subxid, abort } => writer::stream_abort(xid, subxid, abort),
        Message::BeginPrepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } => writer::begin_prepare(*prepare_lsn, *end_lsn, *prepare_time, *xid, gid),
        Message::Prepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } => writer::prepare(0, *prepare_lsn, *end_lsn, *prepare_time, *xid, gid),
        Message::CommitPrepared {
            commit_lsn,
            end_lsn,
            commit_time,
            xid,
            gid,
        } => writer::commit_prepared(0, *commit_lsn, *end_lsn, *commit_time, *xid, gid),
        Message::RollbackPrepared {
            prepare_end_lsn,
            rollback_end_lsn,
            prepare_time,
            rollback_time,
            xid,
            gid,
        } => writer::rollback_prepared(
            0,
            *prepare_end_lsn,
            *rollback_end_lsn,
            *prepare_time,
            *rollback_time,
            *xid,
            gid,
        ),
        Message::StreamPrepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } => writer::stream_prepare(0, *prepare_lsn, *end_lsn, *prepare_time, *xid, gid),
    }
}

#[test]
fn every_captured_message_is_written_again_byte_for_byte() {
    let mut met = BTreeMap::new();
    for golden in captures() {
        let capture = golden.capture();
        let mut decoder = Decoder::new(capture.header.streaming);
        for bytes in capture.messages() {
            let (xid, message) = decoder.decode(bytes).unwrap();
            assert_eq!(written(xid, &message), bytes, "{} {message:?}", golden.name);
            *met.entry((bytes[0], xid.is_some())).or_insert(0_u32) += 1;
        }
    }
    let tags: Vec<_> = met
        .keys()
        .map(|(tag, in_block)| (char::from(*tag), *in_block))
        .collect();
    for tag in "BCOIUDTRYMbPKrpScEA".chars() {
        assert!(tags.contains(&(tag, false)), "no {tag} in any capture");
    }
    for tag in "IUDTRYM".chars().filter(|&tag| tag != 'M') {
        assert!(
            tags.contains(&(tag, true)),
            "no {tag} inside a block in any capture"
        );
    }
    assert!(tags.contains(&('M', true)));
}

#[test]
fn every_captured_frame_is_written_again_byte_for_byte() {
    let position =
        |frame: &[u8], at: usize| u64::from_be_bytes(*frame[at..].first_chunk().unwrap());
    let time = |frame: &[u8], at: usize| i64::from_be_bytes(*frame[at..].first_chunk().unwrap());
    let (mut data, mut keepalives) = (0, 0);
    for frame in captures().iter().flat_map(|golden| golden.capture().frames) {
        let again = match frame[0] {
            b'w' => {
                data += 1;
                let (start, end) = (position(&frame, 1), position(&frame, 9));
                writer::wal_data(start, end, time(&frame, 17), &frame[25..])
            }
            _ => {
                keepalives += 1;
                writer::keepalive(position(&frame, 1), time(&frame, 9), frame[17])
            }
        };
        assert_eq!(again, frame);
    }
    assert!(data > 0 && keepalives > 0);
}

#[test]
fn what_a_client_sends_is_laid_out_as_documented() {
    assert_eq!(
        writer::status_update(1, 2, 3, -1, true),
        [
            &[b'r'][..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[0xFF; 8],
            &[1],
        ]
        .concat()
    );
    assert_eq!(
        writer::hot_standby_feedback(1, 2, 3, 4, 5),
        [
            &[b'h'][..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 2],
            &[0, 0, 0, 3],
            &[0, 0, 0, 4],
            &[0, 0, 0, 5],
        ]
        .concat()
    );
}

#[test]
fn broken_messages_can_be_written_and_are_refused_by_the_plain_decoder() {
    let decode = |bytes: &[u8]| Decoder::new(testdata::capture::Streaming::Off).decode(bytes);
    let lie = Value::Other {
        kind: b't',
        length: 100,
        data: b"short",
    };
    assert!(decode(&writer::insert(None, 1, &[lie])).is_err());
    let unknown = Value::Other {
        kind: b'x',
        length: 0,
        data: b"",
    };
    assert!(decode(&writer::insert(None, 1, &[unknown])).is_err());
    assert!(decode(&writer::commit(1, 2, 3, 4)).is_err());
    assert!(decode(&writer::delete(None, 1, b'N', &[])).is_err());
    assert!(decode(&writer::insert(Some(7), 1, &[Value::Null])).is_err());
    assert!(decode(&writer::stream_abort(1, 2, Some((3, 4)))).is_err());
    assert!(decode(&writer::stream_abort(1, 2, None)).is_ok());
}

#[test]
fn positions_print_as_servers_print_them() {
    assert_eq!(expected::lsn(0x16_B374_D848), "16/B374D848");
    assert_eq!(expected::lsn(0), "0/0");
}
