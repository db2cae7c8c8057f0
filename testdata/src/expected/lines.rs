//! The line that stands for a frame, as README.md defines it.

use std::fmt::Write as _;

use crate::capture::Capture;

use super::{Cell, Decoder, Message, Old, Reader, Reason};

/// The expected decoding of a capture: one line for each frame.
pub fn lines(capture: &Capture) -> Result<Vec<String>, Reason> {
    let mut decoder = Decoder::new(capture.header.streaming);
    let mut lines = Vec::new();
    for frame in &capture.frames {
        let mut r = Reader(frame);
        lines.push(match r.u8()? {
            b'w' => {
                let head = format!("w {} {} {}", lsn(r.u64()?), lsn(r.u64()?), r.i64()?);
                let (xid, message) = decoder.decode(r.0)?;
                let xid = xid.map(|xid| format!(" [{xid}]")).unwrap_or_default();
                format!("{head}{xid} {}", line(&message))
            }
            b'k' => format!("k {} {} reply={}", lsn(r.u64()?), r.i64()?, r.u8()?),
            other => return Err(format!("frame type {other} is not known")),
        });
    }
    Ok(lines)
}

fn line(message: &Message) -> String {
    match message {
        Message::Begin {
            final_lsn,
            commit_time,
            xid,
        } => {
            format!(
                "Begin final_lsn={} commit_time={commit_time} xid={xid}",
                lsn(*final_lsn)
            )
        }
        Message::Commit {
            commit_lsn,
            end_lsn,
            commit_time,
        } => format!(
            "Commit commit_lsn={} end_lsn={} commit_time={commit_time}",
            lsn(*commit_lsn),
            lsn(*end_lsn)
        ),
        Message::Origin { commit_lsn, name } => {
            format!(
                "Origin commit_lsn={} name={}",
                lsn(*commit_lsn),
                quoted(name.as_bytes())
            )
        }
        Message::Relation {
            oid,
            namespace,
            name,
            identity,
            columns,
        } => {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| {
                    format!(
                        "{}{} {} {}",
                        if column.key { "key " } else { "" },
                        quoted(column.name.as_bytes()),
                        column.type_oid,
                        column.typmod
                    )
                })
                .collect();
            format!(
                "Relation oid={oid} namespace={} name={} identity={identity} columns=({})",
                quoted(namespace.as_bytes()),
                quoted(name.as_bytes()),
                columns.join(", ")
            )
        }
        Message::Type {
            oid,
            namespace,
            name,
        } => format!(
            "Type oid={oid} namespace={} name={}",
            quoted(namespace.as_bytes()),
            quoted(name.as_bytes())
        ),
        Message::Insert { relation, new } => format!("Insert relation={relation} new={}", row(new)),
        Message::Update { relation, old, new } => {
            let old = old
                .as_ref()
                .map(|old| format!(" {}", old_row(old)))
                .unwrap_or_default();
            format!("Update relation={relation}{old} new={}", row(new))
        }
        Message::Delete { relation, old } => format!("Delete relation={relation} {}", old_row(old)),
        Message::Truncate {
            cascade,
            restart_identity,
            relations,
        } => {
            let relations: Vec<_> = relations.iter().map(u32::to_string).collect();
            format!(
                "Truncate cascade={} restart_identity={} relations=({})",
                u8::from(*cascade),
                u8::from(*restart_identity),
                relations.join(", ")
            )
        }
        Message::Logical {
            transactional,
            lsn: at,
            prefix,
            content,
        } => format!(
            "Logical transactional={} lsn={} prefix={} content={}",
            u8::from(*transactional),
            lsn(*at),
            quoted(prefix.as_bytes()),
            quoted(content)
        ),
        Message::StreamStart { xid, first_segment } => {
            format!(
                "StreamStart xid={xid} first_segment={}",
                u8::from(*first_segment)
            )
        }
        Message::StreamStop => "StreamStop".into(),
        Message::StreamCommit {
            xid,
            commit_lsn,
            end_lsn,
            commit_time,
        } => format!(
            "StreamCommit xid={xid} commit_lsn={} end_lsn={} commit_time={commit_time}",
            lsn(*commit_lsn),
            lsn(*end_lsn)
        ),
        Message::StreamAbort { xid, subxid, abort } => {
            let abort = abort
                .map(|(at, time)| format!(" abort_lsn={} abort_time={time}", lsn(at)))
                .unwrap_or_default();
            format!("StreamAbort xid={xid} subxid={subxid}{abort}")
        }
        Message::BeginPrepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } => prepared(
            "BeginPrepare",
            "prepare",
            *prepare_lsn,
            *end_lsn,
            *prepare_time,
            *xid,
            gid,
        ),
        Message::Prepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } => prepared(
            "Prepare",
            "prepare",
            *prepare_lsn,
            *end_lsn,
            *prepare_time,
            *xid,
            gid,
        ),
        Message::CommitPrepared {
            commit_lsn,
            end_lsn,
            commit_time,
            xid,
            gid,
        } => prepared(
            "CommitPrepared",
            "commit",
            *commit_lsn,
            *end_lsn,
            *commit_time,
            *xid,
            gid,
        ),
        Message::RollbackPrepared {
            prepare_end_lsn,
            rollback_end_lsn,
            prepare_time,
            rollback_time,
            xid,
            gid,
        } => format!(
            "RollbackPrepared prepare_end_lsn={} rollback_end_lsn={} prepare_time={prepare_time} \
             rollback_time={rollback_time} xid={xid} gid={}",
            lsn(*prepare_end_lsn),
            lsn(*rollback_end_lsn),
            quoted(gid.as_bytes())
        ),
        Message::StreamPrepare {
            prepare_lsn,
            end_lsn,
            prepare_time,
            xid,
            gid,
        } => prepared(
            "StreamPrepare",
            "prepare",
            *prepare_lsn,
            *end_lsn,
            *prepare_time,
            *xid,
            gid,
        ),
    }
}

fn prepared(name: &str, verb: &str, at: u64, end: u64, time: i64, xid: u32, gid: &str) -> String {
    format!(
        "{name} {verb}_lsn={} end_lsn={} {verb}_time={time} xid={xid} gid={}",
        lsn(at),
        lsn(end),
        quoted(gid.as_bytes())
    )
}

fn old_row(old: &Old) -> String {
    match old {
        Old::Key(cells) => format!("key={}", row(cells)),
        Old::Full(cells) => format!("old={}", row(cells)),
    }
}

fn row(cells: &[Cell]) -> String {
    let cells: Vec<_> = cells
        .iter()
        .map(|cell| match cell {
            Cell::Null => "n".into(),
            Cell::Unchanged => "u".into(),
            Cell::Text(value) => format!("t:{}", quoted(value)),
            Cell::Binary(value) => format!("b:{}", hex(value)),
        })
        .collect();
    format!("({})", cells.join(", "))
}

/// A position as PostgreSQL 14 to 18 print it.
pub fn lsn(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xFFFF_FFFF)
}

/// In double quotes; `"`, `\`, control characters and, if it is not UTF-8, everything beyond ASCII is escaped.
fn quoted(bytes: &[u8]) -> String {
    let escape = |out: &mut String, byte: u8| match byte {
        b'"' | b'\\' => {
            out.push('\\');
            out.push(char::from(byte));
        }
        0x20..0x7F => out.push(char::from(byte)),
        _ => write!(out, "\\x{byte:02x}").expect("a String takes everything"),
    };
    let mut out = String::from("\"");
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            for character in text.chars() {
                match u8::try_from(character) {
                    Ok(byte) if byte.is_ascii() => escape(&mut out, byte),
                    _ => out.push(character),
                }
            }
        }
        Err(_) => bytes.iter().for_each(|&byte| escape(&mut out, byte)),
    }
    out.push('"');
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
