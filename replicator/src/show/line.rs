//! Lines for people: where, who, what, and the values.

use std::fmt::Display;

use walproto::capture::{Fields, Session};
use walproto::{Column, Keepalive, Lsn, Message, Oid, OldRow, Timestamp, Tuple, Xid};

use super::Shown;
use super::binary::text_of;
use super::color::{END, Paint};
use super::error::ShowError;
use super::table::{Table, TableColumn, Tables, schema};
use super::time::Iso;
use super::value::{hex, identifier, is_bare, put, quote};

#[derive(Debug)]
pub(super) struct Lines {
    color: bool,
    /// A value's text form, made from its binary form.
    text: Vec<u8>,
}

impl Lines {
    pub(super) fn new(color: bool) -> Self {
        Self {
            color,
            text: Vec::new(),
        }
    }

    pub(super) fn session(
        &self,
        out: &mut Vec<u8>,
        time: Timestamp,
        session: &Session<'_>,
        fields: Fields<'_>,
    ) {
        self.painted(out, Paint::Strong, format_args!("session"));
        let Session {
            server_version_num,
            system_identifier,
            timeline,
            start,
            ..
        } = session;
        let version = (server_version_num / 10_000, server_version_num % 10_000);
        put(
            out,
            format_args!(
                " {} server {}.{} system {system_identifier} timeline {timeline} {} {start} (",
                Iso(time),
                version.0,
                version.1,
                if session.continued {
                    "goes on at"
                } else {
                    "from"
                },
            ),
        );
        // Written by whoever wrote the file.
        for character in session.options.chars().filter(|it| !it.is_control()) {
            put(out, format_args!("{character}"));
        }
        out.push(b')');
        for (key, value) in fields.unknown() {
            put(out, format_args!(" {}=", identifier(key)));
            quote(out, value.as_bytes(), '\'');
        }
        out.push(b'\n');
    }

    pub(super) fn keepalive(&self, out: &mut Vec<u8>, keepalive: &Keepalive) {
        self.head(out, keepalive.wal_end, None, None);
        self.painted(out, Paint::Faint, format_args!("keepalive"));
        put(out, format_args!(" {}", Iso(keepalive.sent_at)));
        if keepalive.reply_requested {
            out.extend_from_slice(b" reply requested");
        }
        out.push(b'\n');
    }

    pub(super) fn unknown(&self, out: &mut Vec<u8>, frame: &[u8]) {
        self.head(out, Lsn::ZERO, None, None);
        out.extend_from_slice(b"unknown frame ");
        hex(out, frame);
        out.push(b'\n');
    }

    pub(super) fn message(
        &mut self,
        out: &mut Vec<u8>,
        shown: &Shown<'_>,
        tables: &Tables,
    ) -> Result<(), ShowError> {
        self.head(out, shown.lsn, shown.xid, shown.top);
        match shown.message {
            Message::Begin(begin) => self.end(out, "begin", begin.commit_time),
            Message::Commit(commit) => self.end(out, "commit", commit.commit_time),
            Message::StreamCommit(commit) => self.end(out, "commit", commit.commit_time),
            Message::Insert(insert) => {
                let table = self.change(out, Paint::Good, "insert", tables, insert.relation)?;
                self.row(out, table, insert.new);
            }
            Message::Update(update) => {
                let table = self.change(out, Paint::Changed, "update", tables, update.relation)?;
                if let Some(old) = update.old {
                    self.old(out, table, old);
                }
                self.row(out, table, update.new);
            }
            Message::Delete(delete) => {
                let table = self.change(out, Paint::Gone, "delete", tables, delete.relation)?;
                self.old(out, table, delete.old);
            }
            Message::Truncate(truncate) => {
                self.painted(out, Paint::Gone, format_args!("truncate"));
                for (at, oid) in truncate.relations.enumerate() {
                    out.extend_from_slice(if at == 0 { b" " } else { b", " });
                    self.painted(out, Paint::Strong, &tables.get(oid)?.name);
                }
                if truncate.restart_identity {
                    out.extend_from_slice(b" restart identity");
                }
                if truncate.cascade {
                    out.extend_from_slice(b" cascade");
                }
            }
            Message::Logical(logical) => {
                self.painted(out, Paint::Good, format_args!("message "));
                quote(out, logical.prefix.as_bytes(), '\'');
                out.push(b' ');
                quote(out, logical.content, '\'');
            }
            Message::Origin(origin) => {
                self.faint(out, "origin ");
                quote(out, origin.name.as_bytes(), '\'');
                put(out, format_args!(" at {}", origin.commit_lsn));
            }
            Message::StreamAbort(abort) => {
                self.painted(out, Paint::Gone, format_args!("abort"));
                if let Some((lsn, time)) = abort.abort {
                    put(out, format_args!(" at {lsn} {}", Iso(time)));
                }
            }
            Message::BeginPrepare(begin) => {
                self.two_phase(out, "begin prepare", begin.gid, begin.prepare_time);
            }
            Message::Prepare(prepare) => {
                self.two_phase(out, "prepare", prepare.gid, prepare.prepare_time);
            }
            Message::StreamPrepare(prepare) => {
                self.two_phase(out, "prepare", prepare.gid, prepare.prepare_time);
            }
            Message::CommitPrepared(commit) => {
                self.two_phase(out, "commit prepared", commit.gid, commit.commit_time);
            }
            Message::RollbackPrepared(rollback) => {
                self.two_phase(
                    out,
                    "rollback prepared",
                    rollback.gid,
                    rollback.rollback_time,
                );
            }
            Message::Relation(relation) => {
                self.faint(out, "relation ");
                out.extend_from_slice(tables.get(relation.oid)?.name.as_bytes());
                put(
                    out,
                    format_args!(
                        " oid={} identity={} (",
                        relation.oid,
                        relation.identity.letter()
                    ),
                );
                for (at, column) in relation.columns.enumerate() {
                    if at > 0 {
                        out.extend_from_slice(b", ");
                    }
                    put(
                        out,
                        format_args!("{} type={}", identifier(column.name), column.type_oid),
                    );
                    if column.typmod != -1 {
                        put(out, format_args!(" typmod={}", column.typmod));
                    }
                    if column.key {
                        out.extend_from_slice(b" key");
                    }
                }
                out.push(b')');
            }
            Message::Type(kind) => {
                self.faint(out, "type ");
                put(
                    out,
                    format_args!(
                        "{}.{} oid={}",
                        identifier(schema(kind.namespace)),
                        identifier(kind.name),
                        kind.oid
                    ),
                );
            }
            Message::StreamStart(start) => {
                self.faint(out, "stream start");
                if start.first_segment {
                    out.extend_from_slice(b" first");
                }
            }
            Message::StreamStop => self.faint(out, "stream stop"),
            // What a later version of the parser knows.
            _ => self.faint(out, "other message"),
        }
        out.push(b'\n');
        Ok(())
    }

    /// Position and transaction; `748~` where it has not ended yet, `748/750~` in a subtransaction.
    fn head(&self, out: &mut Vec<u8>, lsn: Lsn, xid: Option<Xid>, top: Option<Xid>) {
        self.begin(out, Paint::Faint);
        put(out, format_args!("{lsn}"));
        match (xid, top) {
            (None, _) => out.extend_from_slice(b" -"),
            (Some(xid), None) => put(out, format_args!(" {xid}")),
            (Some(xid), Some(top)) if xid == top => put(out, format_args!(" {top}~")),
            (Some(xid), Some(top)) => put(out, format_args!(" {top}/{xid}~")),
        }
        self.finish(out, Paint::Faint);
        out.push(b' ');
    }

    fn end(&self, out: &mut Vec<u8>, what: &str, time: Timestamp) {
        self.faint(out, what);
        put(out, format_args!(" {}", Iso(time)));
    }

    fn two_phase(&self, out: &mut Vec<u8>, what: &str, gid: &str, time: Timestamp) {
        self.faint(out, what);
        out.push(b' ');
        quote(out, gid.as_bytes(), '\'');
        put(out, format_args!(" {}", Iso(time)));
    }

    fn change<'t>(
        &self,
        out: &mut Vec<u8>,
        paint: Paint,
        what: &str,
        tables: &'t Tables,
        oid: Oid,
    ) -> Result<&'t Table, ShowError> {
        let table = tables.get(oid)?;
        self.painted(out, paint, what);
        out.push(b' ');
        self.painted(out, Paint::Strong, &table.name);
        Ok(table)
    }

    fn row(&mut self, out: &mut Vec<u8>, table: &Table, row: Tuple<'_>) {
        for (column, value) in table.columns.iter().zip(row.columns()) {
            out.push(b' ');
            self.cell(out, column, value);
        }
    }

    /// `key(…)` has the columns of the key only: of the others NULL says nothing.
    fn old(&mut self, out: &mut Vec<u8>, table: &Table, old: OldRow<'_>) {
        let key_only = matches!(old, OldRow::Key(_));
        out.extend_from_slice(if key_only { b" key(" } else { b" old(" });
        let mut first = true;
        for (column, value) in table.columns.iter().zip(old.tuple().columns()) {
            if key_only && !column.key {
                continue;
            }
            if !first {
                out.push(b' ');
            }
            first = false;
            self.cell(out, column, value);
        }
        out.push(b')');
    }

    fn cell(&mut self, out: &mut Vec<u8>, column: &TableColumn, value: Column<'_>) {
        self.begin(out, Paint::Faint);
        out.extend_from_slice(column.name.as_bytes());
        self.finish(out, Paint::Faint);
        match value {
            Column::Null => self.faint(out, "null"),
            Column::Unchanged => self.faint(out, "unchanged"),
            Column::Text(text) => word(out, column, text),
            Column::Binary(bytes) => {
                self.text.clear();
                if text_of(&mut self.text, column.type_oid, bytes) {
                    word(out, column, &self.text);
                } else {
                    out.extend_from_slice(b"binary(");
                    hex(out, bytes);
                    out.push(b')');
                }
            }
        }
    }

    fn faint(&self, out: &mut Vec<u8>, text: &str) {
        self.painted(out, Paint::Faint, text);
    }

    fn painted(&self, out: &mut Vec<u8>, paint: Paint, text: impl Display) {
        self.begin(out, paint);
        put(out, format_args!("{text}"));
        self.finish(out, paint);
    }

    fn begin(&self, out: &mut Vec<u8>, paint: Paint) {
        if self.color {
            out.extend_from_slice(paint.begin());
        }
    }

    fn finish(&self, out: &mut Vec<u8>, paint: Paint) {
        if self.color && paint != Paint::Plain {
            out.extend_from_slice(END);
        }
    }
}

/// A value's text form, in quotes unless the type makes that needless.
fn word(out: &mut Vec<u8>, column: &TableColumn, text: &[u8]) {
    if is_bare(column.type_oid) && !text.is_empty() && text.iter().all(u8::is_ascii_graphic) {
        out.extend_from_slice(text);
    } else {
        quote(out, text, '\'');
    }
}
