//! Capture files with everything in them that can be told apart, made by hand.

use testdata::capture::{Capture, Header, Streaming};
use testdata::writer::{
    Column, Value, begin, begin_prepare, commit, commit_prepared, delete, insert, keepalive,
    logical, origin, prepare, relation, rollback_prepared, stream_abort, stream_commit,
    stream_prepare, stream_start, stream_stop, truncate, r#type, update, wal_data,
};
use walproto::Timestamp;
use walproto::capture::{Session, write_frame, write_head};

/// 2026-11-21 08:59:01.123456 UTC
const NOON: i64 = 848_566_741_123_456;

const ORDERS: u32 = 1;
const HOSTILE: u32 = 2;

const fn column(flags: u8, name: &str, type_oid: u32) -> Column<'_> {
    Column {
        flags,
        name,
        type_oid,
        typmod: -1,
    }
}

fn orders(xid: Option<u32>) -> Vec<u8> {
    let columns = [column(1, "id", 23), column(0, "note", 25)];
    relation(xid, ORDERS, "public", "orders", b'd', &columns)
}

fn hostile() -> Vec<u8> {
    let columns = [
        column(1, "A\"; --\n", 25),
        column(1, "größe", 1700),
        Column {
            typmod: 14,
            ..column(1, "raw", 600)
        },
    ];
    relation(None, HOSTILE, "", "Tab\tle", b'f', &columns)
}

fn row(id: &str) -> [Value<'_>; 2] {
    [Value::text(id), Value::Null]
}

/// A session's frames.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let mut at = 0x16_0000_0000;
    let messages = [
        begin(0x16_0000_1000, NOON, 748),
        origin(0x99, "node \"b\""),
        orders(None),
        insert(
            None,
            ORDERS,
            &[Value::text("1"), Value::text("it's\n\x1b[31mred")],
        ),
        insert(None, ORDERS, &row("2")),
        update(None, ORDERS, None, &[Value::text("1"), Value::Unchanged]),
        update(
            None,
            ORDERS,
            Some((b'K', &row("1"))),
            &[Value::text("3"), Value::Text(b"\xFFnot UTF-8")],
        ),
        delete(None, ORDERS, b'K', &row("3")),
        r#type(None, 16_400, "public", "mood"),
        hostile(),
        insert(
            None,
            HOSTILE,
            &[Value::Null, Value::text("-1.50"), Value::Binary(&[0; 16])],
        ),
        update(
            None,
            HOSTILE,
            Some((b'O', &[Value::Null, Value::text("NaN"), Value::Null])),
            &[
                Value::Binary(b"text"),
                Value::Binary(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7]),
                Value::Unchanged,
            ],
        ),
        delete(
            None,
            HOSTILE,
            b'O',
            &[Value::text(""), Value::Null, Value::Null],
        ),
        truncate(None, 3, &[ORDERS, HOSTILE]),
        logical(None, 1, 0x16_0000_0999, "audit", "größer\0".as_bytes()),
        commit(0, 0x16_0000_1000, 0x16_0000_1030, NOON),
        logical(None, 0, 0x16_0000_1040, "ping", b"\xFF\x00"),
        stream_start(750, 1),
        orders(Some(750)),
        insert(Some(750), ORDERS, &row("10")),
        insert(Some(751), ORDERS, &row("11")),
        logical(Some(750), 1, 0x16_0000_1041, "in a block", b""),
        stream_stop(),
        stream_abort(750, 751, Some((0x16_0000_1050, NOON + 1))),
        stream_commit(750, 0, 0x16_0000_1060, 0x16_0000_1070, NOON + 2),
        stream_start(752, 1),
        truncate(Some(752), 0, &[ORDERS]),
        stream_stop(),
        stream_abort(752, 752, Some((0x16_0000_1080, NOON + 3))),
        begin_prepare(0x16_0000_1090, 0x16_0000_1100, NOON + 4, 753, "it's"),
        insert(None, ORDERS, &row("20")),
        prepare(0, 0x16_0000_1090, 0x16_0000_1100, NOON + 4, 753, "it's"),
        commit_prepared(0, 0x16_0000_1110, 0x16_0000_1120, NOON + 5, 753, "it's"),
        stream_start(754, 0),
        insert(Some(754), ORDERS, &row("21")),
        stream_stop(),
        stream_prepare(0, 0x16_0000_1130, 0x16_0000_1140, NOON + 6, 754, "s"),
        rollback_prepared(
            0,
            0x16_0000_1140,
            0x16_0000_1150,
            NOON + 6,
            i64::MIN,
            754,
            "s",
        ),
    ];
    let mut frames = vec![keepalive(0x16_0000_0000, NOON, 1)];
    for message in messages {
        at += 0x10;
        let nowhere = matches!(message.first(), Some(b'R' | b'Y'));
        let position = if nowhere { 0 } else { at };
        frames.push(wal_data(position, position, NOON + 7, &message));
    }
    // Of a server that is not yet there.
    frames.push(b"z\x01\x02".to_vec());
    frames.push(keepalive(at, i64::MAX, 0));
    frames
}

fn header() -> Header {
    Header {
        time: NOON - 1,
        server_version_num: 180_004,
        system_identifier: u64::MAX,
        timeline: 2,
        start: 0x16_0000_0000,
        protocol: 4,
        binary: true,
        streaming: Streaming::Parallel,
        options: "proto_version '4', publication_names '\"a\"'".into(),
        other: vec![("who's there".into(), "line\nbreak".into())],
    }
}

fn capture(frames: &[Vec<u8>]) -> Capture {
    Capture {
        header: header(),
        frames: frames.to_vec(),
        times: vec![NOON; frames.len()],
    }
}

/// A file with these frames in one session.
pub(crate) fn file(frames: &[Vec<u8>]) -> Vec<u8> {
    capture(frames).to_bytes()
}

/// Two sessions, the second after a server of old.
pub(crate) fn everything() -> Vec<u8> {
    let mut file = file(&frames());
    let mut second = capture(&[wal_data(0, 0, NOON, &orders(None))]);
    second.header = Header {
        server_version_num: 140_022,
        timeline: 1,
        protocol: 1,
        ..Header::default()
    };
    second.write(&mut file);
    file
}

/// One file that describes a table, and one that goes on with it.
pub(crate) fn continued() -> (Vec<u8>, Vec<u8>) {
    let first = file(&[wal_data(0, 0, NOON, &orders(None))]);
    let mut second = Vec::new();
    write_head(&mut second);
    let mut session = Session::default();
    session.continued = true;
    session.write(Timestamp(NOON), &[], &mut second).unwrap();
    let frame = wal_data(1, 1, NOON, &insert(None, ORDERS, &row("2")));
    write_frame(Timestamp(NOON), &frame, &mut second).unwrap();
    (first, second)
}

/// A table of two columns, and a row of one.
pub(crate) fn narrow_row() -> [Vec<u8>; 2] {
    [
        wal_data(0, 0, NOON, &orders(None)),
        wal_data(1, 1, NOON, &insert(None, ORDERS, &[Value::text("1")])),
    ]
}
