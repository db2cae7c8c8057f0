//! What real servers sent, decoded and compared line by line with the text beside each capture.
//!
//! That text does not come from walproto: `testdata` makes it with a decoder of its own and checks it against SELECT when
//! a capture is taken. Its README describes the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use testdata::capture::{Capture, Header, Streaming, captures};
use walproto::{
    BeginPrepare, Column, CommitPrepared, Decoded, Decoder, Frame, Message, OldRow, Prepare,
    StreamPrepare, Tuple,
};

fn decoder(header: &Header) -> Decoder {
    Decoder::new()
        .parallel(header.streaming == Streaming::Parallel)
        .binary(header.binary)
}

/// One line for each frame.
fn lines(name: &str, capture: &Capture) -> Vec<String> {
    let mut decoder = decoder(&capture.header);
    let mut lines = Vec::new();
    for (number, frame) in capture.frames.iter().enumerate() {
        let place = || format!("{name}, frame {}: {}", number + 1, frame.escape_ascii());
        let line = match Frame::parse(frame) {
            Ok(Frame::WalData(wal)) => {
                let decoded = decoder
                    .decode(wal.data)
                    .unwrap_or_else(|error| panic!("{error}: {}", place()));
                format!(
                    "w {} {} {}{}",
                    wal.start,
                    wal.end,
                    wal.sent_at.0,
                    line(&decoded)
                )
            }
            Ok(Frame::Keepalive(keepalive)) => format!(
                "k {} {} reply={}",
                keepalive.wal_end,
                keepalive.sent_at.0,
                u8::from(keepalive.reply_requested)
            ),
            other => panic!("{other:?}: {}", place()),
        };
        lines.push(line);
    }
    lines
}

fn line(decoded: &Decoded<'_>) -> String {
    let xid = match decoded.xid {
        Some(xid) => format!(" [{xid}] "),
        None => " ".into(),
    };
    xid + &message(&decoded.message)
}

fn message(message: &Message<'_>) -> String {
    match message {
        Message::Begin(m) => format!(
            "Begin final_lsn={} commit_time={} xid={}",
            m.final_lsn, m.commit_time.0, m.xid
        ),
        Message::Commit(m) => format!(
            "Commit commit_lsn={} end_lsn={} commit_time={}",
            m.commit_lsn, m.end_lsn, m.commit_time.0
        ),
        Message::Origin(m) => format!("Origin commit_lsn={} name={}", m.commit_lsn, text(m.name)),
        Message::Relation(m) => {
            let columns = list(m.columns.map(|column| {
                format!(
                    "{}{} {} {}",
                    if column.key { "key " } else { "" },
                    text(column.name),
                    column.type_oid,
                    column.typmod
                )
            }));
            format!(
                "Relation oid={} namespace={} name={} identity={} columns={columns}",
                m.oid,
                text(m.namespace),
                text(m.name),
                m.identity.letter()
            )
        }
        Message::Type(m) => format!(
            "Type oid={} namespace={} name={}",
            m.oid,
            text(m.namespace),
            text(m.name)
        ),
        Message::Insert(m) => format!("Insert relation={} new={}", m.relation, row(m.new)),
        Message::Update(m) => {
            let old = m
                .old
                .map_or_else(String::new, |old| format!(" {}", self::old(old)));
            format!("Update relation={}{old} new={}", m.relation, row(m.new))
        }
        Message::Delete(m) => format!("Delete relation={} {}", m.relation, old(m.old)),
        Message::Truncate(m) => format!(
            "Truncate cascade={} restart_identity={} relations={}",
            u8::from(m.cascade),
            u8::from(m.restart_identity),
            list(m.relations.map(|oid| oid.to_string()))
        ),
        Message::Logical(m) => format!(
            "Logical transactional={} lsn={} prefix={} content={}",
            u8::from(m.transactional),
            m.lsn,
            text(m.prefix),
            quoted(m.content)
        ),
        Message::StreamStart(m) => format!(
            "StreamStart xid={} first_segment={}",
            m.xid,
            u8::from(m.first_segment)
        ),
        Message::StreamStop => "StreamStop".into(),
        Message::StreamCommit(m) => format!(
            "StreamCommit xid={} commit_lsn={} end_lsn={} commit_time={}",
            m.xid, m.commit_lsn, m.end_lsn, m.commit_time.0
        ),
        Message::StreamAbort(m) => {
            let abort = m.abort.map_or_else(String::new, |(lsn, time)| {
                format!(" abort_lsn={lsn} abort_time={}", time.0)
            });
            format!("StreamAbort xid={} subxid={}{abort}", m.xid, m.subxid)
        }
        Message::RollbackPrepared(m) => format!(
            "RollbackPrepared prepare_end_lsn={} rollback_end_lsn={} prepare_time={} \
             rollback_time={} xid={} gid={}",
            m.prepare_end_lsn,
            m.rollback_end_lsn,
            m.prepare_time.0,
            m.rollback_time.0,
            m.xid,
            text(m.gid)
        ),
        prepared => self::prepared(prepared),
    }
}

/// The four that differ in their names only.
fn prepared(message: &Message<'_>) -> String {
    let (name, verb, lsn, end_lsn, time, xid, gid) = match *message {
        Message::BeginPrepare(BeginPrepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        }) => {
            let name = "BeginPrepare";
            (
                name,
                "prepare",
                prepare_lsn,
                end_lsn,
                prepare_time,
                xid,
                gid,
            )
        }
        Message::Prepare(Prepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        }) => (
            "Prepare",
            "prepare",
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        ),
        Message::CommitPrepared(CommitPrepared {
            commit_lsn,
            end_lsn,
            commit_time,
            xid,
            gid,
        }) => {
            let name = "CommitPrepared";
            (name, "commit", commit_lsn, end_lsn, commit_time, xid, gid)
        }
        Message::StreamPrepare(StreamPrepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        }) => {
            let name = "StreamPrepare";
            (
                name,
                "prepare",
                prepare_lsn,
                end_lsn,
                prepare_time,
                xid,
                gid,
            )
        }
        ref other => panic!("a message this test does not know: {other:?}"),
    };
    format!(
        "{name} {verb}_lsn={lsn} end_lsn={end_lsn} {verb}_time={} xid={xid} gid={}",
        time.0,
        text(gid)
    )
}

fn old(old: OldRow<'_>) -> String {
    match old {
        OldRow::Key(key) => format!("key={}", row(key)),
        OldRow::Full(full) => format!("old={}", row(full)),
    }
}

fn row(row: Tuple<'_>) -> String {
    list(row.columns().map(|column| match column {
        Column::Null => "n".into(),
        Column::Unchanged => "u".into(),
        Column::Text(value) => format!("t:{}", quoted(value)),
        Column::Binary(value) => value.iter().fold(String::from("b:"), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("({})", items.collect::<Vec<_>>().join(", "))
}

fn text(text: &str) -> String {
    quoted(text.as_bytes())
}

/// In double quotes; what is not printable ASCII is escaped, but letters of other scripts stay when all of it is UTF-8.
fn quoted(bytes: &[u8]) -> String {
    let is_text = std::str::from_utf8(bytes).is_ok();
    let mut quoted = vec![b'"'];
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b' '..=b'~' => quoted.push(byte),
            0x80.. if is_text => quoted.push(byte),
            _ => quoted.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    quoted.push(b'"');
    String::from_utf8(quoted).expect("escaped where it was not")
}

#[test]
fn every_capture_says_what_is_written_beside_it() {
    for golden in captures() {
        let (name, expected) = (&golden.name, golden.lines());
        let lines = lines(name, &golden.capture());
        for (number, (line, expected)) in lines.iter().zip(&expected).enumerate() {
            assert_eq!(line, expected, "{name}, line {}", number + 1);
        }
        assert_eq!(lines.len(), expected.len(), "{name}: number of lines");
        assert!(!lines.is_empty(), "{name} is empty");
    }
}

/// What the captures of one server version hold.
#[derive(Default)]
struct Met {
    tags: BTreeSet<char>,
    protocols: BTreeSet<u8>,
    binary: BTreeSet<bool>,
    column_kinds: BTreeSet<char>,
    keepalives: usize,
    abort_positions: usize,
    changes_in_blocks: usize,
}

fn met() -> BTreeMap<u32, Met> {
    let mut versions: BTreeMap<u32, Met> = BTreeMap::new();
    for golden in captures() {
        let Capture { header, frames, .. } = golden.capture();
        let met = versions
            .entry(header.server_version_num / 10_000)
            .or_default();
        met.protocols.insert(header.protocol);
        met.binary.insert(header.binary);
        let mut decoder = decoder(&header);
        for frame in &frames {
            let Ok(Frame::WalData(wal)) = Frame::parse(frame) else {
                met.keepalives += 1;
                continue;
            };
            let decoded = decoder.decode(wal.data).expect("captures are sound");
            met.tags.extend(wal.data.first().copied().map(char::from));
            met.changes_in_blocks += usize::from(decoded.xid.is_some());
            let (old, new) = match decoded.message {
                Message::Insert(insert) => (None, Some(insert.new)),
                Message::Update(update) => (update.old, Some(update.new)),
                Message::Delete(delete) => (Some(delete.old), None),
                Message::StreamAbort(abort) => {
                    met.abort_positions += usize::from(abort.abort.is_some());
                    continue;
                }
                _ => continue,
            };
            let rows = [old.map(|old| old.tuple()), new];
            for column in rows.into_iter().flatten().flatten() {
                met.column_kinds.insert(match column {
                    Column::Null => 'n',
                    Column::Unchanged => 'u',
                    Column::Text(_) => 't',
                    Column::Binary(_) => 'b',
                });
            }
        }
    }
    versions
}

#[test]
fn captures_hold_all_that_each_server_version_can_send() {
    let versions = met();
    assert_eq!(
        versions.keys().copied().collect::<Vec<_>>(),
        [14, 15, 16, 17, 18]
    );
    for (version, met) in versions {
        // Two-phase commit came with 15, streaming=parallel with 16.
        let tags = if version < 15 {
            "BCORYIUDTMSEcA"
        } else {
            "BCORYIUDTMSEcAbPKrp"
        };
        let protocols = 1..=(version - 12).min(4);
        assert_eq!(met.tags, tags.chars().collect(), "version {version}");
        assert!(
            met.protocols.iter().map(|&p| u32::from(p)).eq(protocols),
            "version {version} has captures of protocols {:?}",
            met.protocols
        );
        assert_eq!(
            met.column_kinds,
            "nutb".chars().collect(),
            "version {version}"
        );
        assert_eq!(met.binary.len(), 2, "version {version}: text and binary");
        assert!(met.keepalives > 0, "version {version}: keepalives");
        assert!(
            met.changes_in_blocks > 0,
            "version {version}: changes in blocks"
        );
        assert_eq!(
            met.abort_positions > 0,
            version >= 16,
            "version {version}: aborts with a position"
        );
    }
}
